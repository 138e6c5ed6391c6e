//! The translations of one command line: several at once, and what they print in the order of their sources.

use super::clang::Clang;
use super::error::CcError;
use super::invocation::{Invocation, Mode, Source};
use super::portable::Headers;
use super::translation::{Printed, Translation, temporary_file};
use super::{link_step, output, ready, report, unit};
use crate::sysroot::{Sysroot, Tools};
use maize_abi::Isa;
use maize_passes::CompileOptions;
use std::collections::HashSet;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use tempfile::TempPath;

/// `-c` and `-S`: a result per source.
///
/// # Errors
/// Whatever concerns all sources; errors of one are reported, and give the exit status.
pub fn compile_each(invocation: &Invocation) -> Result<i32, CcError> {
    let extension = if invocation.mode == Mode::Object { "o" } else { "s" };
    let sources: Vec<&Source> = invocation.sources().collect();
    if invocation.output.is_some() && sources.len() > 1 {
        return Err(CcError::SeveralOutputs);
    }
    let outputs: Vec<PathBuf> =
        sources.iter().map(|source| invocation.output.clone().unwrap_or_else(|| source.result(extension))).collect();
    Jobs::new(invocation)?.run(&sources, &outputs)
}

/// A program from sources, objects and archives.
///
/// # Errors
/// As [`compile_each`], and the link's.
pub fn compile_and_link(invocation: &Invocation) -> Result<i32, CcError> {
    let sources: Vec<&Source> = invocation.sources().collect();
    let objects: Vec<TempPath> = sources.iter().map(|_| temporary_file("o")).collect::<Result<_, _>>()?;
    let outputs: Vec<PathBuf> = objects.iter().map(|object| object.to_path_buf()).collect();
    let code = Jobs::new(invocation)?.run(&sources, &outputs)?;
    if code != 0 {
        return Ok(code);
    }
    let sysroot = match invocation.libraries() {
        Some(language) => ready::sysroot(language)?,
        None => Sysroot::locate()?,
    };
    link_step::run(invocation, &objects, &sysroot)?;
    Ok(0)
}

/// What the translations of a command line have in common.
struct Jobs<'a> {
    invocation: &'a Invocation,
    headers: Headers,
    non_migrating: HashSet<String>,
    clang: Clang,
}

impl Jobs<'_> {
    fn new(invocation: &Invocation) -> Result<Jobs<'_>, CcError> {
        let headers = ready::headers(invocation)?;
        let several = invocation.sources().count() > 1;
        let clang = Clang { program: Tools::default().clang, capture: several };
        Ok(Jobs { invocation, headers, non_migrating: unit::non_migrating(), clang })
    }

    /// Compiles each source to its output, all of them even if one fails, and returns the first failure's exit status.
    fn run(&self, sources: &[&Source], outputs: &[PathBuf]) -> Result<i32, CcError> {
        let workers = thread::available_parallelism().map_or(1, usize::from).min(sources.len());
        let next = AtomicUsize::new(0);
        let (sender, receiver) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..workers {
                let (sender, next) = (sender.clone(), &next);
                scope.spawn(move || {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let (Some(source), Some(output)) = (sources.get(index), outputs.get(index)) else { return };
                        let mut printed = Printed::new();
                        let result = self.translate(source, output, &mut printed);
                        let _ = sender.send((index, printed, result));
                    }
                });
            }
            drop(sender);
            Ok(show_in_order(receiver))
        })
    }

    /// Where the user will find the result: an output may be a temporary file, whose name means nothing.
    fn result(&self, source: &Source) -> PathBuf {
        self.invocation.output.clone().unwrap_or_else(|| source.result("o"))
    }

    fn translate(&self, source: &Source, output: &Path, printed: &mut Printed) -> Result<(), CcError> {
        let invocation = self.invocation;
        let translation = Translation {
            source,
            options: invocation.clang.clone(),
            assembler: invocation.assembler.clone(),
            dependencies: invocation.dependencies.for_unit(source, invocation.output.as_deref()),
            driver: invocation.driver,
            headers: self.headers.clone(),
            code: CompileOptions {
                optimization_level: invocation.optimization_level,
                unit_name: unit_name(source, self.result(source).as_path(), &invocation.prefix_maps),
                isas: Isa::ALL.to_vec(),
                instrument: true,
                non_migrating: self.non_migrating.clone(),
                fault: None,
            },
            clang: &self.clang,
        };
        let result = match invocation.mode {
            Mode::Assembly => translation.assembly(invocation.isa, printed)?,
            _ => translation.object(printed)?,
        };
        output::write(output, &result)
    }
}

/// Shows what each translation printed as soon as those before it are done, and returns the exit status.
fn show_in_order(results: mpsc::Receiver<(usize, Printed, Result<(), CcError>)>) -> i32 {
    let mut waiting = Vec::new();
    let (mut shown, mut code) = (0, 0);
    for result in results {
        waiting.push(result);
        while let Some(position) = waiting.iter().position(|(index, ..)| *index == shown) {
            let (_, printed, result) = waiting.swap_remove(position);
            let _ = io::stderr().write_all(&printed);
            let status = result.map_or_else(|error| report(&error), |()| 0);
            code = if code == 0 { status } else { code };
            shown += 1;
        }
    }
    code
}

/// What tells this unit's internal symbols from those of any other unit of a program: where its source and its result lie,
/// as seen through the options that make builds in different places alike.
fn unit_name(source: &Source, output: &Path, prefix_maps: &[OsString]) -> String {
    let place = |path: &Path| {
        let path = env::current_dir().map_or_else(|_| path.to_owned(), |directory| directory.join(path));
        map_prefix(path, prefix_maps).to_string_lossy().into_owned()
    };
    format!("{} {}", place(&source.path), place(output))
}

/// As clang does it: the last map that fits counts.
fn map_prefix(path: PathBuf, maps: &[OsString]) -> PathBuf {
    for map in maps.iter().rev() {
        let Some(equals) = map.as_bytes().iter().position(|&byte| byte == b'=') else { continue };
        let (old, new) = (&map.as_bytes()[..equals], &map.as_bytes()[equals + 1..]);
        if let Some(rest) = path.as_os_str().as_bytes().strip_prefix(old) {
            return PathBuf::from(OsStr::from_bytes(&[new, rest].concat()));
        }
    }
    path
}
