//! Times of thousands of connections: a wheel of slots, a quarter of a second each. Setting a later time costs nothing,
//! because whoever is woken too early just takes another place.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(250);
/// A little more than two minutes; what lies beyond is looked at again by then.
const SLOTS: u64 = 512;

/// A time as the wheel counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(u64);

pub struct Wheel<T> {
    origin: Instant,
    slots: Vec<Vec<(Tick, T)>>,
    /// All slots before this are empty.
    now: u64,
    /// No slot before this has anything in it.
    next: Option<u64>,
}

impl<T> Wheel<T> {
    pub fn new(origin: Instant) -> Wheel<T> {
        Wheel {
            origin,
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            now: 0,
            next: None,
        }
    }

    /// The first tick that is not before this moment.
    pub fn tick(&self, at: Instant) -> Tick {
        let since = at.saturating_duration_since(self.origin).as_millis();
        let ticks = since.div_ceil(TICK.as_millis());
        Tick(u64::try_from(ticks).unwrap_or(u64::MAX))
    }

    /// Has this come back at that tick, or before if it lies far ahead.
    pub fn insert(&mut self, at: Tick, entry: T) {
        let slot = at.0.clamp(self.now + 1, self.now + SLOTS - 1);
        self.slots[(slot % SLOTS) as usize].push((at, entry));
        self.next = Some(self.next.map_or(slot, |next| next.min(slot)));
    }

    /// How long until something may come back.
    pub fn wait(&self, now: Instant) -> Option<Duration> {
        let at = TICK.checked_mul(u32::try_from(self.next?).unwrap_or(u32::MAX))?;
        Some((self.origin + at).saturating_duration_since(now))
    }

    /// Takes out what has come back, with the tick it was put in for.
    pub fn turn(&mut self, now: Instant, into: &mut Vec<(Tick, T)>) {
        let since = now.saturating_duration_since(self.origin).as_millis();
        let reached = u64::try_from(since / TICK.as_millis()).unwrap_or(u64::MAX);
        let Some(next) = self.next.filter(|&next| next <= reached) else {
            self.now = self
                .now
                .max(self.next.map_or(reached, |next| reached.min(next - 1)));
            return;
        };
        for slot in next..=reached.min(next + SLOTS - 1) {
            // Its room goes too: one busy hour would fill all slots with it.
            into.append(&mut std::mem::take(
                &mut self.slots[(slot % SLOTS) as usize],
            ));
        }
        self.now = reached;
        let ahead = (reached + 1)..(reached + SLOTS);
        self.next = ahead
            .into_iter()
            .find(|slot| !self.slots[(slot % SLOTS) as usize].is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(wheel: &mut Wheel<u32>, now: Instant) -> Vec<u32> {
        let mut out = Vec::new();
        wheel.turn(now, &mut out);
        out.into_iter().map(|(_, entry)| entry).collect()
    }

    #[test]
    fn entries_come_back_at_their_time_and_not_before() {
        let origin = Instant::now();
        let mut wheel = Wheel::new(origin);
        for seconds in [3u32, 1, 2] {
            let at = wheel.tick(origin + Duration::from_secs(seconds.into()));
            wheel.insert(at, seconds);
        }
        assert!(due(&mut wheel, origin + Duration::from_millis(900)).is_empty());
        assert_eq!(wheel.wait(origin), Some(Duration::from_secs(1)));
        assert_eq!(due(&mut wheel, origin + Duration::from_millis(1100)), [1]);
        assert_eq!(due(&mut wheel, origin + Duration::from_secs(5)), [2, 3]);
        assert_eq!(wheel.wait(origin), None);
    }

    #[test]
    fn what_lies_beyond_the_wheel_comes_back_early_with_its_own_tick() {
        let origin = Instant::now();
        let mut wheel = Wheel::new(origin);
        let far = wheel.tick(origin + Duration::from_secs(3600));
        wheel.insert(far, 1);
        let mut out = Vec::new();
        wheel.turn(origin + Duration::from_secs(130), &mut out);
        assert_eq!(out, [(far, 1)]);
    }

    #[test]
    fn a_long_pause_loses_nothing() {
        let origin = Instant::now();
        let mut wheel = Wheel::new(origin);
        for second in 1..100u32 {
            let at = wheel.tick(origin + Duration::from_secs(second.into()));
            wheel.insert(at, second);
        }
        assert_eq!(
            due(&mut wheel, origin + Duration::from_secs(10_000)).len(),
            99
        );
        let at = wheel.tick(origin + Duration::from_secs(10_001));
        wheel.insert(at, 7);
        assert_eq!(due(&mut wheel, origin + Duration::from_secs(10_002)), [7]);
    }

    #[test]
    fn a_time_that_has_passed_comes_back_at_the_next_tick() {
        let origin = Instant::now();
        let mut wheel = Wheel::new(origin);
        assert!(due(&mut wheel, origin + Duration::from_secs(60)).is_empty());
        let past = wheel.tick(origin);
        wheel.insert(past, 1);
        assert_eq!(due(&mut wheel, origin + Duration::from_millis(60_300)), [1]);
    }
}
