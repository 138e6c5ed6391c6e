//! Installs the libc's headers: musl's own, those of Linux x86-64 for what an ISA decides, and on top
//! the few of the port layer. Does what musl's Makefile does with `sed`.

use super::Tools;
use super::command;
use super::error::SysrootError;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Where each set of ISA headers comes from; later ones replace earlier ones.
const ISA_HEADERS: &[&str] = &["generic", "x86_64"];

/// Headers for which musl has a portable variant that replaces x86-64's: no port I/O, no control of the
/// floating-point environment, a long double of 53 bits.
const PORTABLE_HEADERS: &[(&str, &str)] = &[("io.h", "generic"), ("fenv.h", "generic"), ("float.h", "arm")];

/// Headers of the language itself that musl leaves to the compiler, taken from clang.
const COMPILER_HEADERS: &[&str] = &["mm_malloc.h", "stdatomic.h", "stdckdint.h", "unwind.h"];

/// Installs all headers into `include`, from musl's tree and the port layer's (`arch/maize`).
///
/// # Errors
/// A file that cannot be read or written, or a tool that fails.
pub fn install(musl: &Path, port: &Path, tools: &Tools, include: &Path) -> Result<(), SysrootError> {
    copy_headers(&musl.join("include"), include, true)?;
    let bits = include.join("bits");
    for isa in ISA_HEADERS {
        copy_headers(&musl.join("arch").join(isa).join("bits"), &bits, false)?;
    }
    for (name, isa) in PORTABLE_HEADERS {
        copy(&musl.join("arch").join(isa).join("bits").join(name), &bits.join(name))?;
    }
    copy_headers(&port.join("bits"), &bits, false)?;
    pack_epoll_event(include)?;
    generate_types(musl, &bits.join("alltypes.h"))?;
    generate_system_call_numbers(musl, &bits.join("syscall.h"))?;
    copy_compiler_headers(tools, include)
}

/// Collects in `destination` the ISA's headers that only the libc itself includes.
///
/// # Errors
/// As [`install`].
pub fn install_internal(musl: &Path, port: &Path, destination: &Path) -> Result<(), SysrootError> {
    for isa in ISA_HEADERS {
        copy_headers(&musl.join("arch").join(isa), destination, false)?;
    }
    copy_headers(port, destination, false)?;
    let version = read(&musl.join("VERSION"))?;
    let path = destination.join("version.h");
    fs::write(&path, format!("#define VERSION \"{}\"\n", version.trim())).map_err(SysrootError::write(&path))
}

/// `struct epoll_event` is packed on x86-64, of which programs here see no sign but the layout.
fn pack_epoll_event(include: &Path) -> Result<(), SysrootError> {
    let path = include.join("sys/epoll.h");
    let text = read(&path)?.replace("#ifdef __x86_64__", "#if 1");
    fs::write(&path, text).map_err(SysrootError::write(&path))
}

fn generate_types(musl: &Path, to: &Path) -> Result<(), SysrootError> {
    let mut sed = Command::new("sed");
    sed.arg("-f").arg(musl.join("tools/mkalltypes.sed"));
    sed.arg(musl.join("arch/x86_64/bits/alltypes.h.in")).arg(musl.join("include/alltypes.h.in"));
    let text = command::run(&mut sed, "sed")?;
    fs::write(to, text).map_err(SysrootError::write(to))
}

fn generate_system_call_numbers(musl: &Path, to: &Path) -> Result<(), SysrootError> {
    let mut text = read(&musl.join("arch/x86_64/bits/syscall.h.in"))?;
    let aliases: Vec<String> =
        text.lines().filter(|line| line.contains("__NR_")).map(|line| line.replacen("__NR_", "SYS_", 1)).collect();
    text.push_str(&aliases.join("\n"));
    text.push('\n');
    fs::write(to, text).map_err(SysrootError::write(to))
}

fn copy_compiler_headers(tools: &Tools, include: &Path) -> Result<(), SysrootError> {
    let directory = command::run(Command::new(&tools.clang).arg("-print-resource-dir"), "clang-22")?;
    let directory = Path::new(directory.trim()).join("include");
    for name in COMPILER_HEADERS {
        copy(&directory.join(name), &include.join(name))?;
    }
    Ok(())
}

fn copy_headers(from: &Path, to: &Path, recursive: bool) -> Result<(), SysrootError> {
    fs::create_dir_all(to).map_err(SysrootError::write(to))?;
    for entry in fs::read_dir(from).map_err(SysrootError::read(from))? {
        let path = entry.map_err(SysrootError::read(from))?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() && recursive {
            copy_headers(&path, &target, true)?;
        } else if path.extension().is_some_and(|extension| extension == "h") {
            copy(&path, &target)?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), SysrootError> {
    let content = fs::read(from).map_err(SysrootError::read(from))?;
    fs::write(to, content).map_err(SysrootError::write(to))
}

fn read(path: &Path) -> Result<String, SysrootError> {
    fs::read_to_string(path).map_err(SysrootError::read(path))
}
