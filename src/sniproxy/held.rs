//! What came of a ClientHello that is not whole yet. All of it must be kept for the backend, and a client may take
//! hundreds of kilobytes to say it: beyond what every client may have, all together have a bounded share of memory.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::rc::Rc;

/// Each client's own: more than any honest hello.
const OWN: usize = 16 * 1024;
/// Of all clients together beyond that.
const TOGETHER: usize = 64 * 1024 * 1024;

/// What is left for all together.
#[derive(Clone)]
pub struct Pot(Rc<Cell<usize>>);

impl Default for Pot {
    fn default() -> Pot {
        Pot(Rc::new(Cell::new(TOGETHER)))
    }
}

pub struct Held {
    bytes: Vec<u8>,
    pot: Pot,
    /// Taken out of the pot.
    taken: usize,
}

impl Held {
    pub fn new(pot: &Pot) -> Held {
        Held {
            bytes: Vec::new(),
            pot: pot.clone(),
            taken: 0,
        }
    }

    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// False: there is no room, and nothing was changed.
    #[must_use]
    pub fn append(&mut self, bytes: &[u8]) -> bool {
        let needed = (self.bytes.len() + bytes.len()).saturating_sub(OWN);
        let more = needed - self.taken;
        let Some(left) = self.pot.0.get().checked_sub(more) else {
            return false;
        };
        self.pot.0.set(left);
        self.taken = needed;
        self.bytes.extend_from_slice(bytes);
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.pot.0.set(self.pot.0.get() + self.taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_hellos_share_what_there_is_and_small_ones_never_lack_room() {
        let pot = Pot::default();
        let piece = vec![0; 1024 * 1024];
        let mut large: Vec<Held> = (0..100).map(|_| Held::new(&pot)).collect();
        let taken = large
            .iter_mut()
            .filter_map(|held| held.append(&piece).then_some(()));
        assert_eq!(taken.count(), 65);
        let mut small = Held::new(&pot);
        assert!(small.append(&piece[..OWN]));
        assert!(!small.append(&piece));
        assert_eq!(small.as_slice().len(), OWN);
        drop(large);
        assert!(small.append(&piece));
        drop(small);
        assert_eq!(pot.0.get(), TOGETHER);
    }
}
