;; A heap that never gives memory again, called in every way there is: what is recorded of it is known.
(module
  (import "alligator" "alligator_mark" (func $mark (param i32 i32)))
  (memory (export "memory") 1 100)
  (data (i32.const 16) "frame")
  (global $next (mut i32) (i32.const 1024))
  (type $alloc (func (param i32) (result i32)))
  (table 2 funcref)
  (elem (i32.const 0) $malloc $free)
  (elem declare func $malloc)
  (start $begin)

  (func $malloc (export "malloc") (param $size i32) (result i32)
    (local $block i32)
    ;; Above 1 MiB, there is no memory.
    (if (i32.gt_u (local.get $size) (i32.const 0x100000)) (then (return (i32.const 0))))
    (local.set $block (global.get $next))
    (global.set $next (i32.and (i32.add (i32.add (local.get $block) (local.get $size)) (i32.const 7)) (i32.const -8)))
    (loop $again
      (if (i32.gt_u (global.get $next) (i32.shl (memory.size) (i32.const 16)))
        (then (drop (memory.grow (i32.const 1))) (br $again))))
    (local.get $block))
  (func $free (export "free") (param i32))
  (func $calloc (export "calloc") (param i32 i32) (result i32)
    (call $malloc (i32.mul (local.get 0) (local.get 1))))
  (func $realloc (export "realloc") (param $block i32) (param $size i32) (result i32)
    (local $new i32)
    (local.set $new (call $malloc (local.get $size)))
    (if (local.get $new) (then (call $free (local.get $block))))
    (local.get $new))
  (func $aligned_alloc (export "aligned_alloc") (param $align i32) (param $size i32) (result i32)
    (global.set $next (i32.and (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $align))))
    (call $malloc (local.get $size)))

  (func $begin (drop (call $malloc (i32.const 5))))
  ;; By table, by tail call, through others.
  (func $leaf (param i32) (result i32) (call $malloc (local.get 0)))
  (func $middle (param i32) (result i32) (call_indirect (type $alloc) (local.get 0) (i32.const 0)))
  (func $tail (param i32) (result i32) (return_call $malloc (local.get 0)))
  (func $alligator_mark_of_its_own (export "alligator_mark") (param i32 i32))
  (func (export "calls")
    (local $block i32)
    (local.set $block (call $leaf (i32.const 10)))              ;; an event
    (local.set $block (call $realloc (local.get $block) (i32.const 100)))  ;; one, not three
    (call $free (local.get $block))
    (call $free (i32.const 0))                                   ;; none
    (drop (call $middle (i32.const 20)))
    (drop (call $tail (i32.const 30)))
    (call $mark (i32.const 16) (i32.const 5))
    (drop (call $calloc (i32.const 3) (i32.const 7)))
    (drop (call $aligned_alloc (i32.const 64) (i32.const 1)))
    (drop (memory.grow (i32.const 2)))                           ;; not the heap's
    (drop (call $malloc (i32.const 0x200000)))                   ;; refused
    (drop (call $realloc (i32.const 0) (i32.const 8)))           ;; as malloc
    (call $alligator_mark_of_its_own (i32.const 18) (i32.const 3))
    (drop (call $malloc (i32.const 200000))))                    ;; grows
  (func (export "many") (param $count i32)
    (loop $again
      (call $free (call $leaf (i32.const 16)))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br_if $again (local.get $count))))
  (func (export "next") (result i32) (global.get $next)))
