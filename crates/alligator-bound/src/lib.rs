//! Proves worst-case instruction bounds on compiled WebAssembly modules.
