;; A loop that turns has no bound; a `loop` that nothing branches back to is no loop.
(module
  (func (export "op_alloc") (param $n i32) (param i32) (result i32)
    (loop $again
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $again (local.get $n)))
    (local.get $n))
  (func (export "op_dealloc") (param i32 i32 i32)
    (loop $once (drop (i32.add (local.get 0) (local.get 1)))))
  ;; Endless: nothing leaves it.
  (func (export "op_realloc") (param i32 i32 i32 i32) (result i32)
    (loop $again (br $again))
    (unreachable)))
