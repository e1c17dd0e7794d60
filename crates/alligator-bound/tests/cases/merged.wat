;; Two ways to an obstacle that no path reaches: the costlier one, met second, counts.
(module
  (type $any (func))
  (memory 1)
  (table (export "table") 1 1 funcref)
  (func (export "op_alloc") (param $p i32) (param $q i32) (result i32)
    (if (local.get $p)
      (then (i32.store (i32.const 8) (i32.mul (i32.mul (local.get $p) (i32.const 3)) (i32.mul (local.get $p) (i32.const 5))))))
    (i32.store (i32.const 8) (i32.const 0))
    (if (local.get $q) (then (nop)))
    (if (i32.load (i32.const 8)) (then (call_indirect (type $any) (i32.const 0))))
    (i32.const 0)))
