(module
  (func $even (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (call $odd (i32.sub (local.get 0) (i32.const 1))))
      (else (i32.const 1))))
  (func $odd (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (call $even (i32.sub (local.get 0) (i32.const 1))))
      (else (i32.const 0))))
  (func (export "op_alloc") (param i32 i32) (result i32) (call $even (local.get 0)))
  ;; Never reached with these arguments: refinement shows it.
  (func (export "op_dealloc") (param i32 i32 i32)
    (if (i32.gt_u (i32.and (local.get 0) (i32.const 7)) (i32.const 7))
      (then (drop (call $odd (local.get 0)))))))
