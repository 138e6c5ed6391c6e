//! The source's side of a move.

use super::absent::{self, Left};
use super::channel::{self, close};
use super::descriptors::{self, Sender};
use super::gather::{Stopped, stop_others};
use super::{Interrupted, Stop, mapped_files, memory_file, record_locks};
use crate::continuation::capture::{Captured, NotNow, capture};
use crate::continuation::resume::write_leaf;
use crate::continuation::unwind::SiteTable;
use crate::memory::map::{Kind as RegionKind, Region};
use crate::process::{Thread, family, identity, node, usage};
use crate::signal::calls::without_signals;
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use crate::{isa, local, memory, process, time};
use core::convert::Infallible;
use core::sync::atomic::Ordering;
use maize_abi::control::{Kind, Message};
use maize_abi::layout::{RECORDS_END, RECORDS_START};
use maize_abi::record::MAX_SIZE;

/// Bytes of the record area at first: more than a record can have.
const FIRST_RECORD_AREA: u64 = 2 * MAX_SIZE;

/// Where to move: descriptors of the runtime's.
pub struct Order {
    /// The socket to the node.
    pub control: i64,
    /// The socket to the process to move to.
    pub transfer: i64,
    /// That process, if pages can be brought to it later.
    pub destination: Option<i64>,
    /// Large regions are not copied: they are read from this process's memory.
    pub leaves: bool,
}

/// Moves the program to the process at the other end of the order's socket, and ends this one. Returns only if the program
/// stays: why, for people.
pub fn depart(interrupted: &Interrupted<'_>, order: &Order) -> &'static str {
    if identity::has_host_ids() {
        return "it has mutexes with priority inheritance, in which the kernel keeps ids of threads";
    }
    if !node::is_served() && family::has_children() {
        return "it has children that the kernel keeps for it; start it with `maize run --movable` to move it while it has some";
    }
    // The node asks for no move before all pages are here.
    absent::let_go();
    let stopped = match stop_others() {
        Ok(stopped) => stopped,
        Err(reason) => return reason,
    };
    // Any of the threads may have taken one before it stopped.
    if record_locks::any_held() {
        return "it holds record locks of fcntl on a file, which only the process itself can hold";
    }
    // Memory is copied; signals that come meanwhile are handed over afterwards.
    let used = usage::noted();
    without_signals(|| match try_to_depart(interrupted, &stopped, order) {
        Ok(never) => match never {},
        Err(reason) => {
            usage::stay(used);
            reason
        }
    })
}

fn try_to_depart(interrupted: &Interrupted<'_>, stopped: &Stopped, order: &Order) -> Result<Infallible, &'static str> {
    let start = time::monotonic();
    // The order may be here before the call.
    let called_at = local::CALLED_AT.swap(0, Ordering::Relaxed);
    let used = usage::host_time();
    let waited = if called_at == 0 { 0 } else { used.saturating_sub(called_at) };
    let capture_start = time::monotonic();
    let (frames, bytes) = capture_threads(interrupted, stopped)?;
    let capture_time = time::since(capture_start);
    let innermost = super::innermost(interrupted.context);
    let report = [frames, bytes, capture_time, 0, start, waited, innermost, used];
    hand_over(stopped, report, order)
}

/// Hands over what has been captured, and ends this process; `report` is what the node is told, but for the bytes of memory.
/// Not inlined: its locals are many, and the capture would have to wait for the page of the stack that is below them.
#[inline(never)]
fn hand_over(stopped: &Stopped, mut report: [u64; 8], order: &Order) -> Result<Infallible, &'static str> {
    let &Order { control, transfer, destination, leaves } = order;
    let [_, _, _, bytes, start, ..] = &mut report;
    Thread::current().note();
    process::depart();
    stopped.note_signals();
    let (contents, left) = memory_file::write(leaves)?;
    let sent = send_state(&contents, left.as_ref(), *start, order);
    close(contents.file);
    sent?;
    let userfaultfd = loop {
        let received = channel::receive(transfer, true);
        match received.as_ref().and_then(|received| received.message.kind()) {
            Some(Kind::Restored) => break received.and_then(|received| received.descriptors().first().copied()),
            Some(Kind::Signals) => {
                stopped.show_signals(transfer)?;
                channel::send(transfer, &Message::new(Kind::Signals, [0; 8]), &[]);
            }
            Some(Kind::Refused) => return Err("the new process could not take it over"),
            _ => return Err("the new process ended before it had taken it over"),
        }
    };
    if !channel::send(transfer, &Message::new(Kind::Commit, [0; 8]), &[]) {
        return Err("the new process ended before it had taken it over");
    }
    // The destination goes on when it has those that the program may already have seen waiting.
    stopped.hand_over_signals(transfer);
    close(transfer);
    *bytes = contents.bytes;
    *start = time::to_host(CLOCK_MONOTONIC, *start);
    channel::send(control, &Message::new(Kind::Departed, report), &[]);
    if let (Some(left), Some(destination)) = (&left, destination) {
        left.give_up_the_rest([control, destination, userfaultfd.map_or(-1, i64::from)]);
    }
    await_release(control);
    stopped.hand_over_signals(control);
    if let (Some(left), Some(destination)) = (left, destination) {
        left.wait(control, destination);
    }
    loop {
        // SAFETY: the program is elsewhere.
        unsafe { kernel::call(EXIT_GROUP, [0]) };
    }
}

/// Writes the records of all threads. The record area is as large as they are. Returns how many frames and bytes.
fn capture_threads(interrupted: &Interrupted<'_>, stopped: &Stopped) -> Result<(u64, u64), &'static str> {
    let table = SiteTable::of_this_image().ok_or("it has no site table")?;
    let (mut frames, mut bytes) = (0, 0);
    let own = core::iter::once((Thread::current(), interrupted));
    for (thread, interrupted) in own.chain(stopped.others()) {
        let captured = capture_thread(&table, interrupted, RECORDS_START + bytes)?;
        thread.outermost.store(captured.outermost, Ordering::Relaxed);
        frames += captured.frames;
        bytes += captured.bytes;
    }
    Ok((frames, bytes))
}

/// Writes the records of a thread that has stopped, from an address on.
fn capture_thread(table: &SiteTable, interrupted: &Interrupted<'_>, leaf: u64) -> Result<Captured, &'static str> {
    let mut end = record_area_end();
    loop {
        if end > leaf + MAX_SIZE {
            // SAFETY: the area is the runtime's, and mapped up to its end; the context is that of a thread that waits.
            let captured = unsafe {
                let registers = match interrupted.stop {
                    Stop::Call(call) => {
                        write_leaf(leaf, isa::syscall_resume(), &call);
                        None
                    }
                    Stop::Point(registers) => {
                        write_leaf(leaf, isa::point_resume(), &[]);
                        Some(registers)
                    }
                };
                capture(table, interrupted.context, registers, leaf, end)
            };
            match captured {
                Ok(captured) => return Ok(captured),
                Err(NotNow::TooDeep) => {}
                Err(NotNow::Unprepared(_)) => {
                    return Err("it is in a function without migration points, such as a callback from one");
                }
            }
        }
        end = extend_record_area(end)?;
    }
}

/// Where the mapped part of the record area ends.
fn record_area_end() -> u64 {
    memory::map().overlapping(RECORDS_START, RECORDS_END).last().map_or(RECORDS_START, |region| region.end)
}

/// Maps as much again as there is; returns the new end.
fn extend_record_area(end: u64) -> Result<u64, &'static str> {
    let size = (end - RECORDS_START).max(FIRST_RECORD_AREA);
    let protection = PROT_READ | PROT_WRITE;
    let region = Region::anonymous(end, end + size, protection as u32, RegionKind::Runtime);
    if end + size > RECORDS_END {
        return Err("its stack is too deep");
    }
    if memory::map_at(end, size, protection, 0) != end as i64 || memory::add(region).is_none() {
        return Err("there is no memory for its frames");
    }
    Ok(end + size)
}

fn send_state(
    contents: &memory_file::Contents,
    left: Option<&Left>,
    start: u64,
    order: &Order,
) -> Result<(), &'static str> {
    let &Order { control, transfer, destination, .. } = order;
    let [memory, map] = left.map_or([-1; 2], Left::descriptors);
    let own = [control, transfer, destination.unwrap_or(-1), contents.file, memory, map];
    let gone = "the new process ended before it had taken it over";
    let values = [contents.regions, contents.runs, start, contents.bytes, 0, 0, 0, 0];
    let files = [contents.file as i32, memory as i32];
    let files = files.get(..if left.is_some() { 2 } else { 1 }).unwrap_or_default();
    if !channel::send(transfer, &Message::new(Kind::State, values), files) {
        return Err(gone);
    }
    let mut sender = Sender::new(transfer);
    let mut sent = true;
    descriptors::each_open(&own, |descriptor| {
        sent = sender.send_as_is(descriptor);
        sent
    })?;
    let is_file = |region: &Region| matches!(region.kind, RegionKind::PrivateFile | RegionKind::SharedFile);
    for (index, region) in memory::map().regions().iter().enumerate().filter(|(_, region)| is_file(region)) {
        let file = mapped_files::open(region).ok_or("a file that it has mapped cannot be opened again")?;
        sent = sent && sender.send_for_region(index, file);
        // What was not sent at once is still needed.
        sent = sent && sender.flush();
        close(file);
    }
    if sent && sender.finish() { Ok(()) } else { Err(gone) }
}

/// Returns when the node sends nothing to this process any more.
fn await_release(control: i64) {
    while let Some(received) = channel::receive(control, true) {
        if received.message.kind() == Some(Kind::Release) {
            return;
        }
    }
}
