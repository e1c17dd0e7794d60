;; A linker keeps one name of several: those of a C library mean the functions of C.
(module
  (func $__libc_malloc (param i32) (result i32) (local.get 0))
  (func $__libc_free (param i32))
  (func $__libc_calloc (param i32 i32) (result i32) (local.get 0))
  (func $dlrealloc (param i32 i32) (result i32) (local.get 0))
  ;; Two of one: both keep their own names.
  (func $emscripten_builtin_memalign (param i32 i32) (result i32) (local.get 0))
  (func $memalign (param i32 i32) (result i32) (call $emscripten_builtin_memalign (local.get 0) (local.get 1)))
  ;; No entry: a name inside the module.
  (func $allocate (param i32) (result i32) (local.get 0)))
