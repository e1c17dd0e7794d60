;; Bounds that a person vouches for, nested loops included: where the code does not count (inner), counts
;; further (outer), or counts as far itself (the last; it needs nobody).
(module
  (func (export "op_alloc") (param $n i32) (param $m i32) (result i32)
    (local $i i32) (local $j i32)
    (loop $outer
      (local.set $j (i32.const 0))
      (loop $inner
        (br_if $inner (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $m))))
      (br_if $outer (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100))))
    (local.get $i))
  (func (export "op_dealloc") (param i32 i32 i32)
    (local $i i32)
    (loop $turns
      (br_if $turns (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 4))))))
