//! coreutils, configured and built by its own scripts: a dozen of its programs on data of ours, and those of its own tests for them that are
//! shell scripts.
//!
//! Its configure alone makes 2,000 programs, so this is for when tests may take minutes (`./test --all`).

use anyhow::{Context, Result, ensure};
use maize_tests::{
    Checked, Compiler, ISAS, Input, Outcome, Placement, Run, Source, compressible, fresh_directory, maize,
};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

const SOURCE: Source = Source {
    package: "coreutils",
    version: "9.1-1",
    archive: "coreutils_9.1.orig.tar.xz",
    sha256: "61a1f410d78ba7e7f37a5a4f50e6d1320aca33375484a3255eddf17a38580423",
    directory: "coreutils-9.1",
};
const PROGRAMS: [&str; 15] = [
    "cksum",
    "date",
    "expr",
    "factor",
    "getlimits",
    "join",
    "ls",
    "od",
    "seq",
    "sha256sum",
    "sort",
    "test",
    "tr",
    "uniq",
    "wc",
];
/// Of `tests/misc`. What is not here asks for other programs, or for limits that the shell between the test and the program does not bear.
const SCRIPTS: [&str; 27] = [
    "cksum-a",
    "date-sec",
    "date-tz",
    "factor-parallel",
    "ls-time",
    "od-N",
    "od-endian",
    "od-float",
    "od-j",
    "od-multiple-t",
    "od-x8",
    "seq-extra-number",
    "seq-io-errors",
    "seq-locale",
    "seq-precision",
    "sort-NaN-infloop",
    "sort-compress",
    "sort-debug-warn",
    "sort-float",
    "sort-month",
    "sort-u-FMR",
    "sort-unique",
    "sort-unique-segv",
    "sort-version",
    "tr-case-class",
    "wc-files0",
    "wc-parallel",
];

struct Built {
    directory: PathBuf,
    source: PathBuf,
    native: PathBuf,
    ours: PathBuf,
}

static BUILT: LazyLock<Result<Built, String>> = LazyLock::new(|| build().map_err(|error| format!("{error:#}")));

fn build() -> Result<Built> {
    let directory = fresh_directory(env!("CARGO_TARGET_TMPDIR"), "coreutils")?;
    let source = SOURCE.unpack(&directory)?;
    let with = |compiler: Compiler| -> Result<PathBuf> {
        let directory = directory.join(compiler.name());
        fs::create_dir_all(&directory)?;
        // Which configure asks of root.
        let options = ["--disable-nls", "FORCE_UNSAFE_CONFIGURE=1"];
        compiler.configure(&source, &directory, &options)?;
        // What `make` alone would build first.
        fs::write(directory.join("headers.mk"), "include Makefile\nheaders: $(BUILT_SOURCES)\n")?;
        compiler.make(&directory, &["-f", "headers.mk", "headers"])?;
        let programs: Vec<String> = PROGRAMS.iter().map(|name| format!("src/{name}")).collect();
        let programs: Vec<&str> = programs.iter().map(String::as_str).collect();
        compiler.make(&directory, &[&["-j2"], &programs[..]].concat())?;
        Ok(directory)
    };
    let native = with(Compiler::Clang).context("with clang")?;
    let ours = with(Compiler::Maize).context("with maize cc")?;
    Ok(Built { native, ours, source, directory })
}

fn built() -> Result<&'static Built> {
    BUILT.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
}

/// A program, its arguments, and its input.
type Job = (&'static str, Vec<&'static str>, Input);

fn jobs(directory: &Path) -> Result<Vec<Job>> {
    let file = |name: &str, text: String| -> Result<Input> {
        let path = directory.join(name);
        fs::write(&path, text)?;
        Ok(Input::File(path))
    };
    let bytes = compressible(200_000);
    fs::write(directory.join("bytes"), &bytes)?;
    let text: String =
        bytes.iter().map(|byte| if byte.is_ascii_alphanumeric() { char::from(*byte) } else { '\n' }).collect();
    let words: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let mut sorted = words.clone();
    sorted.sort_unstable();
    let numbers: String =
        (0..3000_u64).map(|n| format!("{}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (n % 60))).collect();
    let (words, sorted) = (file("words", words.join("\n"))?, file("sorted", sorted.join("\n"))?);
    let numbers = file("numbers", numbers)?;
    let bytes = Input::File(directory.join("bytes"));
    Ok(vec![
        ("sort", vec![], words.clone()),
        ("sort", vec!["-r", "-f", "-k1.2,1.5", "-s"], words.clone()),
        ("sort", vec!["-g"], numbers.clone()),
        ("sort", vec!["-n", "-u", "-S", "50K"], numbers.clone()),
        ("sort", vec!["-V"], numbers.clone()),
        ("uniq", vec!["-c", "-i"], sorted.clone()),
        ("join", vec!["-a1", "-", "sorted"], sorted.clone()),
        ("wc", vec![], bytes.clone()),
        ("cksum", vec![], bytes.clone()),
        ("cksum", vec!["-a", "blake2b"], bytes.clone()),
        ("cksum", vec!["-a", "sm3"], bytes.clone()),
        ("sha256sum", vec![], bytes.clone()),
        ("factor", vec![], numbers.clone()),
        ("factor", vec!["340282366920938463463374607431768211507", "-x"], Input::Nothing),
        ("seq", vec!["-f", "%.7g", "-1", "0.0625", "200"], Input::Nothing),
        ("seq", vec!["99999999999999999998", "100000000000000001000"], Input::Nothing),
        ("tr", vec!["-cs", "[:alnum:]", "\\n"], bytes.clone()),
        ("tr", vec!["a-mn-z", "n-za-m"], words),
        ("od", vec!["-A", "d", "-t", "x2z", "-t", "fD"], bytes),
        ("ls", vec!["-la", "--time-style=+%s", "."], Input::Nothing),
        ("date", vec!["-u", "-d", "2004-02-29 16:21:42 +3 weeks -1 day", "+%c %s %V %j"], Input::Nothing),
        ("date", vec!["-d", "no date"], Input::Nothing),
        (
            "expr",
            vec!["170141183460469231731687303715884105727", "*", "170141183460469231731687303715884105727"],
            Input::Nothing,
        ),
        ("expr", vec!["abcabc", ":", "\\(a.*b\\)c"], Input::Nothing),
        ("test", vec!["sorted", "-nt", "/nowhere"], Input::Nothing),
    ])
}

#[test]
#[ignore = "takes minutes; run by ./test --all"]
fn programs_do_as_their_native_builds_do() -> Result<()> {
    let built = built()?;
    let data = fresh_directory(&built.directory.to_string_lossy(), "data")?;
    let jobs = jobs(&data)?;
    let mut moves = 0;
    for (seed, (name, arguments, input)) in (1..).zip(&jobs) {
        let run = |directory: &Path| {
            let run = Run::new(directory.join("src").join(name)).arguments(arguments.iter().copied());
            run.input(input.clone())
                .directory(&data)
                .variable("LC_ALL", "C")
                .variable("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        };
        // Errors begin with the name that the program was called by; in messages of the libc's own `error` one libc has the path before it, another has not.
        let named = |mut outcome: Outcome, directory: &Path| {
            outcome.stderr = outcome.stderr.replace(&format!("{}/src/", directory.display()), "");
            outcome
        };
        let expected = named(run(&built.native).run()?, &built.native);
        let moving = Placement::Counted { seed, mean: 100, limit: 20 };
        for placement in ISAS.map(Placement::On).into_iter().chain([moving]) {
            let outcome = named(run(&built.ours).placed(placement).run()?, &built.ours).did_as(&expected)?;
            moves += outcome.report.map_or(0, |report| report.migrations.len());
        }
    }
    ensure!(moves > jobs.len() * 4, "only {moves} moves");
    Ok(())
}

/// Runs scripts with programs that are found by `PATH` as these: scripts that run ours where `options` of `maize run` say.
fn run_scripts(stage: &str, options: &str, scripts: &[&str]) -> Result<()> {
    let built = built()?;
    let stage = fresh_directory(&built.directory.to_string_lossy(), stage)?;
    let programs = stage.join("src");
    fs::create_dir_all(&programs)?;
    let real = built.ours.join("src");
    for name in PROGRAMS {
        let path = programs.join(name);
        let text = format!(
            "#!/bin/sh\nPATH={}:$PATH exec {} run {options} {name} \"$@\"\n",
            real.display(),
            maize().display()
        );
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    let path = format!("{}:{}", programs.display(), std::env::var("PATH")?);
    for name in scripts {
        let script = built.source.join("tests/misc").join(name).with_extension("sh");
        let mut command = Command::new("sh");
        command.arg("-c").arg("exec sh \"$0\" 9>&2").arg(&script).current_dir(&stage);
        command.env("srcdir", &built.source).env("top_srcdir", &built.source).env("abs_srcdir", &built.source);
        command.env("abs_top_srcdir", &built.source).env("abs_top_builddir", &stage).env("VERSION", "9.1");
        command.env("PACKAGE_VERSION", "9.1").env("CONFIG_HEADER", built.ours.join("lib/config.h"));
        command.env("built_programs", PROGRAMS.join(" ")).env("PATH", &path).env("TMPDIR", &stage);
        command.env("LC_ALL", "C").env("AWK", "awk").env("EGREP", "grep -E").env("SHELL", "/bin/sh").env("fail", "0");
        let output = command.output()?;
        ensure!(
            output.status.success(),
            "{name} with `maize run {options}`: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

#[test]
#[ignore = "takes minutes; run by ./test --all"]
fn its_own_tests_pass_on_each_isa_alone() -> Result<()> {
    ISAS.iter().try_for_each(|isa| run_scripts(isa, &format!("--isa {isa}"), &SCRIPTS))
}

#[test]
#[ignore = "takes minutes; run by ./test --all"]
fn its_own_tests_pass_on_the_move() -> Result<()> {
    run_scripts("moving", "--hop x86_64,aarch64,riscv64 --seed 1 --mean 200 --limit 4", &SCRIPTS)
}
