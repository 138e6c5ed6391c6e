//! Frame descriptions (`.eh_frame`; Linux Standard Base 5.0, 10.6): how to step over the frame of each call, and which functions handle
//! exceptions.

use gimli::{
    BaseAddresses, CfaRule, CieOrFde, EhFrame, EndianSlice, LittleEndian, Pointer, RegisterRule, UnwindContext,
    UnwindSection,
};
use maize_abi::Isa;
use maize_abi::site_table::{Function, Handler, Point, shape};
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection};

type Slice<'a> = EndianSlice<'a, LittleEndian>;
type File<'a> = ElfFile64<'a, object::LittleEndian>;

/// The frame descriptions of `.eh_frame`, by address.
pub struct Frames<'a> {
    section: EhFrame<Slice<'a>>,
    bases: BaseAddresses,
    descriptions: Vec<gimli::FrameDescriptionEntry<Slice<'a>>>,
}

impl<'a> Frames<'a> {
    /// Reads the section's `data`, which is at `address`; `text` is where code starts.
    pub fn new(data: &'a [u8], address: u64, text: u64) -> Result<Frames<'a>, gimli::Error> {
        let section = EhFrame::new(data, LittleEndian);
        let bases = BaseAddresses::default().set_eh_frame(address).set_text(text);
        let mut descriptions = Vec::new();
        let mut entries = section.entries(&bases);
        while let Some(entry) = entries.next()? {
            if let CieOrFde::Fde(partial) = entry {
                descriptions.push(partial.parse(EhFrame::cie_from_offset)?);
            }
        }
        descriptions.sort_by_key(|description| description.initial_address());
        Ok(Frames { section, bases, descriptions })
    }

    /// How to step over the frame suspended at a return address.
    pub fn shape(&self, unwind: &mut UnwindContext<usize>, isa: Isa, return_address: u64) -> Result<Vec<u32>, String> {
        // The state at the call itself: the return address may be past the function's end.
        let call = return_address - 1;
        let after = self.descriptions.partition_point(|description| description.initial_address() <= call);
        let description = after.checked_sub(1).and_then(|index| self.descriptions.get(index));
        let description = description.filter(|description| description.contains(call));
        let description = description.ok_or("there is no frame description")?;
        if isa != Isa::X86_64 {
            return self.full_frame(unwind, description, stack_pointer(isa));
        }
        let row = description
            .unwind_info_for_address(&self.section, &self.bases, unwind, call)
            .map_err(|error| error.to_string())?;
        Ok(encode(row, description.cie().return_address_register())?.words)
    }

    /// The functions that have points, of which `points` is the sorted list.
    pub fn functions_with(&self, points: &[Point]) -> Vec<Function> {
        let functions = self.descriptions.iter().filter_map(|description| {
            let start = u32::try_from(description.initial_address()).ok()?;
            Some(Function { start, end: u32::try_from(description.end_address()).ok()? })
        });
        let has_points = |function: &Function| {
            let first = points.partition_point(|point| point.address < function.start);
            points.get(first).is_some_and(|point| point.address < function.end)
        };
        functions.filter(has_points).collect()
    }

    /// The functions that take part in exceptions.
    pub fn handlers(&self, file: &File<'_>) -> Result<Vec<Handler>, String> {
        let mut handlers = Vec::new();
        for description in &self.descriptions {
            let (Some(data), Some(personality)) = (description.lsda(), description.personality()) else { continue };
            let narrow = |address: u64| {
                u32::try_from(address).map_err(|_| format!("exception tables refer to {address:#x}, above 4 GiB"))
            };
            let handler = Handler {
                start: narrow(description.initial_address())?,
                end: narrow(description.end_address())?,
                language_data: narrow(pointed_to(file, data)?)?,
                personality: narrow(pointed_to(file, personality)?)?,
            };
            if handler.language_data != 0 {
                handlers.push(handler);
            }
        }
        Ok(handlers)
    }

    /// The frame with its prologue done, as at every call. LLVM describes AArch64 and RISC-V functions wrongly from where a
    /// prologue that was sunk into a branch has been duplicated (only x86-64 has a pass that repairs this); but where it is right, all calls have
    /// the same frame: the largest, with everything saved.
    fn full_frame(
        &self,
        unwind: &mut UnwindContext<usize>,
        description: &gimli::FrameDescriptionEntry<Slice<'a>>,
        stack_pointer: u16,
    ) -> Result<Vec<u32>, String> {
        let failed = |error: gimli::Error| error.to_string();
        let mut rows = description.rows(&self.section, &self.bases, unwind).map_err(failed)?;
        let mut best: Option<Shape> = None;
        while let Some(row) = rows.next_row().map_err(failed)? {
            let shape = encode(row, description.cie().return_address_register())?;
            if best.as_ref().is_none_or(|best| shape.extent(stack_pointer) > best.extent(stack_pointer)) {
                best = Some(shape);
            }
        }
        // A frame with a call in it has saved its return address.
        let shape = best.filter(|shape| shape.saves_return_address).ok_or("the return address is not saved")?;
        Ok(shape.words)
    }
}

/// DWARF number of the stack pointer (psABI of each ISA).
fn stack_pointer(isa: Isa) -> u16 {
    match isa {
        Isa::X86_64 => 7,
        Isa::Aarch64 => 31,
        Isa::Riscv64 => 2,
    }
}

/// One encoded shape, and how much of a frame it describes.
struct Shape {
    words: Vec<u32>,
    cfa_register: u16,
    cfa_offset: i64,
    saves_return_address: bool,
}

impl Shape {
    /// Larger for what holds at more of the calls: a frame pointer stays where it is when the stack pointer moves on.
    fn extent(&self, stack_pointer: u16) -> (usize, bool, i64) {
        (self.words.len(), self.cfa_register != stack_pointer, self.cfa_offset)
    }
}

fn encode(row: &gimli::UnwindTableRow<usize>, return_register: gimli::Register) -> Result<Shape, String> {
    let &CfaRule::RegisterAndOffset { register, offset } = row.cfa() else {
        return Err(String::from("the frame's address is an expression"));
    };
    if row.saved_args_size() != 0 {
        return Err(String::from("arguments are pushed, which a landing pad would not take off the stack"));
    }
    let mut saved = Vec::new();
    for (register, rule) in row.registers() {
        let offset = match rule {
            RegisterRule::Offset(offset) => *offset,
            RegisterRule::Undefined | RegisterRule::SameValue => continue,
            _ => return Err(format!("register {} is saved in an unknown way", register.0)),
        };
        let number = if *register == return_register { shape::RETURN_ADDRESS } else { u32::from(register.0) };
        saved.push(shape::saved(number, offset).ok_or("the frame is too large")?);
    }
    saved.sort_unstable();
    let saves_return_address = saved.iter().any(|&word| shape::unpack(word).0 == shape::RETURN_ADDRESS);
    let mut words = vec![u32::from(register.0) | (saved.len() as u32) << 16, offset as i32 as u32];
    words.extend(saved);
    Ok(Shape { words, cfa_register: register.0, cfa_offset: offset, saves_return_address })
}

/// What a pointer means, which may be the address of a variable with the address in it.
fn pointed_to(file: &File<'_>, pointer: Pointer) -> Result<u64, String> {
    let at = match pointer {
        Pointer::Direct(address) => return Ok(address),
        Pointer::Indirect(at) => at,
    };
    let variable = file.sections().find_map(|section| section.data_range(at, 8).ok().flatten());
    let bytes = variable.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    bytes.map(u64::from_le_bytes).ok_or_else(|| format!("exception tables refer to {at:#x}, where nothing is"))
}
