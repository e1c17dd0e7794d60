;; A call through a table may reach a function of a subtype, and of a type that is written otherwise.
(module
  (type $super (sub (func (param i32) (result anyref))))
  (type $sub (sub $super (func (param i32) (result i31ref))))
  (type $other (func (param i32) (result i32)))
  (table 2 2 funcref)
  (elem (i32.const 0) $dear $cheap)
  (func $dear (type $sub) (ref.i31 (i32.const 0)) (drop (i32.mul (local.get 0) (local.get 0))))
  (func $cheap (type $other) (local.get 0))
  (func (export "op_dealloc") (param i32 i32 i32)
    (drop (call_indirect (type $super) (local.get 0) (local.get 1)))))
