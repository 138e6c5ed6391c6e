//! What becomes of command lines that configure scripts, Makefiles and people write.

use super::*;

fn parse(line: &str) -> Invocation {
    try_parse(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn try_parse(line: &str) -> Result<Invocation, CcError> {
    let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
    Invocation::parse(Language::C, &words)
}

/// The inputs in short.
fn inputs(invocation: &Invocation) -> String {
    let short = |input: &Input| match input {
        Input::Source(source) => format!("{:?}:{}", source.kind, source.path.display()),
        Input::File(path) => format!("File:{}", path.display()),
        Input::Library(name) => format!("-l{name}"),
        Input::Argument(argument) => format!("Argument:{}", argument.display()),
    };
    invocation.inputs.iter().map(short).collect::<Vec<_>>().join(" ")
}

fn clang(invocation: &Invocation) -> String {
    invocation.clang.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_word_goes_where_it_belongs() {
    // Command line, mode, clang's part, inputs.
    let table: &[(&str, Mode, &str, &str)] = &[
        ("a.c", Mode::Link, "", "C:a.c"),
        ("-c a.c -o a.o", Mode::Object, "", "C:a.c"),
        ("-S -O2 a.c", Mode::Assembly, "-O2", "C:a.c"),
        ("-c -S a.c", Mode::Assembly, "", "C:a.c"),
        ("-S -c a.c", Mode::Assembly, "", "C:a.c"),
        ("-E -c a.c", Mode::ClangAlone, "-E", "C:a.c"),
        ("-M a.c", Mode::ClangAlone, "", "C:a.c"),
        ("-MM -MG a.c", Mode::ClangAlone, "-MG", "C:a.c"),
        ("-emit-llvm -c a.c", Mode::ClangAlone, "-emit-llvm -c", "C:a.c"),
        ("-S -emit-llvm a.c", Mode::ClangAlone, "-emit-llvm -S", "C:a.c"),
        ("-emit-llvm a.c", Mode::ClangAlone, "-emit-llvm", "C:a.c"),
        ("-fsyntax-only a.c", Mode::ClangAlone, "-fsyntax-only", "C:a.c"),
        ("a.h", Mode::ClangAlone, "", "C:a.h"),
        ("-x c-header a.hh -o a.pch", Mode::ClangAlone, "", "C:a.hh"),
        ("-E -", Mode::ClangAlone, "-E", "C:-"),
        ("a.s b.S c.sx d.bc e.ll f.i", Mode::Link, "", "Assembly:a.s Assembly:b.S Assembly:c.sx Ir:d.bc Ir:e.ll C:f.i"),
        ("a.o b.a c.lo d", Mode::Link, "", "File:a.o File:b.a File:c.lo File:d"),
        ("-xc a -x none b -x assembler c", Mode::Link, "", "C:a File:b Assembly:c"),
        ("-x ir a.o", Mode::Link, "", "Ir:a.o"),
        ("-c -- -a.c", Mode::Object, "", "C:-a.c"),
        // Values in words of their own are not inputs.
        ("-I inc -D X=1 -U Y -include a.h a.c", Mode::Link, "-I inc -D X=1 -U Y -include a.h", "C:a.c"),
        ("-isystem inc -idirafter x.c -iquote q a.c", Mode::Link, "-isystem inc -idirafter x.c -iquote q", "C:a.c"),
        ("-Iinc -DX -include-pch a.pch a.c", Mode::Link, "-Iinc -DX -include-pch a.pch", "C:a.c"),
        ("-Xclang -load -Xclang a.so a.c", Mode::Link, "-Xclang -load -Xclang a.so", "C:a.c"),
        ("-mllvm -x a.c --param a=b", Mode::Link, "-mllvm -x --param a=b", "C:a.c"),
        // What is nobody's.
        ("-fPIC -fpie -pie -static -rdynamic -flto -flto=auto -flto=thin a.c", Mode::Link, "", "C:a.c"),
        ("-march=native -mtune=generic -msse4.2 -mavx512f -mno-avx -mfpmath=sse a.c", Mode::Link, "", "C:a.c"),
        ("-fstack-protector-strong -fcf-protection=full -fstack-clash-protection a.c", Mode::Link, "", "C:a.c"),
        ("-m64 -mlong-double-64 --target=x86_64-linux-gnu -target x86_64-pc-linux-musl a.c", Mode::Link, "", "C:a.c"),
        ("-fuse-ld=lld -static-libgcc -fno-plt -gsplit-dwarf -mcmodel=small a.c", Mode::Link, "", "C:a.c"),
        // What is clang's though it looks like something else.
        (
            "-undef -fno-such -Weverything -std=c99 -pthread -pipe a.c",
            Mode::Link,
            "-undef -fno-such -Weverything -std=c99 -pthread -pipe",
            "C:a.c",
        ),
        (
            "-fsyntax-only -fopenmp-simd -mms-bitfields a.c",
            Mode::ClangAlone,
            "-fsyntax-only -fopenmp-simd -mms-bitfields",
            "C:a.c",
        ),
        ("-Wp,-DX,-U,Y a.c", Mode::Link, "-Wp,-DX,-U,Y", "C:a.c"),
        // The linker's, in order.
        (
            "a.o -lm -L lib -Wl,--start-group,-lx b.a -Wl,--end-group -l z",
            Mode::Link,
            "",
            "File:a.o -lm Argument:--start-group Argument:-lx File:b.a Argument:--end-group -lz",
        ),
        (
            "-Xlinker --gc-sections -u main -z now -s a.o",
            Mode::Link,
            "",
            "Argument:--gc-sections Argument:-u Argument:main Argument:-z Argument:now File:a.o",
        ),
        // Assembler options do not disturb compilations.
        ("-Wa,--noexecstack -c a.c", Mode::Object, "", "C:a.c"),
        // Questions
        ("-print-search-dirs", Mode::Query, "-print-search-dirs", ""),
        ("--version", Mode::Query, "--version", ""),
        ("-c -### a.c", Mode::Query, "-###", "C:a.c"),
        ("-v", Mode::Link, "-v", ""),
    ];
    for (line, mode, options, rest) in table {
        let invocation = parse(line);
        assert_eq!(invocation.mode, *mode, "{line}");
        assert_eq!(clang(&invocation), *options, "{line}");
        assert_eq!(inputs(&invocation), *rest, "{line}");
    }
}

#[test]
fn what_cannot_work_is_refused_by_name() {
    for option in [
        "-shared",
        "-fsanitize=address",
        "-fsanitize=undefined,leak",
        "-m32",
        "-mx32",
        "-mlong-double-80",
        "--target=aarch64-linux-gnu",
        "--coverage",
        "-fprofile-arcs",
        "-fprofile-generate=dir",
        "-pg",
        "-fopenmp",
        "-fopenmp=libgomp",
        "-r",
    ] {
        let error = try_parse(&format!("{option} a.c")).expect_err(option).to_string();
        assert!(error.starts_with(option), "{error}");
    }
    for (line, word) in [("-T a.ld a.c", "-T"), ("-target armv7-none-eabi a.c", "--target=armv7")] {
        let error = try_parse(line).expect_err(line).to_string();
        assert!(error.starts_with(word), "{error}");
    }
    for line in ["-c a.mm", "a.f90", "-xobjective-c a.c"] {
        assert!(matches!(try_parse(line), Err(CcError::Language { .. })), "{line}");
    }
    for line in ["-o", "a.c -I", "-x", "-Xlinker", "-MF"] {
        let error = try_parse(line).expect_err(line);
        assert!(error.to_string().contains("is missing (expected 1 value)"), "{error}");
    }
    for line in ["-S --maize-isa=vax a.c", "-stdlib=libstdc++ a.cc"] {
        assert!(matches!(try_parse(line), Err(CcError::UnknownValue { .. })), "{line}");
    }
}

#[test]
fn the_language_decides_about_headers_and_libraries() {
    use Language::{C, Cxx};
    // Driver, command line, inputs, headers, libraries.
    type Row = (Language, &'static str, &'static str, Option<Language>, Option<Language>);
    let table: &[Row] = &[
        (C, "a.cc b.C c.cpp d.hpp", "Cxx:a.cc Cxx:b.C Cxx:c.cpp Cxx:d.hpp", Some(Cxx), Some(C)),
        (C, "a.c -xc++ b.c", "C:a.c Cxx:b.c", Some(Cxx), Some(C)),
        (C, "a.cc -lstdc++ -lm", "Cxx:a.cc -lstdc++ -lm", Some(Cxx), Some(Cxx)),
        (C, "-nostdinc++ -stdlib=libc++ a.cc", "Cxx:a.cc", Some(C), Some(C)),
        (Cxx, "a.c b.i c.s -xc d.c", "Cxx:a.c C:b.i Assembly:c.s C:d.c", Some(Cxx), Some(Cxx)),
        (Cxx, "-xc a.c", "C:a.c", Some(C), Some(Cxx)),
        (Cxx, "-nostdlib++ a.o", "File:a.o", None, Some(C)),
        (Cxx, "-nostdlib -nostdinc a.cc", "Cxx:a.cc", None, None),
        (Cxx, "a.ll", "Ir:a.ll", None, Some(Cxx)),
    ];
    for &(driver, line, files, headers, libraries) in table {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let invocation = Invocation::parse(driver, &words).unwrap();
        assert_eq!(inputs(&invocation), files, "{line}");
        assert_eq!(invocation.headers_for(), headers, "{line}");
        assert_eq!(invocation.libraries(), libraries, "{line}");
        assert_eq!(clang(&invocation), "", "{line}");
    }
}

#[test]
fn the_last_optimisation_level_counts() {
    for (line, level) in [
        ("a.c", 0),
        ("-O a.c", 1),
        ("-O0 -O2 a.c", 2),
        ("-O3 -Os a.c", 2),
        ("-Oz a.c", 2),
        ("-Og a.c", 1),
        ("-Ofast a.c", 3),
        ("-O6 a.c", 3),
        ("-O2 -O0 a.c", 0),
    ] {
        assert_eq!(parse(line).optimization_level, level, "{line}");
    }
}

#[test]
fn values_may_be_joined_or_apart() {
    for line in ["-oa.out a.c", "-o a.out a.c", "--output=a.out a.c", "--output a.out a.c"] {
        assert_eq!(parse(line).output, Some(PathBuf::from("a.out")), "{line}");
    }
    let invocation = parse("-L a -Lb --library-directory=c -nostdlib -nostdinc -s --maize-isa=arm64 x.o");
    assert_eq!(invocation.library_directories, ["a", "b", "c"].map(PathBuf::from));
    assert!(!invocation.default_libraries && !invocation.headers && invocation.strip);
    assert_eq!(invocation.isa, Isa::Aarch64);
}

#[test]
fn dependency_options_name_the_users_file_and_target() {
    let table = [
        ("-c a/b.c", ""),
        ("-MD -c a/b.x.c", "-MD -MF b.x.d -MQ b.x.o"),
        ("-MMD -c a/b.c -o o/b.o", "-MMD -MF o/b.d -MQ o/b.o"),
        ("-MD -MP -MF x.d -c b.c", "-MD -MP -MF x.d -MQ b.o"),
        ("-MD -MT t -MQ u$ -MF x.d -c b.c", "-MD -MT t -MQ u$ -MF x.d"),
        ("-Wp,-MD,x.d -c b.c -o b.o", "-MD -MF x.d -MQ b.o"),
        ("-Wp,-MMD,x.d -MP -MTt -c b.c -o b.o", "-MMD -MP -MTt -MF x.d"),
        ("-MD b.c -o prog", "-MD -MF prog.d -MQ prog"),
    ];
    for (line, expected) in table {
        let invocation = parse(line);
        let source = invocation.sources().next().unwrap();
        let options = invocation.dependencies.for_unit(source, invocation.output.as_deref());
        let mut options: Vec<_> = options.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        // `-MP` has no value and stays among clang's options.
        if line.contains("-MP") {
            assert!(clang(&invocation).contains("-MP"));
            options.insert(1, String::from("-MP"));
        }
        assert_eq!(options.join(" "), expected, "{line}");
    }
}

#[test]
fn results_are_named_as_clang_names_them() {
    for (line, expected) in [("d/a.c", "a.o"), ("a.b.c", "a.b.o"), ("-xc a", "a.o"), ("-xc -", "-.o"), ("-xc .c", ".o")]
    {
        assert_eq!(parse(line).sources().next().unwrap().result("o"), PathBuf::from(expected), "{line}");
    }
}
