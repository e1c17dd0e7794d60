;; The names of C, whole: a path that ends in one is another function.
(module
  (func $malloc (param i32) (result i32) (local.get 0))
  (func $aligned_alloc (param i32 i32) (result i32) (local.get 0))
  (func $posix_memalign (param i32 i32 i32) (result i32) (local.get 0))
  (func $free (param i32))
  (func $realloc (param i32 i32) (result i32) (local.get 0))
  (func $calloc (param i32 i32) (result i32) (local.get 0))
  (func $_ZN4mine6malloc17h0123456789abcdefE (param i32))
  (func (export "alligator_allocate") (param i32 i32) (result i32) (local.get 1))
  (func (export "alligator_deallocate") (param i32 i32 i32)))
