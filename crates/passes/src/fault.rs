//! Deliberate defects, by which tests show that they find a broken pass. No command makes any.

use crate::ir::{Function, Value};

/// A defect in the records of one function.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The function's name in the source.
    pub function: String,
    /// What is wrong.
    pub kind: FaultKind,
}

/// What a record of a suspended activation gets wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The last live word is 0 in the record.
    Drop,
    /// The first two live words of one type are in each other's place.
    Swap,
}

impl Fault {
    /// Whether the function has the defect; internal functions have got a suffix.
    pub(crate) fn concerns(&self, function: Function) -> bool {
        let name = function.name();
        name.strip_prefix(&self.function).is_some_and(|suffix| suffix.is_empty() || suffix.starts_with('.'))
    }

    /// Breaks a record.
    pub(crate) fn apply(&self, words: &mut [Value]) {
        match self.kind {
            FaultKind::Drop => {
                if let Some(word) = words.last_mut() {
                    *word = word.ty().zero();
                }
            }
            FaultKind::Swap => {
                let pairs =
                    (0..words.len()).flat_map(|first| (first + 1..words.len()).map(move |second| (first, second)));
                if let Some((first, second)) =
                    pairs.into_iter().find(|&(first, second)| words[first].ty() == words[second].ty())
                {
                    words.swap(first, second);
                }
            }
        }
    }
}
