//! How often a client may connect: the generic cell rate algorithm (as a token bucket, told in moments instead of
//! tokens), which remembers one moment for each client.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use crate::net::address::Network;

/// So many connections in so many seconds: all of them at once, and one more for each `seconds / count` that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    count: u32,
    seconds: u32,
}

impl Rate {
    const MOST: u32 = 1_000_000;
    /// A day.
    const LONGEST: u32 = 86_400;

    /// `n/seconds`, both from 1 on, up to a million connections and a day.
    pub fn parse(text: &str) -> Option<Rate> {
        let (count, seconds) = text.split_once('/')?;
        let number = |text: &str, most| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse().ok().filter(|_| digits)?;
            (1..=most).contains(&number).then_some(number)
        };
        Some(Rate {
            count: number(count, Rate::MOST)?,
            seconds: number(seconds, Rate::LONGEST)?,
        })
    }

    /// The time that one connection takes of the allowance.
    fn interval(self) -> Duration {
        Duration::from_secs(self.seconds.into()) / self.count
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.seconds)
    }
}

/// What became of one more connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    Within,
    /// It is too much, and does not count.
    Beyond,
    /// So many clients are known that this one has no place. It is let through, since nobody knows whether it is too much.
    Unknown,
}

/// Clients that are known at a time, about 50 bytes each.
const MOST: usize = 100_000;
/// So many need no tidying up.
const FEW: usize = 1_000;
/// A full table is not searched at each new client for those that may be forgotten.
const PAUSE: Duration = Duration::from_secs(1);

/// What each client has left. A client that several rates are for, one after the other, has an account with each.
pub struct Rates {
    /// When the whole allowance will be there again; a client for whom that is past need not be known.
    whole: HashMap<(Network, Rate), Instant>,
    most: usize,
    /// The number at which it is tidied up: twice what was left the last time, so that each entry is visited for a
    /// constant number of others.
    room: usize,
    tidied: Option<Instant>,
}

impl Default for Rates {
    fn default() -> Rates {
        Rates::with_room_for(MOST)
    }
}

impl Rates {
    fn with_room_for(most: usize) -> Rates {
        Rates {
            whole: HashMap::new(),
            most,
            room: FEW.min(most),
            tidied: None,
        }
    }

    /// Counts a connection of this client.
    pub fn count(&mut self, client: Network, rate: Rate, now: Instant) -> Counted {
        let interval = rate.interval();
        if let Some(whole) = self.whole.get_mut(&(client, rate)) {
            let next = (*whole).max(now) + interval;
            if next > now + interval * rate.count {
                return Counted::Beyond;
            }
            *whole = next;
            return Counted::Within;
        }
        if self.whole.len() >= self.room {
            self.tidy(now);
        }
        if self.is_full() {
            return Counted::Unknown;
        }
        self.whole.insert((client, rate), now + interval);
        Counted::Within
    }

    /// Clients that are not known yet have no place.
    pub fn is_full(&self) -> bool {
        self.whole.len() >= self.most
    }

    /// Forgets clients that have their whole allowance.
    fn tidy(&mut self, now: Instant) {
        if self.is_full() && self.tidied.is_some_and(|tidied| now < tidied + PAUSE) {
            return;
        }
        self.tidied = Some(now);
        self.whole.retain(|_, whole| *whole > now);
        self.room = (self.whole.len() * 2).clamp(FEW.min(self.most), self.most);
        self.whole.shrink_to(self.room);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u32) -> Network {
        Network::of_client(std::net::IpAddr::V4(number.into()))
    }

    fn rate(text: &str) -> Rate {
        Rate::parse(text).unwrap()
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_rate_is_two_decimal_numbers_that_are_not_nothing() {
        for text in ["1/1", "10/60", "1000000/86400"] {
            assert_eq!(rate(text).to_string(), text);
        }
        for text in [
            "",
            "0",
            "10",
            "/",
            "10/",
            "/60",
            "0/60",
            "10/0",
            "+1/60",
            "1/+60",
            "-1/60",
            "1 /60",
            "1.5/60",
            "ten/60",
            "1/60/2",
            "1000001/1",
            "1/86401",
        ] {
            assert_eq!(Rate::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_whole_allowance_may_be_taken_at_once_and_comes_back_bit_by_bit() {
        for (text, count, step) in [
            ("5/10", 5, 2 * SECOND),
            ("1/3", 1, 3 * SECOND),
            // A third of a second is no whole number of nanoseconds.
            ("3/1", 3, SECOND / 3),
            ("999999/1", 999_999, SECOND / 999_999),
        ] {
            let (mut rates, rate, start) = (Rates::default(), rate(text), Instant::now());
            let mut count_at = |now| rates.count(client(1), rate, now);
            for _ in 0..count {
                assert_eq!(count_at(start), Counted::Within, "{text}");
            }
            for late in [Duration::ZERO, step - Duration::from_nanos(1)] {
                assert_eq!(count_at(start + late), Counted::Beyond, "{text}");
            }
            assert_eq!(count_at(start + step), Counted::Within, "{text}");
            assert_eq!(count_at(start + step), Counted::Beyond, "{text}");
        }
    }

    #[test]
    fn what_is_too_much_does_not_count() {
        let (mut rates, rate, start) = (Rates::default(), rate("2/10"), Instant::now());
        let mut count_at = |now| rates.count(client(1), rate, now);
        let admitted = (0..1000).filter(|tick| {
            let now = start + SECOND / 10 * *tick;
            count_at(now) == Counted::Within
        });
        // Two at once, and one each five seconds, however stubborn it is.
        assert_eq!(admitted.count(), 2 + 19);
    }

    #[test]
    fn a_pause_gives_no_more_than_the_whole_allowance() {
        let (mut rates, rate, start) = (Rates::default(), rate("3/3"), Instant::now());
        assert_eq!(rates.count(client(1), rate, start), Counted::Within);
        let later = start + 1000 * SECOND;
        let admitted = (0..10).filter(|_| rates.count(client(1), rate, later) == Counted::Within);
        assert_eq!(admitted.count(), 3);
    }

    #[test]
    fn each_client_has_its_own_allowance_with_each_rate() {
        let (mut rates, now) = (Rates::default(), Instant::now());
        for number in 0..3 {
            for text in ["1/60", "1/10"] {
                let mut count = || rates.count(client(number), rate(text), now);
                assert_eq!((count(), count()), (Counted::Within, Counted::Beyond));
            }
        }
    }

    #[test]
    fn a_full_table_lets_new_clients_through_and_holds_the_others_to_their_rate() {
        let (mut rates, rate, start) = (Rates::with_room_for(10), rate("1/60"), Instant::now());
        for number in 0..10 {
            assert_eq!(rates.count(client(number), rate, start), Counted::Within);
        }
        for number in 10..30 {
            assert_eq!(rates.count(client(number), rate, start), Counted::Unknown);
        }
        assert_eq!(rates.count(client(9), rate, start), Counted::Beyond);
        assert_eq!(rates.whole.len(), 10);
        // Who has its allowance again gives its place to another.
        let later = start + 61 * SECOND;
        assert_eq!(rates.count(client(10), rate, later), Counted::Within);
        assert_eq!(rates.count(client(10), rate, later), Counted::Beyond);
        assert!(!rates.is_full());
    }

    #[test]
    fn a_full_table_is_searched_at_most_once_a_second() {
        let (mut rates, start) = (Rates::with_room_for(10), Instant::now());
        for number in 0..10 {
            rates.count(client(number), rate("2/1"), start);
        }
        let mut count = |number, now| rates.count(client(number), rate("2/1"), now);
        assert_eq!(count(10, start + SECOND / 4), Counted::Unknown);
        // All could be forgotten by now.
        assert_eq!(count(10, start + SECOND), Counted::Unknown);
        assert_eq!(count(10, start + SECOND * 5 / 4), Counted::Within);
    }

    #[test]
    fn who_has_not_come_for_long_takes_no_memory() {
        let (mut rates, rate, start) = (Rates::default(), rate("1/1"), Instant::now());
        for number in 0..300_000 {
            let now = start + SECOND / 100 * number;
            assert_eq!(rates.count(client(number), rate, now), Counted::Within);
        }
        assert!(rates.whole.len() <= FEW, "{}", rates.whole.len());
        assert!(rates.whole.capacity() <= 4 * FEW);
    }
}
