//! Memory of this process, changed at random between rounds, and what has been sent of it.

use super::*;
use crate::incoming_memory::{IMAGE, Images};
use crate::reopen::metadata_of;
use crate::stored::Files;
use crate::sync::lock;
use crate::userfaultfd::knows_writes;
use maize_abi::layout::MMAP_START;
use maize_snapshot::{Base, Id as SnapshotId, Lineage, Metadata, Packs, Process as Described, Reader, Relation};
use rustix::mm::{
    Advice, MapFlags, MprotectFlags, MremapFlags, ProtFlags, UserfaultfdFlags, madvise, mmap_anonymous, mprotect,
    mremap_fixed, munmap, userfaultfd,
};
use rustix::process::getpid;
use std::collections::BTreeSet;
use std::ffi::c_void;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Trackers watch all memory of the process, and there is one for each region.
static ALONE: Mutex<()> = Mutex::new(());

const PAGES: u64 = 256;
const SIZE: usize = (PAGES * PAGE) as usize;

#[test]
fn pages_are_taken_out_of_ranges() {
    let pages = BTreeSet::from([PAGE, 4 * PAGE, 5 * PAGE, 9 * PAGE]);
    let left = without(&[PAGE..7 * PAGE, 9 * PAGE..10 * PAGE, 20 * PAGE..21 * PAGE], &pages);
    assert_eq!(left, [2 * PAGE..4 * PAGE, 6 * PAGE..7 * PAGE, 20 * PAGE..21 * PAGE]);
}

/// As the runtime makes one (`migration::userfaultfd`). `None` where the kernel grants none.
fn watch() -> Option<OwnedFd> {
    const USER_MODE_ONLY: u32 = 1;
    let flags = UserfaultfdFlags::CLOEXEC | UserfaultfdFlags::from_bits_retain(USER_MODE_ONLY);
    // SAFETY: it watches only what is registered, and nobody waits for it.
    let made = unsafe { userfaultfd(flags) }.ok()?;
    knows_writes(&made).then_some(made)
}

fn map(start: u64) {
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    let flags = MapFlags::PRIVATE | MapFlags::FIXED;
    // SAFETY: nothing else is in this part of the address space in a test.
    let mapped = unsafe { mmap_anonymous(start as *mut c_void, SIZE, protection, flags) };
    assert_eq!(mapped.unwrap() as u64, start);
}

/// One change at random of the memory in one of two places, between which it may move.
fn change(random: &mut fastrand::Rng, start: &mut u64) {
    let other = |start| if start == MMAP_START { MMAP_START + 4 * SIZE as u64 } else { MMAP_START };
    let first = random.u64(..PAGES);
    let count = random.u64(1..=(PAGES - first).min(20));
    let (address, length) = ((*start + first * PAGE) as *mut c_void, (count * PAGE) as usize);
    // SAFETY: the memory is the test's own, mapped from `start` on.
    unsafe {
        match random.u32(..100) {
            0..=1 => {
                munmap(*start as *mut c_void, SIZE).unwrap();
                map(*start);
            }
            2..=3 => {
                let to = other(*start);
                let moved = mremap_fixed(*start as *mut c_void, SIZE, SIZE, MremapFlags::MAYMOVE, to as *mut c_void);
                assert_eq!(moved.unwrap() as u64, to);
                *start = to;
            }
            4..=9 => madvise(address, length, Advice::LinuxDontNeed).unwrap(),
            10..=14 => {
                mprotect(address, length, MprotectFlags::READ).unwrap();
                mprotect(address, length, MprotectFlags::READ | MprotectFlags::WRITE).unwrap();
            }
            15..=24 => address.write_bytes(0, length),
            25..=34 => assert!(address.cast::<u8>().read_volatile() as u64 <= 255),
            // Of few, so that a page often becomes what it was.
            _ => address.write_bytes(random.u8(1..4), length),
        }
    }
}

fn metadata() -> Metadata {
    Metadata {
        executables: vec![maize_snapshot::Executable { path: "/".into(), ..Default::default() }],
        processes: vec![Described { id: 1, ..Described::default() }],
        relations: vec![Relation { id: 1, group: 1, session: 1, ..Relation::default() }],
        ..metadata_of(Vec::new())
    }
}

/// Compares a process's image, of which these pages count, with what is there.
fn is_there(image: &std::fs::File, held: &[Range<u64>], region: &Range<u64>, what: &str) {
    for page in region.clone().step_by(PAGE as usize) {
        let mut expected = vec![0; PAGE as usize];
        let is_held = held.iter().any(|range| range.contains(&page));
        if is_held {
            image.read_exact_at(&mut expected, crate::incoming_memory::IMAGE + page).unwrap();
        }
        // SAFETY: the page is mapped, and nobody changes it meanwhile.
        let found = unsafe { std::slice::from_raw_parts(page as *const u8, PAGE as usize) };
        assert!(found == expected, "{what}, page {page:#x}, held: {is_held}");
    }
}

#[test]
fn what_has_been_sent_is_what_is_there_in_the_end_as_the_kernel_tells() {
    if watch().is_none() {
        return eprintln!("not tried: the kernel grants no userfaultfd");
    }
    what_has_been_sent_is_what_is_there_in_the_end(watch);
}

#[test]
fn what_has_been_sent_is_what_is_there_in_the_end_as_hashes_tell() {
    what_has_been_sent_is_what_is_there_in_the_end(|| None);
}

fn what_has_been_sent_is_what_is_there_in_the_end(watch: fn() -> Option<OwnedFd>) {
    let _alone = lock(&ALONE);
    for seed in 1..=40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut start = MMAP_START;
        map(start);
        let tracker = Arc::new(Tracker::new(getpid(), watch()).unwrap());
        let mut precopy = Precopy::new(vec![(1, tracker)]);
        let mut links: Vec<Vec<u8>> = Vec::new();
        let count = random.u8(1..5);
        for number in 0..count {
            let name = |number: u8| PathBuf::from(number.to_string());
            let base = number.checked_sub(1).map(|base| Base { id: SnapshotId([base; 16]), name: name(base) });
            let lineage = Lineage { id: SnapshotId([number; 16]), base };
            let mut writer = Writer::new(Vec::new(), &lineage, Packs::When(|_| true)).unwrap();
            for _ in 0..random.u32(..6) {
                for _ in 0..random.u32(..80) {
                    change(&mut random, &mut start);
                }
                precopy.round(&mut writer).unwrap();
                assert!(!precopy.is_empty(), "seed {seed}: the process is not watched any more");
            }
            for _ in 0..random.u32(..40) {
                change(&mut random, &mut start);
            }
            let region = start..start + SIZE as u64;
            let send = &mut |id, image: &mut Image| writer.image(id, image);
            let changes = precopy.changes(1, std::slice::from_ref(&region)).unwrap();
            let mut remaining = Remaining::default();
            let held = match number + 1 == count && random.bool() {
                true => precopy.leave(1, &changes, &mut remaining).unwrap(),
                false => precopy.finish(1, &changes, send).unwrap(),
            };
            writer.metadata(&metadata()).unwrap();
            links.push(writer.into_output());
            let open = |wanted: &Path| {
                let index = (0..=number).find(|&index| name(index) == wanted).unwrap();
                Ok(links[usize::from(index)].as_slice())
            };
            let mut images = Images::default();
            let newest = links[usize::from(number)].as_slice();
            let reader =
                Reader::new(newest, open, |process, image| images.add(process, image, &Files::default())).unwrap();
            let image = images.take(&reader.metadata().processes[0]).unwrap();
            take_what_remains(&mut random, &mut remaining, &image.file);
            is_there(&image.file, &held, &region, &format!("seed {seed}, link {number}"));
        }
        drop(precopy);
        // SAFETY: nothing uses it any more.
        unsafe { munmap(start as *mut c_void, SIZE).unwrap() };
    }
}

/// In any order, copied before or not, by a connection that is lost with what is on its way.
fn take_what_remains(random: &mut fastrand::Rng, remaining: &mut Remaining, to: &File) {
    let ranges: Vec<Range<u64>> = remaining.ranges().flat_map(|(_, ranges)| ranges).cloned().collect();
    if ranges.is_empty() {
        return assert!(remaining.is_empty());
    }
    let pages = |range: &Range<u64>| range.clone().step_by(PAGE as usize);
    let mut missing: BTreeSet<u64> = ranges.iter().flat_map(pages).collect();
    let expect =
        |missing: &BTreeSet<u64>| -> Vec<Range<u64>> { missing.iter().map(|&page| page..page + PAGE).collect() };
    while !missing.is_empty() {
        let pages = match random.u32(..3) {
            0 => {
                remaining.copy_one().unwrap();
                continue;
            }
            1 => {
                let range = &ranges[random.usize(..ranges.len())];
                remaining.take(1, &(range.start..range.start + PAGE * random.u64(1..20))).unwrap()
            }
            _ => remaining.take_next().unwrap().unwrap(),
        };
        if random.u32(..10) == 0 {
            remaining.is_lacking(1, &expect(&missing));
            continue;
        }
        let zeros = pages.zeros.into_iter().map(|(address, length)| (address, vec![0; length as usize]));
        for (address, bytes) in pages.runs.into_iter().chain(zeros) {
            for page in (address..address + bytes.len() as u64).step_by(PAGE as usize) {
                assert!(missing.remove(&page), "{page:x} comes once more");
            }
            to.write_all_at(&bytes, IMAGE + address).unwrap();
        }
    }
    assert!(remaining.take_next().unwrap().is_none() && !remaining.is_empty(), "it is given once, and kept");
    remaining.clear();
    assert!(remaining.is_empty());
}

/// As of a process that waits, when the kernel makes a huge page of what there is and of zeros.
#[test]
fn a_page_that_comes_to_be_while_the_last_is_sent_does_not_hold_what_was_there_before() {
    let _alone = lock(&ALONE);
    let Some(userfaultfd) = watch() else { return eprintln!("not tried: the kernel grants no userfaultfd") };
    let start = MMAP_START;
    let (given_up, changed) = (start + 3 * PAGE, start + 5 * PAGE);
    map(start);
    // SAFETY: the memory is the test's own.
    unsafe { (start as *mut u8).write_bytes(7, SIZE) };
    let tracker = Arc::new(Tracker::new(getpid(), Some(userfaultfd)).unwrap());
    let mut precopy = Precopy::new(vec![(1, tracker)]);
    let mut writer =
        Writer::new(Vec::new(), &Lineage { id: SnapshotId([0; 16]), base: None }, Packs::When(|_| true)).unwrap();
    precopy.round(&mut writer).unwrap();
    // SAFETY: the memory is the test's own.
    unsafe {
        madvise(given_up as *mut c_void, PAGE as usize, Advice::LinuxDontNeed).unwrap();
        (changed as *mut u8).write_bytes(8, 1);
    }
    let region = start..start + SIZE as u64;
    let mut looks = 0;
    let send = &mut |_, _: &mut Image| {
        looks += 1;
        // SAFETY: the page is the test's own, and is zeros.
        assert_eq!(unsafe { (given_up as *const u8).read_volatile() }, 0);
        Ok(())
    };
    let changes = precopy.changes(1, std::slice::from_ref(&region)).unwrap();
    let held = precopy.finish(1, &changes, send).unwrap();
    assert_eq!(looks, 1, "nothing was sent");
    assert!(held.iter().any(|range| range.contains(&changed)), "{held:x?}");
    assert!(!held.iter().any(|range| range.contains(&given_up)), "{held:x?}");
    drop(precopy);
    // SAFETY: nothing uses it any more.
    unsafe { munmap(start as *mut c_void, SIZE).unwrap() };
}

#[test]
fn of_what_is_as_it_was_nothing_is_sent_again() {
    let _alone = lock(&ALONE);
    map(MMAP_START);
    let tracker = Arc::new(Tracker::new(getpid(), None).unwrap());
    let mut process = Precopy::new(vec![(1, tracker)]);
    let region = MMAP_START..MMAP_START + SIZE as u64;
    let send = |precopy: &mut Precopy| {
        let process = &mut precopy.processes[0];
        let taken = &mut |_, _: &mut Image| Ok(());
        process.send(std::slice::from_ref(&region), &mut precopy.image, taken).unwrap()
    };
    let fill = |page: u64, byte: u8| {
        // SAFETY: the memory is the test's own.
        unsafe { ((MMAP_START + page * PAGE) as *mut u8).write_bytes(byte, PAGE as usize) }
    };
    (0..PAGES).for_each(|page| fill(page, 1));
    assert_eq!(send(&mut process), PAGES * PAGE);
    assert_eq!(send(&mut process), 0, "nothing has been changed");
    fill(7, 2);
    fill(9, 1);
    assert_eq!(send(&mut process), PAGE, "one page has been changed, and one written");
    fill(7, 0);
    assert_eq!(send(&mut process), 0, "pages of zeros are not sent");
    fill(7, 2);
    assert_eq!(send(&mut process), 0, "that is what has been sent of it last");
    assert!(process.processes[0].zeros.is_empty());
    // SAFETY: nothing uses it any more.
    unsafe { munmap(MMAP_START as *mut c_void, SIZE).unwrap() };
}
