//! The map of the program's memory: a sorted table of regions that do not overlap. Arithmetic only; [`super`] makes
//! the kernel agree with it.

use maize_abi::layout::PAGE_SIZE;

/// What a region holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Memory of the program's own.
    Anonymous = 1,
    /// A private copy of a file's pages.
    PrivateFile = 2,
    /// A file's own pages.
    SharedFile = 3,
    /// A System V shared memory segment.
    SharedSegment = 4,
    /// Below the program break.
    Break = 5,
    /// The main thread's shadow stack.
    Shadow = 6,
    /// The runtime's: this table.
    Runtime = 7,
    /// The data of the program image.
    Image = 8,
}

/// Memory with the same properties throughout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Region {
    /// Address of the first byte.
    pub start: u64,
    /// Address after the last byte.
    pub end: u64,
    /// Where in the file it starts, bytes.
    pub offset: u64,
    /// Device of the file, or 0.
    pub device: u64,
    /// Inode of the file, or 0.
    pub inode: u64,
    /// `PROT_*`.
    pub protection: u32,
    /// `MAP_*` flags that it was mapped with.
    pub flags: u32,
    /// What it holds.
    pub kind: Kind,
    /// For a shared file that has no name any more: a descriptor kept for it. Otherwise -1.
    pub descriptor: i32,
}

impl Region {
    /// Private memory filled with zeros.
    pub const fn anonymous(start: u64, end: u64, protection: u32, kind: Kind) -> Region {
        // MAP_PRIVATE | MAP_ANONYMOUS
        Region { start, end, offset: 0, device: 0, inode: 0, protection, flags: 0x22, kind, descriptor: -1 }
    }

    /// Whether the program's bytes in it are nobody else's, so that a move copies them.
    pub const fn is_private(&self) -> bool {
        self.flags & 1 == 0
    }

    /// The part within bounds that overlap it.
    pub fn part(&self, start: u64, end: u64) -> Region {
        let start = start.max(self.start);
        let offset = if self.has_offset() { self.offset + (start - self.start) } else { 0 };
        Region { start, end: end.min(self.end), offset, ..*self }
    }

    const fn has_offset(&self) -> bool {
        matches!(self.kind, Kind::PrivateFile | Kind::SharedFile | Kind::SharedSegment)
    }

    /// Whether the next region goes on where this one ends, in the same way.
    fn continues(&self, next: &Region) -> bool {
        let offset = if self.has_offset() { self.offset + (self.end - self.start) } else { 0 };
        let like_this = Region { start: self.end, end: next.end, offset, ..*self };
        // Each mapping of shared anonymous memory is an object of its own.
        (self.is_private() || self.kind == Kind::SharedFile) && *next == like_this
    }
}

/// The table has no room left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The sorted table, in memory that its owner provides.
pub struct Map {
    base: *mut Region,
    length: usize,
    capacity: usize,
}

// SAFETY: the table it points to belongs to the map alone.
unsafe impl Send for Map {}

impl Map {
    /// A table without room.
    pub const fn new() -> Map {
        Map { base: core::ptr::null_mut(), length: 0, capacity: 0 }
    }

    /// Gives the table more room; what is in it must already be at `base`.
    ///
    /// # Safety
    /// `capacity` regions can be stored at `base`, by this map only.
    pub unsafe fn set_room(&mut self, base: *mut Region, capacity: usize) {
        self.base = base;
        self.capacity = capacity;
    }

    /// How many more regions fit.
    pub const fn room(&self) -> usize {
        self.capacity - self.length
    }

    /// How many regions fit in all.
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// All regions in order.
    pub fn regions(&self) -> &[Region] {
        if self.length == 0 {
            return &[];
        }
        // SAFETY: by the contract of `set_room`; the first `length` regions have been written.
        unsafe { core::slice::from_raw_parts(self.base, self.length) }
    }

    fn regions_mut(&mut self) -> &mut [Region] {
        if self.length == 0 {
            return &mut [];
        }
        // SAFETY: as in `regions`.
        unsafe { core::slice::from_raw_parts_mut(self.base, self.length) }
    }

    /// Notes device and inode of the files that are mapped, as `identity` tells them by the region's index. On another machine a file has others.
    pub fn identify_files(&mut self, identity: impl Fn(usize) -> Option<[u64; 2]>) {
        let regions = self.regions_mut().iter_mut().enumerate();
        for (index, region) in regions.filter(|(_, region)| matches!(region.kind, Kind::PrivateFile | Kind::SharedFile))
        {
            if let Some([device, inode]) = identity(index) {
                [region.device, region.inode] = [device, inode];
            }
        }
    }

    /// Index of the first region that ends after `address`.
    fn first_after(&self, address: u64) -> usize {
        self.regions().partition_point(|region| region.end <= address)
    }

    /// The region that holds an address.
    pub fn find(&self, address: u64) -> Option<&Region> {
        self.regions().get(self.first_after(address)).filter(|region| region.start <= address)
    }

    /// The regions that have bytes in a range.
    pub fn overlapping(&self, start: u64, end: u64) -> &[Region] {
        let first = self.first_after(start);
        let rest = self.regions().get(first..).unwrap_or_default();
        rest.get(..rest.partition_point(|region| region.start < end)).unwrap_or_default()
    }

    /// Whether nothing is mapped in a range.
    pub fn is_free(&self, start: u64, end: u64) -> bool {
        self.overlapping(start, end).is_empty()
    }

    /// The lowest free range of this size within bounds.
    pub fn find_gap(&self, size: u64, low: u64, high: u64) -> Option<u64> {
        let mut start = low;
        for region in self.regions().get(self.first_after(low)..)? {
            if region.start >= start && region.start - start >= size {
                break;
            }
            start = start.max(region.end);
        }
        (start.checked_add(size)? <= high).then_some(start)
    }

    fn insert_at(&mut self, index: usize, region: Region) -> Result<(), Full> {
        if self.room() == 0 {
            return Err(Full);
        }
        // SAFETY: `index <= length < capacity`, so both ranges are within the table.
        unsafe {
            let place = self.base.add(index);
            core::ptr::copy(place, place.add(1), self.length - index);
            place.write(region);
        }
        self.length += 1;
        Ok(())
    }

    fn delete(&mut self, index: usize, count: usize) {
        // SAFETY: `index + count <= length`.
        unsafe {
            let place = self.base.add(index);
            core::ptr::copy(place.add(count), place, self.length - index - count);
        }
        self.length -= count;
    }

    /// Adds a region where nothing is mapped, joined with neighbours of its kind.
    ///
    /// # Errors
    /// [`Full`].
    pub fn insert(&mut self, region: Region) -> Result<(), Full> {
        let index = self.first_after(region.start);
        self.insert_at(index, region)?;
        self.join(index);
        self.join(index.wrapping_sub(1));
        Ok(())
    }

    /// Joins the region at an index with the next one if they are of the same kind.
    fn join(&mut self, index: usize) {
        let (Some(&one), Some(&next)) = (self.regions().get(index), self.regions().get(index.wrapping_add(1))) else {
            return;
        };
        if one.continues(&next) {
            if let Some(region) = self.regions_mut().get_mut(index) {
                region.end = next.end;
            }
            self.delete(index + 1, 1);
        }
    }

    /// Makes `address` a boundary between regions if it is inside one.
    fn split(&mut self, address: u64) -> Result<(), Full> {
        let index = self.first_after(address);
        let Some(&region) = self.regions().get(index).filter(|region| region.start < address) else { return Ok(()) };
        self.insert_at(index + 1, region.part(address, region.end))?;
        if let Some(first) = self.regions_mut().get_mut(index) {
            first.end = address;
        }
        Ok(())
    }

    /// Removes a range, whatever is in it.
    ///
    /// # Errors
    /// [`Full`]: cutting a hole takes one more region.
    pub fn remove(&mut self, start: u64, end: u64) -> Result<(), Full> {
        self.split(start)?;
        self.split(end)?;
        let (first, count) = (self.first_after(start), self.overlapping(start, end).len());
        self.delete(first, count);
        Ok(())
    }

    /// Changes the protection of what is mapped in a range.
    ///
    /// # Errors
    /// [`Full`].
    pub fn protect(&mut self, start: u64, end: u64, protection: u32) -> Result<(), Full> {
        self.split(start)?;
        self.split(end)?;
        let first = self.first_after(start);
        for region in self.regions_mut().iter_mut().skip(first).take_while(|region| region.start < end) {
            region.protection = protection;
        }
        let count = self.overlapping(start, end).len();
        for index in (first.saturating_sub(1)..first + count).rev() {
            self.join(index);
        }
        Ok(())
    }
}

impl Default for Map {
    fn default() -> Map {
        Map::new()
    }
}

/// Rounds up to whole pages; `None` if that overflows.
pub fn pages(bytes: u64) -> Option<u64> {
    Some(bytes.checked_add(PAGE_SIZE - 1)? & !(PAGE_SIZE - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A map with room of its own.
    fn map() -> Map {
        let table = vec![Region::anonymous(0, 0, 0, Kind::Anonymous); 64].leak();
        let mut map = Map::new();
        // SAFETY: the table is leaked for this map.
        unsafe { map.set_room(table.as_mut_ptr(), table.len()) };
        map
    }

    fn anonymous(start: u64, end: u64) -> Region {
        Region::anonymous(start, end, 3, Kind::Anonymous)
    }

    fn ranges(map: &Map) -> Vec<(u64, u64)> {
        map.regions().iter().map(|region| (region.start, region.end)).collect()
    }

    #[test]
    fn neighbours_of_one_kind_are_joined() {
        let mut map = map();
        map.insert(anonymous(0x1000, 0x2000)).unwrap();
        map.insert(anonymous(0x3000, 0x4000)).unwrap();
        map.insert(Region { protection: 1, ..anonymous(0x4000, 0x5000) }).unwrap();
        map.insert(anonymous(0x2000, 0x3000)).unwrap();
        assert_eq!(ranges(&map), [(0x1000, 0x4000), (0x4000, 0x5000)]);
    }

    #[test]
    fn file_regions_join_only_if_the_file_continues() {
        let file = |start, end, offset| Region { offset, inode: 7, kind: Kind::SharedFile, ..anonymous(start, end) };
        let mut map = map();
        map.insert(file(0x1000, 0x2000, 0)).unwrap();
        map.insert(file(0x2000, 0x3000, 0x1000)).unwrap();
        map.insert(file(0x3000, 0x4000, 0)).unwrap();
        assert_eq!(ranges(&map), [(0x1000, 0x3000), (0x3000, 0x4000)]);
        map.remove(0x1000, 0x2000).unwrap();
        assert_eq!(map.regions()[0].offset, 0x1000);
    }

    #[test]
    fn removal_cuts_holes_and_spans_regions() {
        let mut map = map();
        map.insert(anonymous(0x1000, 0x5000)).unwrap();
        map.remove(0x2000, 0x3000).unwrap();
        assert_eq!(ranges(&map), [(0x1000, 0x2000), (0x3000, 0x5000)]);
        map.insert(Region { protection: 0, ..anonymous(0x8000, 0x9000) }).unwrap();
        map.remove(0x4000, 0x10000).unwrap();
        assert_eq!(ranges(&map), [(0x1000, 0x2000), (0x3000, 0x4000)]);
        map.remove(0x5000, 0x6000).unwrap();
        map.remove(0, 0x1000).unwrap();
        assert_eq!(ranges(&map), [(0x1000, 0x2000), (0x3000, 0x4000)]);
        map.remove(0, 0x10000).unwrap();
        assert!(map.regions().is_empty());
    }

    #[test]
    fn protection_changes_split_and_join() {
        let mut map = map();
        map.insert(anonymous(0x1000, 0x5000)).unwrap();
        map.protect(0x2000, 0x3000, 0).unwrap();
        assert_eq!(ranges(&map), [(0x1000, 0x2000), (0x2000, 0x3000), (0x3000, 0x5000)]);
        map.protect(0x2000, 0x3000, 3).unwrap();
        assert_eq!(ranges(&map), [(0x1000, 0x5000)]);
    }

    #[test]
    fn the_lowest_gap_that_is_large_enough_is_found() {
        let mut map = map();
        map.insert(anonymous(0x1000, 0x2000)).unwrap();
        map.insert(anonymous(0x3000, 0x4000)).unwrap();
        assert_eq!(map.find_gap(0x1000, 0x1000, 0x10000), Some(0x2000));
        assert_eq!(map.find_gap(0x2000, 0x1000, 0x10000), Some(0x4000));
        assert_eq!(map.find_gap(0x1000, 0x1800, 0x10000), Some(0x2000));
        assert_eq!(map.find_gap(0x1000, 0, 0x10000), Some(0));
        assert_eq!(map.find_gap(0x10000, 0x1000, 0x10000), None);
        assert!(map.is_free(0x2000, 0x3000) && !map.is_free(0x2000, 0x3001));
        assert!(map.find(0x3fff).is_some() && map.find(0x4000).is_none());
    }

    #[test]
    fn a_full_table_is_an_error_and_changes_nothing() {
        let mut map = map();
        for index in 0..64 {
            map.insert(anonymous(index * 0x4000, index * 0x4000 + 0x3000)).unwrap();
        }
        assert_eq!(map.insert(anonymous(0x100_0000, 0x100_1000)), Err(Full));
        assert_eq!(map.remove(0x1000, 0x2000), Err(Full));
        assert_eq!(map.regions().len(), 64);
    }
}
