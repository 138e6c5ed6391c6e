//! How the machine is: its ISAs, load and memory.

use crate::error::{NodeError, Result};
use crate::message::Report;
use maize_abi::Isa;
use maize_node::Machine;
use std::fs;

/// The ISAs that the machine executes and those that it emulates, of those that are wanted (all if none is named).
pub(super) fn isas(wanted: &[String]) -> Result<(Vec<Isa>, Vec<Isa>)> {
    let parse = |name: &String| {
        let known: Vec<&str> = Isa::ALL.iter().map(|isa| isa.name()).collect();
        Isa::from_name(name)
            .ok_or_else(|| NodeError::Invalid(format!("{name}: unknown ISA; known: {}", known.join(", "))))
    };
    let named = wanted.iter().map(parse).collect::<Result<Vec<Isa>>>()?;
    let is_wanted = |isa: &Isa| named.is_empty() || named.contains(isa);
    let native = |isa: &Isa| isa.name() == std::env::consts::ARCH;
    let machine = Machine::here();
    let (native, foreign): (Vec<Isa>, Vec<Isa>) = Isa::ALL.into_iter().filter(is_wanted).partition(native);
    let (emulated, missing): (Vec<Isa>, Vec<Isa>) =
        foreign.into_iter().partition(|&isa| machine.emulator(isa).is_some());
    if let Some(isa) = missing.iter().find(|isa| named.contains(isa)) {
        let name = isa.name();
        return Err(NodeError::Invalid(format!(
            "no emulator for {name} here; install it (Debian: apt-get install qemu-user-static), or leave {name} out of --isa"
        )));
    }
    Ok((native, emulated))
}

/// How the machine is now.
pub(super) fn measure(programs: usize, native: &[Isa], emulated: &[Isa], draining: bool) -> Report {
    let names = |isas: &[Isa]| isas.iter().map(|isa| isa.name().to_owned()).collect();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    Report {
        version: env!("CARGO_PKG_VERSION").into(),
        native: names(native),
        emulated: names(emulated),
        draining,
        programs: u32::try_from(programs).unwrap_or(u32::MAX),
        load: load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0),
        processors: std::thread::available_parallelism()
            .map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
        memory: kibibytes(&memory, "MemTotal:"),
        available: kibibytes(&memory, "MemAvailable:"),
    }
}

/// In bytes.
fn kibibytes(table: &str, name: &str) -> u64 {
    let line = table.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).map_or(0, |kibibytes| kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_memory_processors_and_its_own_isa() {
        let report = measure(3, &[Isa::X86_64], &[], false);
        assert!(report.memory > report.available && report.available > 0, "{report:?}");
        assert!(report.processors > 0 && report.programs == 3);
        let own = std::env::consts::ARCH.to_owned();
        let (native, emulated) = isas(std::slice::from_ref(&own)).unwrap();
        assert_eq!((native[0].name(), emulated.len()), (own.as_str(), 0));
        assert!(isas(&["vax".into()]).is_err());
    }
}
