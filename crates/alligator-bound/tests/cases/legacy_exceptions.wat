;; Exceptions of the old proposal have no row: wasmtime does not run them.
(module
  (tag $t)
  (func (export "op_dealloc") (param i32 i32 i32)
    try
      local.get 0
      (if (then (throw $t)))
    catch_all
    end))
