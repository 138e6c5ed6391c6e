//! Moves at counted events: migration points that the program passes and system calls that it makes (docs/chaos.md). The same plan
//! moves the same program at the same places every time.

use crate::report::{Activation, Place};
use maize_abi::Isa;
use maize_abi::control::{Kind, Message, NEVER};
use std::fmt;
use std::iter::Peekable;
use std::str::FromStr;

/// Which events count, and at which to move where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPlan {
    /// The moves.
    pub moves: EventMoves,
    /// How often a migration point counts in a round; 0 for always.
    pub passes: u8,
}

/// At which events to move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventMoves {
    /// Drawn at random.
    Drawn(Draw),
    /// These.
    Listed(MoveList),
}

/// Moves drawn at random.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// The ISAs between which to move, the one to start on included.
    pub isas: Vec<Isa>,
    /// Decides everything.
    pub seed: u64,
    /// Events between moves on average; 1 to move at every one.
    pub mean: u64,
    /// At most so many moves.
    pub limit: u64,
}

/// One move: at the event with this number, counted from 1, to this ISA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The event.
    pub event: u64,
    /// Where to.
    pub to: Isa,
}

/// Moves by rising events; as text, `123:aarch64,456:x86_64`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MoveList(Vec<Move>);

/// Why a text is no list of moves.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoveListError {
    /// A part is not the number of an event, a colon and an ISA.
    #[error("\"{0}\" is not EVENT:ISA, as in 123:aarch64")]
    Part(String),
    /// Events do not rise.
    #[error("event {0} is not after the one before it")]
    Order(u64),
}

impl MoveList {
    /// A list of moves, if their events rise from 1.
    ///
    /// # Errors
    /// [`MoveListError::Order`].
    pub fn new(moves: Vec<Move>) -> Result<MoveList, MoveListError> {
        let mut before = 0;
        for next in &moves {
            if next.event <= before || next.event == NEVER {
                return Err(MoveListError::Order(next.event));
            }
            before = next.event;
        }
        Ok(MoveList(moves))
    }

    /// The moves in order.
    pub fn moves(&self) -> &[Move] {
        &self.0
    }
}

impl FromStr for MoveList {
    type Err = MoveListError;

    fn from_str(text: &str) -> Result<MoveList, MoveListError> {
        let parse = |part: &str| {
            let (event, isa) = part.split_once(':')?;
            let event = event.bytes().all(|byte| byte.is_ascii_digit()).then(|| event.parse().ok())??;
            Some(Move { event, to: Isa::from_name(isa)? })
        };
        let parts = text.split(',').filter(|_| !text.is_empty());
        let moves = parts.map(|part| parse(part).ok_or_else(|| MoveListError::Part(part.to_owned())));
        MoveList::new(moves.collect::<Result<_, _>>()?)
    }
}

impl fmt::Display for MoveList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, next) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(formatter, "{separator}{}:{}", next.event, next.to.name())?;
        }
        Ok(())
    }
}

impl EventPlan {
    /// The ISAs that the program may come to.
    pub fn isas(&self) -> Vec<Isa> {
        match &self.moves {
            EventMoves::Drawn(draw) => draw.isas.clone(),
            EventMoves::Listed(list) => list.moves().iter().map(|next| next.to).collect(),
        }
    }

    /// The moves one after the other, of a program that starts on `start`.
    pub fn schedule(&self, start: Isa) -> Box<dyn Iterator<Item = Move>> {
        match &self.moves {
            EventMoves::Listed(list) => Box::new(list.moves().to_vec().into_iter()),
            EventMoves::Drawn(draw) => Box::new(draw.schedule(start)),
        }
    }
}

impl Draw {
    /// Distances between moves are drawn evenly from 1 to twice the mean less 1, the next ISA evenly from the others.
    fn schedule(&self, start: Isa) -> impl Iterator<Item = Move> + use<> {
        let Draw { isas, seed, mean, limit } = self.clone();
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut event, mut at) = (0_u64, start);
        let longest = mean.clamp(1, NEVER / 4) * 2 - 1;
        (0..limit).map_while(move |_| {
            event = event.checked_add(random.u64(1..=longest)).filter(|&event| event != NEVER)?;
            let others: Vec<Isa> = isas.iter().copied().filter(|&isa| isa != at).collect();
            // With one ISA in the plan, to a fresh process of it.
            at = if others.is_empty() { at } else { others[random.usize(0..others.len())] };
            Some(Move { event, to: at })
        })
    }
}

/// The moves at events that a process is still to make, and what it says of them.
pub(crate) struct Counted {
    moves: Peekable<Box<dyn Iterator<Item = Move>>>,
    passes: u8,
    /// How many activations of a place are kept.
    depth: usize,
    /// What is known of the place at which the process waits to be moved; without an event it does not wait.
    place: Place,
    /// How many events there were in all.
    passed: Option<u64>,
}

impl Counted {
    /// Those of a plan, of a process that starts on `start`.
    pub(crate) fn new(plan: &EventPlan, start: Isa) -> Counted {
        let depth = match plan.moves {
            EventMoves::Listed(_) => usize::MAX,
            // Thousands of moves may be drawn.
            EventMoves::Drawn(_) => 1,
        };
        let moves = plan.schedule(start).peekable();
        Counted { moves, passes: plan.passes, depth, place: Place::default(), passed: None }
    }

    /// What the process is asked for as it starts: the first values of `Run`.
    pub(crate) fn request(&mut self) -> [u64; 3] {
        [1, self.next_event(), self.passes.into()]
    }

    /// The event of the next move.
    pub(crate) fn next_event(&mut self) -> u64 {
        self.moves.peek().map_or(NEVER, |next| next.event)
    }

    /// Where the next move goes, which is the next no more.
    pub(crate) fn next(&mut self) -> Option<Isa> {
        self.moves.next().map(|next| next.to)
    }

    /// Whether the process waits at an event to be moved.
    pub(crate) fn is_reached(&self) -> bool {
        self.place.event > 0
    }

    /// Where it waits, as it is about to be moved.
    pub(crate) fn take_place(&mut self) -> Place {
        std::mem::take(&mut self.place)
    }

    /// How many events there were in all, once the process has said so.
    pub(crate) fn passed(&self) -> Option<u64> {
        self.passed
    }

    /// Takes note of what a message says about events.
    pub(crate) fn hear(&mut self, message: &Message) {
        match message.kind() {
            Some(Kind::Frames) => {
                let activations = message.values.iter().filter_map(|&value| Activation::from_number(value));
                let room = self.depth.saturating_sub(self.place.activations.len());
                self.place.activations.extend(activations.take(room));
            }
            Some(Kind::Reached) => {
                let [event, call, ..] = message.values;
                self.place.event = event;
                self.place.system_call = (call != NEVER).then_some(call);
            }
            Some(Kind::Passed) => self.passed = Some(message.values[0]),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_written_as_they_are_read() {
        for text in ["", "1:x86_64", "123:aarch64,456:x86_64,457:riscv64"] {
            assert_eq!(text.parse::<MoveList>().unwrap().to_string(), text);
        }
        for wrong in [
            "1",
            "0:x86_64",
            "1:vax",
            ":x86_64",
            "+1:x86_64",
            "2:x86_64,2:aarch64",
            "1:x86_64,",
            "99999999999999999999:x86_64",
        ] {
            assert!(wrong.parse::<MoveList>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_seed_fixes_the_moves_and_none_stays() {
        let draw = Draw { isas: Isa::ALL.to_vec(), seed: 7, mean: 100, limit: 1000 };
        let moves: Vec<Move> = draw.schedule(Isa::X86_64).collect();
        assert_eq!(moves, draw.schedule(Isa::X86_64).collect::<Vec<_>>());
        assert_eq!(moves.len(), 1000);
        assert!((80_000..120_000).contains(&moves[999].event), "{}", moves[999].event);
        let mut at = Isa::X86_64;
        for next in &moves {
            assert_ne!(next.to, at);
            at = next.to;
        }
        assert!(MoveList::new(moves).is_ok());
    }

    #[test]
    fn a_mean_of_one_is_every_event() {
        let draw = Draw { isas: vec![Isa::X86_64], seed: 1, mean: 1, limit: 5 };
        let events: Vec<u64> = draw.schedule(Isa::X86_64).map(|next| next.event).collect();
        assert_eq!(events, [1, 2, 3, 4, 5]);
    }
}
