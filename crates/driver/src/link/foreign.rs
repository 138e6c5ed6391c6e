//! Linking the code of an ISA other than x86-64.

use super::error::LinkError;
use super::inputs::LoadedObject;
use super::symbols::Symbols;
use super::{LinkOptions, linker, read, script};
use maize_abi::Isa;
use maize_image::object_file::unbundle;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

/// lld's name for an ISA.
fn emulation(isa: Isa) -> &'static str {
    match isa {
        Isa::X86_64 => "elf_x86_64",
        Isa::Aarch64 => "aarch64linux",
        Isa::Riscv64 => "elf64lriscv",
    }
}

/// Links the same objects in the same order, and makes sure that functions are where x86-64 has them.
pub fn link(
    isa: Isa,
    objects: &[LoadedObject],
    symbols: &Symbols,
    options: &LinkOptions,
    work: &Path,
) -> Result<Vec<u8>, LinkError> {
    let directory = work.join(format!("{}.objects", isa.name()));
    fs::create_dir_all(&directory).map_err(|source| LinkError::Write { path: directory.clone(), source })?;
    let mut list = String::new();
    for (index, object) in objects.iter().enumerate() {
        let bytes =
            unbundle(&object.bytes, isa).map_err(|source| LinkError::Object { name: object.name.clone(), source })?;
        let path = directory.join(format!("{index}.o"));
        linker::write(&path, bytes)?;
        list.push_str(&format!("\"{}\"\n", path.display()));
    }
    let response = directory.join("objects.rsp");
    linker::write(&response, list)?;
    let path = work.join(format!("{}.ld", isa.name()));
    linker::write(&path, script::foreign(symbols))?;
    let output = work.join(isa.name());
    let mut command = linker::command(emulation(isa), &path, &output);
    command.args(resolution_arguments(&options.linker_arguments));
    command.arg(format!("@{}", response.display()));
    linker::run(&mut command)?;
    let executable = read(&output)?;
    let own = Symbols::read(&executable)?;
    match symbols.difference(&own) {
        None => Ok(executable),
        Some(difference) => Err(LinkError::Internal(format!("for x86_64 and {}, {difference}", isa.name()))),
    }
}

/// The arguments that change what names mean, which must hold for every ISA.
fn resolution_arguments(arguments: &[OsString]) -> Vec<&OsString> {
    let names = ["--wrap", "-wrap", "--defsym", "-defsym", "-z", "-u", "--undefined"];
    let mut chosen = Vec::new();
    let mut take_next = false;
    for argument in arguments {
        let text = argument.to_string_lossy();
        let (name, value) = text.split_once('=').map_or((&*text, false), |(name, _)| (name, true));
        let relevant = names.contains(&name);
        if relevant || take_next {
            chosen.push(argument);
        }
        take_next = relevant && !value;
    }
    chosen
}
