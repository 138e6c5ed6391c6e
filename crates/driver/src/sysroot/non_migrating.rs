//! Which functions of the libc never reach a migration point, so that calls of them need no save pad and they
//! themselves no polls: those that do a bounded amount of work on their arguments and call back nobody.
//!
//! `libc/non_migrating.txt` is the list; [`compute`] derives it from the libc's bitcode, and a test compares the two.
//! A function is on it only if neither it nor anything it calls makes a system call, calls through a pointer, touches an atomic variable (locks),
//! or is unknown, and if a program may not define a function of that name itself.

use super::error::SysrootError;
use super::memory_functions;
use inkwell::context::Context;
use inkwell::memory_buffer::MemoryBuffer;
use maize_passes::ir::{Linkage, Module, Opcode, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

const LIST: &str = include_str!("../../../../libc/non_migrating.txt");

/// The names, sorted.
pub fn list() -> impl Iterator<Item = &'static str> {
    LIST.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Bounded by a number the caller chooses, not by the size of its data: password hashing.
const UNBOUNDED_PREFIX: &str = "__crypt_";

/// What a definition does, as far as it matters here. Symbols of one file that others do not see are prefixed with its number.
#[derive(Default)]
struct Facts {
    /// It migrates, or may run for long, whatever it calls.
    excluded: bool,
    callees: BTreeSet<String>,
}

/// The functions in these bitcode files, as clang made them, that never reach a migration point.
///
/// # Errors
/// [`SysrootError::Analyse`] for a file that is not bitcode.
pub fn compute(bitcode_files: &[PathBuf]) -> Result<BTreeSet<String>, SysrootError> {
    let mut facts: BTreeMap<String, Facts> = BTreeMap::new();
    for function in memory_functions::FUNCTIONS {
        facts.insert((*function).to_owned(), Facts::default());
    }
    for (index, path) in bitcode_files.iter().enumerate() {
        let failed = |message: String| SysrootError::Analyse { path: path.clone(), message };
        let context = Context::create();
        let buffer = MemoryBuffer::create_from_file(path).map_err(|message| failed(message.to_string()))?;
        let module = context.create_module_from_ir(buffer).map_err(|message| failed(message.to_string()))?;
        collect(Module::new(&module), index, &mut facts);
    }
    let migrating = migrating(&facts);
    Ok(facts.keys().filter(|name| !migrating.contains(name.as_str()) && is_reserved(name)).cloned().collect())
}

/// Adds what one module defines. A symbol that several files define (a weak default and its replacement) does all that any of them does.
fn collect(module: Module, file: usize, facts: &mut BTreeMap<String, Facts>) {
    for function in module.definitions() {
        let Some(name) = symbol(function.value(), file) else { continue };
        let entry = facts.entry(name).or_default();
        for instruction in function.instructions() {
            if [Opcode::LLVMAtomicRMW, Opcode::LLVMAtomicCmpXchg, Opcode::LLVMFence]
                .iter()
                .any(|&opcode| instruction.is(opcode))
            {
                entry.excluded = true;
            }
            if instruction.is_call_site() && instruction.intrinsic_name().is_none() {
                match symbol(instruction.callee(), file) {
                    Some(callee) => drop(entry.callees.insert(callee)),
                    None => entry.excluded |= !instruction.callee().is_inline_assembly(),
                }
            }
        }
    }
    for alias in module.aliases() {
        if let (Some(name), Some(target)) = (symbol(alias, file), symbol(alias.aliasee(), file)) {
            facts.entry(name).or_default().callees.insert(target);
        }
    }
}

/// The symbol that names a function or an alias (which need not be the function here that it stands for: it may be weak).
/// `None` for anything else, such as a pointer or a variable's alias.
fn symbol(value: Value, file: usize) -> Option<String> {
    let names_function = value.as_function().is_some() || value.is_alias();
    let internal = matches!(value.linkage(), Linkage::LLVMInternalLinkage | Linkage::LLVMPrivateLinkage);
    let name = value.name();
    names_function.then(|| if internal { format!("{file}:{name}") } else { name })
}

/// The symbols that are excluded themselves, are defined nowhere here, or call such a one.
fn migrating(facts: &BTreeMap<String, Facts>) -> HashSet<&str> {
    let mut callers: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut pending: Vec<&str> = Vec::new();
    for (name, function) in facts {
        if function.excluded || name.starts_with(UNBOUNDED_PREFIX) {
            pending.push(name);
        }
        for callee in &function.callees {
            callers.entry(callee).or_default().push(name);
            if !facts.contains_key(callee) {
                pending.push(callee);
            }
        }
    }
    let mut migrating = HashSet::new();
    while let Some(name) = pending.pop() {
        if migrating.insert(name) {
            pending.extend(callers.get(name).into_iter().flatten());
        }
    }
    migrating
}

/// Whether only the implementation may define a function of this name (C17 7.1.3 and 7.31).
fn is_reserved(name: &str) -> bool {
    let lower_case_after =
        |prefix: &str| name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
    name.starts_with("__")
        || ["str", "mem", "wcs", "is", "to"].into_iter().any(lower_case_after)
        || STANDARD_FUNCTIONS.contains(&name)
        || name.strip_suffix(['f', 'l']).is_some_and(|name| STANDARD_FUNCTIONS.contains(&name))
}

/// Functions of the C17 library outside the reserved prefixes. Those of <math.h> and <complex.h> stand for their `f` and `l` variants too.
#[rustfmt::skip]
const STANDARD_FUNCTIONS: &[&str] = &[
    "acos", "asin", "atan", "atan2", "cos", "sin", "tan", "acosh", "asinh", "atanh", "cosh", "sinh", "tanh", "exp",
    "exp2", "expm1", "frexp", "ilogb", "ldexp", "log", "log10", "log1p", "log2", "logb", "modf", "scalbn", "scalbln",
    "cbrt", "fabs", "hypot", "pow", "sqrt", "erf", "erfc", "lgamma", "tgamma", "ceil", "floor", "nearbyint", "rint",
    "lrint", "llrint", "round", "lround", "llround", "trunc", "fmod", "remainder", "remquo", "copysign", "nan",
    "nextafter", "nexttoward", "fdim", "fmax", "fmin", "fma", "cabs", "carg", "cimag", "creal", "conj", "cproj",
    "cacos", "cacosh", "casin", "casinh", "catan", "catanh", "ccos", "ccosh", "cexp", "clog", "cpow", "csin", "csinh",
    "csqrt", "ctan", "ctanh", "abs", "labs", "llabs", "div", "ldiv", "lldiv", "imaxabs", "imaxdiv", "atoi", "atol",
    "atoll", "rand", "srand", "difftime", "mblen", "mbtowc", "wctomb", "mbstowcs", "wcstombs", "mbsinit", "mbrlen",
    "mbrtowc", "wcrtomb", "mbsrtowcs", "wcsrtombs", "btowc", "wctob", "mbrtoc16", "mbrtoc32", "c16rtomb", "c32rtomb",
    "wmemchr", "wmemcmp", "wmemcpy", "wmemmove", "wmemset", "wctype", "wctrans",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn computed(modules: &[&str]) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> =
            (0..modules.len()).map(|index| directory.path().join(format!("{index}.ll"))).collect();
        for (file, module) in files.iter().zip(modules) {
            std::fs::write(file, module).unwrap();
        }
        compute(&files)
            .unwrap()
            .into_iter()
            .filter(|name| !memory_functions::FUNCTIONS.contains(&name.as_str()))
            .collect()
    }

    #[test]
    fn a_loop_over_memory_is_listed() {
        let module = "
            define i64 @strlen(ptr %s) { br label %l l: %i = phi i64 [0, %0], [%n, %l] %p = getelementptr i8, ptr %s, i64 %i
              %c = load i8, ptr %p %n = add i64 %i, 1 %z = icmp eq i8 %c, 0 br i1 %z, label %e, label %l e: ret i64 %i }";
        assert_eq!(computed(&[module]), ["strlen"]);
    }

    #[test]
    fn a_caller_of_what_is_unknown_or_called_through_a_pointer_is_not_listed() {
        let module = "
            declare i64 @__maize_syscall(i64)
            define void @str_call() { call i64 @__maize_syscall(i64 0) ret void }
            define void @strindirect(ptr %f) { call void %f() ret void }
            define void @strcaller() { call void @str_call() ret void }
            define void @strfine() { call void @memcpy() ret void }
            declare void @memcpy()";
        assert_eq!(computed(&[module]), ["strfine"]);
    }

    #[test]
    fn a_weak_default_is_no_better_than_what_replaces_it() {
        let user = "
            define internal void @nothing() { ret void }
            @__hook = weak alias void (), ptr @nothing
            define void @strhooked() { call void @__hook() ret void }";
        let replacement = "
            declare i64 @__maize_syscall(i64)
            define void @__hook() { call i64 @__maize_syscall(i64 0) ret void }";
        assert_eq!(computed(&[user]), ["__hook", "strhooked"]);
        assert_eq!(computed(&[user, replacement]), [""; 0]);
    }

    #[test]
    fn a_lock_is_not_listed() {
        let module = "define void @strlock(ptr %p) { %x = atomicrmw xchg ptr %p, i32 1 seq_cst ret void }";
        assert_eq!(computed(&[module]), [""; 0]);
    }

    #[test]
    fn names_that_programs_may_define_are_not_listed() {
        let module =
            "define void @index() { ret void } define void @swab() { ret void } define void @cosf() { ret void }";
        assert_eq!(computed(&[module]), ["cosf"]);
    }
}
