//! What an event is about, as the one number that the kernel keeps for it: three bits of kind, 29 of generation, 32 of
//! place.
#![forbid(unsafe_code)]

use nix::sys::epoll::{EpollEvent, EpollFlags};

/// A member by its place and who had it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    place: u32,
    generation: u32,
}

/// Which of a member's descriptors. Two are written to, and may be without room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Near,
    Far,
    /// Where the far side is heard, if not where it is spoken to.
    Back,
    /// Where something is said beside all that.
    Aside,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Member(Token, Side),
    /// Nobody's but the program's own, by its own numbers.
    Other(u32),
}

const KIND: u32 = 61;
const GENERATIONS: u32 = 1 << 29;
/// The kind of those who are no member's; below it are the sides.
const OTHER: u64 = 4;

pub fn next_generation(generation: u32) -> u32 {
    (generation + 1) % GENERATIONS
}

impl Token {
    /// There are fewer places than descriptors, so that they all have a number of 32 bits.
    pub(super) fn new(place: usize, generation: u32) -> Token {
        Token {
            place: place as u32,
            generation,
        }
    }

    pub(super) fn place(self) -> usize {
        self.place as usize
    }

    pub(super) fn generation(self) -> u32 {
        self.generation
    }

    /// For those who keep it meanwhile and know nothing of places.
    pub fn number(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.place)
    }

    /// Any number is a token, though perhaps nobody's.
    pub fn from_number(number: u64) -> Token {
        Token {
            place: number as u32,
            generation: (number >> 32) as u32 % GENERATIONS,
        }
    }
}

impl Side {
    pub(super) const WRITTEN: [Side; 2] = [Side::Near, Side::Far];
    const ALL: [Side; 4] = [Side::Near, Side::Far, Side::Back, Side::Aside];
}

impl Source {
    /// What is to be given to epoll_ctl(2) for this source.
    pub fn event(self, flags: EpollFlags) -> EpollEvent {
        let (kind, rest) = match self {
            Source::Member(token, side) => (side as u64, token.number()),
            Source::Other(number) => (OTHER, u64::from(number)),
        };
        EpollEvent::new(flags, kind << KIND | rest)
    }

    /// What an event of epoll_wait(2) is about.
    pub fn of(event: &EpollEvent) -> Source {
        let number = event.data();
        let token = Token::from_number(number);
        match Side::ALL.get((number >> KIND) as usize) {
            Some(&side) => Source::Member(token, side),
            None => Source::Other(token.place),
        }
    }
}
