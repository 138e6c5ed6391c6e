//! Finding a function in the vDSO, an ELF image that the kernel maps (ELF gABI chapter 5).

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_GNU_HASH: u64 = 0x6fff_fef5;
const SYMBOL_SIZE: u64 = 24;

/// Reads a value of the image.
///
/// # Safety
/// There is one at this address, of any alignment.
unsafe fn read<T: Copy>(address: u64) -> T {
    // SAFETY: by the contract above.
    unsafe { (address as *const T).read_unaligned() }
}

/// The address of a function that the image at `image` defines.
///
/// # Safety
/// A whole ELF64 image of this byte order is mapped there.
pub unsafe fn find(image: u64, name: &[u8]) -> Option<u64> {
    // SAFETY: by the contract above, every table is where the headers say.
    unsafe {
        let (headers, count) = (image + read::<u64>(image + 32), u64::from(read::<u16>(image + 56)));
        let (mut dynamic, mut base) = (None, None);
        for header in (0..count).map(|index| headers + 56 * index) {
            match read::<u32>(header) {
                PT_LOAD if base.is_none() => {
                    base = Some(image.wrapping_add(read::<u64>(header + 8)).wrapping_sub(read::<u64>(header + 16)));
                }
                PT_DYNAMIC => dynamic = Some(image + read::<u64>(header + 8)),
                _ => {}
            }
        }
        let base = base?;
        let symbols = Symbols::of(base, dynamic?)?;
        (0..symbols.count()?).find_map(|index| symbols.definition(index, name)).map(|value| base.wrapping_add(value))
    }
}

/// The dynamic symbols of an image.
struct Symbols {
    table: u64,
    strings: u64,
    hash: u64,
    gnu_hash: u64,
}

impl Symbols {
    /// # Safety
    /// `dynamic` is the image's dynamic section.
    unsafe fn of(base: u64, mut dynamic: u64) -> Option<Symbols> {
        let mut symbols = Symbols { table: 0, strings: 0, hash: 0, gnu_hash: 0 };
        // SAFETY: DT_NULL ends the section.
        unsafe {
            loop {
                let (tag, value) = (read::<u64>(dynamic), read::<u64>(dynamic + 8));
                // Some loaders relocate the section, and some do not.
                let address = if value >= base { value } else { base.wrapping_add(value) };
                match tag {
                    0 => break,
                    DT_HASH => symbols.hash = address,
                    DT_GNU_HASH => symbols.gnu_hash = address,
                    DT_STRTAB => symbols.strings = address,
                    DT_SYMTAB => symbols.table = address,
                    _ => {}
                }
                dynamic += 16;
            }
        }
        (symbols.table != 0 && symbols.strings != 0).then_some(symbols)
    }

    /// How many symbols there are: one for each chain of the hash table, or up to the end of the GNU hash table's last chain.
    ///
    /// # Safety
    /// The tables are whole.
    unsafe fn count(&self) -> Option<u64> {
        // SAFETY: by the contract above.
        unsafe {
            if self.hash != 0 {
                return Some(read::<u32>(self.hash + 4).into());
            }
            if self.gnu_hash == 0 {
                return None;
            }
            let [buckets, first, bloom_words] = [0, 4, 8].map(|offset| u64::from(read::<u32>(self.gnu_hash + offset)));
            let bucket_table = self.gnu_hash + 16 + 8 * bloom_words;
            let chains = bucket_table + 4 * buckets;
            let last = (0..buckets).map(|index| u64::from(read::<u32>(bucket_table + 4 * index))).max()?;
            if last < first {
                return Some(first);
            }
            let mut index = last;
            while read::<u32>(chains + 4 * (index - first)) & 1 == 0 {
                index += 1;
            }
            Some(index + 1)
        }
    }

    /// The value of a symbol, if it is defined and has this name.
    ///
    /// # Safety
    /// There is a symbol with this index.
    unsafe fn definition(&self, index: u64, name: &[u8]) -> Option<u64> {
        let symbol = self.table + SYMBOL_SIZE * index;
        // SAFETY: by the contract above; names end with NUL.
        unsafe {
            let (text, section) = (self.strings + u64::from(read::<u32>(symbol)), read::<u16>(symbol + 6));
            let matches = (text..).zip(name).all(|(address, &byte)| read::<u8>(address) == byte);
            (section != 0 && matches && read::<u8>(text + name.len() as u64) == 0).then(|| read::<u64>(symbol + 8))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_s_vdso_has_a_clock_and_nothing_made_up() {
        let auxiliary = std::fs::read("/proc/self/auxv").unwrap();
        let words: Vec<u64> =
            auxiliary.chunks_exact(8).map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap())).collect();
        let Some(image) = words.chunks_exact(2).find(|pair| pair[0] == 33).map(|pair| pair[1]) else { return };
        let name: &[u8] =
            if cfg!(target_arch = "aarch64") { b"__kernel_clock_gettime" } else { b"__vdso_clock_gettime" };
        // SAFETY: the kernel mapped its vDSO there.
        unsafe {
            let address = find(image, name).unwrap();
            let clock: unsafe extern "C" fn(u64, *mut [i64; 2]) -> i32 = std::mem::transmute(address as *const ());
            let mut time = [0; 2];
            assert_eq!(clock(0, &mut time), 0);
            assert!(time[0] > 1_600_000_000);
            assert_eq!(find(image, b"__vdso_clock_gettim"), None);
        }
    }
}
