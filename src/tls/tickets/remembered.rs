//! What a process with many connections remembers of tickets, so that not every client costs a question to the keeper.
//! It knows the keys of single names, like everybody but the keeper.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{TicketKey, TicketName};

/// One name seals all tickets of this time.
const SEALS: Duration = Duration::from_secs(60);
/// How long a name is remembered that opened a ticket. The keeper may forget its secret meanwhile.
const OPENS: Duration = Duration::from_secs(3600);
/// How many such names.
const MOST: usize = 64;

#[derive(Default)]
pub struct Remembered {
    sealing: Option<(TicketKey, Instant)>,
    /// Those used last are at the end.
    opened: VecDeque<(TicketKey, Instant)>,
}

impl Remembered {
    /// Keys to seal a ticket with: those of the last minute, or new ones from whoever is asked.
    pub fn fresh(
        &mut self,
        now: Instant,
        ask: impl FnOnce() -> Option<TicketKey>,
    ) -> Option<TicketKey> {
        if let Some((key, since)) = &self.sealing
            && now.duration_since(*since) < SEALS
        {
            return Some(key.clone());
        }
        let key = ask()?;
        self.sealing = Some((key.clone(), now));
        self.remember(key.clone(), now);
        Some(key)
    }

    /// Keys to open the ticket of that name with.
    pub fn open(
        &mut self,
        name: TicketName,
        now: Instant,
        ask: impl FnOnce() -> Option<TicketKey>,
    ) -> Option<TicketKey> {
        let known = self.opened.iter().position(|(key, _)| key.name == name);
        if let Some((key, since)) = known.and_then(|place| self.opened.remove(place))
            && now.duration_since(since) < OPENS
        {
            self.opened.push_back((key.clone(), since));
            return Some(key);
        }
        let key = ask()?;
        self.remember(key.clone(), now);
        Some(key)
    }

    fn remember(&mut self, key: TicketKey, now: Instant) {
        if self.opened.len() == MOST {
            self.opened.pop_front();
        }
        self.opened.push_back((key, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> Option<TicketKey> {
        Some(TicketKey {
            name: [number; 16],
            cipher: [number; 32],
            mac: [!number; 32],
        })
    }

    fn nobody() -> Option<TicketKey> {
        panic!("it should be remembered")
    }

    #[test]
    fn one_name_seals_the_tickets_of_a_minute() {
        let mut remembered = Remembered::default();
        let start = Instant::now();
        assert!(remembered.fresh(start, || key(1)) == key(1));
        let late = start + SEALS - Duration::from_millis(1);
        assert!(remembered.fresh(late, nobody) == key(1));
        assert!(remembered.fresh(start + SEALS, || key(2)) == key(2));
    }

    #[test]
    fn without_an_answer_there_is_no_key_and_the_next_one_asks_again() {
        let mut remembered = Remembered::default();
        let start = Instant::now();
        assert!(remembered.fresh(start, || None).is_none());
        assert!(remembered.open([1; 16], start, || None).is_none());
        assert!(remembered.fresh(start, || key(1)) == key(1));
        assert!(remembered.open([2; 16], start, || key(2)) == key(2));
    }

    #[test]
    fn names_that_were_opened_or_sealed_with_are_remembered_for_an_hour() {
        let mut remembered = Remembered::default();
        let start = Instant::now();
        assert!(remembered.fresh(start, || key(1)) == key(1));
        assert!(remembered.open([2; 16], start, || key(2)) == key(2));
        let late = start + OPENS - Duration::from_millis(1);
        for number in [1, 2] {
            assert!(remembered.open([number; 16], late, nobody) == key(number));
            let later = start + OPENS;
            assert!(remembered.open([number; 16], later, || None).is_none());
        }
    }

    #[test]
    fn no_more_than_64_names_are_remembered_and_those_used_last_stay() {
        let mut remembered = Remembered::default();
        let start = Instant::now();
        for number in 0..64 {
            remembered.open([number; 16], start, || key(number));
        }
        assert!(remembered.open([0; 16], start, nobody) == key(0));
        for number in 64..127 {
            remembered.open([number; 16], start, || key(number));
        }
        assert_eq!(remembered.opened.len(), MOST);
        assert!(remembered.open([0; 16], start, nobody) == key(0));
        assert!(remembered.open([1; 16], start, || None).is_none());
    }
}
