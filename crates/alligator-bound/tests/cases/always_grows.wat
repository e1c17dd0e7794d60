;; Every path grows: there is no figure without growth, and the one with growth is judged.
(module
  (memory 1)
  (func (export "op_alloc") (param i32 i32) (result i32) (memory.grow (local.get 0)))
  (func (export "op_dealloc") (param i32 i32 i32)
    (drop (memory.grow (local.get 0)))
    (loop $l (br_if $l (i32.load (i32.const 0))))))
