//! The options of `maize cc` and `maize c++`: which take a value, and whose business they are. Whatever is not listed here goes to clang
//! as one word. clang's own table is `clang/include/clang/Options/Options.td`; GCC's, `gcc/common.opt`.

use Role::{Assembler, Clang, Drop, Link, Own};
use Shape::{Flag, Joined, JoinedOrSeparate, Separate};

/// How an option and its value are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The name is all there is.
    Flag,
    /// The value follows the name in the same word; it may be empty.
    Joined,
    /// The value is the next word.
    Separate,
    /// The value is the rest of the word, or the next word if there is no rest.
    JoinedOrSeparate,
}

/// Whose business an option is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// clang's.
    Clang,
    /// clang's when it assembles; when it compiles to bitcode it would say that they are unused.
    Assembler,
    /// The linker's, which gets it as it stands.
    Link,
    /// Nobody's: it asks for what is so anyway, or for a choice that portable code does not have.
    Drop,
    /// Nobody's, and a program that needs it would not work: an error with this reason.
    Refuse(&'static str),
    /// The driver's.
    Own(Key),
}

/// Options with which the driver itself does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// `-c`
    Object,
    /// `-S`
    Assembly,
    /// `-E`, `-fsyntax-only` and others after which clang does the whole job.
    ClangAlone,
    /// `-M`, `-MM`: as `-E`, and an option about dependencies.
    DependenciesAlone,
    /// `-emit-llvm`
    EmitLlvm,
    /// `-o`
    Output,
    /// `-x`
    Language,
    /// `-O`
    Optimize,
    /// `-MD`, `-MMD`
    Dependencies,
    /// `-MF`
    DependencyFile,
    /// `-MT`, `-MQ`
    DependencyTarget,
    /// `-Wp,`, which may hold options about dependencies.
    Preprocessor,
    /// `-nostdinc`
    NoHeaders,
    /// `-nostdinc++`
    NoCxxHeaders,
    /// `-nostdlib++`
    NoCxxLibrary,
    /// `-stdlib=`
    CxxLibrary,
    /// `-ffile-prefix-map=` and `-fdebug-prefix-map=`
    PrefixMap,
    /// `-l`
    Library,
    /// `-L`
    LibraryDirectory,
    /// `-Wl,`
    LinkerList,
    /// `-Xlinker`
    Linker,
    /// `-s`
    Strip,
    /// `-nostdlib`, `-nodefaultlibs`
    NoLibraries,
    /// `--target=`, `-m64`, `-mlong-double-64`: fine if it says what is so anyway.
    Target,
    /// `--maize-isa=`
    Isa,
    /// Questions about the compiler, answered without compiling.
    Query,
}

/// An option.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name, without a value.
    pub name: &'static str,
    /// How it is written.
    pub shape: Shape,
    /// Whose business it is.
    pub role: Role,
}

const fn rule(name: &'static str, shape: Shape, role: Role) -> Rule {
    Rule { name, shape, role }
}

const SHARED: Role = Role::Refuse(
    "multi-ISA programs are static, so there are no shared libraries; make an archive (configure: --disable-shared)",
);
const RELOCATABLE: Role = Role::Refuse("multi-ISA objects cannot be merged into one; make an archive with `maize ar`");
const SANITIZER: Role = Role::Refuse("sanitizers have no portable run-time library; use them in a native build");
const PROFILE: Role = Role::Refuse("profiling has no portable run-time library; use it in a native build");
const OPENMP: Role = Role::Refuse("there is no portable OpenMP run-time library; use POSIX threads");
const SCRIPT: Role = Role::Refuse("Maize lays programs out itself, alike for every ISA; linker scripts cannot be used");
const WIDTH: Role = Role::Refuse("multi-ISA programs are 64-bit (LP64)");
const LONG_DOUBLE: Role = Role::Refuse("`long double` has 64 bits in the portable ABI, and the libc relies on it");

/// What `rule_for` looks through. Of those that match, the one with the longest name counts.
pub const RULES: &[Rule] = &[
    // What to do
    rule("-c", Flag, Own(Key::Object)),
    rule("-S", Flag, Own(Key::Assembly)),
    rule("-E", Flag, Own(Key::ClangAlone)),
    rule("-fsyntax-only", Flag, Own(Key::ClangAlone)),
    rule("--analyze", Flag, Own(Key::ClangAlone)),
    rule("--precompile", Flag, Own(Key::ClangAlone)),
    rule("-emit-ast", Flag, Own(Key::ClangAlone)),
    rule("-M", Flag, Own(Key::DependenciesAlone)),
    rule("-MM", Flag, Own(Key::DependenciesAlone)),
    rule("-emit-llvm", Flag, Own(Key::EmitLlvm)),
    rule("-o", JoinedOrSeparate, Own(Key::Output)),
    rule("--output=", Joined, Own(Key::Output)),
    rule("--output", Separate, Own(Key::Output)),
    rule("-x", JoinedOrSeparate, Own(Key::Language)),
    rule("--language=", Joined, Own(Key::Language)),
    rule("--language", Separate, Own(Key::Language)),
    rule("-O", Joined, Own(Key::Optimize)),
    rule("--maize-isa=", Joined, Own(Key::Isa)),
    // Dependency files
    rule("-MD", Flag, Own(Key::Dependencies)),
    rule("-MMD", Flag, Own(Key::Dependencies)),
    rule("-MF", JoinedOrSeparate, Own(Key::DependencyFile)),
    rule("-MT", JoinedOrSeparate, Own(Key::DependencyTarget)),
    rule("-MQ", JoinedOrSeparate, Own(Key::DependencyTarget)),
    rule("-Wp,", Joined, Own(Key::Preprocessor)),
    rule("-MJ", JoinedOrSeparate, Clang),
    // clang's options whose value is a word of its own
    rule("-I", JoinedOrSeparate, Clang),
    rule("-D", JoinedOrSeparate, Clang),
    rule("-U", JoinedOrSeparate, Clang),
    rule("-F", JoinedOrSeparate, Clang),
    rule("-A", JoinedOrSeparate, Clang),
    rule("-B", JoinedOrSeparate, Clang),
    rule("-isystem", JoinedOrSeparate, Clang),
    rule("-isystem-after", JoinedOrSeparate, Clang),
    rule("-idirafter", JoinedOrSeparate, Clang),
    rule("-iquote", JoinedOrSeparate, Clang),
    rule("-iprefix", JoinedOrSeparate, Clang),
    rule("-iwithprefix", JoinedOrSeparate, Clang),
    rule("-iwithprefixbefore", JoinedOrSeparate, Clang),
    rule("-isysroot", JoinedOrSeparate, Clang),
    rule("-iframework", JoinedOrSeparate, Clang),
    rule("-imacros", JoinedOrSeparate, Clang),
    rule("-include", JoinedOrSeparate, Clang),
    rule("-include-pch", Separate, Clang),
    rule("-ivfsoverlay", JoinedOrSeparate, Clang),
    rule("-working-directory", JoinedOrSeparate, Clang),
    rule("-working-directory=", Joined, Clang),
    rule("-resource-dir", Separate, Clang),
    rule("-serialize-diagnostics", Separate, Clang),
    rule("--serialize-diagnostics", Separate, Clang),
    rule("--sysroot", Separate, Clang),
    rule("--param", Separate, Clang),
    rule("-Xclang", Separate, Clang),
    rule("-Xpreprocessor", Separate, Clang),
    rule("-Xassembler", Separate, Assembler),
    rule("-Wa,", Joined, Assembler),
    rule("-Xanalyzer", Separate, Clang),
    rule("-mllvm", Separate, Clang),
    rule("-arch", Separate, Clang),
    rule("-dumpdir", Separate, Clang),
    rule("-ftrapv-handler", Separate, Clang),
    rule("--include-directory", Separate, Clang),
    rule("--define-macro", Separate, Clang),
    rule("--undefine-macro", Separate, Clang),
    rule("--include", Separate, Clang),
    rule("-nostdinc", Flag, Own(Key::NoHeaders)),
    rule("-nostdinc++", Flag, Own(Key::NoCxxHeaders)),
    rule("-stdlib=", Joined, Own(Key::CxxLibrary)),
    rule("--stdlib=", Joined, Own(Key::CxxLibrary)),
    rule("-cxx-isystem", JoinedOrSeparate, Clang),
    rule("-stdlib++-isystem", JoinedOrSeparate, Clang),
    rule("-ffile-prefix-map=", Joined, Own(Key::PrefixMap)),
    rule("-fdebug-prefix-map=", Joined, Own(Key::PrefixMap)),
    // The portable ABI has decided
    rule("-m64", Flag, Drop),
    rule("-mlong-double-64", Flag, Drop),
    rule("-mlong-double-80", Flag, LONG_DOUBLE),
    rule("-mlong-double-128", Flag, LONG_DOUBLE),
    rule("-m32", Flag, WIDTH),
    rule("-mx32", Flag, WIDTH),
    rule("-m16", Flag, WIDTH),
    rule("--target=", Joined, Own(Key::Target)),
    rule("-target", Separate, Own(Key::Target)),
    rule("-fpic", Flag, Drop),
    rule("-fPIC", Flag, Drop),
    rule("-fpie", Flag, Drop),
    rule("-fPIE", Flag, Drop),
    rule("-fno-pic", Flag, Drop),
    rule("-fno-PIC", Flag, Drop),
    rule("-fno-pie", Flag, Drop),
    rule("-fno-PIE", Flag, Drop),
    rule("-fplt", Flag, Drop),
    rule("-fno-plt", Flag, Drop),
    rule("-fsemantic-interposition", Flag, Drop),
    rule("-fno-semantic-interposition", Flag, Drop),
    rule("-fstack-protector", Joined, Drop),
    rule("-fno-stack-protector", Flag, Drop),
    rule("-fstack-clash-protection", Flag, Drop),
    rule("-fno-stack-clash-protection", Flag, Drop),
    rule("-fcf-protection", Joined, Drop),
    rule("-fsplit-stack", Flag, Role::Refuse("the shadow stack grows by itself; leave the option out")),
    rule("-ffp-contract=", Joined, Drop),
    rule("-fstrict-float-cast-overflow", Flag, Drop),
    rule("-fno-strict-float-cast-overflow", Flag, Drop),
    rule("-fintegrated-as", Flag, Drop),
    rule("-fno-integrated-as", Flag, Drop),
    rule("-no-integrated-as", Flag, Drop),
    // ISA features and tuning: each ISA's code is for its baseline
    rule("-march=", Joined, Drop),
    rule("-mtune=", Joined, Drop),
    rule("-mcpu=", Joined, Drop),
    rule("-mabi=", Joined, Drop),
    rule("-mcmodel=", Joined, Drop),
    rule("-mfpmath=", Joined, Drop),
    rule("-mprefer-vector-width=", Joined, Drop),
    rule("-mbranch-protection=", Joined, Drop),
    rule("-mstack-alignment=", Joined, Drop),
    rule("-mpreferred-stack-boundary=", Joined, Drop),
    rule("-mred-zone", Flag, Drop),
    rule("-mno-red-zone", Flag, Drop),
    rule("-mstackrealign", Flag, Drop),
    rule("-mretpoline", Flag, Drop),
    rule("-mindirect-branch=", Joined, Drop),
    rule("-mfunction-return=", Joined, Drop),
    rule("-mgeneral-regs-only", Flag, Drop),
    // Optimisation at link time: units are instrumented one by one
    rule("-flto", Flag, Drop),
    rule("-flto=", Joined, Drop),
    rule("-fno-lto", Flag, Drop),
    rule("-flto-jobs=", Joined, Drop),
    rule("-ffat-lto-objects", Flag, Drop),
    rule("-fno-fat-lto-objects", Flag, Drop),
    rule("-fuse-linker-plugin", Flag, Drop),
    rule("-fno-use-linker-plugin", Flag, Drop),
    rule("-fwhole-program-vtables", Flag, Drop),
    rule("-gsplit-dwarf", Joined, Drop),
    // What needs a run-time library that is not there
    rule("-fsanitize=", Joined, SANITIZER),
    rule("-fprofile-generate", Joined, PROFILE),
    rule("-fprofile-instr-generate", Joined, PROFILE),
    rule("-fprofile-arcs", Flag, PROFILE),
    rule("-ftest-coverage", Flag, PROFILE),
    rule("-fcoverage-mapping", Flag, PROFILE),
    rule("--coverage", Flag, PROFILE),
    rule("-coverage", Flag, PROFILE),
    rule("-pg", Flag, PROFILE),
    rule("-p", Flag, PROFILE),
    rule("-fxray-instrument", Flag, PROFILE),
    rule("-finstrument-functions", Joined, PROFILE),
    rule("-fopenmp", Flag, OPENMP),
    rule("-fopenmp=", Joined, OPENMP),
    rule("-fopenmp-simd", Flag, Clang),
    // Linking
    rule("-l", JoinedOrSeparate, Own(Key::Library)),
    rule("--library=", Joined, Own(Key::Library)),
    rule("--library", Separate, Own(Key::Library)),
    rule("-L", JoinedOrSeparate, Own(Key::LibraryDirectory)),
    rule("--library-directory=", Joined, Own(Key::LibraryDirectory)),
    rule("--library-directory", Separate, Own(Key::LibraryDirectory)),
    rule("-Wl,", Joined, Own(Key::LinkerList)),
    rule("-Xlinker", Separate, Own(Key::Linker)),
    rule("-s", Flag, Own(Key::Strip)),
    rule("-nostdlib", Flag, Own(Key::NoLibraries)),
    rule("-nodefaultlibs", Flag, Own(Key::NoLibraries)),
    rule("-nostdlib++", Flag, Own(Key::NoCxxLibrary)),
    rule("-undef", Flag, Clang),
    rule("-u", JoinedOrSeparate, Link),
    rule("-z", JoinedOrSeparate, Link),
    rule("-r", Flag, RELOCATABLE),
    rule("-shared", Flag, SHARED),
    rule("--shared", Flag, SHARED),
    rule("-T", JoinedOrSeparate, SCRIPT),
    rule("-e", Separate, Role::Refuse("programs start in the Maize runtime, which calls `main`")),
    rule("-nostartfiles", Flag, Drop),
    rule("-nolibc", Flag, Drop),
    rule("-static", Flag, Drop),
    rule("--static", Flag, Drop),
    rule("-static-pie", Flag, Drop),
    rule("-pie", Flag, Drop),
    rule("-no-pie", Flag, Drop),
    rule("-nopie", Flag, Drop),
    rule("-rdynamic", Flag, Drop),
    rule("-static-libgcc", Flag, Drop),
    rule("-shared-libgcc", Flag, Drop),
    rule("-static-libstdc++", Flag, Drop),
    rule("-fuse-ld=", Joined, Drop),
    rule("--ld-path=", Joined, Drop),
    rule("-rtlib=", Joined, Drop),
    rule("--rtlib=", Joined, Drop),
    rule("-unwindlib=", Joined, Drop),
    rule("--unwindlib=", Joined, Drop),
    // Questions
    rule("--version", Flag, Own(Key::Query)),
    rule("--help", Joined, Own(Key::Query)),
    rule("-help", Flag, Own(Key::Query)),
    rule("-###", Flag, Own(Key::Query)),
    rule("-dumpmachine", Flag, Own(Key::Query)),
    rule("-dumpversion", Flag, Own(Key::Query)),
    rule("-dumpfullversion", Flag, Own(Key::Query)),
    rule("-dumpspecs", Flag, Own(Key::Query)),
    rule("-print-", Joined, Own(Key::Query)),
    rule("--print-", Joined, Own(Key::Query)),
];

/// Features of x86-64 and AArch64 processors that `-mNAME` and `-mno-NAME` switch; each stands for all names that start with it.
const FEATURES: &str = "3dnow abm adx aes amx apx avx bmi cldemote clflushopt clwb clzero cmpccxadd crc32 cx16 enqcmd \
    evex512 f16c fma fsgsbase fxsr gfni hle hreset invpcid kl lwp lzcnt mmx movbe movdir mwaitx outline-atomics pclmul \
    pconfig pku popcnt prefetch prfchw ptwrite raoint rdpid rdrnd rdseed relax rtm sahf serialize sgx sha shstk sse ssse3 \
    tbm uintr usermsr vaes vpclmulqdq vzeroupper waitpkg wbnoinvd widekl xop xsave";

/// The rule for a word of the command line that starts with `-`.
pub fn rule_for(word: &str) -> Option<Rule> {
    let matches = |rule: &&Rule| match rule.shape {
        Flag | Separate => word == rule.name,
        Joined | JoinedOrSeparate => word.starts_with(rule.name),
    };
    let listed = RULES.iter().filter(matches).max_by_key(|rule| rule.name.len()).copied();
    listed.or_else(|| is_feature(word).then_some(rule("", Flag, Drop)))
}

fn is_feature(word: &str) -> bool {
    let Some(name) = word.strip_prefix("-m") else { return false };
    let name = name.strip_prefix("no-").unwrap_or(name);
    FEATURES.split(' ').any(|feature| !feature.is_empty() && name.starts_with(feature))
}
