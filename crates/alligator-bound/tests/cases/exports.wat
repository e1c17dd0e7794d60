;; Exports of modules without a C library; the same function under two names is one entry.
(module
  (func $a (export "alloc") (export "malloc") (param i32) (result i32) (local.get 0))
  (func (export "deallocate") (param i32 i32))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local.get 0))
  (func (export "__wbindgen_malloc") (param i32 i32) (result i32) (local.get 0)))
