//! Programs in Rust: those of our own, built with rustc, and other people's from crates.io, built with cargo.

use crate::toolchain::{maize, program_source, run};
use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// A crate with a program.
#[derive(Clone, Copy, Debug)]
pub struct Crate {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// SHA-256 of the packed crate, hexadecimal. What it depends on is pinned by the `Cargo.lock` in it.
    pub sha256: &'static str,
    /// The program.
    pub program: &'static str,
}

/// ripgrep 15.2.0.
pub const RIPGREP: Crate = Crate {
    name: "ripgrep",
    version: "15.2.0",
    sha256: "a30750b6d0743bfdd2656ebbaf4555aa278c43144b84bc389bcbfa399485ec71",
    program: "rg",
};

/// What a Rust program is built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RustCompiler {
    /// rustc and cargo for this machine.
    Native,
    /// `maize rustc` and `maize cargo`.
    Maize,
}

impl RustCompiler {
    fn command(self, tool: &str) -> Command {
        match self {
            RustCompiler::Native => Command::new(tool),
            RustCompiler::Maize => {
                let mut command = Command::new(maize());
                command.arg(tool);
                command
            }
        }
    }

    /// Builds `programs/rust/NAME.rs` and returns the program.
    ///
    /// # Errors
    /// What rustc printed.
    pub fn build_program(self, name: &str, directory: &Path) -> Result<PathBuf> {
        let output = directory.join(format!("{name}-{self:?}"));
        let mut command = self.command("rustc");
        command.args(["-O", "--edition=2024", "-Cstrip=debuginfo"]);
        run(command.arg(program_source("rust").join(name).with_extension("rs")).arg("-o").arg(&output))?;
        Ok(output)
    }

    /// Unpacks and builds a crate, and returns its program.
    ///
    /// # Errors
    /// A failed download, a wrong checksum, or what cargo printed.
    pub fn build_crate(self, package: Crate, directory: &Path) -> Result<PathBuf> {
        let directory = directory.join(format!("{self:?}"));
        fs::create_dir_all(&directory)?;
        let packed = package.fetch(&directory)?;
        run(Command::new("tar").arg("-xf").arg(&packed).arg("-C").arg(&directory))?;
        let source = directory.join(format!("{}-{}", package.name, package.version));
        let target = directory.join("target");
        let mut command = self.command("cargo");
        command.args(["build", "--release", "--locked", "--target-dir"]).arg(&target).current_dir(&source);
        // Nobody debugs it, and compiling takes minutes as it is.
        run(command.env("CARGO_PROFILE_RELEASE_DEBUG", "0").env_remove("CARGO_TARGET_DIR"))?;
        let built = match self {
            RustCompiler::Native => target.join("release"),
            RustCompiler::Maize => target.join("x86_64-unknown-linux-gnu/release"),
        };
        Ok(built.join(package.program))
    }
}

impl Crate {
    /// The packed crate in cargo's cache.
    fn fetch(self, directory: &Path) -> Result<PathBuf> {
        let name = format!("{}@{}", self.name, self.version);
        // Not in a package, whose dependencies it would tell about.
        run(Command::new("cargo").args(["info", "--quiet", &name]).current_dir(directory))?;
        let home = env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = home.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
        let cache = home.context("set HOME or CARGO_HOME")?.join("registry/cache");
        let file = format!("{}-{}.crate", self.name, self.version);
        for registry in fs::read_dir(&cache).with_context(|| cache.display().to_string())? {
            let packed = registry?.path().join(&file);
            if packed.exists() {
                let digest: String =
                    Sha256::digest(fs::read(&packed)?).iter().map(|byte| format!("{byte:02x}")).collect();
                ensure!(digest == self.sha256, "{}: SHA-256 is {digest}, expected {}", packed.display(), self.sha256);
                return Ok(packed);
            }
        }
        bail!("cargo info {name} did not deliver {file}")
    }
}
