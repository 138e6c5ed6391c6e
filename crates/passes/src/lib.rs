//! IR passes that make a module migratable, and code generation for every ISA.
//!
//! [`compile_module`] is the way in. The passes are files of their own, numbered in pipeline order in
//! their first line; [`pipeline`] runs them. ARCHITECTURE.md explains what they do together.

mod addresses;
mod bodies;
mod byval;
mod codegen;
mod computed_goto;
mod control_flow;
mod error;
mod exceptions;
mod fault;
mod inline_assembly;
pub mod ir;
mod isa;
mod kept_form;
mod liveness;
mod migrating;
mod migration_points;
pub mod pipeline;
mod points;
mod preparation;
mod rematerialize;
mod results;
mod resume_clones;
mod setjmp;
mod shadow_stack;
mod signature;
mod sites;
mod thread_locals;
mod unique_names;
mod variadics;
mod words;
mod x86_extensions;
mod x86_intrinsics;

pub use codegen::Output;
pub use error::PassError;
pub use fault::{Fault, FaultKind};
pub use pipeline::{CompileOptions, Pass, compile_module, compile_to_assembly, instrument_to_text};
pub use preparation::{Preparation, prepare};
