//! Counting events: migration points that the program passes and system calls that it makes. The node may have the program move at the
//! event with a given number (docs/protocol.md, docs/chaos.md); since the program passes the same ones on every ISA, a move
//! can be repeated exactly.
//!
//! While events are counted, all points are overwritten with traps. A point in a hot loop would cost a trap in each
//! iteration, so each point counts a few times only in what is called a round; then its trap goes. Rounds begin at system calls,
//! ever more of them apart. What counts depends on what the program does and on nothing else: not on moves, times or the ISA.
//! Only programs of one thread are counted: the order of several would not repeat.

use crate::continuation::unwind::SiteTable;
use crate::local;
use crate::migration;
use crate::points;
use crate::process::thread_count;
use crate::syscall::numbers::EXIT_GROUP;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use maize_abi::control::NEVER;
use maize_abi::site_table::{Point, Site};

/// How many points the program has passed and calls it has made.
static PASSED: AtomicU64 = AtomicU64::new(0);

/// The event at which to move; [`NEVER`] if they are counted for their number alone.
static NEXT: AtomicU64 = AtomicU64::new(NEVER);

/// Whether events are counted.
static COUNTS: AtomicU32 = AtomicU32::new(0);

/// The event that comes next has been counted: after a move, the call is issued again and the point is passed again.
static COUNTED: AtomicU32 = AtomicU32::new(0);

/// How often a point counts in a round; 0 for always.
static PASSES: AtomicU32 = AtomicU32::new(0);

/// System calls so far, and at which the next round begins.
static CALLS: AtomicU64 = AtomicU64::new(0);
static NEXT_ROUND: AtomicU64 = AtomicU64::new(1);
static ROUND: AtomicU32 = AtomicU32::new(1);

/// Rounds begin at every call first, and then a 32nd of all calls so far apart.
const CALLS_PER_ROUND: u64 = 32;

const SLOTS: usize = 4096;
const SLOT_BITS: u32 = SLOTS.trailing_zeros();

/// For each point, by a hash of its site, which is the same on every ISA: the round in the upper 24 bits, and how often it has
/// counted in it. Points that share an entry share their passes.
static TABLE: [AtomicU32; SLOTS] = [const { AtomicU32::new(0) }; SLOTS];

/// Whether this process counts.
pub fn count() -> bool {
    local::COUNTS.load(Ordering::Relaxed) != 0
}

/// Begins to count, as the node asks before the program starts.
pub fn ask(next: u64, passes: u64) {
    NEXT.store(next, Ordering::Relaxed);
    PASSES.store(passes.min(0xff) as u32, Ordering::Relaxed);
    COUNTS.store(1, Ordering::Relaxed);
}

/// The program begins or goes on in this process: traps are set if it is counted.
pub fn begin() {
    if COUNTS.load(Ordering::Relaxed) != 0 {
        local::COUNTS.store(1, Ordering::Relaxed);
        points::keep_traps(true);
    }
}

/// The event at which to move after the one that has been reached. [`NEVER`] ends the counting: from there on the program is as fast as without.
pub fn set_next(next: u64) {
    NEXT.store(next, Ordering::Relaxed);
    COUNTS.store((next != NEVER).into(), Ordering::Relaxed);
}

/// The program stays in this process: takes the traps away if the counting has ended.
pub fn stay() {
    COUNTED.store(0, Ordering::Relaxed);
    if COUNTS.load(Ordering::Relaxed) == 0 && local::COUNTS.swap(0, Ordering::Relaxed) != 0 {
        points::keep_traps(false);
    }
}

/// In the child of a `fork`, which is not counted.
pub fn begin_child() {
    COUNTS.store(0, Ordering::Relaxed);
    local::COUNTS.store(0, Ordering::Relaxed);
}

/// Whether the program is to move where it is.
pub fn is_due() -> bool {
    count() && passed() >= NEXT.load(Ordering::Relaxed)
}

/// The number of the latest event.
pub fn passed() -> u64 {
    PASSED.load(Ordering::Relaxed)
}

/// What becomes of a thread that has run into a trap.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// It goes on.
    On,
    /// It goes on, and the point does not count any more in this round.
    Spent,
    /// The program is to move.
    Stop,
}

/// The calling thread passes a point.
pub fn pass_point(table: &SiteTable, point: &Point) -> Pass {
    if thread_count() > 1 {
        return Pass::On;
    }
    if COUNTED.swap(0, Ordering::Relaxed) != 0 {
        return Pass::On;
    }
    if !take_pass(table.site_of(point)) {
        return Pass::Spent;
    }
    if count_one() { Pass::Stop } else { Pass::On }
}

/// The calling thread makes a system call. Returns whether the program is to move before it.
pub fn pass_call(number: u64) -> bool {
    if thread_count() > 1 {
        return false;
    }
    let stops = COUNTED.swap(0, Ordering::Relaxed) == 0 && count_call();
    if !stops && number == EXIT_GROUP {
        migration::report_end();
    }
    stops
}

fn count_call() -> bool {
    let calls = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
    if calls >= NEXT_ROUND.load(Ordering::Relaxed) {
        NEXT_ROUND.store(calls + (calls / CALLS_PER_ROUND).max(1), Ordering::Relaxed);
        ROUND.fetch_add(1, Ordering::Relaxed);
        if PASSES.load(Ordering::Relaxed) != 0 {
            points::renew_traps();
        }
    }
    count_one()
}

/// The program is about to move; the event that it does so at will come again, and must not count twice.
pub fn leave() {
    COUNTED.store(1, Ordering::Relaxed);
}

fn count_one() -> bool {
    PASSED.fetch_add(1, Ordering::Relaxed) + 1 >= NEXT.load(Ordering::Relaxed)
}

/// Takes one of the passes that a point has in this round, if any is left.
fn take_pass(site: Option<&Site>) -> bool {
    let passes = PASSES.load(Ordering::Relaxed);
    let Some(slot) = site.and_then(|site| TABLE.get(slot(site.resume, site.number))) else { return true };
    let round = ROUND.load(Ordering::Relaxed) << 8;
    let entry = slot.load(Ordering::Relaxed);
    let taken = if entry & !0xff == round { entry & 0xff } else { 0 };
    if passes != 0 && taken >= passes {
        return false;
    }
    slot.store(round | (taken + 1).min(0xff), Ordering::Relaxed);
    true
}

/// Fibonacci hashing (Knuth, The Art of Computer Programming, section 6.4).
fn slot(resume: u32, number: u32) -> usize {
    let key = (u64::from(resume) << 32 | u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (key >> (u64::BITS - SLOT_BITS)) as usize
}
