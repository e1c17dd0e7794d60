;; Another cost table.
(module
  (func (export "op_alloc") (param i32 i32) (result i32)
    (i32.div_u (i32.mul (local.get 0) (local.get 1)) (i32.const 3))))
