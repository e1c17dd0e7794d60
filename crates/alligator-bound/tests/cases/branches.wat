;; Two branches on the same condition: the plain path takes the costly side of both.
(module
  (func (export "op_alloc") (param $size i32) (param $align i32) (result i32)
    (local $sum i32)
    (if (i32.gt_u (local.get $size) (i32.const 64))
      (then (local.set $sum (i32.mul (i32.add (local.get $size) (i32.const 1)) (i32.const 3))))
      (else (local.set $sum (i32.const 1))))
    (if (i32.gt_u (local.get $size) (i32.const 64))
      (then (local.set $sum (i32.const 2)))
      (else (local.set $sum (i32.mul (i32.add (local.get $sum) (i32.const 1)) (i32.const 3)))))
    (local.get $sum))
  (func (export "op_dealloc") (param i32 i32 i32)))
