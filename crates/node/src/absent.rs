//! Which pages are still to be brought. Arithmetic only.

use crate::page::PAGE;
use std::ops::Range;

const BITS: u64 = u64::BITS as u64;

/// Regions, with a bit for each page.
#[derive(Debug)]
pub(crate) struct Absent {
    /// Sorted.
    regions: Vec<Region>,
}

#[derive(Debug)]
struct Region {
    range: Range<u64>,
    /// Pages that are to be brought, 64 to a word.
    pages: Vec<u64>,
}

impl Absent {
    /// All pages of these regions, which do not overlap.
    pub(crate) fn new(mut ranges: Vec<Range<u64>>) -> Absent {
        ranges.sort_by_key(|range| range.start);
        Absent { regions: ranges.into_iter().map(Region::new).collect() }
    }

    /// Pages of a range are not to be brought any more.
    pub(crate) fn settle(&mut self, range: Range<u64>) {
        for region in self.regions_in(&range) {
            region.settle(&range);
        }
    }

    /// Those pages of a range that are absent in `other` and to be brought there are to be brought here instead.
    pub(crate) fn take_over(&mut self, other: &mut Absent, range: &Range<u64>) {
        let mut at = range.start;
        while let Some(page) = other.next_before(at, range.end) {
            let run = other.run(page, range.end - page);
            for region in self.regions_in(&run) {
                region.add(&run);
            }
            at = run.end;
            other.settle(run);
        }
    }

    /// Whether nothing is to be brought.
    pub(crate) fn is_empty(&self) -> bool {
        self.next(0).is_none()
    }

    /// All that is to be brought: sorted, each as long as a region has it without a gap.
    pub(crate) fn runs(&self) -> impl Iterator<Item = Range<u64>> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let page = self.next_before(at, u64::MAX)?;
            let run = self.run(page, u64::MAX);
            at = run.end;
            Some(run)
        })
    }

    fn regions_in(&mut self, range: &Range<u64>) -> impl Iterator<Item = &mut Region> {
        let first = self.regions.partition_point(|region| region.range.end <= range.start);
        let end = range.end;
        self.regions[first..].iter_mut().take_while(move |region| region.range.start < end)
    }

    /// The first page to be brought from an address on, up to another.
    pub(crate) fn next_before(&self, from: u64, end: u64) -> Option<u64> {
        let first = self.regions.partition_point(|region| region.range.end <= from);
        let next = self.regions[first..].iter().find_map(|region| region.next(from));
        next.filter(|&page| page < end)
    }

    /// Only those that are in these ranges, too, which are sorted, are to be brought.
    pub(crate) fn keep_only(&mut self, ranges: &[Range<u64>]) {
        let mut start = 0;
        for range in ranges {
            self.settle(start..range.start);
            start = range.end;
        }
        self.settle(start..u64::MAX);
    }

    /// From an address on, the pages that are to be brought without a gap, so many bytes at most.
    pub(crate) fn run(&self, address: u64, most: u64) -> Range<u64> {
        let address = address / PAGE * PAGE;
        let Some(region) = self.region(address) else { return address..address };
        let end = region.range.end.min(address.saturating_add(most));
        let end = (address..end).step_by(PAGE as usize).find(|&page| !region.has(page)).unwrap_or(end);
        address..end
    }

    /// The first page to be brought from an address on or, if there is none behind it, of all.
    pub(crate) fn next(&self, from: u64) -> Option<u64> {
        let first = |from: u64| self.regions.iter().find_map(|region| region.next(from));
        first(from).or_else(|| first(0))
    }

    fn region(&self, address: u64) -> Option<&Region> {
        let index = self.regions.partition_point(|region| region.range.end <= address);
        self.regions.get(index).filter(|region| region.range.start <= address)
    }
}

impl Region {
    fn new(range: Range<u64>) -> Region {
        let count = (range.end - range.start) / PAGE;
        let mut pages = vec![u64::MAX; count.div_ceil(BITS) as usize];
        if let Some(last) = pages.last_mut().filter(|_| !count.is_multiple_of(BITS)) {
            *last = u64::MAX >> (BITS - count % BITS);
        }
        Region { range, pages }
    }
    fn place(&self, page: u64) -> (usize, u64) {
        let index = (page - self.range.start) / PAGE;
        ((index / BITS) as usize, index % BITS)
    }

    fn has(&self, page: u64) -> bool {
        let (word, bit) = self.place(page);
        self.pages[word] >> bit & 1 != 0
    }

    /// Settles the part of a range that is in this region.
    fn settle(&mut self, range: &Range<u64>) {
        self.change(range, |word, mask| *word &= !mask);
    }

    /// The part of a range that is in this region is to be brought.
    fn add(&mut self, range: &Range<u64>) {
        self.change(range, |word, mask| *word |= mask);
    }

    fn change(&mut self, range: &Range<u64>, change: impl Fn(&mut u64, u64)) {
        let (start, end) = (range.start.max(self.range.start), range.end.min(self.range.end));
        if start >= end {
            return;
        }
        let (mut at, end) = ((start - self.range.start) / PAGE, (end - self.range.start).div_ceil(PAGE));
        while at < end {
            let (word, bit) = ((at / BITS) as usize, at % BITS);
            let count = (BITS - bit).min(end - at);
            change(&mut self.pages[word], (u64::MAX >> (BITS - count)) << bit);
            at += count;
        }
    }

    /// The first page to be brought from an address on.
    fn next(&self, from: u64) -> Option<u64> {
        if from >= self.range.end {
            return None;
        }
        let (first, bit) = self.place(from.max(self.range.start));
        let mut mask = u64::MAX << bit;
        for (index, word) in self.pages.iter().enumerate().skip(first) {
            let word = word & std::mem::replace(&mut mask, u64::MAX);
            if word != 0 {
                return Some(self.range.start + (index as u64 * BITS + u64::from(word.trailing_zeros())) * PAGE);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::ops::Range;

    fn count(absent: &Absent) -> u64 {
        absent.regions.iter().flat_map(|region| &region.pages).map(|word| u64::from(word.count_ones())).sum()
    }

    fn pages(range: Range<u64>) -> Range<u64> {
        range.start * PAGE..range.end * PAGE
    }

    #[test]
    fn runs_end_at_what_is_there_and_at_regions() {
        let mut absent = Absent::new(vec![pages(300..400), pages(100..200), pages(200..210)]);
        assert_eq!(count(&absent), 210);
        absent.settle(pages(110..111));
        assert_eq!(absent.run(105 * PAGE + 7, 1 << 20), pages(105..110));
        assert_eq!(absent.run(105 * PAGE, 2 * PAGE), pages(105..107));
        assert_eq!(absent.run(110 * PAGE, PAGE), pages(110..110));
        assert_eq!(absent.run(195 * PAGE, 1 << 20), pages(195..200));
        assert_eq!(absent.run(250 * PAGE, 1 << 20), pages(250..250));
        assert_eq!(absent.run(999 * PAGE, 1 << 20), pages(999..999));
        assert_eq!(count(&absent), 209);
    }

    #[test]
    fn what_is_not_listed_is_not_brought() {
        let mut absent = Absent::new(vec![pages(0..1000), pages(2000..2100)]);
        absent.settle(pages(20..30));
        absent.keep_only(&[pages(10..40), pages(900..2001), pages(3000..4000)]);
        assert_eq!(count(&absent), 20 + 100 + 1);
        assert_eq!(absent.next(0), Some(10 * PAGE));
        assert_eq!(absent.next(20 * PAGE), Some(30 * PAGE));
        assert_eq!(absent.next(40 * PAGE), Some(900 * PAGE));
        assert_eq!(absent.next(2001 * PAGE), Some(10 * PAGE));
        absent.keep_only(&[]);
        assert_eq!((count(&absent), absent.next(0)), (0, None));
    }

    #[test]
    fn what_is_taken_over_is_what_was_to_be_brought_there() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let ranges = vec![pages(5..200), pages(200..263), pages(264..900)];
            let (mut here, mut there) = (Absent::new(ranges.clone()), Absent::new(ranges));
            here.keep_only(&[]);
            for _ in 0..30 {
                let mut range = || {
                    let start = random.u64(0..1000);
                    start..start + random.u64(0..130)
                };
                there.settle(pages(range()));
                let both = count(&here) + count(&there);
                let taken = pages(range());
                here.take_over(&mut there, &taken);
                assert_eq!(count(&here) + count(&there), both, "seed {seed}");
                assert_eq!(there.next_before(taken.start, taken.end), None, "seed {seed}");
            }
            here.take_over(&mut there, &pages(0..1000));
            assert!(there.is_empty(), "seed {seed}");
        }
    }

    #[test]
    fn it_agrees_with_a_set() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let ranges = vec![pages(5..200), pages(200..263), pages(264..900)];
            let mut set: BTreeSet<u64> = ranges.iter().flat_map(|range| range.start / PAGE..range.end / PAGE).collect();
            let mut absent = Absent::new(ranges);
            for _ in 0..100 {
                let start = random.u64(0..1000);
                let end = start + random.u64(0..130);
                absent.settle(pages(start..end));
                set.retain(|page| !(start..end).contains(page));
                assert_eq!(count(&absent), set.len() as u64, "seed {seed}");
                let from = random.u64(0..1000);
                let next = set.range(from..).next().or_else(|| set.first()).map(|page| page * PAGE);
                assert_eq!(absent.next(from * PAGE), next, "seed {seed}, from {from}");
                let length = (from..from + 50).take_while(|page| set.contains(page)).count() as u64;
                let run = absent.run(from * PAGE, 50 * PAGE);
                let is_cut = [200, 263].contains(&(run.end / PAGE)) && length * PAGE > run.end - run.start;
                assert!(run == pages(from..from + length) || is_cut, "seed {seed}, from {from}: {run:?}");
            }
        }
    }
}
