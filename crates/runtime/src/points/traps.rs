//! Which points are overwritten with traps.
//!
//! Writing to a page of text copies it, and large programs have hundreds of pages with points. A thread that is wanted is in one of
//! the functions on its stack, so the points of these come first; if it stays away, it is in another function by then (`points::want_near`).

use crate::continuation::unwind::SiteTable;
use crate::events;
use crate::isa;
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use core::ops::Range;
use maize_abi::layout::PAGE_SIZE;
use maize_abi::site_table::Point;

/// Of how many functions points have traps before all do.
const MOST_FUNCTIONS: usize = 64;

/// The points that have traps.
pub struct Traps {
    everywhere: bool,
    count: usize,
    /// Indices of the points of one function each.
    functions: [(usize, usize); MOST_FUNCTIONS],
}

impl Traps {
    /// None.
    pub const fn none() -> Traps {
        Traps { everywhere: false, count: 0, functions: [(0, 0); MOST_FUNCTIONS] }
    }

    /// Sets traps at all points, those that were taken away one by one included.
    pub fn set_everywhere(&mut self) {
        self.everywhere = true;
        let Some(table) = SiteTable::of_this_image() else { return };
        overwrite(&table, core::iter::once(0..table.points.len()), true);
    }

    /// Sets traps at the points of the functions that these addresses are in.
    pub fn set_around(&mut self, addresses: impl Iterator<Item = u64>) {
        let Some(table) = SiteTable::of_this_image().filter(|_| !self.everywhere) else { return };
        let known = self.count;
        let text = table.text();
        for address in addresses.filter(|address| text.contains(address)) {
            let Range { start, end } = table.points_around(address);
            if start == end || self.functions().contains(&(start, end)) {
                continue;
            }
            let Some(entry) = self.functions.get_mut(self.count) else { return self.set_everywhere() };
            *entry = (start, end);
            self.count += 1;
        }
        overwrite(&table, ranges(&self.functions()[known..]), true);
    }

    /// Takes all traps away.
    pub fn clear(&mut self) {
        let Some(table) = SiteTable::of_this_image() else { return };
        if self.everywhere {
            overwrite(&table, core::iter::once(0..table.points.len()), false);
        } else {
            overwrite(&table, ranges(self.functions()), false);
        }
        *self = Traps::none();
    }

    /// Takes away whatever traps there may be: this may have been copied while it was changing.
    pub fn clear_unknown(&mut self) {
        self.everywhere = true;
        self.clear();
    }

    fn functions(&self) -> &[(usize, usize)] {
        self.functions.get(..self.count).unwrap_or_default()
    }
}

fn ranges(functions: &[(usize, usize)]) -> impl Iterator<Item = Range<usize>> + Clone {
    functions.iter().map(|&(start, end)| start..end)
}

/// Overwrites points, by their indices, with traps or with what they were.
fn overwrite(table: &SiteTable, ranges: impl Iterator<Item = Range<usize>> + Clone, with_traps: bool) {
    if ranges.clone().next().is_none() {
        return;
    }
    let page = isa::page();
    let start = table.text().start & !(PAGE_SIZE - 1);
    let size = table.text().end.next_multiple_of(PAGE_SIZE) - start;
    let protect = |protection| {
        // SAFETY: the text stays executable; its threads find either instruction at each point.
        unsafe { kernel::call(MPROTECT, [start, size, protection]) }
    };
    if protect(PROT_READ | PROT_WRITE | PROT_EXEC) < 0 {
        return;
    }
    let instruction = if with_traps { page.trap } else { page.nop };
    for point in ranges.flat_map(|range| table.points.get(range).unwrap_or_default()) {
        // SAFETY: the linker lists addresses of instructions of this length, and the text is writable.
        unsafe { write(point, instruction, page.nop_length) };
    }
    // While events are counted it is written often.
    if !(with_traps && events::count()) {
        protect(PROT_READ | PROT_EXEC);
    }
    isa::instructions_changed();
}

/// Takes one trap away. The text is writable as long as events are counted.
pub fn remove(point: &Point) {
    let page = isa::page();
    // SAFETY: by the linker's table there is an instruction of this length.
    unsafe { write(point, page.nop, page.nop_length) };
    isa::instructions_changed();
}

/// Writes what is at a point, unless it is there: emulators translate anew what is written.
///
/// # Safety
/// There is an instruction of this length, and the text is writable.
unsafe fn write(point: &Point, instruction: u64, length: u64) {
    /// # Safety
    /// That of a write to the address.
    unsafe fn replace<T: PartialEq>(address: u32, instruction: T) {
        let place = u64::from(address) as *mut T;
        // SAFETY: by the contract above.
        unsafe {
            if place.read_volatile() != instruction {
                place.write_volatile(instruction);
                isa::instruction_changed(address.into());
            }
        }
    }
    // SAFETY: by the contract above.
    unsafe {
        match length {
            1 => replace(point.address, instruction as u8),
            2 => replace(point.address, instruction as u16),
            _ => replace(point.address, instruction as u32),
        }
    }
}
