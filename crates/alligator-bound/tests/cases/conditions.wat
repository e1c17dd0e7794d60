;; An import matters to a figure only if a path of its kind that can be taken meets it.
(module
  (import "host" "log" (func $log (param i32)))
  (memory 1 2)
  (func $grow (result i32) (call $log (memory.grow (i32.const 1))) (i32.const 0))
  (func (export "op_alloc") (param i32 i32) (result i32)
    (if (result i32) (local.get 0) (then (i32.const 8)) (else (call $grow))))
  ;; On a path that contradicts itself.
  (func (export "op_dealloc") (param i32 i32 i32)
    (if (i32.lt_u (local.get 0) (i32.const 8))
      (then (if (i32.gt_u (local.get 0) (i32.const 16)) (then (call $log (local.get 0)))))))
  ;; On one that can be taken, though not the longest.
  (func (export "op_realloc") (param i32 i32 i32 i32) (result i32)
    (if (local.get 0)
      (then (call $log (i32.const 0)))
      (else (i32.store (i32.mul (local.get 1) (local.get 2)) (i32.mul (local.get 1) (local.get 3)))))
    (i32.const 0)))
