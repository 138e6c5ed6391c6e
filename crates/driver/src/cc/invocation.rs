//! A command line, understood: what to do, with which inputs, and which options are for whom.
//! Nothing is run or read here; `options` has the table.

use super::dependencies::Dependencies;
use super::error::CcError;
use super::options::{Key, Role, Shape, rule_for};
use crate::sysroot::Language;
use maize_abi::Isa;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// What is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// A program.
    Link,
    /// An object per source.
    Object,
    /// An assembly file per source.
    Assembly,
    /// Whatever clang makes of it: preprocessed text, dependencies, LLVM's own files.
    ClangAlone,
    /// The answer to a question about the compiler.
    Query,
}

/// How a source is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By clang, as C.
    C,
    /// By clang, as C++.
    Cxx,
    /// By clang's assembler, once per ISA.
    Assembly,
    /// Not by clang: it is LLVM IR already.
    Ir,
}

/// A file to be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file, or `-` for standard input.
    pub path: PathBuf,
    /// How.
    pub kind: Kind,
    /// What `-x` said of it.
    pub language: Option<String>,
}

impl Source {
    /// The word or words by which clang knows it.
    pub fn arguments(&self) -> Vec<OsString> {
        let language = self.language.as_deref().unwrap_or("none");
        vec!["-x".into(), language.into(), self.path.clone().into()]
    }

    /// Of a header clang makes a precompiled one.
    fn is_header(&self) -> bool {
        match &self.language {
            Some(language) => language.ends_with("-header"),
            None => self.path.extension().is_some_and(|name| HEADERS.iter().any(|header| name == *header)),
        }
    }

    /// The file's name with another extension: what clang calls the result if `-o` does not say.
    pub fn result(&self, extension: &str) -> PathBuf {
        // Unlike `Path::file_stem`, this turns `-` and `.c` into something that is still a name.
        let name = self.path.file_name().unwrap_or_default().as_bytes();
        let stem = name.iter().rposition(|&byte| byte == b'.').map_or(name, |dot| &name[..dot]);
        let mut result = OsStr::from_bytes(stem).to_owned();
        result.push(".");
        result.push(extension);
        result.into()
    }
}

/// Names by which command lines ask for the C++ library. clang++ takes GCC's name for its own library's, too.
pub const CXX_LIBRARIES: &[&str] = &["c++", "c++abi", "stdc++", "supc++"];

/// Extensions of headers.
const HEADERS: &[&str] = &["h", "hh", "hp", "hpp", "hxx", "h++", "H", "HPP", "HXX"];

/// What goes into a link, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A source, compiled first.
    Source(Source),
    /// An object or archive.
    File(PathBuf),
    /// `-l`
    Library(String),
    /// For the linker.
    Argument(OsString),
}

/// A command line, understood.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Whether `maize cc` or `maize c++` was called: what sources of no certain language are, and what is linked.
    pub driver: Language,
    /// What to make.
    pub mode: Mode,
    /// clang's options, in order.
    pub clang: Vec<OsString>,
    /// Further options for clang when it assembles.
    pub assembler: Vec<OsString>,
    /// What goes in, in order.
    pub inputs: Vec<Input>,
    /// `-o`
    pub output: Option<PathBuf>,
    /// About dependency files.
    pub dependencies: Dependencies,
    /// 0 to 3, from the last `-O`.
    pub optimization_level: u8,
    /// Whether clang is to find the libc's headers.
    pub headers: bool,
    /// Whether C++ sources are to find the C++ library's headers.
    pub cxx_headers: bool,
    /// `OLD=NEW` of options that make paths the same wherever the build takes place.
    pub prefix_maps: Vec<OsString>,
    /// `-L`
    pub library_directories: Vec<PathBuf>,
    /// Whether the libc and the runtime are to be linked.
    pub default_libraries: bool,
    /// Whether `maize c++` is to link the C++ library.
    pub cxx_library: bool,
    /// `-s`
    pub strip: bool,
    /// Whose assembly `-S` shows.
    pub isa: Isa,
}

impl Default for Invocation {
    fn default() -> Invocation {
        Invocation {
            driver: Language::C,
            mode: Mode::Link,
            clang: Vec::new(),
            assembler: Vec::new(),
            inputs: Vec::new(),
            output: None,
            dependencies: Dependencies::default(),
            optimization_level: 0,
            headers: true,
            cxx_headers: true,
            prefix_maps: Vec::new(),
            library_directories: Vec::new(),
            default_libraries: true,
            cxx_library: true,
            strip: false,
            isa: Isa::X86_64,
        }
    }
}

impl Invocation {
    /// Reads a command line whose response files have been expanded.
    ///
    /// # Errors
    /// An option that is refused or lacks its value, or a source in a language other than C and C++.
    pub fn parse(driver: Language, arguments: &[OsString]) -> Result<Invocation, CcError> {
        let invocation = Invocation { driver, ..Invocation::default() };
        let mut parser = Parser { invocation, language: None, emit_llvm: false };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            if word == "--" {
                words.by_ref().try_for_each(|file| parser.file(file))?;
            } else if word == "-" || !word.as_bytes().starts_with(b"-") {
                parser.file(word)?;
            } else {
                parser.option(word, &mut words)?;
            }
        }
        if parser.emit_llvm {
            parser.leave_to_clang();
        }
        if parser.invocation.sources().any(Source::is_header) {
            parser.invocation.raise(Mode::ClangAlone);
        }
        Ok(parser.invocation)
    }

    /// The sources, in order.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.inputs.iter().filter_map(|input| match input {
            Input::Source(source) => Some(source),
            _ => None,
        })
    }
}

impl Invocation {
    /// Of which libraries the sources may include headers: of none, of the libc, or of the C++ library too.
    pub fn headers_for(&self) -> Option<Language> {
        let mut readers = self.sources().filter(|source| source.kind != Kind::Ir).peekable();
        if !self.headers || readers.peek().is_none() {
            return None;
        }
        let cxx = self.cxx_headers && readers.any(|source| source.kind == Kind::Cxx);
        Some(if cxx { Language::Cxx } else { Language::C })
    }

    /// Which libraries a link takes: none, those of C, or the C++ library too.
    pub fn libraries(&self) -> Option<Language> {
        let named = |input: &Input| matches!(input, Input::Library(name) if CXX_LIBRARIES.contains(&name.as_str()));
        let cxx = self.links_cxx_library() || self.inputs.iter().any(named);
        if cxx { Some(Language::Cxx) } else { self.default_libraries.then_some(Language::C) }
    }

    /// Whether the C++ library is linked without being named.
    pub fn links_cxx_library(&self) -> bool {
        self.driver == Language::Cxx && self.default_libraries && self.cxx_library
    }
}

struct Parser {
    invocation: Invocation,
    /// What `-x` says of the files that follow.
    language: Option<String>,
    emit_llvm: bool,
}

impl Parser {
    /// clang writes LLVM's files itself; without `-c` or `-S` it says that it cannot link them.
    fn leave_to_clang(&mut self) {
        let invocation = &mut self.invocation;
        invocation.clang.push("-emit-llvm".into());
        match invocation.mode {
            Mode::Object => invocation.clang.push("-c".into()),
            Mode::Assembly => invocation.clang.push("-S".into()),
            Mode::Link | Mode::ClangAlone | Mode::Query => {}
        }
        invocation.raise(Mode::ClangAlone);
    }

    fn option<'a>(&mut self, word: &'a OsString, rest: &mut impl Iterator<Item = &'a OsString>) -> Result<(), CcError> {
        let text = word.to_string_lossy();
        let Some(rule) = rule_for(&text) else {
            self.invocation.clang.push(word.clone());
            return Ok(());
        };
        // Names are ASCII, so that the lengths agree even if the value is not UTF-8.
        let joined = OsStr::from_bytes(word.as_bytes().get(rule.name.len()..).unwrap_or_default());
        let separate = rule.shape == Shape::Separate || (rule.shape == Shape::JoinedOrSeparate && joined.is_empty());
        let mut words = vec![word.clone()];
        let mut value = joined.to_owned();
        if separate {
            value = rest.next().ok_or_else(|| CcError::MissingValue { option: text.to_string() })?.clone();
            words.push(value.clone());
        }
        match rule.role {
            Role::Clang => self.invocation.clang.extend(words),
            Role::Assembler => self.invocation.assembler.extend(words),
            Role::Link => self.invocation.inputs.extend(words.into_iter().map(Input::Argument)),
            Role::Drop => {}
            Role::Refuse(reason) => return Err(CcError::Refused { option: text.into_owned(), reason }),
            Role::Own(key) => self.own(key, words, value)?,
        }
        Ok(())
    }

    fn own(&mut self, key: Key, words: Vec<OsString>, value: OsString) -> Result<(), CcError> {
        let invocation = &mut self.invocation;
        match key {
            Key::Object => invocation.raise(Mode::Object),
            Key::Assembly => invocation.raise(Mode::Assembly),
            Key::ClangAlone => {
                invocation.raise(Mode::ClangAlone);
                invocation.clang.extend(words);
            }
            Key::DependenciesAlone => {
                invocation.raise(Mode::ClangAlone);
                invocation.dependencies.options.extend(words);
            }
            Key::EmitLlvm => self.emit_llvm = true,
            Key::Output => invocation.output = Some(value.into()),
            Key::Language => self.language = Some(value.to_string_lossy().into_owned()).filter(|name| name != "none"),
            Key::Optimize => {
                invocation.optimization_level = level(value.as_bytes());
                invocation.clang.extend(words);
            }
            Key::Dependencies => invocation.dependencies.enable(words),
            Key::DependencyFile => invocation.dependencies.file = Some(value),
            Key::DependencyTarget => invocation.dependencies.set_target(words),
            Key::Preprocessor => invocation.preprocessor(words, &value),
            Key::NoHeaders => invocation.headers = false,
            Key::NoCxxHeaders => invocation.cxx_headers = false,
            Key::NoCxxLibrary => invocation.cxx_library = false,
            Key::CxxLibrary => check_cxx_library(&value)?,
            Key::PrefixMap => {
                invocation.prefix_maps.push(value);
                invocation.clang.extend(words);
            }
            Key::Library => invocation.inputs.push(Input::Library(value.to_string_lossy().into_owned())),
            Key::LibraryDirectory => invocation.library_directories.push(value.into()),
            Key::LinkerList => invocation.inputs.extend(comma_list(&value).map(Input::Argument)),
            Key::Linker => invocation.inputs.push(Input::Argument(value)),
            Key::Strip => invocation.strip = true,
            Key::NoLibraries => invocation.default_libraries = false,
            Key::Target => check_target(&value)?,
            Key::Isa => invocation.isa = parse_isa(&value)?,
            Key::Query => {
                invocation.raise(Mode::Query);
                invocation.clang.extend(words);
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &OsString) -> Result<(), CcError> {
        let path = PathBuf::from(path);
        let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        let kind = match &self.language {
            Some(language) => kind_of_language(language, &path)?,
            None => kind_of_extension(&extension, &path)?,
        };
        // As clang++ has it, also of files that say otherwise.
        let kind = match (kind, self.language.is_some(), self.invocation.driver) {
            (Some(Kind::C), false, Language::Cxx) if extension != "i" => Some(Kind::Cxx),
            (kind, ..) => kind,
        };
        self.invocation.inputs.push(match kind {
            Some(kind) => Input::Source(Source { path, kind, language: self.language.clone() }),
            None => Input::File(path),
        });
        Ok(())
    }
}

impl Invocation {
    /// Of several modes the one that stops first counts, as with clang.
    fn raise(&mut self, mode: Mode) {
        self.mode = self.mode.max(mode);
    }

    /// `-Wp,-MD,FILE` is how build systems of the Linux kernel's kind ask for dependencies.
    fn preprocessor(&mut self, words: Vec<OsString>, value: &OsStr) {
        let mut items = comma_list(value);
        let (first, second) = (items.next().unwrap_or_default(), items.next());
        if first != "-MD" && first != "-MMD" {
            self.clang.extend(words);
            return;
        }
        self.dependencies.enable(vec![first]);
        self.dependencies.file = second.or(self.dependencies.file.take());
    }
}

fn comma_list(value: &OsStr) -> impl Iterator<Item = OsString> {
    value.as_bytes().split(|&byte| byte == b',').map(|item| OsString::from_vec(item.to_vec()))
}

/// clang's reading of what follows `-O`.
fn level(value: &[u8]) -> u8 {
    match value {
        b"0" => 0,
        b"" | b"1" | b"g" => 1,
        b"2" | b"s" | b"z" => 2,
        _ => 3,
    }
}

fn check_target(value: &OsStr) -> Result<(), CcError> {
    let value = value.to_string_lossy();
    let mut parts = value.split('-');
    let isa = parts.next().unwrap_or_default();
    if matches!(isa, "x86_64" | "amd64") && parts.any(|part| part == "linux") {
        return Ok(());
    }
    Err(CcError::Refused {
        option: format!("--target={value}"),
        reason: "every output is for all ISAs; leave the option out (the portable ABI is that of x86_64-linux-musl)",
    })
}

/// There is one C++ library, of LLVM; programs that ask for GCC's get an error rather than another library.
fn check_cxx_library(value: &OsStr) -> Result<(), CcError> {
    match value.to_str() {
        Some("libc++" | "platform") => Ok(()),
        _ => Err(CcError::UnknownValue {
            option: "-stdlib",
            value: value.to_string_lossy().into_owned(),
            expected: String::from("libc++, or leave the option out"),
        }),
    }
}

fn parse_isa(value: &OsStr) -> Result<Isa, CcError> {
    let value = value.to_string_lossy();
    Isa::from_name(&value).ok_or_else(|| CcError::UnknownValue {
        option: "--maize-isa",
        value: value.into_owned(),
        expected: Isa::ALL.map(Isa::name).join(", "),
    })
}

fn kind_of_language(language: &str, path: &Path) -> Result<Option<Kind>, CcError> {
    match language {
        "assembler" | "assembler-with-cpp" => Ok(Some(Kind::Assembly)),
        "ir" => Ok(Some(Kind::Ir)),
        _ if language.starts_with("c++") => Ok(Some(Kind::Cxx)),
        _ if language.starts_with("objective-c") || language.starts_with("hip") => {
            Err(CcError::Language { path: path.to_owned(), language: language.to_owned() })
        }
        // clang tells what it thinks of other names.
        _ => Ok(Some(Kind::C)),
    }
}

fn kind_of_extension(extension: &str, path: &Path) -> Result<Option<Kind>, CcError> {
    let language = match extension {
        "c" | "i" | "h" => return Ok(Some(Kind::C)),
        "cc" | "cp" | "cpp" | "cxx" | "CPP" | "CXX" | "C" | "c++" | "C++" | "CC" | "cppm" | "ii" => {
            return Ok(Some(Kind::Cxx));
        }
        _ if HEADERS.contains(&extension) => return Ok(Some(Kind::Cxx)),
        "s" | "S" | "sx" => return Ok(Some(Kind::Assembly)),
        "bc" | "ll" => return Ok(Some(Kind::Ir)),
        _ if path.as_os_str() == "-" => return Ok(Some(Kind::C)),
        "m" | "mi" | "mm" | "M" => "Objective-C",
        "f" | "F" | "f90" | "F90" | "f95" | "F95" | "f03" | "f08" => "Fortran",
        _ => return Ok(None),
    };
    Err(CcError::Language { path: path.to_owned(), language: language.to_owned() })
}

#[cfg(test)]
mod tests;
