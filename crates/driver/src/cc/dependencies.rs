//! Dependency files (`-MD` and its relatives). clang derives their name and the target they name from `-o`, which here is
//! a temporary file; so both are said outright, as clang would have chosen them (clang/lib/Driver/ToolChains/Clang.cpp,
//! `AddPreprocessingOptions`).

use super::invocation::Source;
use std::ffi::OsString;
use std::path::Path;

/// What the command line says about dependency files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependencies {
    /// All options but `-MF`, in order.
    pub options: Vec<OsString>,
    /// `-MF`
    pub file: Option<OsString>,
    enabled: bool,
    has_target: bool,
}

impl Dependencies {
    /// `-MD` or `-MMD`.
    pub fn enable(&mut self, words: Vec<OsString>) {
        self.enabled = true;
        self.options.extend(words);
    }

    /// `-MT` or `-MQ`.
    pub fn set_target(&mut self, words: Vec<OsString>) {
        self.has_target = true;
        self.options.extend(words);
    }

    /// The options as they were given, for a clang that writes the user's output itself.
    pub fn as_given(&self) -> Vec<OsString> {
        let mut options = self.options.clone();
        if let Some(file) = &self.file {
            options.extend(["-MF".into(), file.clone()]);
        }
        options
    }

    /// The options for compiling one source to a temporary file, when `output` is what the user's `-o` says.
    pub fn for_unit(&self, source: &Source, output: Option<&Path>) -> Vec<OsString> {
        if !self.enabled {
            return self.as_given();
        }
        let mut options = self.options.clone();
        let file = self.file.clone().unwrap_or_else(|| match output {
            Some(output) => output.with_extension("d").into(),
            None => source.result("d").into(),
        });
        options.extend(["-MF".into(), file]);
        if !self.has_target {
            let target = output.map_or_else(|| source.result("o"), Path::to_owned);
            options.extend(["-MQ".into(), target.into()]);
        }
        options
    }
}
