;; Typed references: a call of one may reach anything; null tests are branches like others.
(module
  (type $f (func (param i32) (result i32)))
  (func (export "op_alloc") (param i32 i32) (result i32)
    (call_ref $f (local.get 0) (ref.null $f)))
  (func (export "op_dealloc") (param i32 i32 i32)
    (local $r (ref null $f))
    (block $null
      (drop (br_on_null $null (local.get $r)))
      (drop (i32.mul (local.get 0) (local.get 1))))
    (block $some (result (ref $f))
      (br_on_non_null $some (local.get $r))
      (return))
    (drop))
  (func (export "op_realloc") (param i32 i32 i32 i32) (result i32)
    (return_call_ref $f (local.get 0) (ref.null $f))))
