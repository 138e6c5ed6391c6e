//! Stepping from a suspended frame to its caller, by the site table (`maize_abi::site_table`).

use crate::isa::{Context, register_slot};
use maize_abi::layout::DESCRIPTOR_BASE;
use maize_abi::site_table::{Descriptor, MAGIC, Site, VERSION, shape};

/// This ISA's site table.
#[derive(Clone, Copy)]
pub struct SiteTable {
    text_start: u64,
    sites: &'static [Site],
    shapes: &'static [u32],
}

/// A frame that can be suspended.
#[derive(Clone, Copy)]
pub struct Frame {
    /// Address of its save pad.
    pub pad: u64,
    /// Stack pointer with which the pad runs.
    pub stack_pointer: u64,
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
            let (site_count, shape_words) = (descriptor.site_count as usize, descriptor.shape_words as usize);
            Some(SiteTable {
                text_start: descriptor.text_start,
                sites: core::slice::from_raw_parts(descriptor.sites as *const Site, site_count),
                shapes: core::slice::from_raw_parts(descriptor.shapes as *const u32, shape_words),
            })
        }
    }

    fn find(&self, return_address: u64) -> Option<&'static Site> {
        let offset = u32::try_from(return_address.checked_sub(self.text_start)?).ok()?;
        let after = self.sites.partition_point(|site| site.start < offset);
        let site = self.sites.get(after.checked_sub(1)?)?;
        (offset <= site.end).then_some(site)
    }

    /// The frame suspended at `context`: where its pad is, and its caller. `None` if the call at
    /// `context`'s program counter is not a site.
    pub fn frame(&self, context: &Context) -> Option<Frame> {
        let site = self.find(context.program_counter)?;
        let words = self.shapes.get(site.shape as usize..)?;
        let (&first, &cfa_offset, &pushed) = (words.first()?, words.get(1)?, words.get(2)?);
        let (cfa_register, saved_count) = (first & 0xffff, (first >> 16) as usize);
        let cfa_base = *context.register(cfa_register)?;
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
        Some(Frame {
            pad: self.text_start + u64::from(site.pad),
            stack_pointer: context.stack_pointer + u64::from(pushed),
            caller,
        })
    }
}
