;; An allocator whose first part was inlined. The way to the call and from it on is in the report;
;; a loop is taken once, another call begins the way anew. What core does for the allocator is no
;; part of the program, and growth that no entry reaches is said.
(module
  (memory 1)
  (table 1 1 funcref)
  (elem (i32.const 0) $referred)
  (func $_ZN4talc4slow17h0123456789abcdefE (param i32) (result i32)
    (call $_ZN4core6option17h0123456789abcdefE (local.get 0)))
  (func $_ZN4core6option17h0123456789abcdefE (param i32) (result i32)
    (call $_ZN4talc7closure17h0123456789abcdefE (local.get 0)))
  (func $_ZN4talc7closure17h0123456789abcdefE (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func $referred (param i32))
  (func $elsewhere (drop (memory.grow (i32.const 1))))
  (func $other)
  (func (export "main") (param i32) (result i32)
    (local $i i32)
    (loop $again
      (call $other)
      (if (i32.and (local.get $i) (i32.const 1))
        (then (local.set $i (i32.mul (local.get $i) (i32.const 3)))))
      (local.set $i (call $_ZN4talc4slow17h0123456789abcdefE (i32.add (local.get $i) (i32.const 8))))
      (br_if $again (i32.lt_u (local.get $i) (local.get 0))))
    (call $elsewhere)
    (local.get $i)))
