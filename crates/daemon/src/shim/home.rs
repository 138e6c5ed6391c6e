//! The surroundings of a program that sees the files of another node: its home's, but for what is the kernel's and what this process itself needs of its machine.

use super::Place;
use crate::channel::{Opener, Sealer};
use crate::directory::make_private;
use crate::error::{NodeError, Result};
use maize_abi::Isa;
use maize_files::{Kept, OWN};
use maize_node::Machine;
use std::path::{Path, PathBuf};

/// Where the files of homes are mounted: in the node's directory, by each shim for itself.
const MOUNT_POINT: &str = "home";

/// Makes the home's files this process's own; returns where everything is then.
pub(super) fn enter(place: Place, home: &str, files: (Sealer, Opener)) -> Result<Place> {
    let machine = &place.machine;
    let node = place.programs.parent().map_or_else(PathBuf::new, Path::to_owned);
    let mount_point = node.join(MOUNT_POINT);
    make_private(&mount_point)?;
    machine.make_control().map_err(NodeError::file("make", &machine.control))?;
    let own = Path::new(OWN);
    let mut kept = vec![
        Kept { name: "node".into(), path: node.clone() },
        Kept { name: "control/programs".into(), path: machine.control.clone() },
    ];
    for emulator in Isa::ALL.into_iter().filter_map(|isa| machine.emulator(isa)) {
        let name = Path::new("bin").join(emulator.file_name().unwrap_or_default());
        kept.push(Kept { name, path: emulator });
    }
    let (sealer, mut opener) = files;
    opener.watch();
    let name = home.to_owned();
    let stopped = move |error| {
        eprintln!(
            "maize: warning: the connection to {name} is lost ({error}): a program that has its files there gets EIO from them"
        );
    };
    // SAFETY: the shim has one thread yet.
    let entered = unsafe { maize_files::enter(&mount_point, &kept, opener, sealer, stopped) };
    let belief = entered.map_err(|error| NodeError::Invalid(error.to_string()))?;
    let moved =
        |path: &Path| path.strip_prefix(&node).map_or_else(|_| path.to_owned(), |rest| own.join("node").join(rest));
    Ok(Place {
        programs: moved(&place.programs),
        executable: moved(&place.executable),
        machine: Machine {
            emulators: vec![own.join("bin")],
            control: own.join("control/programs"),
            store: machine.store.as_deref().map(moved),
            confinement: machine.confinement.clone(),
        },
        belief,
        ..place
    })
}
