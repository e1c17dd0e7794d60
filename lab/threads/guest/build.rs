//! What the linker is to export for the host, and whether threads share the memory.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(shared)");
    let target = std::env::var("TARGET").unwrap_or_default();
    println!("cargo::rustc-link-arg=--export=__stack_pointer");
    if target.ends_with("-threads") {
        println!("cargo::rustc-cfg=shared");
        println!("cargo::rustc-link-arg=--export=__wasm_init_tls");
        println!("cargo::rustc-link-arg=--max-memory=2147483648");
    }
}
