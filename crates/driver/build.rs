//! Embeds what the sysroot is built from (libc port layer, runtime, shared ABI), so that an
//! installed `maize` needs no source checkout, with hashes that tell when a built sysroot is out of date.

use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Directories and files that end up in the sysroot, relative to the workspace.
const EMBEDDED: &[&str] =
    &["Cargo.toml", "rust-toolchain.toml", "crates/abi", "crates/runtime", "intrinsics", "libc", "libcxx"];
/// What decides the code that the compiler generates.
/// The linker and the command line are not among them, nor, below these, the baseline of benchmarks.
const COMPILER: &[&str] = &[
    "crates/abi/src",
    "crates/driver/src/cc",
    "crates/driver/src/cc.rs",
    "crates/driver/src/sysroot",
    "crates/driver/src/sysroot.rs",
    "crates/image/src/object_file",
    "crates/image/src/object_file.rs",
    "crates/passes/src",
    "libc/non_migrating.txt",
];

/// See [`COMPILER`].
const BASELINE: &str = "crates/driver/src/sysroot/baseline";

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let workspace = manifest.join("../..").canonicalize()?;
    let mut code = String::from("pub static FILES: &[EmbeddedFile] = &[\n");
    for path in files(&workspace, EMBEDDED)? {
        let name = relative(&workspace, &path);
        writeln!(code, "    EmbeddedFile {{ path: {name:?}, content: include_bytes!({path:?}) }},")
            .map_err(io::Error::other)?;
    }
    code.push_str("];\n");
    writeln!(
        code,
        "/// Changes with the source of the compiler.\npub const COMPILER_HASH: &str = {:?};",
        hash(&workspace, COMPILER)?
    )
    .map_err(io::Error::other)?;
    let output = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(output.join("embedded.rs"), code)
}

fn hash(workspace: &Path, roots: &[&str]) -> io::Result<String> {
    let mut hasher = Sha256::new();
    for path in files(workspace, roots)? {
        let name = relative(workspace, &path);
        if name.starts_with(BASELINE) {
            continue;
        }
        let content = fs::read(&path)?;
        hasher.update(name);
        hasher.update((content.len() as u64).to_le_bytes());
        hasher.update(content);
    }
    Ok(hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

/// All files under `roots`, sorted, without build products and editors' leftovers.
fn files(workspace: &Path, roots: &[&str]) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending: Vec<PathBuf> = roots.iter().map(|root| workspace.join(root)).collect();
    while let Some(path) = pending.pop() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name == "target" || name.starts_with('.') || name.ends_with('~') || !path.exists() {
            continue;
        }
        println!("cargo::rerun-if-changed={}", path.display());
        if path.is_dir() {
            for entry in fs::read_dir(&path)? {
                pending.push(entry?.path());
            }
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn relative(workspace: &Path, path: &Path) -> String {
    path.strip_prefix(workspace).unwrap_or(path).to_string_lossy().into_owned()
}
