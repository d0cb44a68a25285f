//! Sessions in the memory of the process. Bounded in entries, and so in memory, because messages are.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use crate::tls::sessions::SessionId;

pub struct Memory {
    sessions: HashMap<SessionId, Entry>,
    /// By the turn in which they were last asked for.
    turns: BTreeMap<u64, SessionId>,
    turn: u64,
    capacity: usize,
}

struct Entry {
    turn: u64,
    end: Instant,
    sealed: Vec<u8>,
}

impl Memory {
    pub fn new(capacity: usize) -> Memory {
        Memory {
            sessions: HashMap::new(),
            turns: BTreeMap::new(),
            turn: 0,
            capacity,
        }
    }

    pub fn get(&mut self, id: &SessionId, once: bool, now: Instant) -> Option<Vec<u8>> {
        let entry = self.sessions.get_mut(id)?;
        self.turns.remove(&entry.turn);
        if once || entry.end <= now {
            let entry = self.sessions.remove(id)?;
            return Some(entry.sealed).filter(|_| entry.end > now);
        }
        self.turn += 1;
        entry.turn = self.turn;
        self.turns.insert(self.turn, *id);
        Some(entry.sealed.clone())
    }

    pub fn put(&mut self, id: SessionId, lifetime: Duration, sealed: Vec<u8>, now: Instant) {
        self.turn += 1;
        let entry = Entry {
            turn: self.turn,
            end: now + lifetime,
            sealed,
        };
        self.turns.insert(self.turn, id);
        if let Some(old) = self.sessions.insert(id, entry) {
            self.turns.remove(&old.turn);
        }
        while self.sessions.len() > self.capacity
            && let Some((_, id)) = self.turns.pop_first()
        {
            self.sessions.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn id(number: u8) -> SessionId {
        [number; 32]
    }

    /// Which of the first few are there, without a change to the order of the others.
    fn there(memory: &Memory) -> Vec<u8> {
        assert_eq!(memory.sessions.len(), memory.turns.len());
        (0..9)
            .filter(|&number| memory.sessions.contains_key(&id(number)))
            .collect()
    }

    #[test]
    fn a_session_is_there_for_its_time_and_no_longer() {
        let (mut memory, now) = (Memory::new(2), Instant::now());
        memory.put(id(1), SECOND, b"one".to_vec(), now);
        let found = memory.get(&id(1), false, now);
        assert_eq!(found.as_deref(), Some(&b"one"[..]));
        assert_eq!(memory.get(&id(1), false, now + SECOND), None);
        assert!(there(&memory).is_empty());
    }

    #[test]
    fn a_session_for_one_connection_is_gone_afterwards() {
        let (mut memory, now) = (Memory::new(2), Instant::now());
        memory.put(id(1), SECOND, b"one".to_vec(), now);
        assert!(memory.get(&id(1), true, now).is_some());
        assert_eq!(memory.get(&id(1), true, now), None);
        memory.put(id(1), SECOND, b"one".to_vec(), now);
        assert_eq!(memory.get(&id(1), true, now + SECOND), None);
        assert!(there(&memory).is_empty());
    }

    #[test]
    fn a_full_memory_forgets_what_was_not_asked_for_the_longest() {
        let (mut memory, now) = (Memory::new(3), Instant::now());
        for number in 1..=3 {
            memory.put(id(number), SECOND, Vec::new(), now);
        }
        memory.get(&id(1), false, now);
        memory.put(id(4), SECOND, Vec::new(), now);
        assert_eq!(there(&memory), [1, 3, 4]);
        memory.put(id(3), SECOND, Vec::new(), now);
        memory.put(id(5), SECOND, Vec::new(), now);
        assert_eq!(there(&memory), [3, 4, 5]);
    }

    #[test]
    fn the_same_session_again_takes_the_place_of_the_old_one() {
        let (mut memory, now) = (Memory::new(2), Instant::now());
        for text in [b"old", b"new"] {
            memory.put(id(1), SECOND, text.to_vec(), now);
        }
        memory.put(id(2), SECOND, Vec::new(), now);
        let found = memory.get(&id(1), false, now);
        assert_eq!(found.as_deref(), Some(&b"new"[..]));
        assert_eq!(there(&memory), [1, 2]);
    }

    #[test]
    fn a_memory_without_room_keeps_nothing() {
        let (mut memory, now) = (Memory::new(0), Instant::now());
        memory.put(id(1), SECOND, Vec::new(), now);
        assert!(there(&memory).is_empty());
    }
}
