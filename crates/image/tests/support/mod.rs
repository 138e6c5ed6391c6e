//! Builds a small program for three ISAs with clang and lld, and runs what becomes of it.

#![allow(dead_code, reason = "every test file uses another part")]

use maize_abi::{Isa, layout, site_table};
use maize_image::{IsaPart, Parts};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// Functions of program.c, in the order in which they are placed, and bytes from one to the next.
pub const FUNCTIONS: [&str; 6] = ["_start", "start", "say", "check_headers", "check_data", "check_descriptor"];
pub const SLOT: u64 = 0x200;
pub const TEXT: u64 = layout::IMAGE_BASE + 0x1000;
pub const SITES: u64 = 3;
const DATA: u64 = layout::IMAGE_BASE + 0x10_0000;

/// Runs a command that must succeed.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// How the loader sees x86-64's text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Headers {
    /// Text starts on a page of its own; headers are in the read-only segment before.
    Apart,
    /// Text follows the headers closely: there is no room for more program headers.
    Tight,
}

fn linker_script(isa: Isa, headers: Headers) -> String {
    let start = match headers {
        Headers::Apart => TEXT,
        Headers::Tight => layout::IMAGE_BASE + 0x1c0,
    };
    let mut text = String::new();
    for (address, function) in (start..).step_by(SLOT as usize).zip(FUNCTIONS) {
        writeln!(text, ". = {address:#x}; *(.text.{function})").unwrap();
    }
    let text = format!("{start:#x} : {{ {text} . = {:#x}; }}", start + FUNCTIONS.len() as u64 * SLOT);
    let (phdrs, rest) = match isa {
        Isa::X86_64 => (
            "rodata PT_LOAD FLAGS(4); data PT_LOAD FLAGS(6);",
            format!(
                ".rodata {DATA:#x} : {{ *(.rodata .rodata.*) }} :rodata .eh_frame : {{ *(.eh_frame) }} :rodata
                 . = ALIGN(0x1000); .data : {{ *(.data .data.*) }} :data .bss : {{ *(.bss .bss.*) }} :data"
            ),
        ),
        _ => (
            "rodata PT_LOAD FLAGS(4);",
            format!(
                ".rodata {:#x} : {{ *(.rodata .rodata.*) }} :rodata .eh_frame : {{ *(.eh_frame) }} :rodata",
                match headers {
                    Headers::Apart => layout::PRIVATE_RODATA_BASE,
                    // lld puts the headers before the lowest section.
                    Headers::Tight => layout::IMAGE_BASE + 0x100_0000,
                }
            ),
        ),
    };
    let (first, place) = match headers {
        Headers::Apart => ("headers PT_LOAD FILEHDR PHDRS FLAGS(4); text PT_LOAD FLAGS(5);", ":text"),
        Headers::Tight => ("text PT_LOAD FILEHDR PHDRS FLAGS(5);", ":text"),
    };
    format!(
        "PHDRS {{ {first} {phdrs} stack PT_GNU_STACK FLAGS(6); }}
         ENTRY(_start)
         SECTIONS {{ . = {:#x} + SIZEOF_HEADERS; .text {text} {place} {rest} }}\n",
        layout::IMAGE_BASE
    )
}

fn build(isa: Isa, headers: Headers, directory: &Path, variables: &[(String, u64)]) -> Vec<u8> {
    let script = directory.join(format!("{}.ld", isa.name()));
    let output = directory.join(isa.name());
    std::fs::write(&script, linker_script(isa, headers)).unwrap();
    let mut command = Command::new("clang-22");
    command.arg(format!("--target={}-linux-gnu", isa.name())).args(["-nostdlib", "-static", "-fuse-ld=lld"]);
    command.args(["-O1", "-g", "-ffreestanding", "-ffunction-sections", "-fno-stack-protector", "-fno-pic"]);
    command.args(
        ["-Wl,--build-id=none", "-Wl,-z,max-page-size=4096", "-mno-relax"]
            .iter()
            .filter(|option| **option != "-mno-relax" || isa == Isa::Riscv64),
    );
    for (name, address) in variables {
        command.arg(format!("-Wl,--defsym={name}={address:#x}"));
    }
    command.arg(format!("-DDESCRIPTOR_VERSION={}", site_table::VERSION));
    command.arg(format!("-DDESCRIPTOR_BASE={:#x}", layout::DESCRIPTOR_BASE));
    command.arg("-Wl,-T").arg(&script).arg("-o").arg(&output);
    run(command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/executables/program.c")));
    std::fs::read(output).unwrap()
}

/// A descriptor with a table of zeros.
pub fn descriptor(isa: Isa) -> Vec<u8> {
    let sites = layout::DESCRIPTOR_BASE + size_of::<site_table::Descriptor>() as u64;
    let shapes = sites + SITES * size_of::<site_table::Site>() as u64;
    let total = shapes + 12 - layout::DESCRIPTOR_BASE;
    let mut bytes = site_table::MAGIC.to_vec();
    bytes.extend(site_table::VERSION.to_le_bytes());
    bytes.extend(isa.number().to_le_bytes());
    for field in
        [TEXT, TEXT + FUNCTIONS.len() as u64 * SLOT, sites, SITES, shapes, 0, shapes, 0, shapes, 0, shapes, 3, total]
    {
        bytes.extend(field.to_le_bytes());
    }
    bytes.resize(total as usize, 0);
    bytes
}

/// The parts of the program.
pub fn parts(headers: Headers) -> Parts {
    let directory = tempfile::tempdir().unwrap();
    let native = build(Isa::X86_64, headers, directory.path(), &[]);
    let variables: Vec<_> = symbols(&native)
        .into_iter()
        .filter(|(name, _)| ["greeting", "initialised", "zero"].contains(&name.as_str()))
        .collect();
    assert_eq!(variables.len(), 3);
    let isas = Isa::ALL.map(|isa| IsaPart {
        isa,
        executable: match isa {
            Isa::X86_64 => native.clone(),
            _ => build(isa, headers, directory.path(), &variables),
        },
        descriptor: descriptor(isa),
    });
    Parts { isas: isas.to_vec() }
}

/// The multi-ISA executable, built once.
pub fn program() -> &'static [u8] {
    static PROGRAM: OnceLock<Vec<u8>> = OnceLock::new();
    PROGRAM.get_or_init(|| maize_image::compose(parts(Headers::Apart)).unwrap())
}

/// Names and values of an ELF file's symbols.
pub fn symbols(file: &[u8]) -> Vec<(String, u64)> {
    use object::{Object, ObjectSymbol};
    let file = object::File::parse(file).unwrap();
    file.symbols().map(|symbol| (symbol.name().unwrap().to_owned(), symbol.address())).collect()
}

/// Writes an executable file.
pub fn install(directory: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = directory.join(name);
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Runs an executable for `isa`, natively if possible, and checks what it says.
pub fn check_run(isa: Isa, path: &Path) {
    let mut command = if Isa::from_name(std::env::consts::ARCH) == Some(isa) {
        Command::new(path)
    } else {
        let mut command = Command::new(format!("qemu-{}-static", isa.name()));
        command.arg(path);
        command
    };
    let output = loop {
        match command.output() {
            // A child that another thread has just forked still has the file open for writing, until it executes.
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            output => break output.unwrap(),
        }
    };
    assert_eq!(output.status.code(), Some(0), "{}: {output:?}", isa.name());
    let expected = format!("common read-only data\n{}\n", isa.name());
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}
