//! What has been sent of a process's memory, where nothing tells which pages it changes: a hash of each page as it was sent. A page whose hash is the same is the same: with 128 bits of
//! BLAKE3 (O'Connor and others, 2020), for which nobody knows a way to two pages of one hash, also not for somebody who can choose what the program keeps in memory.

use crate::page::{PAGE, same};
use crate::tracker::Tracker;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::thread;

/// Pages whose hashes are kept together.
const TOGETHER: u64 = 512;
/// Bytes of a process that are read at a time.
const PIECE: usize = 1 << 18;
/// More threads read the memory of a process no faster.
const MOST_THREADS: usize = 4;

type Hash = [u8; 16];

/// Hashes of pages as they were sent, by the address of the first of [`TOGETHER`].
#[derive(Default)]
pub(crate) struct Sent(HashMap<u64, Box<[Option<Hash>]>>);

fn hash(page: &[u8]) -> Hash {
    *blake3::hash(page).as_bytes().first_chunk().unwrap_or(&[0; 16])
}

/// Where the hash of a page is.
fn place(address: u64) -> (u64, usize) {
    let page = address / PAGE;
    (page / TOGETHER, (page % TOGETHER) as usize)
}

impl Sent {
    /// Notes that a page is sent; whether it has to be, since what was sent of it last is something else.
    pub(crate) fn note(&mut self, address: u64, page: &[u8]) -> bool {
        let (key, index) = place(address);
        let hashes = self.0.entry(key).or_insert_with(|| vec![None; TOGETHER as usize].into());
        hashes[index].replace(hash(page)) != hashes[index]
    }

    fn has(&self, address: u64, page: &[u8]) -> bool {
        let (key, index) = place(address);
        self.0.get(&key).and_then(|hashes| hashes[index]).is_some_and(|sent| sent == hash(page))
    }

    /// Those of these pages that are not as they were sent, or of which it is not known any more whether they are `zeros`. The process waits, and its memory is read by several threads.
    pub(crate) fn others(&self, ranges: &[Range<u64>], tracker: &Tracker, zeros: &BTreeSet<u64>) -> Vec<Range<u64>> {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        let pieces: Vec<Range<u64>> = ranges.iter().flat_map(pieces).collect();
        let share = pieces.len().div_ceil(threads).max(1);
        let look = |pieces: &[Range<u64>]| {
            let mut buffer = vec![0; PIECE];
            let mut others = Vec::new();
            for piece in pieces {
                self.look(piece, tracker, zeros, &mut buffer, &mut others);
            }
            others
        };
        thread::scope(|scope| {
            let (first, rest) = pieces.split_at(share.min(pieces.len()));
            let rest: Vec<_> = rest
                .chunks(share)
                .map(|pieces| (pieces, thread::Builder::new().spawn_scoped(scope, move || look(pieces))))
                .collect();
            let mut others = look(first);
            for (pieces, thread) in rest {
                // Without a thread this one does it.
                others.extend(match thread {
                    Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                    Err(_) => look(pieces),
                });
            }
            others
        })
    }

    fn look(
        &self,
        piece: &Range<u64>,
        tracker: &Tracker,
        zeros: &BTreeSet<u64>,
        buffer: &mut [u8],
        others: &mut Vec<Range<u64>>,
    ) {
        let bytes = &mut buffer[..(piece.end - piece.start) as usize];
        if tracker.read(bytes, piece.start).ok() != Some(bytes.len()) {
            others.push(piece.clone());
            return;
        }
        for (address, page) in (piece.start..).step_by(PAGE as usize).zip(bytes.chunks(PAGE as usize)) {
            let was_zero = zeros.contains(&address);
            let (is_zero, _) = same(page);
            if is_zero == was_zero && (is_zero || self.has(address, page)) {
                continue;
            }
            match others.last_mut().filter(|last| last.end == address) {
                Some(last) => last.end += PAGE,
                None => others.push(address..address + PAGE),
            }
        }
    }
}

fn pieces(range: &Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = range.end;
    (range.start..end).step_by(PIECE).map(move |start| start..end.min(start + PIECE as u64))
}
