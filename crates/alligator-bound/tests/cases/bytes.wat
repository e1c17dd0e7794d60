;; Loops over bytes: by the name and type of C's functions, and by a person's word.
(module
  (memory 1)
  (func $memset (param $to i32) (param $byte i32) (param $length i32) (result i32)
    (local $end i32) (local $at i32)
    (local.set $at (local.get $to))
    (local.set $end (i32.add (local.get $to) (local.get $length)))
    (block (br_if 0 (i32.eqz (local.get $length)))
      (loop
        (i32.store8 (local.get $at) (local.get $byte))
        (br_if 0 (i32.ne (local.tee $at (i32.add (local.get $at) (i32.const 1))) (local.get $end)))))
    (local.get $to))
  ;; The name, but not the type.
  (func $memcpy (param $to i32) (result i32)
    (loop (br_if 0 (i32.load8_u (local.get $to))))
    (i32.const 0))
  (func $scrub (param $to i32) (param $length i32)
    (block (br_if 0 (i32.eqz (local.get $length)))
      (loop
        (i32.store8 (i32.add (local.get $to) (local.tee $length (i32.sub (local.get $length) (i32.const 1)))) (i32.const 0))
        (br_if 0 (local.get $length)))))
  ;; It calls another: not what a person may vouch for in this way.
  (func $twice (param $to i32) (param $length i32)
    (loop (call $scrub (local.get $to) (local.get $length)) (br_if 0 (i32.load (local.get $to)))))
  (func (export "op_alloc_zeroed") (param i32 i32) (result i32)
    (call $memset (call $memset (i32.const 8) (i32.const 0) (local.get 0)) (i32.const 0) (local.get 1)))
  (func (export "op_alloc") (param i32 i32) (result i32) (call $memcpy (local.get 0)))
  (func (export "op_dealloc") (param i32 i32 i32) (call $scrub (local.get 0) (local.get 1)))
  (func (export "op_realloc") (param i32 i32 i32 i32) (result i32)
    (call $twice (local.get 0) (local.get 1)) (i32.const 0)))
