;; A path to `unreachable` is a path; a callee that never returns ends the caller's.
(module
  (func $panic (param i32) (drop (i32.mul (local.get 0) (local.get 0))) (unreachable))
  (func (export "op_alloc") (param i32 i32) (result i32)
    (if (i32.eqz (local.get 1)) (then (call $panic (local.get 0)) (drop (i32.mul (i32.mul (i32.const 1) (i32.const 2)) (i32.const 3)))))
    (local.get 0)))
