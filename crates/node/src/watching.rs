//! Which processes it is worth knowing the changes of, and what knows them.

use crate::kernel::own_memory;
use crate::precopy::Precopy;
use crate::processes::Id;
use crate::supervisor::Supervisor;
use crate::tracker::Tracker;
use std::sync::Arc;
use std::time::Duration;

/// How long processes may take to answer when they are to be watched; one that takes longer is copied when it has stopped.
pub(crate) const WATCHES_WITHIN: Duration = Duration::from_millis(500);
/// Bytes of memory that are copied as soon as their changes are found out.
const SMALL: u64 = 2 << 20;

/// What knows the changes of processes.
pub(crate) type Watches = Vec<(Id, Arc<Tracker>)>;

impl Supervisor<'_> {
    /// What knows the changes of processes with much memory which `known` does not know, and nobody else watches. `None` if some have still to answer, which is
    /// waited for if `waits`.
    pub(crate) fn watches(&mut self, known: &Precopy, waits: bool) -> Option<Watches> {
        let now = self.common.started.elapsed();
        for program in self.programs.values() {
            // Which file it executes is known from now on: reading all of that takes too long when the program has stopped. What is wrong with the file shows then.
            let _ = program.launchers.identity();
        }
        let is_worth_it = |id: Id, program: &crate::program::Program| {
            let is_known = program.tracker().is_some_and(|tracker| known.knows(id, &tracker));
            !is_known && own_memory(program.current.pid()) >= SMALL
        };
        let mut programs: Vec<_> =
            self.programs.iter_mut().filter(|(id, program)| is_worth_it(**id, program)).collect();
        let mut late = false;
        for (_, program) in &mut programs {
            late |= program.ask_to_watch(now);
        }
        if late && waits {
            return None;
        }
        Some(programs.into_iter().filter_map(|(&id, program)| Some((id, program.take_tracker()?))).collect())
    }
}
