//! Names places in a program: function, source file and line of suspended activations.
//!
//! An activation is known by its function's resume clone and the number of its site, which are the same on every ISA; x86-64's site table
//! leads from there to an address, and that to the symbol table and, if the program was built with `-g`, to the source.

use crate::error::ChaosError;
use crate::report::Frame;
use addr2line::Loader;
use maize_abi::Isa;
use maize_abi::symbols::RESUME_SUFFIX;
use maize_image::{Image, inspect};
use maize_node::Activation;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Names for places of one program.
pub struct Places {
    /// Addresses on x86-64 after the calls at which activations are suspended.
    sites: HashMap<Activation, u64>,
    functions: BTreeMap<u64, String>,
    /// Debug information, if it can be read.
    lines: Option<Loader>,
    /// How many migration points the program has.
    pub(crate) points: u64,
}

impl Places {
    /// Reads what there is to know about a program.
    ///
    /// # Errors
    /// If it is no program of Maize.
    pub fn of(path: &Path) -> Result<Places, ChaosError> {
        let image = Image::open(path)?;
        let functions: BTreeMap<u64, String> =
            inspect::inspect(&image)?.functions.into_iter().map(|function| (function.address, function.name)).collect();
        let mut places = Places {
            sites: HashMap::new(),
            functions,
            lines: Loader::new(path).ok(),
            points: image.points(Isa::X86_64)?.len() as u64,
        };
        for site in image.sites(Isa::X86_64)? {
            let activation = Activation { resume: site.resume, site: site.number };
            let address = u64::from(site.return_address);
            // The clone has the same sites as its function, which people know.
            let in_clone = places.symbol(address).is_some_and(|name| name.ends_with(RESUME_SUFFIX));
            if !in_clone || !places.sites.contains_key(&activation) {
                places.sites.insert(activation, address);
            }
        }
        Ok(places)
    }

    fn symbol(&self, address: u64) -> Option<&str> {
        // A return address may be the end of its function.
        self.functions.range(..address).next_back().map(|(_, name)| name.as_str())
    }

    /// The frames of activations, the innermost first; functions that were inlined are frames of their own.
    pub fn frames(&self, activations: &[Activation]) -> Vec<Frame> {
        activations.iter().flat_map(|activation| self.frames_of(activation)).collect()
    }

    fn frames_of(&self, activation: &Activation) -> Vec<Frame> {
        let Some(&address) = self.sites.get(activation) else {
            let name = self.functions.get(&activation.resume.into()).map(|name| plain(name));
            return vec![Frame { function: name, file: None, line: None }];
        };
        let mut frames = Vec::new();
        // Inside the call, not after it.
        if let Some(mut found) = self.lines.as_ref().and_then(|lines| lines.find_frames(address - 1).ok()) {
            while let Ok(Some(frame)) = found.next() {
                let name =
                    frame.function.as_ref().and_then(|function| function.raw_name().ok().map(|name| name.into_owned()));
                let location = frame.location.as_ref();
                frames.push(Frame {
                    function: name,
                    file: location.and_then(|location| location.file).map(str::to_owned),
                    line: location.and_then(|location| location.line).filter(|&line| line > 0),
                });
            }
        }
        if frames.iter().all(|frame| frame.function.is_none() && frame.line.is_none()) {
            frames = vec![Frame { function: self.symbol(address).map(plain), file: None, line: None }];
        }
        frames
    }
}

/// A name as the source has it: without the suffixes by which internal functions of different units, and resume clones, are told apart.
fn plain(name: &str) -> String {
    let name = name.strip_suffix(RESUME_SUFFIX).unwrap_or(name);
    let is_suffix = |text: &str| text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match name.rsplit_once('.') {
        Some((stem, suffix)) if is_suffix(suffix) => stem.to_owned(),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn names_lose_what_the_source_does_not_have() {
        assert_eq!(plain("main"), "main");
        assert_eq!(plain("sort.161b4c7857.resume"), "sort");
        assert_eq!(plain("sort.161b4c7857"), "sort");
        assert_eq!(plain("sort.cold"), "sort.cold");
    }
}
