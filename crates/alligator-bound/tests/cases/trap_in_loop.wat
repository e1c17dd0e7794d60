;; The last turn of a bounded loop may trap on the way back: trap_bound is above the bound.
(module
  (memory 1)
  (func (export "op_dealloc") (param $i i32) (param i32 i32)
    (loop $l
      (br_if 1 (i32.eqz (local.get $i)))
      (local.set $i (i32.load (local.get $i)))
      (local.set $i (i32.load (local.get $i)))
      (br $l))))
