//! What can be wrong with a module.

/// Why a module could not be compiled for every ISA.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The source uses inline assembly.
    #[error(
        "{}inline assembly in function `{function}` runs on one ISA only: \"{template}\"\n\
         use portable C instead (`__maize__` is defined; ISA macros such as `__x86_64__` are not)",
        location.as_ref().map(|at| format!("{at}: ")).unwrap_or_default()
    )]
    InlineAssembly {
        /// The function that contains it.
        function: String,
        /// The assembly text.
        template: String,
        /// `file:line`, known when the module has debug information.
        location: Option<String>,
    },
    /// The source uses an intrinsic of one ISA.
    #[error(
        "{}`{intrinsic}` in function `{function}` exists on one ISA only; use portable C or vector extensions instead",
        location.as_ref().map(|at| format!("{at}: ")).unwrap_or_default()
    )]
    IsaIntrinsic {
        /// The function that contains it.
        function: String,
        /// The intrinsic's name.
        intrinsic: String,
        /// `file:line`, known when the module has debug information.
        location: Option<String>,
    },
    /// The module contains assembly outside functions.
    #[error("file-scope assembly runs on one ISA only: \"{text}\"; move it to a .S file with one variant per ISA")]
    ModuleAssembly {
        /// The assembly text.
        text: String,
    },
    /// A construct that no pass handles.
    #[error(
        "{}{what} in function `{function}` is not supported in multi-ISA programs; {remedy}",
        location.as_ref().map(|at| format!("{at}: ")).unwrap_or_default()
    )]
    Unsupported {
        /// The function that contains it.
        function: String,
        /// The construct.
        what: String,
        /// What to do about it.
        remedy: &'static str,
        /// `file:line`, known when the module has debug information.
        location: Option<String>,
    },
    /// A pass made IR that LLVM refuses: a defect of Maize.
    #[error("internal error: invalid IR after pass `{pass}`: {message}; please report this with the source file")]
    InvalidIr {
        /// The pass.
        pass: &'static str,
        /// The verifier's message.
        message: String,
    },
    /// LLVM refused the input or could not generate code.
    #[error("LLVM {stage} failed for {isa}: {message}")]
    Llvm {
        /// What LLVM was doing.
        stage: &'static str,
        /// For which ISA, or "all ISAs".
        isa: &'static str,
        /// LLVM's message.
        message: String,
    },
}

impl PassError {
    /// Whether the same module compiled with line tables would give a better message.
    pub fn lacks_location(&self) -> bool {
        matches!(
            self,
            PassError::InlineAssembly { location: None, .. }
                | PassError::IsaIntrinsic { location: None, .. }
                | PassError::Unsupported { location: None, .. }
        )
    }
}
