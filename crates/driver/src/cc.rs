//! `maize cc` and `maize c++`: compiler drivers with clang's command line whose objects and programs run on every ISA.
//!
//! A command line is read ([`invocation`], by the table in [`options`]), each source is compiled ([`translation`]) and the
//! results are linked ([`link_step`]). What differs from clang is in `maize help cc`.

mod clang;
mod dependencies;
mod error;
mod invocation;
mod jobs;
mod link_step;
mod options;
mod output;
mod portable;
mod query;
mod ready;
mod response_file;
mod translation;
mod unit;

pub use error::CcError;
pub use ready::{BuildLine, build_sysroot, sysroot};
pub use unit::Compiler;

pub(crate) use clang::exit_code;
pub(crate) use invocation::{Input, Invocation};
pub(crate) use link_step::run as link;
pub(crate) use response_file::expand as expand_response_files;
pub(crate) use translation::temporary_file;
pub(crate) use unit::non_migrating;

use crate::sysroot::{Language, Tools};
use clang::Clang;
use invocation::{Mode, Source};
use maize_terminal as terminal;
use std::ffi::OsString;

/// Does what a command line (without the program's name) asks for, and returns the exit status. What goes wrong is reported on standard error.
pub fn main(driver: Language, arguments: &[OsString]) -> i32 {
    run(driver, arguments).unwrap_or_else(|error| report(&error))
}

/// Tells the user, unless clang has, and returns the exit status.
fn report(error: &CcError) -> i32 {
    if !error.is_reported() {
        terminal::error(error);
    }
    error.exit_code()
}

fn run(driver: Language, arguments: &[OsString]) -> Result<i32, CcError> {
    let arguments = response_file::expand(arguments);
    let invocation = Invocation::parse(driver, &arguments)?;
    let clang = Clang { program: Tools::default().clang, capture: false };
    if invocation.mode == Mode::Query {
        return query::answer(&clang, &invocation, &arguments);
    }
    if query::asks_linker(&invocation) {
        return query::linker_version();
    }
    // Without inputs, clang prints what `-v` asks for or says that there are none.
    if invocation.mode == Mode::ClangAlone || no_files(&invocation) {
        return clang_alone(&clang, &invocation);
    }
    if invocation.mode == Mode::Link { jobs::compile_and_link(&invocation) } else { jobs::compile_each(&invocation) }
}

fn no_files(invocation: &Invocation) -> bool {
    !invocation.inputs.iter().any(|input| matches!(input, Input::Source(_) | Input::File(_) | Input::Library(_)))
}

/// `-E`, `-M`, `-fsyntax-only`, `-emit-llvm` and their like: clang's work with our options.
fn clang_alone(clang: &Clang, invocation: &Invocation) -> Result<i32, CcError> {
    let headers = ready::headers(invocation)?;
    let assembles = invocation.sources().any(|source| source.kind == invocation::Kind::Assembly);
    let mut arguments = if assembles {
        portable::assemble_options(invocation.isa, &headers)
    } else {
        portable::compile_options(invocation.driver, &headers)
    };
    arguments.extend_from_slice(&invocation.clang);
    if !assembles {
        arguments.extend(portable::LAST.iter().map(OsString::from));
    }
    arguments.extend(invocation.dependencies.as_given());
    if let Some(output) = &invocation.output {
        arguments.extend(["-o".into(), output.clone().into()]);
    }
    arguments.extend(invocation.sources().flat_map(Source::arguments));
    Ok(clang.run(&arguments)?.code)
}
