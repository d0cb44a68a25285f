//! What was found out lately. Bounded in entries, and so in memory, because the entries are.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

pub struct Cache<K, V> {
    entries: HashMap<K, (Instant, V)>,
    capacity: usize,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    pub fn new(capacity: usize) -> Cache<K, V> {
        Cache {
            entries: HashMap::new(),
            capacity,
        }
    }

    pub fn get(&self, key: &K, now: Instant) -> Option<V> {
        let (end, value) = self.entries.get(key)?;
        (*end > now).then(|| value.clone())
    }

    /// A full cache begins anew: whoever fills it with strangers costs the others one question each.
    pub fn put(&mut self, key: K, value: V, time: Duration, now: Instant) {
        if time.is_zero() {
            return;
        }
        if self.entries.len() >= self.capacity && !self.entries.contains_key(&key) {
            self.entries.retain(|_, (end, _)| *end > now);
            if self.entries.len() >= self.capacity {
                self.entries.clear();
            }
        }
        self.entries.insert(key, (now + time, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_entry_is_there_for_its_time_and_no_longer() {
        let (mut cache, now) = (Cache::new(2), Instant::now());
        cache.put("a", 1, SECOND, now);
        cache.put("b", 2, Duration::ZERO, now);
        assert_eq!(cache.get(&"a", now), Some(1));
        assert_eq!(cache.get(&"a", now + SECOND), None);
        assert_eq!(cache.get(&"b", now), None);
    }

    #[test]
    fn a_flood_of_strangers_never_makes_it_grow_beyond_its_bound() {
        let (mut cache, now) = (Cache::new(10), Instant::now());
        for stranger in 0..1000 {
            cache.put(stranger, (), SECOND, now);
            assert!(cache.entries.len() <= 10);
            assert!(cache.get(&stranger, now).is_some());
        }
    }

    #[test]
    fn what_is_over_makes_room_before_what_is_not() {
        let (mut cache, now) = (Cache::new(2), Instant::now());
        cache.put("old", 1, SECOND, now);
        cache.put("young", 2, SECOND * 9, now);
        cache.put("new", 3, SECOND, now + SECOND * 2);
        assert_eq!(cache.get(&"young", now + SECOND * 2), Some(2));
    }
}
