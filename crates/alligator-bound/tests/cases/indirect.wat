;; A table nobody can write: callees are known. An exported one: they are not.
(module
  (type $f (func (param i32) (result i32)))
  (table $closed funcref (elem $short $long $other))
  (table $open (export "table") funcref (elem $short))
  (func $short (type $f) (local.get 0))
  (func $long (type $f) (i32.mul (i32.add (local.get 0) (i32.const 1)) (local.get 0)))
  (func $other (param i64) (result i64) (i64.mul (i64.mul (local.get 0) (local.get 0)) (i64.mul (local.get 0) (local.get 0))))
  (func (export "op_alloc") (param i32 i32) (result i32)
    (call_indirect $closed (type $f) (local.get 0) (local.get 1)))
  (func (export "op_dealloc") (param i32 i32 i32)
    (drop (call_indirect $open (type $f) (local.get 0) (local.get 1)))))
