//! The numbers of pseudo-terminals (`/dev/pts/N`). A program goes on knowing those that it has made by the numbers that they had, while the kernel of another machine has given them others
//! (docs/nodes.md). Who has the list of such pairs finds the one from the other by a rule, so that the processes of a program and its node agree without asking each other.

/// Numbers that no kernel gives are from here on (`NR_UNIX98_PTY_MAX`).
pub const BEYOND: u32 = 1 << 20;
/// So many terminals of a program have other numbers, at most.
pub const MOST: usize = 64;
/// In a [`crate::control::Kind::Terminals`] message: nothing.
pub const NONE: u64 = u64::MAX;

/// A terminal whose number is another one here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    /// By which the program knows it.
    pub known: u32,
    /// By which the kernel does.
    pub here: u32,
}

impl Number {
    /// As messages have it.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        (self.known as u64) << 32 | self.here as u64
    }

    /// From a message.
    #[must_use]
    pub const fn from_word(word: u64) -> Option<Number> {
        if word == NONE { None } else { Some(Number { known: (word >> 32) as u32, here: word as u32 }) }
    }
}

/// By which number the program knows a terminal that the kernel has given this one. If another of its terminals is known by that, one that no kernel gives.
#[must_use]
pub fn known(numbers: &[Number], here: u32) -> u32 {
    if let Some(number) = numbers.iter().find(|number| number.here == here) {
        return number.known;
    }
    let mut known = here;
    while numbers.iter().any(|number| number.known == known) {
        known = known.wrapping_add(BEYOND);
    }
    known
}

/// The reverse of [`known`].
#[must_use]
pub fn here(numbers: &[Number], known: u32) -> u32 {
    let number = numbers.iter().find(|number| number.known == known);
    number.map_or(known % BEYOND, |number| number.here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_terminal_has_one_name_and_every_name_one_terminal() {
        let numbers = [(0, 5), (5, 1), (BEYOND, 7)].map(|(known, here)| Number { known, here });
        let names: [u32; 10] = core::array::from_fn(|number| known(&numbers, number as u32));
        assert_eq!((names[5], names[1], names[7], names[0], names[2]), (0, 5, BEYOND, 2 * BEYOND, 2));
        for (number, name) in names.into_iter().enumerate() {
            assert_eq!(here(&numbers, name), number as u32);
            assert_eq!(names.iter().filter(|other| **other == name).count(), 1);
        }
        assert_eq!((known(&[], 3), here(&[], 3)), (3, 3));
        for number in numbers {
            assert_eq!(Number::from_word(number.to_word()), Some(number));
        }
        assert_eq!(Number::from_word(NONE), None);
    }
}
