//! The program's memory: every mapping is in the portable range and in a table that moves with the program, so that the next
//! process can make the same mappings. [`map`] is the table, [`calls`] the system calls, [`parts`] moves what the kernel keeps apart.

#[cfg(not(test))]
pub mod calls;
pub mod map;
mod parts;

#[cfg(not(test))]
pub use host::*;

#[cfg(not(test))]
mod host {
    use super::map::{Kind, Map, Region};
    use crate::process::fatal;
    use crate::sync::{Guard, Lock};
    use crate::syscall::kernel;
    use crate::syscall::numbers::*;
    use core::sync::atomic::{AtomicU64, Ordering};
    use maize_abi::layout::{PAGE_SIZE, RUNTIME_END, RUNTIME_START, THREAD_SIZE, THREADS_END, THREADS_START};

    /// The table grows by this much, bytes.
    const STEP: u64 = 16 * PAGE_SIZE;
    /// So many entries are kept free: no operation adds more.
    const RESERVE: usize = 4;

    static MAP: Lock<Map> = Lock::new(Map::new());

    /// The map of the program's memory, for as long as the guard lives.
    pub fn map() -> Guard<'static, Map> {
        MAP.lock()
    }

    /// The map, with room for any one operation; `None` if there is no memory for it.
    pub(super) fn map_with_room() -> Option<Guard<'static, Map>> {
        let mut map = MAP.lock();
        if map.room() >= RESERVE {
            return Some(map);
        }
        let end = RUNTIME_START + (map.capacity() * size_of::<Region>()) as u64;
        let end = end.next_multiple_of(PAGE_SIZE);
        if end + STEP > RUNTIME_END || map_at(end, STEP, PROT_READ | PROT_WRITE, 0) != end as i64 {
            return None;
        }
        let capacity = (end + STEP - RUNTIME_START) as usize / size_of::<Region>();
        // SAFETY: the table's memory has just been made that large.
        unsafe { map.set_room(RUNTIME_START as *mut Region, capacity) };
        map.insert(Region::anonymous(end, end + STEP, (PROT_READ | PROT_WRITE) as u32, Kind::Runtime)).ok()?;
        Some(map)
    }

    /// Enters a region of the runtime's own; `None` if there is no memory for the table.
    pub fn add(region: Region) -> Option<()> {
        map_with_room()?.insert(region).ok()
    }

    /// Makes one more place for what is kept for a thread, and counts it; `None` if there is no memory for it.
    pub fn add_thread(places: &AtomicU64) -> Option<()> {
        let mut map = map_with_room()?;
        let start = THREADS_START + places.load(Ordering::Relaxed) * THREAD_SIZE;
        let protection = PROT_READ | PROT_WRITE;
        if start + THREAD_SIZE > THREADS_END || map_at(start, THREAD_SIZE, protection, 0) != start as i64 {
            return None;
        }
        map.insert(Region::anonymous(start, start + THREAD_SIZE, protection as u32, Kind::Runtime)).ok()?;
        places.fetch_add(1, Ordering::Release);
        Some(())
    }

    /// Maps private memory where nothing is; returns its address or a negated error.
    pub fn map_at(address: u64, size: u64, protection: u64, flags: u64) -> i64 {
        let flags = flags | MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
        // SAFETY: nothing that exists is replaced.
        let result = unsafe { kernel::call(MMAP, [address, size, protection, flags, u64::MAX, 0]) };
        if result > 0 && result != address as i64 {
            // A kernel that does not know the flag took the address for a hint.
            // SAFETY: the mapping was made just now.
            unsafe { kernel::call(MUNMAP, [result as u64, size]) };
            return -EEXIST;
        }
        result
    }

    /// Maps memory for the host process, anywhere; it does not move. Returns its address.
    pub fn map_for_host(size: u64) -> Option<u64> {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
        // SAFETY: nothing that exists is replaced.
        let result = unsafe { kernel::call(MMAP, [0, size, PROT_READ | PROT_WRITE, flags, u64::MAX, 0]) };
        (result > 0).then_some(result as u64)
    }

    unsafe extern "C" {
        static __maize_data_start: u8;
        static __maize_data_end: u8;
        static __maize_program_bss_start: u8;
    }

    /// Where in the image's data what starts as zero and is not the runtime's begins; it goes on to the end.
    pub fn program_bss_start() -> u64 {
        &raw const __maize_program_bss_start as u64
    }

    /// Sets up the map of a program that starts: the image's data, and the shadow stack that is made here. Returns the
    /// shadow stack's top.
    pub fn initialise(shadow_stack_size: u64) -> u64 {
        let protection = PROT_READ | PROT_WRITE;
        let (data_start, data_end) = (&raw const __maize_data_start as u64, &raw const __maize_data_end as u64);
        let top = maize_abi::layout::MMAP_END - PAGE_SIZE;
        let bottom = top - shadow_stack_size;
        if map_at(bottom, shadow_stack_size, protection, MAP_NORESERVE) != bottom as i64 {
            fatal("the shadow stack cannot be mapped: the address space is taken or limited");
        }
        let regions = [
            Region::anonymous(data_start, data_end, protection as u32, Kind::Image),
            // Its guard: never mapped, and never given to anything else.
            Region::anonymous(bottom - PAGE_SIZE, bottom, 0, Kind::Shadow),
            Region::anonymous(bottom, top, protection as u32, Kind::Shadow),
        ];
        for region in regions {
            if region.start < region.end && map_with_room().and_then(|mut map| map.insert(region).ok()).is_none() {
                fatal("there is no memory for the table of mappings");
            }
        }
        top
    }
}
