//! Each pass against what it is documented to make of small modules.
//!
//! `tests/golden/PASS*.ll` is the input; what the pipeline makes of it up to that pass is `PASS*.expected`.
//! `MAIZE_BLESS=1 cargo test` writes the expectations anew, for review in the diff.

use maize_abi::Isa;
use maize_passes::{CompileOptions, Pass, PassError, compile_module, compile_to_assembly, instrument_to_text};
use std::path::Path;

fn options() -> CompileOptions {
    CompileOptions {
        optimization_level: 2,
        unit_name: String::from("golden"),
        isas: Isa::ALL.to_vec(),
        instrument: true,
        non_migrating: ["leaf".to_owned()].into(),
        fault: None,
    }
}

/// Reads a module as LLVM's text reader wants it: NUL-terminated.
fn read(path: &Path) -> Vec<u8> {
    let mut text = std::fs::read(path).unwrap();
    text.push(0);
    text
}

/// The suffix of internal names depends on the whole input; expectations do not spell it out.
fn without_suffix(text: &str) -> String {
    let mut result = String::new();
    for line in text.lines().filter(|line| !line.starts_with("; ModuleID") && !line.starts_with("source_filename")) {
        let mut rest = line;
        while let Some(dot) = rest.find('.') {
            let (before, after) = rest.split_at(dot + 1);
            result.push_str(before);
            let digits = after.bytes().take(10).take_while(u8::is_ascii_hexdigit).count();
            let ends = after.as_bytes().get(10).is_none_or(|byte| !byte.is_ascii_alphanumeric());
            rest = if digits == 10 && ends {
                result.push_str("SUFFIX");
                &after[10..]
            } else {
                after
            };
        }
        result.push_str(rest);
        result.push('\n');
    }
    result
}

#[test]
fn every_pass_does_what_its_golden_files_say() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let bless = std::env::var_os("MAIZE_BLESS").is_some();
    let mut tested = Vec::new();
    let mut failures = String::new();
    for pass in Pass::ALL {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let stem = name.strip_suffix(".ll").unwrap_or_default();
            if stem != pass.name() && !stem.starts_with(&format!("{}-", pass.name())) {
                continue;
            }
            let source = read(&path);
            let actual = without_suffix(&instrument_to_text(&source, &options(), pass).unwrap());
            let expected_path = path.with_extension("expected");
            if bless {
                std::fs::write(&expected_path, &actual).unwrap();
            }
            let expected = std::fs::read_to_string(&expected_path).unwrap_or_default();
            if actual != expected {
                failures.push_str(&format!("{name}: expected\n{expected}\nbut got\n{actual}\n"));
            }
            let compile = || compile_module(&source, &options()).unwrap_or_else(|error| panic!("{name}: {error}"));
            let (first, second) = (compile(), compile());
            assert!(first == second, "{name}: compiled again it is not the same");
            tested.push(pass.name());
        }
    }
    assert!(failures.is_empty(), "{failures}");
    for pass in [
        "variadics",
        "byval",
        "results",
        "unique_names",
        "thread_locals",
        "computed_goto",
        "setjmp",
        "exceptions",
        "migration_points",
        "shadow_stack",
        "addresses",
        "rematerialize",
        "resume_clones",
        "inline_assembly",
        "x86_extensions",
        "x86_intrinsics",
    ] {
        assert!(tested.contains(&pass), "no golden file for pass {pass}");
    }
}

fn refusal(source: &str) -> PassError {
    let source = format!("target triple = \"x86_64-unknown-linux-musl\"\n{source}\0");
    compile_module(source.as_bytes(), &options()).expect_err("this module must be refused")
}

#[test]
fn inline_assembly_is_refused_with_its_text() {
    let error = refusal("define void @f() {\n  call void asm sideeffect \"rdtsc\", \"~{eax}\"()\n  ret void\n}");
    assert!(
        matches!(&error, PassError::InlineAssembly { function, template, .. } if function == "f" && template == "rdtsc")
    );
    assert!(error.to_string().contains("use portable C"));
    assert!(error.lacks_location());
}

#[test]
fn an_empty_barrier_with_a_named_register_is_refused() {
    let error = refusal("define i32 @f(i32 %x) {\n  %r = call i32 asm \"\", \"={ax},0\"(i32 %x)\n  ret i32 %r\n}");
    assert!(matches!(error, PassError::InlineAssembly { .. }));
}

#[test]
fn file_scope_assembly_is_refused() {
    assert!(matches!(refusal("module asm \".globl x\""), PassError::ModuleAssembly { .. }));
}

#[test]
fn an_intrinsic_of_one_isa_is_refused_by_name() {
    let error =
        refusal("declare i64 @llvm.x86.rdtsc()\ndefine i64 @f() {\n  %t = call i64 @llvm.x86.rdtsc()\n  ret i64 %t\n}");
    assert!(matches!(error, PassError::IsaIntrinsic { intrinsic, .. } if intrinsic == "llvm.x86.rdtsc"));
}

#[test]
fn a_migration_point_is_no_test_in_machine_code() {
    let source = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/migration_points.ll"));
    for isa in Isa::ALL {
        let assembly = compile_to_assembly(&source, &options(), isa).unwrap();
        assert!(!assembly.contains("__maize_requested"), "{}: {assembly}", isa.name());
        let functions = assembly.matches(".maize.points").count();
        let calls = assembly.matches("__maize_point").count();
        assert!(functions >= 2 && calls >= functions, "{}: {assembly}", isa.name());
    }
}

#[test]
fn a_point_preserves_registers_that_calls_do_not() {
    let source = b"target triple = \"x86_64-unknown-linux-musl\"\n\
        define double @f(ptr %p, double %x, i64 %n) {\nentry:\n  br label %loop\nloop:\n\
        %i = phi i64 [ 0, %entry ], [ %j, %loop ]\n  %s = phi double [ %x, %entry ], [ %t, %loop ]\n\
        %a = getelementptr double, ptr %p, i64 %i\n  %v = load double, ptr %a\n  %m = fmul double %v, %x\n\
        %t = fadd double %s, %m\n  %j = add i64 %i, 1\n  %c = icmp eq i64 %j, %n\n\
        br i1 %c, label %done, label %loop\ndone:\n  ret double %t\n}\n\0";
    for (isa, store) in [(Isa::X86_64, "movsd\t%xmm"), (Isa::Aarch64, "str\td"), (Isa::Riscv64, "fsd\tf")] {
        let assembly = compile_to_assembly(source, &options(), isa).unwrap();
        let function = assembly.split("f.resume:").next().unwrap();
        assert!(function.contains("__maize_point"), "{}: {assembly}", isa.name());
        assert!(!function.contains(store), "{}: {assembly}", isa.name());
    }
}

#[test]
fn a_point_that_was_taken_apart_is_an_error() {
    let source = b"declare i1 @__maize_requested()\ndeclare void @__maize_point()\n\
        define i32 @f(i32 %a) {\n  %r = call i1 @__maize_requested()\n  %s = select i1 %r, i32 %a, i32 1\n\
        call void @__maize_point()\n  ret i32 %s\n}\n\0";
    let error = compile_module(source, &options()).unwrap_err();
    assert!(error.to_string().contains("taken apart"), "{error}");
}
