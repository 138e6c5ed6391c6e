//! Compiles what of code generation LLVM offers to C++ alone.

use std::env;

fn main() {
    let source = "llvm/point_masks.cpp";
    println!("cargo::rerun-if-changed={source}");
    println!("cargo::rerun-if-env-changed=LLVM_SYS_221_PREFIX");
    // Set for llvm-sys, too (.cargo/config.toml).
    let prefix = env::var("LLVM_SYS_221_PREFIX").expect("LLVM_SYS_221_PREFIX names the directory of LLVM 22");
    cc::Build::new()
        .cpp(true)
        .compiler(format!("{prefix}/bin/clang++"))
        .std("c++20")
        .flag("-fno-rtti")
        .flag("-fno-exceptions")
        .flag("-isystem")
        .flag(format!("{prefix}/include"))
        .file(source)
        .compile("maize_llvm");
}
