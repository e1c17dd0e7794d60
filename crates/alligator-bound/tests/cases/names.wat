;; Entries by symbol, mangled as compilers do (the mangling of version 0, of 2018, and none); a slow
;; path of an inlined allocator.
(module
  (func $_RNvCs1234_7___rustc12___rust_alloc (param i32 i32) (result i32) (local.get 0))
  (func $_RNvCs1234_7___rustc14___rust_dealloc (param i32 i32 i32))
  (func $free (param i32))
  (func $_ZN15alligator_alloc4heap4grow17h0123456789abcdefE (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func $main (export "main") (result i32) (call $_ZN15alligator_alloc4heap4grow17h0123456789abcdefE (i32.const 3))))
