;; br_table: each target knows what the index was.
(module
  (func (export "op_alloc") (param $x i32) (param i32) (result i32)
    (block $two (block $one (block $zero
      (br_table $zero $one $zero $two (local.get $x)))
      ;; 0 or 2
      (if (i32.eq (local.get $x) (i32.const 1)) (then (return (i32.mul (i32.const 3) (i32.mul (local.get $x) (local.get $x))))))
      (return (i32.const 0)))
      ;; 1
      (if (i32.eqz (local.get $x)) (then (return (i32.mul (i32.const 3) (i32.mul (local.get $x) (local.get $x))))))
      (return (i32.const 1)))
    ;; 3 and more
    (if (i32.lt_u (local.get $x) (i32.const 3)) (then (return (i32.mul (i32.const 3) (i32.mul (local.get $x) (local.get $x))))))
    (i32.const 2)))
