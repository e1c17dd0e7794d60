;; An operator without a row is refused, by name and place; unreachable code is not asked.
(module
  (type $s (struct (field i32)))
  (func (export "op_alloc") (param i32 i32) (result i32)
    (struct.get $s 0 (struct.new $s (local.get 0)))))
