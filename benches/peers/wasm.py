"""Runs a WebAssembly program in Wasmtime: wasm.py MODULE [ARGUMENT ...].

Its code is compiled ahead, into MODULE.compiled, if that is not there. The last line on standard error is the processor time, in
seconds, that the program used: neither Python's start nor the compilation is in it.
"""

import os
import sys
import time

import wasmtime

engine = wasmtime.Engine()
path = sys.argv[1]
compiled = path + ".compiled"
if not os.path.exists(compiled):
    with open(compiled, "wb") as file:
        file.write(wasmtime.Module.from_file(engine, path).serialize())
module = wasmtime.Module.deserialize_file(engine, compiled)
linker = wasmtime.Linker(engine)
linker.define_wasi()
store = wasmtime.Store(engine)
wasi = wasmtime.WasiConfig()
wasi.argv = sys.argv[1:]
wasi.inherit_stdin()
wasi.inherit_stdout()
wasi.inherit_stderr()
store.set_wasi(wasi)
start = linker.instantiate(store, module).exports(store)["_start"]
before = time.process_time()
status = 0
try:
    start(store)
except wasmtime.ExitTrap as exit:
    status = exit.code
print(time.process_time() - before, file=sys.stderr)
sys.exit(status)
