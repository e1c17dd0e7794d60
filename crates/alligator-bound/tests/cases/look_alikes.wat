;; No entry by a name that is known: those that look like one are listed, by name and type.
(module
  (func (export "my_alloc") (param i32) (result i32) (local.get 0))
  (func (export "releaseBlock") (param i32 i64))
  (func (export "allocate_name") (param f32))
  (func (export "run") (param i32)))
