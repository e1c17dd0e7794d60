(module
  (func $slow (param i32 i32) (result i32)
    (i32.mul (i32.mul (local.get 0) (local.get 1)) (i32.mul (local.get 0) (local.get 1))))
  (func (export "op_alloc") (param i32 i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return_call $slow (local.get 0) (local.get 1))))
    (local.get 1))
  ;; A tail call to itself is recursion all the same.
  (func $self (export "op_dealloc") (param i32 i32 i32)
    (if (local.get 0) (then (return_call $self (i32.sub (local.get 0) (i32.const 1)) (local.get 1) (local.get 2))))))
