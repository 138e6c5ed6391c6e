//! Programs of other people: Debian source packages, built unmodified by their own make.

use crate::source::Source;
use crate::toolchain::{Compiler, run};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A source package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Package {
    /// bzip2 1.0.8.
    Bzip2,
    /// dash 0.5.12.
    Dash,
    /// Lua 5.4.4.
    Lua,
    /// pugixml 1.13.
    Pugixml,
    /// Redis 7.0.15.
    Redis,
    /// SQLite 3.40.1, in its canonical form: many files.
    Sqlite,
    /// zlib 1.2.13.
    Zlib,
    /// Zstandard 1.5.4.
    Zstd,
}

impl Package {
    /// Where it comes from.
    pub fn source(self) -> Source {
        match self {
            Package::Bzip2 => Source {
                package: "bzip2",
                version: "1.0.8-5",
                archive: "bzip2_1.0.8.orig.tar.gz",
                sha256: "ab5a03176ee106d3f0fa90e381da478ddae405918153cca248e682cd0c4a2269",
                directory: "bzip2-1.0.8",
            },
            Package::Dash => Source {
                package: "dash",
                version: "0.5.12-2",
                archive: "dash_0.5.12.orig.tar.gz",
                sha256: "6a474ac46e8b0b32916c4c60df694c82058d3297d8b385b74508030ca4a8f28a",
                directory: "dash-0.5.12",
            },
            Package::Lua => Source {
                package: "lua5.4",
                version: "5.4.4-3+deb12u1",
                archive: "lua5.4_5.4.4.orig.tar.gz",
                sha256: "164c7849653b80ae67bec4b7473b884bf5cc8d2dca05653475ec2ed27b9ebf61",
                directory: "lua-5.4.4",
            },
            Package::Pugixml => Source {
                package: "pugixml",
                version: "1.13-0.2",
                archive: "pugixml_1.13.orig.tar.gz",
                sha256: "5c5ad5d7caeb791420408042a7d88c2c6180781bf218feca259fd9d840a888e1",
                directory: "pugixml-1.13",
            },
            Package::Redis => Source {
                package: "redis",
                version: "5:7.0.15-1~deb12u7",
                archive: "redis_7.0.15.orig.tar.gz",
                sha256: "4b1dc4ee6d622a09fff9c6777191209750fb5e5a725ef78ea012d6eef4c22982",
                directory: "redis-7.0.15",
            },
            Package::Sqlite => Source {
                package: "sqlite3",
                version: "3.40.1-2+deb12u2",
                archive: "sqlite3_3.40.1.orig.tar.xz",
                sha256: "aaa776260ab4dc976db34aa7891819484c8676b5b2783123ebc6301e2ca5d655",
                directory: "sqlite3-3.40.1",
            },
            Package::Zstd => Source {
                package: "libzstd",
                version: "1.5.4+dfsg2-5",
                archive: "libzstd_1.5.4+dfsg2.orig.tar.xz",
                sha256: "8cf4bbb65e77ec348d052c8d6230eba66d435bddf64c8b5be2fcb16880c19953",
                directory: "zstd-1.5.4",
            },
            Package::Zlib => Source {
                package: "zlib",
                version: "1:1.2.13.dfsg-1",
                archive: "zlib_1.2.13.dfsg.orig.tar.bz2",
                sha256: "71feb7947e3c00ef125f83b79a4e529bde31171e5babe48b391f06758d1ab0a1",
                directory: "zlib-1.2.13.dfsg",
            },
        }
    }

    /// Unpacks it into a directory of the compiler's own.
    fn unpack(self, compiler: Compiler, directory: &Path) -> Result<PathBuf> {
        let directory = directory.join(compiler.name());
        std::fs::create_dir_all(&directory)?;
        self.source().unpack(&directory)
    }
}

/// Builds bzip2, runs its own tests (which run it), and returns its directory.
///
/// # Errors
/// What make printed.
pub fn build_bzip2(compiler: Compiler, directory: &Path) -> Result<PathBuf> {
    let source = build_bzip2_with(compiler, directory, &[])?;
    compiler.make(&source, &["test"])?;
    Ok(source)
}

/// Builds bzip2 with settings of make, for any machine, and returns its directory.
///
/// # Errors
/// What make printed.
pub fn build_bzip2_with(compiler: Compiler, directory: &Path, settings: &[&str]) -> Result<PathBuf> {
    let source = Package::Bzip2.unpack(compiler, directory)?;
    compiler.make(&source, &[settings, &["-j2", "bzip2", "bzip2recover"]].concat())?;
    Ok(source)
}

/// Configures and builds dash and returns the shell.
///
/// # Errors
/// What configure or make printed.
pub fn build_dash(compiler: Compiler, directory: &Path) -> Result<PathBuf> {
    let source = Package::Dash.unpack(compiler, directory)?;
    let mut configure = Command::new("./configure");
    configure.args(["--quiet", "CC_FOR_BUILD=gcc"]).arg(format!("CC={}", compiler.command_line()));
    run(configure.current_dir(&source))?;
    compiler.make(&source, &["-j2"])?;
    Ok(source.join("src/dash"))
}

/// Builds the Lua library and interpreter and returns the interpreter.
///
/// # Errors
/// What make printed.
pub fn build_lua(compiler: Compiler, directory: &Path) -> Result<PathBuf> {
    build_lua_with(compiler, directory, &[])
}

/// [`build_lua`] with settings of make.
///
/// # Errors
/// What make printed.
pub fn build_lua_with(compiler: Compiler, directory: &Path, settings: &[&str]) -> Result<PathBuf> {
    let source = Package::Lua.unpack(compiler, directory)?.join("src");
    compiler.make(&source, &[settings, &["-j2", "posix"]].concat())?;
    Ok(source.join("lua"))
}

/// Builds pugixml with its own tests, and returns their program, which is to be run in the source directory, and that.
///
/// # Errors
/// What make printed.
pub fn build_pugixml(compiler: Compiler, directory: &Path) -> Result<(PathBuf, PathBuf)> {
    let source = Package::Pugixml.unpack(compiler, directory)?;
    compiler.make(&source, &["-j2", "BUILD=build", "config=release"])?;
    Ok((source.join("build/test"), source))
}

/// Builds programs of Redis, with the libc's allocator, and returns the directory that they are in.
///
/// # Errors
/// What make printed.
pub fn build_redis(compiler: Compiler, directory: &Path, arguments: &[&str]) -> Result<PathBuf> {
    let source = Package::Redis.unpack(compiler, directory)?;
    compiler.make(&source, &[&["-j2", "MALLOC=libc", "DEBUG="], arguments].concat())?;
    Ok(source.join("src"))
}

/// Configures and builds zlib as a static library, runs its own tests, and returns its directory.
///
/// # Errors
/// What configure or make printed.
pub fn build_zlib(compiler: Compiler, directory: &Path) -> Result<PathBuf> {
    let source = Package::Zlib.unpack(compiler, directory)?;
    run(Command::new("./configure").arg("--static").current_dir(&source).env("CC", compiler.command_line()))?;
    compiler.make(&source, &["-j2", "static"])?;
    compiler.make(&source, &["teststatic"])?;
    Ok(source)
}

/// Builds zstd, without threads and the formats of other libraries, and returns the program.
///
/// # Errors
/// What make printed.
pub fn build_zstd(compiler: Compiler, directory: &Path, settings: &[&str]) -> Result<PathBuf> {
    let source = Package::Zstd.unpack(compiler, directory)?;
    let programs = source.join("programs");
    // Its assembly is for x86-64 with BMI2 only.
    let own = ["HAVE_THREAD=0", "HAVE_ZLIB=0", "HAVE_LZMA=0", "HAVE_LZ4=0", "BACKTRACE=0", "ZSTD_NO_ASM=1"];
    compiler.make(&programs, &[settings, &own, &["-j2", "zstd"]].concat())?;
    Ok(programs.join("zstd"))
}

/// Makes SQLite's one file out of its many, with the native compiler, and returns the directory: `sqlite3.c`, and `test/speedtest1.c`.
///
/// # Errors
/// What configure or make printed. They need tclsh.
pub fn sqlite_amalgamation(directory: &Path) -> Result<PathBuf> {
    let source = Package::Sqlite.unpack(Compiler::Gcc, directory)?;
    run(Command::new("./configure").args(["--disable-tcl", "--disable-readline"]).current_dir(&source))?;
    Compiler::Gcc.make(&source, &["sqlite3.c"])?;
    Ok(source)
}
