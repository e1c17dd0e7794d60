;; Vectors, relaxed vectors too: a store of one leaves nothing known of memory, a lane is unknown.
(module
  (memory 1)
  (func (export "op_alloc") (param $p i32) (param $v i32) (result i32)
    (i32.store (i32.const 64) (i32.const 0))
    (v128.store (local.get $p) (i32x4.relaxed_trunc_f32x4_s (f32x4.splat (f32.const 1))))
    (if (i32.load (i32.const 64)) (then (drop (i32.mul (local.get $v) (local.get $v)))))
    (i32x4.extract_lane 1 (v128.load8_lane 2 (local.get $p) (i32x4.splat (local.get $v)))))
  (func (export "op_dealloc") (param $p i32) (param i32 i32)
    (drop (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 (v128.const i64x2 0 0) (v128.load (local.get $p))))))
