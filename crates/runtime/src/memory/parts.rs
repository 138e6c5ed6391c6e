//! Moving pages of which the kernel does not keep all as one: parts that have followed the program later, or are watched, stay apart from others (`anon_vma`, Linux's mm/vma.c). Arithmetic
//! only; [`super::calls`] has the kernel do it.

use crate::syscall::numbers::EFAULT;
use maize_abi::layout::PAGE_SIZE;

/// What moves pages.
pub trait Mover {
    /// Moves them, or returns a negated error: `EFAULT` if they are not kept as one. Since Linux 6.17 the first of them may have moved all the same.
    fn move_together(&mut self, from: u64, length: u64, to: u64) -> i64;

    /// Whether there is something at an address.
    fn is_there(&mut self, address: u64) -> bool;
}

/// Moves pages, in as few parts as that takes. Returns where they are, or a negated error; then all are where they were.
pub fn move_all(mover: &mut impl Mover, from: u64, length: u64, to: u64) -> i64 {
    let (done, result) = move_some(mover, from, length, to);
    if result < 0 {
        // They were as many parts there.
        let _ = move_some(mover, to, done, from);
        return result;
    }
    to as i64
}

/// Moves as many as can be moved, from the first one on: their length, and the error if they are not all.
fn move_some(mover: &mut impl Mover, from: u64, length: u64, to: u64) -> (u64, i64) {
    let (mut done, mut step) = (0, length);
    while done < length {
        let result = mover.move_together(from + done, step, to + done);
        let moved = if result < 0 { moved(mover, from + done, step) } else { step };
        if moved > 0 {
            done += moved;
            step = length - done;
        } else if result == -EFAULT && step > PAGE_SIZE {
            step = (step / 2).next_multiple_of(PAGE_SIZE);
        } else {
            return (done, result);
        }
    }
    (done, 0)
}

/// How much of some pages has moved, which the first of them have before the others.
fn moved(mover: &mut impl Mover, from: u64, length: u64) -> u64 {
    let (mut least, mut most) = (0, length);
    while least < most {
        let middle = ((least + most) / 2) & !(PAGE_SIZE - 1);
        if mover.is_there(from + middle) {
            most = middle;
        } else {
            least = middle + PAGE_SIZE;
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Pages by their addresses: which part each is of, and whether that is watched.
    #[derive(Clone)]
    struct Pages {
        pages: BTreeMap<u64, (usize, bool)>,
        /// Whether what is kept apart moves together, but for what is watched: the first parts before such a one have moved when it is refused (`remap_move` in mm/mremap.c).
        is_newer: bool,
        /// Nothing can be moved there.
        full: Option<u64>,
    }

    impl Pages {
        /// Parts of so many pages each, watched or not.
        fn new(from: u64, parts: &[(u64, bool)], is_newer: bool) -> Pages {
            let each =
                parts.iter().enumerate().flat_map(|(part, &(count, watched))| (0..count).map(move |_| (part, watched)));
            let pages = each.enumerate().map(|(page, what)| (from + page as u64 * PAGE_SIZE, what)).collect();
            Pages { pages, is_newer, full: None }
        }
    }

    impl Mover for Pages {
        fn move_together(&mut self, from: u64, length: u64, to: u64) -> i64 {
            const ENOMEM: i64 = 12;
            let addresses: Vec<u64> = (from..from + length).step_by(PAGE_SIZE as usize).collect();
            let Some(&first) = self.pages.get(&from) else { return -EFAULT };
            let is_one = addresses.iter().all(|address| self.pages.get(address) == Some(&first));
            if !is_one && (!self.is_newer || first.1) {
                return -EFAULT;
            }
            for address in addresses {
                let at = to + (address - from);
                match self.pages.get(&address) {
                    Some(&(part, watched)) if part == first.0 || !watched => {}
                    _ => return -EFAULT,
                }
                if self.full == Some(at) {
                    return -ENOMEM;
                }
                let page = self.pages.remove(&address).unwrap();
                self.pages.insert(at, page);
            }
            to as i64
        }

        fn is_there(&mut self, address: u64) -> bool {
            self.pages.contains_key(&address)
        }
    }

    const FROM: u64 = 1 << 30;
    const TO: u64 = 1 << 40;
    const PARTS: [&[(u64, bool)]; 5] = [
        &[(7, false)],
        &[(2, false), (3, true)],
        &[(3, true), (2, false)],
        &[(1, false), (1, true), (4, false), (1, true), (1, true), (9, false)],
        &[(1, true), (1, false), (1, true), (1, false), (1, true)],
    ];

    #[test]
    fn parts_that_are_kept_apart_all_move() {
        for (parts, is_newer) in PARTS.into_iter().flat_map(|parts| [(parts, false), (parts, true)]) {
            let count: u64 = parts.iter().map(|part| part.0).sum();
            let mut pages = Pages::new(FROM, parts, is_newer);
            assert_eq!(move_all(&mut pages, FROM, count * PAGE_SIZE, TO), TO as i64, "{parts:?}");
            assert_eq!(pages.pages, Pages::new(TO, parts, is_newer).pages, "{parts:?}");
        }
    }

    #[test]
    fn what_cannot_all_move_stays() {
        for (parts, is_newer) in PARTS.into_iter().flat_map(|parts| [(parts, false), (parts, true)]) {
            let count: u64 = parts.iter().map(|part| part.0).sum();
            for full in 0..count {
                let mut pages = Pages { full: Some(TO + full * PAGE_SIZE), ..Pages::new(FROM, parts, is_newer) };
                assert!(move_all(&mut pages, FROM, count * PAGE_SIZE, TO) < 0, "{parts:?}, {full}");
                assert_eq!(pages.pages, Pages::new(FROM, parts, is_newer).pages, "{parts:?}, {full}");
            }
        }
    }
}
