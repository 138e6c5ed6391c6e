//! The bodies of intrinsics in `src/*.ll` against what LLVM makes of the intrinsics on this processor, on many random and awkward operands.

use std::fmt::Write as _;
use std::process::Command;

const PREFIX: &str = "define linkonce_odr hidden ";
/// Operands lie 16 bytes apart.
const SLOT: usize = 16;

/// Without a result to compare, or dependent on what the operating system allows.
const NO_RESULT: &[&str] =
    &["x86.sse2.pause", "x86.sse2.clflush", "x86.sse.sfence", "x86.sse2.lfence", "x86.sse2.mfence", "x86.xgetbv"];

struct Intrinsic {
    name: String,
    result: String,
    parameters: Vec<String>,
}

fn intrinsics(bodies: &str) -> Vec<Intrinsic> {
    let lines = bodies.lines().filter_map(|line| line.strip_prefix(PREFIX));
    lines
        .map(|line| {
            let (result, rest) = line.split_once(" @maize.").unwrap();
            let (name, rest) = rest.split_once('(').unwrap();
            let list = rest.split_once(')').unwrap().0;
            let types = list.split(", ").filter(|item| !item.is_empty());
            let parameters = types.map(|item| item.rsplit_once(' ').unwrap().0.to_owned()).collect();
            Intrinsic { name: name.to_owned(), result: result.to_owned(), parameters }
        })
        .collect()
}

/// A function `void (ptr result, ptr operands)` that calls `callee`.
fn wrapper(text: &mut String, name: &str, callee: &str, intrinsic: &Intrinsic, immediate: Option<u8>) {
    let _ = writeln!(text, "define void @{name}(ptr %result, ptr %operands) {{");
    let mut arguments = Vec::new();
    for (index, ty) in intrinsic.parameters.iter().enumerate() {
        if ty == "ptr" {
            arguments.push(String::from("ptr %result"));
        } else if let Some(value) = immediate.filter(|_| index == 2) {
            arguments.push(format!("{ty} {value}"));
        } else {
            let _ = writeln!(text, "  %p{index} = getelementptr i8, ptr %operands, i64 {}", index * SLOT);
            let _ = writeln!(text, "  %a{index} = load {ty}, ptr %p{index}, align 1");
            arguments.push(format!("{ty} %a{index}"));
        }
    }
    let (result, arguments) = (&intrinsic.result, arguments.join(", "));
    if result == "void" {
        let _ = writeln!(text, "  call void @{callee}({arguments})");
    } else {
        let _ =
            writeln!(text, "  %r = call {result} @{callee}({arguments})\n  store {result} %r, ptr %result, align 1");
    }
    text.push_str("  ret void\n}\n");
}

/// Operands: random bits, small numbers, and floating-point numbers that are hard to convert or compare.
const MAIN: &str = r#"
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
struct test { const char *name; void (*native)(void *, void *), (*portable)(void *, void *); int approximate; };
extern const struct test tests[];
static uint64_t state = 88172645463325252u;
static uint64_t next(void) { state ^= state << 13; state ^= state >> 7; state ^= state << 17; return state; }
static const float floats[] = { 0, -0.0f, 1, -1, 0.5f, 1.5f, 2.5f, -2.5f, 2147483648.0f, -2147483648.0f, 2147483520.0f, 9.3e18f, -9.3e18f, 1e-40f, INFINITY, -INFINITY, NAN };
static const double doubles[] = { 0, -0.0, 1, -1, 0.5, 1.5, 2.5, -2.5, 2147483647.0, 2147483647.5, 2147483648.0, -2147483648.0, -2147483648.5, -2147483649.0, 9.3e18, -9.3e18, 1e300, INFINITY, -INFINITY, NAN };
static void fill(unsigned char *operands)
{
	for (int i = 0; i < 8; i++) {
		uint64_t bits = next();
		if (bits % 5 == 1) { float pair[2] = { floats[next() % 17], floats[next() % 17] }; memcpy(&bits, pair, 8); }
		else if (bits % 5 == 2) memcpy(&bits, &doubles[next() % 20], 8);
		else if (bits % 5 == 3) bits = next() % 70;
		else if (bits % 5 == 4) { float pair[2] = { (float)(next() % 1000) / 7, (float)(int64_t)next() }; memcpy(&bits, pair, 8); }
		memcpy(operands + 8 * i, &bits, 8);
	}
}
static int near(const void *one, const void *other)
{
	float a[4], b[4];
	memcpy(a, one, 16); memcpy(b, other, 16);
	for (int i = 0; i < 4; i++) {
		/* Results near the ends of the range are flushed to 0 or to infinity. */
		if (!(fabsf(a[i]) > 1e-30f && fabsf(a[i]) < 1e30f && fabsf(b[i]) > 1e-30f && fabsf(b[i]) < 1e30f)) continue;
		if (fabsf(a[i] - b[i]) > fabsf(b[i]) / 2000) return 0;
	}
	return 1;
}
int main(void)
{
	for (const struct test *test = tests; test->name; test++)
		for (int round = 0; round < 20000; round++) {
			unsigned char operands[64], native[32], portable[32];
			fill(operands);
			memset(native, 0x5a, 32); memset(portable, 0x5a, 32);
			test->native(native, operands);
			test->portable(portable, operands);
			if (test->approximate ? near(native, portable) : !memcmp(native, portable, 32)) continue;
			printf("%s, round %d\n", test->name, round);
			for (int i = 0; i < 64; i++) printf("%02x%s", operands[i], i % 16 == 15 ? "\n" : "");
			for (int i = 0; i < 16; i++) printf("%02x", native[i]);
			puts(" native");
			for (int i = 0; i < 16; i++) printf("%02x", portable[i]);
			puts(" portable");
			break;
		}
}
"#;

#[test]
fn portable_bodies_do_what_the_processor_does() {
    compare(include_str!("../src/x86_intrinsics.ll"), 100);
}

#[test]
fn conversions_saturate_as_llvms_do() {
    compare(include_str!("../src/x86_64_conversions.ll"), 8);
}

/// Compares all of the bodies, of which there are at least so many.
fn compare(bodies: &str, least: usize) {
    if std::env::consts::ARCH != "x86_64" {
        return;
    }
    let mut text = String::from("target triple = \"x86_64-unknown-linux-gnu\"\n");
    let (mut declarations, mut table) = (String::new(), String::from("const struct test tests[] = {\n"));
    let mut tested = 0;
    for intrinsic in intrinsics(bodies).iter().filter(|intrinsic| !NO_RESULT.contains(&intrinsic.name.as_str())) {
        let name = &intrinsic.name;
        let immediates: Vec<Option<u8>> = if name.contains(".cmp.") { (0..8).map(Some).collect() } else { vec![None] };
        for immediate in immediates {
            for (kind, prefix) in [("native", "llvm"), ("portable", "maize")] {
                let callee = format!("{prefix}.{name}");
                wrapper(&mut text, &format!("{kind}{tested}"), &callee, intrinsic, immediate);
                let _ = writeln!(declarations, "void {kind}{tested}(void *, void *);");
            }
            let approximate = i32::from(name.contains("rcp") || name.contains("rsqrt"));
            let _ =
                writeln!(table, "  {{ \"{name} {immediate:?}\", native{tested}, portable{tested}, {approximate} }},");
            tested += 1;
        }
        let declaration = format!("declare {} @llvm.{name}({})\n", intrinsic.result, intrinsic.parameters.join(", "));
        if !bodies.contains(&declaration) {
            text.push_str(&declaration);
        }
    }
    assert!(tested >= least, "only {tested} of the bodies found");
    text.push_str(bodies);
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("wrappers.ll"), text).unwrap();
    std::fs::write(path("main.c"), format!("{MAIN}{declarations}{table}  {{ 0 }}\n}};\n")).unwrap();
    let mut clang = Command::new("clang-22");
    let built = clang.args(["-O1", "-w", "-o"]).args(["program", "main.c", "wrappers.ll", "-lm"].map(path_of(&path)));
    let built = built.output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let ran = Command::new(path("program")).output().unwrap();
    assert!(ran.status.success() && ran.stdout.is_empty(), "{}", String::from_utf8_lossy(&ran.stdout));
}

/// Files by their path; options as they are.
fn path_of(path: &impl Fn(&str) -> std::path::PathBuf) -> impl Fn(&str) -> std::path::PathBuf {
    move |name| if name.starts_with('-') { name.into() } else { path(name) }
}
