;; Pages of another size: the figures hold, and the report says what they count.
(module
  (memory 1 2 (pagesize 1))
  (memory 1 2)
  (func (export "op_alloc") (param i32 i32) (result i32) (memory.grow (i32.const 1))))
