//! Collects the functions that all ISAs' symbol tables name.

use super::report::FunctionReport;
use maize_abi::Isa;
use object::LittleEndian as Le;
use object::elf;
use object::read::elf::{FileHeader, Sym};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Functions by address.
#[derive(Default)]
pub(super) struct Functions {
    at: BTreeMap<u64, Function>,
    /// The highest end of text.
    text_end: u64,
}

#[derive(Default)]
struct Function {
    /// Local names sort after global ones.
    names: BTreeSet<(bool, String)>,
    bytes: BTreeMap<String, u64>,
}

impl Functions {
    /// Adds what the symbol table of one ISA's ELF file says of addresses within `text`.
    pub(super) fn add(&mut self, isa: Isa, file: &[u8], text: &Range<u64>) -> Result<(), String> {
        self.text_end = self.text_end.max(text.end);
        let error = |error: object::read::Error| error.to_string();
        let header = elf::FileHeader64::<Le>::parse(file).map_err(error)?;
        let sections = header.sections(Le, file).map_err(error)?;
        let symbols = sections.symbols(Le, file, elf::SHT_SYMTAB).map_err(error)?;
        for symbol in symbols.iter() {
            let address = symbol.st_value(Le);
            // Absolute symbols are variables of x86-64's part.
            let is_own = symbol.st_type() == elf::STT_FUNC
                && !matches!(symbol.st_shndx(Le), elf::SHN_UNDEF | elf::SHN_ABS)
                && text.contains(&address);
            if is_own {
                let name = String::from_utf8_lossy(symbols.symbol_name(Le, symbol).map_err(error)?);
                let function = self.at.entry(address).or_default();
                function.names.insert((symbol.st_bind() == elf::STB_LOCAL, name.into_owned()));
                let bytes = function.bytes.entry(isa.name().to_owned()).or_default();
                *bytes = symbol.st_size(Le).max(*bytes);
            }
        }
        Ok(())
    }

    /// The functions by rising address, with the slots they have between them.
    pub(super) fn finish(self) -> Vec<FunctionReport> {
        let ends: Vec<u64> = self.at.keys().skip(1).copied().chain([self.text_end]).collect();
        let report = self.at.into_iter().zip(ends).map(|((address, function), end)| {
            let mut names = function.names.into_iter().map(|(_, name)| name);
            FunctionReport {
                name: names.next().unwrap_or_default(),
                aliases: names.collect(),
                address,
                slot_bytes: end.saturating_sub(address),
                bytes: function.bytes,
            }
        });
        report.collect()
    }
}
