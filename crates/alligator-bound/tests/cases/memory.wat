;; A value stored is the value loaded; a store elsewhere in the same record leaves it known.
(module
  (memory 1)
  (func (export "op_alloc") (param $p i32) (param $x i32) (result i32)
    (i32.store offset=4 (local.get $p) (i32.const 0))
    (i32.store offset=8 (local.get $p) (local.get $x))
    (if (i32.load offset=4 (local.get $p))
      (then (i32.store (local.get $p) (i32.mul (i32.mul (local.get $x) (local.get $x)) (local.get $x)))))
    (i32.load offset=8 (local.get $p)))
  ;; Here the store may have hit it.
  (func (export "op_dealloc") (param $p i32) (param $q i32) (param $x i32)
    (i32.store offset=4 (local.get $p) (i32.const 0))
    (i32.store (local.get $q) (local.get $x))
    (if (i32.load offset=4 (local.get $p))
      (then (i32.store (local.get $p) (i32.mul (i32.mul (local.get $x) (local.get $x)) (local.get $x)))))))
