;; Shared memory: nothing read twice is known to be the same; a spin has no bound.
(module
  (memory 1 2 shared)
  (func (export "op_alloc") (param $p i32) (param $v i32) (result i32)
    (i32.store (i32.const 64) (i32.const 0))
    (if (i32.load (i32.const 64)) (then (drop (i32.mul (local.get $v) (local.get $v)))))
    (i32.atomic.store (i32.const 0) (i32.const 0))
    (atomic.fence)
    (i32.atomic.rmw.cmpxchg (i32.const 0) (i32.const 0) (i32.const 1)))
  (func (export "op_dealloc") (param i32 i32 i32)
    (loop $spin
      (br_if $spin (i32.atomic.rmw.xchg (i32.const 0) (i32.const 1))))
    (drop (memory.atomic.notify (i32.const 0) (i32.const 1)))))
