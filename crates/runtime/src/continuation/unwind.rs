//! Stepping from a suspended frame to its caller, by the site table (`maize_abi::site_table`).

use crate::isa::{Context, Registers, register_slot};
use core::ops::Range;
use maize_abi::layout::DESCRIPTOR_BASE;
use maize_abi::site_table::{Descriptor, Function, Handler, MAGIC, Point, Site, VERSION, location, shape};

/// This ISA's site table.
#[derive(Clone, Copy)]
pub struct SiteTable {
    /// The places that can be overwritten with traps.
    pub points: &'static [Point],
    descriptor: &'static Descriptor,
    sites: &'static [Site],
    functions: &'static [Function],
    handlers: &'static [Handler],
    words: &'static [u32],
}

/// A frame that can be suspended.
#[derive(Clone, Copy)]
pub struct Frame {
    /// The call it is suspended at.
    pub site: &'static Site,
    /// The caller, as it will be when this frame returns.
    pub caller: Context,
}

impl SiteTable {
    /// The table the linker put into this process's image; `None` if there is none of this version.
    pub fn of_this_image() -> Option<SiteTable> {
        // SAFETY: every Maize image maps its descriptor, and the tables it names, at this address.
        unsafe {
            let descriptor = &*(DESCRIPTOR_BASE as *const Descriptor);
            if descriptor.magic != MAGIC || descriptor.version != VERSION {
                return None;
            }
            let Descriptor { points, point_count, sites, site_count, words, word_count, .. } = *descriptor;
            let Descriptor { functions, function_count, handlers, handler_count, .. } = *descriptor;
            Some(SiteTable {
                points: core::slice::from_raw_parts(points as *const Point, point_count as usize),
                descriptor,
                sites: core::slice::from_raw_parts(sites as *const Site, site_count as usize),
                functions: core::slice::from_raw_parts(functions as *const Function, function_count as usize),
                handlers: core::slice::from_raw_parts(handlers as *const Handler, handler_count as usize),
                words: core::slice::from_raw_parts(words as *const u32, word_count as usize),
            })
        }
    }

    /// The addresses of this image's code.
    pub fn text(&self) -> Range<u64> {
        self.descriptor.text_start..self.descriptor.text_end
    }

    /// The addresses of this table.
    pub fn extent(&self) -> Range<u64> {
        DESCRIPTOR_BASE..DESCRIPTOR_BASE + self.descriptor.total_size
    }

    /// The point at an address.
    pub fn point(&self, address: u64) -> Option<&'static Point> {
        let address = u32::try_from(address).ok()?;
        let index = self.points.binary_search_by_key(&address, |point| point.address).ok()?;
        self.points.get(index)
    }

    /// The points of the function that an address is in.
    pub fn points_around(&self, address: u64) -> Range<usize> {
        let Ok(address) = u32::try_from(address) else { return 0..0 };
        let after = self.functions.partition_point(|function| function.start <= address);
        // A call may be its function's last instruction.
        match after.checked_sub(1).and_then(|index| self.functions.get(index)) {
            Some(function) if address <= function.end => {
                let first = |limit| self.points.partition_point(|point| point.address < limit);
                first(function.start)..first(function.end)
            }
            _ => 0..0,
        }
    }

    /// What the function does in which the call before a return address is, if an exception passes through it.
    pub fn handler(&self, return_address: u64) -> Option<&'static Handler> {
        // The function may end with the call.
        let call = u32::try_from(return_address).ok()?.checked_sub(1)?;
        let after = self.handlers.partition_point(|handler| handler.start <= call);
        self.handlers.get(after.checked_sub(1)?).filter(|handler| call < handler.end)
    }

    /// The site of the call to which a trap at a point leads: the first that follows where it leads to.
    pub fn site_of(&self, point: &Point) -> Option<&'static Site> {
        let index = self.sites.partition_point(|site| site.return_address <= point.target);
        self.sites.get(index)
    }

    fn find(&self, return_address: u64) -> Option<&'static Site> {
        let address = u32::try_from(return_address).ok()?;
        let index = self.sites.binary_search_by_key(&address, |site| site.return_address).ok()?;
        self.sites.get(index)
    }

    /// The frame suspended at `context`. `None` if the call at `context`'s program counter is not a site.
    pub fn frame(&self, context: &Context) -> Option<Frame> {
        let site = self.find(context.program_counter)?;
        let words = self.words.get(site.shape as usize..)?;
        let (&first, &cfa_offset) = (words.first()?, words.get(1)?);
        let (cfa_register, saved_count) = (first & 0xffff, (first >> 16) as usize);
        let cfa_base = context.register(cfa_register)?;
        let cfa = cfa_base.wrapping_add_signed(i64::from(cfa_offset as i32));

        let mut caller = *context;
        for &word in words.get(shape::HEADER_WORDS..shape::HEADER_WORDS + saved_count)? {
            let (register, offset) = shape::unpack(word);
            // SAFETY: the linker derived the offset from the frame's own unwind information, and the
            // frame is live: it lies between the stack pointer and the CFA.
            let value = unsafe { *(cfa.wrapping_add_signed(offset) as *const u64) };
            if register == shape::RETURN_ADDRESS {
                caller.program_counter = value;
            } else {
                let slot = register_slot(register)?;
                *caller.registers.get_mut(slot)? = value;
            }
        }
        caller.stack_pointer = cfa;
        Some(Frame { site, caller })
    }

    /// How many words are live at a site.
    pub fn value_count(&self, site: &Site) -> u32 {
        self.words.get(site.locations as usize).copied().unwrap_or(0)
    }

    /// The words live at a site, from the frame that is suspended there; ends early, which it never should, at
    /// a location this ISA does not have.
    pub fn values<'a, R: Registers>(&self, site: &Site, registers: &'a R) -> impl Iterator<Item = u64> + use<'a, R> {
        let start = site.locations as usize + 1;
        let mut words = self.words.get(start..).unwrap_or_default().iter().copied();
        let mut left = self.value_count(site);
        core::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let (kind, register, offset) = location::unpack(words.next()?);
            match kind {
                location::KIND_REGISTER => registers.register(register),
                location::KIND_MEMORY => {
                    let address = registers.register(register)?.wrapping_add_signed(offset.into());
                    // SAFETY: the compiler keeps the value in this slot of the live frame while the call runs.
                    Some(unsafe { (address as *const u64).read_unaligned() })
                }
                _ => Some(u64::from(words.next()?) | u64::from(words.next()?) << 32),
            }
        })
    }
}
