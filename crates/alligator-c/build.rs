//! Tells the crate what `alligator-alloc` has found out: whether a second thread may reach the memory.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(single_thread)");
    if std::env::var("DEP_ALLIGATOR_ALLOC_SINGLE_THREAD").as_deref() == Ok("1") {
        println!("cargo::rustc-cfg=single_thread");
    }
}
