;; A length that is written down is counted; another is a term of its own.
(module
  (memory 1)
  (data $d "abc")
  (func (export "op_alloc") (param i32 i32) (result i32)
    (memory.fill (local.get 0) (i32.const 0) (i32.const 12))
    (memory.init $d (local.get 0) (i32.const 0) (i32.const 3))
    (local.get 0))
  (func (export "op_realloc") (param i32 i32 i32 i32) (result i32)
    (memory.copy (local.get 0) (local.get 1) (local.get 2))
    (memory.copy (local.get 1) (local.get 2) (local.get 3))
    (local.get 0)))
