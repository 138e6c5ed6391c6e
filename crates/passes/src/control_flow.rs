//! Control-flow facts the passes need: reverse postorder, dominators, loops.
//!
//! Dominators follow Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm" (2001).

use crate::ir::{Block, Function};
use std::collections::{HashMap, HashSet};

/// The reachable part of a function's control-flow graph.
pub struct ControlFlow {
    /// Reachable blocks in reverse postorder; the entry first.
    pub order: Vec<Block>,
    /// Position of each block in `order`.
    pub position: HashMap<Block, usize>,
    /// Predecessors by position.
    pub predecessors: Vec<Vec<usize>>,
    /// Successors by position.
    pub successors: Vec<Vec<usize>>,
}

/// A place where control can come back: a natural loop, or the target of a retreating edge of irreducible flow.
pub struct Loop {
    /// Position of the header.
    pub header: usize,
    /// Positions of all blocks in the loop, the header included. For irreducible flow only the header is known.
    pub blocks: HashSet<usize>,
    /// Positions of the blocks that branch back to the header.
    pub latches: Vec<usize>,
    /// Whether the header dominates every latch.
    pub natural: bool,
}

/// In how many of these loops a block is.
pub fn depth(loops: &[Loop], position: usize) -> usize {
    loops.iter().filter(|this| this.blocks.contains(&position)).count()
}

impl ControlFlow {
    /// Walks a function.
    pub fn of(function: Function) -> ControlFlow {
        let order = reverse_postorder(function);
        let position: HashMap<Block, usize> = order.iter().enumerate().map(|(index, &block)| (block, index)).collect();
        let mut predecessors = vec![Vec::new(); order.len()];
        let mut successors = vec![Vec::new(); order.len()];
        for (index, block) in order.iter().enumerate() {
            for successor in block.successors() {
                let successor = position[&successor];
                successors[index].push(successor);
                predecessors[successor].push(index);
            }
        }
        ControlFlow { order, position, predecessors, successors }
    }

    /// The dominators of every block.
    pub fn dominators(&self) -> Dominators {
        const UNKNOWN: usize = usize::MAX;
        let mut dominators = Dominators(vec![UNKNOWN; self.order.len()]);
        if let Some(entry) = dominators.0.first_mut() {
            *entry = 0;
        }
        let mut changed = true;
        while changed {
            changed = false;
            for block in 1..self.order.len() {
                let known = self.predecessors[block].iter().copied().filter(|&before| dominators.0[before] != UNKNOWN);
                let Some(common) = known.reduce(|left, right| dominators.nearest_common(left, right)) else {
                    continue;
                };
                if dominators.0[block] != common {
                    dominators.0[block] = common;
                    changed = true;
                }
            }
        }
        dominators
    }

    /// All loops, one per header, in reverse postorder of their headers (outer before inner).
    pub fn loops(&self, dominators: &Dominators) -> Vec<Loop> {
        let mut loops = Vec::new();
        for header in 0..self.order.len() {
            // In reverse postorder exactly the retreating edges go backwards.
            let latches: Vec<usize> =
                self.predecessors[header].iter().copied().filter(|&latch| latch >= header).collect();
            if latches.is_empty() {
                continue;
            }
            let natural = latches.iter().all(|&latch| dominators.dominates(header, latch));
            let blocks = if natural { self.natural_loop(header, &latches) } else { HashSet::from([header]) };
            loops.push(Loop { header, blocks, latches, natural });
        }
        loops
    }

    fn natural_loop(&self, header: usize, latches: &[usize]) -> HashSet<usize> {
        let mut blocks = HashSet::from([header]);
        let mut work = latches.to_vec();
        while let Some(block) = work.pop() {
            if blocks.insert(block) {
                work.extend(&self.predecessors[block]);
            }
        }
        blocks
    }
}

fn reverse_postorder(function: Function) -> Vec<Block> {
    let mut order = Vec::new();
    let mut visited = HashSet::from([function.entry()]);
    let mut stack = vec![(function.entry(), function.entry().successors(), 0)];
    while let Some((block, successors, next)) = stack.last_mut() {
        if let Some(&successor) = successors.get(*next) {
            *next += 1;
            if visited.insert(successor) {
                stack.push((successor, successor.successors(), 0));
            }
        } else {
            order.push(*block);
            stack.pop();
        }
    }
    order.reverse();
    order
}

/// The immediate dominator of each block, by position; the entry dominates itself.
pub struct Dominators(Vec<usize>);

impl Dominators {
    /// The closest block through which every way to either of two leads.
    pub fn nearest_common(&self, mut left: usize, mut right: usize) -> usize {
        while left != right {
            while left > right {
                left = self.0[left];
            }
            while right > left {
                right = self.0[right];
            }
        }
        left
    }

    /// Whether every way to `block` leads through `dominator`.
    pub fn dominates(&self, dominator: usize, mut block: usize) -> bool {
        while block > dominator {
            block = self.0[block];
        }
        block == dominator
    }
}
