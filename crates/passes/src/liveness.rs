//! Which SSA values are live at the start and at the end of each block.

use crate::control_flow::ControlFlow;
use crate::ir::{Function, Opcode, Value};
use std::collections::HashMap;

/// Live-in and live-out sets of a function's reachable blocks.
pub struct Liveness {
    values: Vec<Value>,
    numbers: HashMap<Value, usize>,
    live_in: Vec<BitSet>,
    live_out: Vec<BitSet>,
}

#[derive(Clone, PartialEq)]
struct BitSet(Vec<u64>);

impl BitSet {
    fn new(size: usize) -> BitSet {
        BitSet(vec![0; size.div_ceil(64)])
    }

    fn insert(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }

    fn contains(&self, index: usize) -> bool {
        self.0[index / 64] & (1 << (index % 64)) != 0
    }

    fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(word, &bits)| {
            std::iter::successors((bits != 0).then_some(bits), |bits| Some(bits & (bits - 1)).filter(|&rest| rest != 0))
                .map(move |bits| word * 64 + bits.trailing_zeros() as usize)
        })
    }
}

impl Liveness {
    /// Solves the backward dataflow equations. A phi's operand is live out of the predecessor it
    /// comes from, not into the phi's block.
    pub fn of(function: Function, flow: &ControlFlow) -> Liveness {
        let mut values = function.parameters();
        for block in &flow.order {
            values.extend(block.instructions().into_iter().filter(|instruction| instruction.ty().is_storable()));
        }
        let numbers: HashMap<Value, usize> = values.iter().enumerate().map(|(index, &value)| (value, index)).collect();
        let count = flow.order.len();
        let mut used = vec![BitSet::new(values.len()); count];
        let mut defined = vec![BitSet::new(values.len()); count];
        // Uses by phis of successors, live out of this block in any case.
        let mut phi_uses = vec![BitSet::new(values.len()); count];
        for (index, block) in flow.order.iter().enumerate() {
            let mut local = BitSet::new(values.len());
            for instruction in block.instructions() {
                if instruction.opcode() == Opcode::LLVMPHI {
                    for (value, predecessor) in instruction.incoming() {
                        if let (Some(&number), Some(&from)) = (numbers.get(&value), flow.position.get(&predecessor)) {
                            phi_uses[from].insert(number);
                        }
                    }
                } else {
                    for operand in instruction.operands() {
                        if let Some(&number) = numbers.get(&operand)
                            && !local.contains(number)
                        {
                            used[index].insert(number);
                        }
                    }
                }
                if let Some(&number) = numbers.get(&instruction) {
                    local.insert(number);
                }
            }
            defined[index] = local;
        }

        let mut live_in = used.clone();
        let mut live_out = phi_uses;
        let mut changed = true;
        while changed {
            changed = false;
            for block in (0..count).rev() {
                for &successor in &flow.successors[block] {
                    live_out[block].0.iter_mut().zip(&live_in[successor].0).for_each(|(into, from)| *into |= from);
                }
                let mut live = live_out[block].clone();
                for (word, into) in live.0.iter_mut().enumerate() {
                    *into = (*into & !defined[block].0[word]) | used[block].0[word];
                }
                if live != live_in[block] {
                    live_in[block] = live;
                    changed = true;
                }
            }
        }
        Liveness { values, numbers, live_in, live_out }
    }

    /// The values live at the end of the block at `position`, in order of definition: what any of its successors, or a phi there, needs.
    pub fn at_end(&self, position: usize) -> Vec<Value> {
        self.live_out[position].iter().map(|index| self.values[index]).collect()
    }

    /// Whether a value is live at the start of the block at `position`; a phi of that block is not.
    pub fn is_live_at_start(&self, value: Value, position: usize) -> bool {
        self.numbers.get(&value).is_some_and(|&number| self.live_in[position].contains(number))
    }
}
