;; An import that grows memory for the module: a call of it is growth, and the function that calls it a growing one.
(module
  (import "env" "emscripten_resize_heap" (func $resize (param i32) (result i32)))
  (memory 1)
  (func $morecore (param $bytes i32) (result i32)
    (if (i32.eqz (local.get $bytes)) (then (return (i32.const 0))))
    (call $resize (local.get $bytes)))
  (func (export "malloc") (param i32) (result i32)
    (if (i32.load (i32.const 16)) (then (return (i32.const 32))))
    (call $morecore (local.get 0))))
