//! Addresses that linked code of one ISA gives to functions and variables.

use super::error::LinkError;
use maize_abi::symbols::linker;
use object::read::elf::ElfFile64;
use object::{LittleEndian, Object, ObjectSection, ObjectSymbol, SymbolKind};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The symbol table of a linked executable.
pub struct Symbols {
    functions: BTreeMap<String, BTreeSet<u64>>,
    data: BTreeMap<String, u64>,
    text_address: u64,
}

impl Symbols {
    /// Reads the symbols of an executable.
    pub fn read(executable: &[u8]) -> Result<Symbols, LinkError> {
        let internal = |error: object::Error| LinkError::Internal(error.to_string());
        let file = ElfFile64::<LittleEndian>::parse(executable).map_err(internal)?;
        let text = file.section_by_name(".text");
        let text = text.ok_or_else(|| LinkError::Internal(String::from("the linked program has no text")))?;
        let mut symbols = Symbols { functions: BTreeMap::new(), data: BTreeMap::new(), text_address: text.address() };
        for symbol in file.symbols().filter(|symbol| !symbol.is_undefined()) {
            let Ok(name) = symbol.name() else { continue };
            if name.is_empty() || matches!(symbol.kind(), SymbolKind::Section | SymbolKind::File) {
                continue;
            }
            if symbol.section_index() != Some(text.index()) {
                symbols.data.insert(name.to_owned(), symbol.address());
            } else if symbol.kind() == SymbolKind::Text {
                symbols.functions.entry(name.to_owned()).or_default().insert(symbol.address());
            } else {
                // The bounds of text, which the script defines within it.
                symbols.data.insert(name.to_owned(), symbol.address());
            }
        }
        Ok(symbols)
    }

    /// Where text starts.
    pub fn text_address(&self) -> u64 {
        self.text_address
    }

    /// Variables and what the script defines.
    pub fn data(&self) -> impl Iterator<Item = (&str, u64)> {
        let own = [linker::TEXT_START, linker::TEXT_END];
        self.data.iter().map(|(name, &address)| (name.as_str(), address)).filter(move |(name, _)| !own.contains(name))
    }

    /// The range of text.
    pub fn text(&self) -> Result<Range<u64>, LinkError> {
        let end = self.data.get(linker::TEXT_END).copied();
        let end = end.ok_or_else(|| LinkError::Internal(String::from("the end of text is not known")))?;
        Ok(self.text_address..end)
    }

    /// The first difference between the addresses of functions here and in another ISA's code.
    pub fn difference(&self, other: &Symbols) -> Option<String> {
        let names: BTreeSet<&String> = self.functions.keys().chain(other.functions.keys()).collect();
        names.into_iter().find_map(|name| match (self.functions.get(name), other.functions.get(name)) {
            (Some(here), Some(there)) if here == there => None,
            (here, there) => Some(format!("function {name} is at {here:x?} and {there:x?}")),
        })
    }
}
