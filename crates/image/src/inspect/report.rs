//! The report as data: what `maize inspect --json` prints. Sizes are in bytes, addresses are those
//! in the running program.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a multi-ISA executable holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this structure.
    pub version: u32,
    /// Bytes of the whole file.
    pub file_bytes: u64,
    /// What there is for each ISA, x86-64 first.
    pub isas: Vec<IsaReport>,
    /// All functions that symbol tables name, by rising address. Their addresses are the same on
    /// every ISA.
    pub functions: Vec<FunctionReport>,
}

/// What there is for one ISA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IsaReport {
    /// The ISA's name, as on the command line.
    pub isa: String,
    /// Address at which the program starts.
    pub entry: u64,
    /// Bytes of the file that are for this ISA; x86-64's include the data all ISAs share.
    pub file_bytes: u64,
    /// Address of the first byte of text.
    pub text_start: u64,
    /// Bytes of text with padding.
    pub text_bytes: u64,
    /// Bytes of text that only make functions have the same addresses on every ISA: the sum over
    /// all functions of slot size less the function's size on this ISA. Counts alignment too.
    pub padding_bytes: u64,
    /// Functions that the symbol table names.
    pub functions: u64,
    /// Calls at which an activation can be suspended.
    pub call_sites: u64,
    /// Bytes of the descriptor and site table.
    pub table_bytes: u64,
    /// What is mapped, by rising address.
    pub segments: Vec<SegmentReport>,
    /// Sections in the order of the file.
    pub sections: Vec<SectionReport>,
}

/// One piece of memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentReport {
    /// Address of its first byte.
    pub address: u64,
    /// Bytes in memory.
    pub memory_bytes: u64,
    /// Bytes in the file; the rest starts as zero.
    pub file_bytes: u64,
    /// `r`, `w` and `x`, or `-` in their places.
    pub access: String,
}

/// One section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionReport {
    /// Name.
    pub name: String,
    /// Address of its first byte; 0 if it is not mapped.
    pub address: u64,
    /// Bytes.
    pub bytes: u64,
    /// Whether it is mapped; debug information and symbols are not.
    pub mapped: bool,
}

/// One function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionReport {
    /// Name; of several, the first global one.
    pub name: String,
    /// Other names of the same address.
    pub aliases: Vec<String>,
    /// Address.
    pub address: u64,
    /// Bytes from here to the next function, or to the end of text.
    pub slot_bytes: u64,
    /// Size on each ISA that has the function, by the ISA's name.
    pub bytes: BTreeMap<String, u64>,
}
