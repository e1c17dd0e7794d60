# Runs a component with so many variables in its environment: python3 run.py COMPONENT.wasm VARIABLES
import sys
import wasmtime
import wasmtime.component as components

engine = wasmtime.Engine()
component = components.Component.from_file(engine, sys.argv[1])
linker = components.Linker(engine)
linker.add_wasip2()
store = wasmtime.Store(engine)
wasi = wasmtime.WasiConfig()
wasi.env = [(f"K{i}", "v" * i) for i in range(int(sys.argv[2]))]
wasi.inherit_stdout()
wasi.inherit_stderr()
store.set_wasi(wasi)
instance = linker.instantiate(store, component)
names = (f"wasi:cli/run@0.2.{i}" for i in range(12))
interface = next(filter(None, (instance.get_export_index(store, name) for name in names)))
run = instance.get_func(store, instance.get_export_index(store, "run", interface))
run(store)
