//! The destination's side of a move.

use super::absent::{Fetched, Offer};
use super::channel::{self, close};
use super::closed;
use super::descriptors::Arrived;
use super::memory_file::{self, Contents};
use super::waiting_signals;
use crate::continuation::unwind::SiteTable;
use crate::memory::calls::KEPT_DESCRIPTORS;
use crate::process::thread::arrive::{let_go, run_on};
use crate::process::{Thread, terminals, usage};
use crate::signal::calls::block_all;
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use crate::{local, memory, process, time};
use core::sync::atomic::{AtomicU64, Ordering};
use maize_abi::control::{KEEPS, Kind, Message, SETS_CLOCKS};
use maize_abi::layout::PAGE_SIZE;
use maize_abi::processes::SERVED;

/// When the first frame's resumption began, ns; 0 when that has been reported.
#[unsafe(link_section = ".maize.local")]
static RESUMED: AtomicU64 = AtomicU64::new(0);

/// When the program was suspended at its source, ns.
#[unsafe(link_section = ".maize.local")]
static SUSPENDED: AtomicU64 = AtomicU64::new(0);

const MADV_POPULATE_READ: u64 = 22;

/// Bytes of the table of descriptors.
const DESCRIPTOR_TABLE: u64 = 1 << 20;

/// Waits for a program and runs it. Everything here lives on the machine stack: portable statics are the arriving program's.
pub fn receive() -> ! {
    let control = local::CONTROL.load(Ordering::Relaxed);
    map_code();
    let offer = Offer::make();
    let offered = offer.as_ref().map_or([-1; 2], Offer::descriptors).map(|descriptor| descriptor as i32);
    let count = offered.iter().take_while(|&&descriptor| descriptor >= 0).count();
    channel::send(control, &Message::new(Kind::Ready, [0; 8]), offered.get(..count).unwrap_or_default());
    let accept = channel::receive(control, true).filter(|received| received.message.kind() == Some(Kind::Accept));
    let Some((transfer, accepted)) =
        accept.and_then(|received| Some((*received.descriptors().first()?, received.message.values)))
    else {
        leave()
    };
    let transfer = out_of_the_way(transfer.into());
    match take_over(control, transfer, offer.as_ref()) {
        Ok(arrival) => run(transfer, &arrival, offer.filter(|_| !arrival.is_whole), accepted),
        Err(reason) => {
            channel::send(transfer, &Message::with_text(Kind::Refused, reason), &[]);
            leave()
        }
    }
}

/// Has the pages of code and tables mapped, if they are not too many: the program that comes would wait for each at its first steps.
fn map_code() {
    const LARGEST: u64 = 16 << 20;
    let Some(table) = SiteTable::of_this_image() else { return };
    for range in [table.text(), table.extent()] {
        let start = range.start & !(PAGE_SIZE - 1);
        let size = range.end.next_multiple_of(PAGE_SIZE) - start;
        if size <= LARGEST {
            // SAFETY: changes nothing but how soon pages are there. Kernels before 5.14 refuse.
            unsafe { kernel::call(MADVISE, [start, size, MADV_POPULATE_READ]) };
        }
    }
}

/// Moves a descriptor to where the program's own will not overwrite it.
fn out_of_the_way(descriptor: i64) -> i64 {
    // SAFETY: takes no pointers; the descriptor is the runtime's.
    let kept = unsafe { kernel::call(FCNTL, [descriptor as u64, F_DUPFD_CLOEXEC, KEPT_DESCRIPTORS]) };
    if kept < 0 {
        return descriptor;
    }
    close(descriptor);
    kept
}

/// Ends this process, which holds no program.
fn leave() -> ! {
    loop {
        // SAFETY: nothing of value is here.
        unsafe { kernel::call(EXIT_GROUP, [0]) };
    }
}

/// A program that has been put in place.
struct Arrival {
    /// When it was suspended at its source, ns.
    suspended: u64,
    /// All of its memory is here.
    is_whole: bool,
    /// [`KEEPS`], or not.
    keeps: u64,
}

fn take_over(control: i64, transfer: i64, offer: Option<&Offer>) -> Result<Arrival, &'static str> {
    let gone = "the source is gone";
    let received = channel::receive(transfer, true).ok_or(gone)?;
    let (Some(Kind::State), Some(&file)) = (received.message.kind(), received.descriptors().first()) else {
        return Err("the source does not follow the protocol");
    };
    let [regions, runs, suspended, bytes, keeps, ..] = received.message.values;
    let contents = Contents { file: file.into(), bytes, regions, runs };
    let memory = received.descriptors().get(1).map_or(-1, |&memory| memory.into());
    let mut fetched = Fetched::new(control, offer, memory);

    let table = memory::map_for_host(DESCRIPTOR_TABLE).ok_or("there is no memory for a list of descriptors")?;
    let entries = DESCRIPTOR_TABLE as usize / size_of::<(u64, i32)>();
    // SAFETY: the memory is fresh, and zeros are valid entries.
    let mut arrived = Arrived::new(unsafe { core::slice::from_raw_parts_mut(table as *mut (u64, i32), entries) });
    let mut numbers = terminals::Heard::default();
    loop {
        let received = channel::receive(transfer, true).ok_or(gone)?;
        if received.message.kind() == Some(Kind::Terminals) {
            numbers.add(received.message.values);
        } else if !arrived.take(&received)? {
            break;
        }
    }
    // SAFETY: this process has not used the portable range; all that is needed is on the stack.
    unsafe { memory_file::read(&contents, |index, _| arrived.of_region(index), &mut fetched)? };
    memory::map().identify_files(|index| memory::calls::identity(arrived.of_region(index)));
    let is_whole = !fetched.finish()?;
    for [start, end] in process::threads().flat_map(Thread::used_by_handler) {
        closed::provide(start, end);
    }
    close(contents.file);
    let [first, second] = offer.map_or([-1; 2], Offer::descriptors);
    arrived.install(&[control, transfer, first, second])?;
    arrived.close_all();
    // SAFETY: the table is not used any more.
    unsafe { kernel::call(MUNMAP, [table, DESCRIPTOR_TABLE]) };
    block_all();
    // SAFETY: the program's memory is in place.
    unsafe { process::arrive()? };
    numbers.apply();
    Ok(Arrival { suspended, is_whole, keeps })
}

/// `watch` is what watches for missing pages, if there are any. From here on the source and the node have it, or this process and the node: when it is closed everywhere,
/// missing pages would read as zeros.
fn run(transfer: i64, arrival: &Arrival, watch: Option<Offer>, [served, sets_clocks, ahead, ..]: [u64; 8]) -> ! {
    let passed = watch.as_ref().and_then(Offer::shared).map(|shared| shared as i32);
    channel::send(transfer, &Message::new(Kind::Restored, [0; 8]), passed.as_slice());
    if let Some(watch) = watch {
        watch.keep(arrival.keeps == KEEPS);
    }
    let commit = channel::receive(transfer, true).map(|received| received.message);
    if commit.and_then(|message| message.kind()) != Some(Kind::Commit) {
        leave();
    }
    SUSPENDED.store(arrival.suspended, Ordering::Relaxed);
    if sets_clocks == SETS_CLOCKS {
        time::set_ahead(ahead as i64);
    }
    process::settle(served == SERVED);
    waiting_signals::take_over(transfer);
    close(transfer);
    Thread::current().adopt_settings();
    RESUMED.store(time::monotonic(), Ordering::Relaxed);
    // SAFETY: the program's records have come with its memory.
    unsafe { run_on() }
}

/// The innermost frame is reached: all others of the thread are on the stack again. The program's other threads go on when the first has come so far. Called by the assembly that resumes leaf records.
#[unsafe(no_mangle)]
extern "C" fn __maize_arrived() {
    let resumed = RESUMED.swap(0, Ordering::Relaxed);
    if resumed == 0 {
        return;
    }
    let suspended = SUSPENDED.load(Ordering::Relaxed);
    let values = [time::since(resumed), time::since(suspended), usage::host_time(), 0, 0, 0, 0, 0];
    channel::send(local::CONTROL.load(Ordering::Relaxed), &Message::new(Kind::Arrived, values), &[]);
    // The node hears nothing else before.
    let_go();
}
