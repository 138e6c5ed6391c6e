//! The destination's side of a move.

use super::channel::{self, close};
use super::descriptors::Arrived;
use super::memory_file::{self, Contents};
use super::waiting_signals;
use crate::continuation::unwind::SiteTable;
use crate::memory::calls::KEPT_DESCRIPTORS;
use crate::process::thread::arrive::{let_go, run_on};
use crate::process::{Thread, usage};
use crate::signal::calls::block_all;
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use crate::{local, memory, process, time};
use core::sync::atomic::{AtomicU64, Ordering};
use maize_abi::control::{Kind, Message, SETS_CLOCKS};
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
    channel::send(control, &Message::new(Kind::Ready, [0; 8]), &[]);
    let accept = channel::receive(control, true).filter(|received| received.message.kind() == Some(Kind::Accept));
    let Some((transfer, accepted)) =
        accept.and_then(|received| Some((*received.descriptors().first()?, received.message.values)))
    else {
        leave()
    };
    let transfer = out_of_the_way(transfer.into());
    match take_over(control, transfer) {
        Ok(suspended) => run(transfer, suspended, accepted),
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

/// Returns when the program was suspended.
fn take_over(control: i64, transfer: i64) -> Result<u64, &'static str> {
    let gone = "the source is gone";
    let received = channel::receive(transfer, true).ok_or(gone)?;
    let (Some(Kind::State), Some(&file)) = (received.message.kind(), received.descriptors().first()) else {
        return Err("the source does not follow the protocol");
    };
    let [regions, runs, suspended, bytes, ..] = received.message.values;
    let contents = Contents { file: file.into(), bytes, regions, runs };

    let table = memory::map_for_host(DESCRIPTOR_TABLE).ok_or("there is no memory for a list of descriptors")?;
    let entries = DESCRIPTOR_TABLE as usize / size_of::<(u64, i32)>();
    // SAFETY: the memory is fresh, and zeros are valid entries.
    let mut arrived = Arrived::new(unsafe { core::slice::from_raw_parts_mut(table as *mut (u64, i32), entries) });
    while arrived.take(&channel::receive(transfer, true).ok_or(gone)?)? {}
    // SAFETY: this process has not used the portable range; all that is needed is on the stack.
    unsafe { memory_file::read(&contents, |index, _| arrived.of_region(index))? };
    close(contents.file);
    arrived.install(&[control, transfer])?;
    arrived.close_all();
    // SAFETY: the table is not used any more.
    unsafe { kernel::call(MUNMAP, [table, DESCRIPTOR_TABLE]) };
    block_all();
    // SAFETY: the program's memory is in place.
    unsafe { process::arrive()? };
    Ok(suspended)
}

fn run(transfer: i64, suspended: u64, [served, sets_clocks, ahead, ..]: [u64; 8]) -> ! {
    channel::send(transfer, &Message::new(Kind::Restored, [0; 8]), &[]);
    let commit = channel::receive(transfer, true).map(|received| received.message);
    if commit.and_then(|message| message.kind()) != Some(Kind::Commit) {
        leave();
    }
    SUSPENDED.store(suspended, Ordering::Relaxed);
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
    let now = time::monotonic();
    let values = [now - resumed, now - SUSPENDED.load(Ordering::Relaxed), usage::host_time(), 0, 0, 0, 0, 0];
    channel::send(local::CONTROL.load(Ordering::Relaxed), &Message::new(Kind::Arrived, values), &[]);
    // The node hears nothing else before.
    let_go();
}
