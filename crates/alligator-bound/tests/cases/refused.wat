;; Three classes of calls: those that enter no growing function, those that do and do not grow, those that grow.
(module
  (memory 1 2)
  (global $allowed (mut i32) (i32.const 1))
  (func $dear (param i32) (result i32) (i32.mul (i32.mul (local.get 0) (local.get 0)) (local.get 0)))
  ;; A growing function: its own code grows. It asks for nothing where it is not allowed.
  (func $grow (result i32)
    (if (result i32) (global.get $allowed)
      (then (memory.grow (i32.const 1)))
      (else (i32.const -1))))
  ;; Not one: it only calls one.
  (func $take (result i32) (call $grow))
  (func (export "op_alloc") (param i32 i32) (result i32)
    (if (result i32) (local.get 0)
      (then (local.get 1))
      (else
        (if (i32.eq (call $take) (i32.const -1)) (then (return (call $dear (local.get 0)))))
        (i32.const 1))))
  ;; Always one or the other.
  (func (export "op_alloc_zeroed") (param i32 i32) (result i32) (call $take))
  ;; The entry's own `memory.grow` makes no growing function of it.
  (func (export "op_realloc") (param i32 i32 i32 i32) (result i32)
    (if (result i32) (local.get 0) (then (memory.grow (i32.const 1))) (else (i32.const 0))))
  ;; Not one by name, nor by a person's word: its calls that do not grow are without growth.
  (func $all_in_one (param i32) (result i32)
    (if (result i32) (local.get 0) (then (memory.grow (i32.const 1))) (else (i32.const 0))))
  (func (export "op_dealloc") (param i32 i32 i32) (drop (call $all_in_one (local.get 0))))
  ;; By a person's word.
  (func $more (param i32) (result i32)
    (if (result i32) (local.get 0) (then (memory.grow (i32.const 1))) (else (i32.const 0))))
  (func (export "malloc") (param i32) (result i32)
    (if (i32.load (i32.const 8)) (then (return (i32.const 8))))
    (call $more (local.get 0))))
