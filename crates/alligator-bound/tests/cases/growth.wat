;; Paths that grow are reported apart, through calls as well.
(module
  (memory 1)
  (func $more (param i32) (result i32)
    (memory.grow (i32.shr_u (i32.add (local.get 0) (i32.const 65535)) (i32.const 16))))
  (func (export "op_alloc") (param $size i32) (param $align i32) (result i32)
    (if (i32.lt_u (local.get $size) (i32.const 100)) (then (return (i32.const 16))))
    (i32.shl (call $more (local.get $size)) (i32.const 16)))
  (func (export "op_dealloc") (param i32 i32 i32)
    (drop (memory.size)))
  (func (export "op_realloc") (param i32 i32 i32 i32) (result i32)
    (call $more (local.get 3))))
