//! Bytes on their way: what one side gave and the other has not taken yet. And the large scratch buffers that
//! belong to a worker, not to a connection.
#![forbid(unsafe_code)]

/// How much is moved in one go: on loopback a `send` of 256 kB costs a third less per byte than one per record.
pub const BATCH: usize = 256 * 1024;
/// What encryption adds to a batch: less than so much.
const ROOM: usize = BATCH + BATCH / 32;
/// A batch when memory is short: a record's worth.
const SMALL_BATCH: usize = 16 * 1024;
/// So much may be kept for peers that do not take it before batches become small: those who stall shall not fill the
/// memory.
const PLENTY: usize = 64 * 1024 * 1024;
/// So many connections may hold on to a whole batch that their peers take slowly; beyond that it is cut to size.
const MOST_ROOMS: usize = 32;

/// A queue of bytes that owns no memory while it is empty.
#[derive(Default)]
pub struct Buffer {
    /// All of it is initialised, so that reading into it needs no clearing.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub fn len(&self) -> usize {
        self.end - self.start
    }

    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub fn append(&mut self, bytes: &[u8]) {
        if self.bytes.len() - self.end < bytes.len() {
            // What was consumed makes room first: a queue that is never quite empty would grow without end.
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.len());
            let needed = self.end + bytes.len();
            if self.bytes.len() < needed {
                self.bytes.resize(needed, 0);
            }
        }
        self.bytes[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Forgets the first `count` bytes. The memory stays for the next batch; see [`Buffer::release`].
    pub fn consume(&mut self, count: usize) {
        self.start += count.min(self.len());
        if self.is_empty() {
            self.clear();
        }
    }

    pub fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Gives back the memory of an empty buffer.
    pub fn release(&mut self) {
        if self.is_empty() {
            *self = Buffer::default();
        }
    }

    /// Lets the queue be the first `count` bytes of somebody's memory instead of copying them. It must be empty.
    fn borrow(&mut self, room: &mut Vec<u8>, count: usize) {
        self.bytes = std::mem::take(room);
        (self.start, self.end) = (0, count.min(self.bytes.len()));
    }

    /// Gives that memory back. What is still queued moves to a piece of its own size.
    fn give_back(&mut self) -> Vec<u8> {
        let rest = self.as_slice().to_vec();
        let end = rest.len();
        let room = std::mem::replace(&mut self.bytes, rest);
        (self.start, self.end) = (0, end);
        room
    }
}

/// Room to work in, shared by all connections of a worker; nothing stays in it from one turn to the next.
#[derive(Default)]
pub struct Scratch {
    /// Bytes as they came from the network.
    pub wire: Vec<u8>,
    /// Decrypted bytes, or the plain side's.
    pub plain: Vec<u8>,
    /// Rooms for encrypted bytes on their way out.
    rooms: Vec<Vec<u8>>,
    lent: usize,
    /// What all connections keep.
    kept: usize,
}

impl Scratch {
    /// The pages are zero pages of the kernel until they are written to.
    pub fn new() -> Scratch {
        Scratch {
            wire: vec![0; BATCH],
            plain: vec![0; BATCH],
            ..Scratch::default()
        }
    }

    /// How much is to be read at once.
    pub fn batch(&self) -> usize {
        match self.kept > PLENTY {
            true => SMALL_BATCH,
            false => BATCH,
        }
    }

    /// A connection keeps so much now, and kept so much before.
    pub fn account(&mut self, now: usize, before: usize) {
        self.kept = (self.kept + now).saturating_sub(before);
    }

    /// Puts the first `count` bytes of `wire` into an input, without copying them if nothing is there yet.
    /// [`Scratch::take_wire_back`] must follow.
    pub fn hand_wire(&mut self, input: &mut Buffer, count: usize) {
        match input.is_empty() {
            true => input.borrow(&mut self.wire, count),
            false => input.append(&self.wire[..count]),
        }
    }

    pub fn take_wire_back(&mut self, input: &mut Buffer) {
        if self.wire.is_empty() {
            self.wire = input.give_back();
        }
    }

    /// Gives an output room for a batch behind what little may be in it.
    pub fn lend_room(&mut self, output: &mut Buffer) {
        if output.bytes.len() < ROOM {
            let room = self.rooms.pop().unwrap_or_else(|| vec![0; ROOM]);
            let before = std::mem::replace(
                output,
                Buffer {
                    bytes: room,
                    start: 0,
                    end: 0,
                },
            );
            output.append(before.as_slice());
            self.lent += 1;
        }
    }

    /// Makes up for what somebody who broke off in the middle did not give back.
    pub fn mend(&mut self) {
        self.wire.resize(BATCH, 0);
        self.plain.resize(BATCH, 0);
    }

    /// Gives up the rooms that nobody has at present, but for one.
    pub fn tidy(&mut self) {
        self.rooms.truncate(1);
    }

    /// Takes the room back when it is empty, or when too many are out.
    pub fn take_room_back(&mut self, output: &mut Buffer) {
        if output.bytes.len() >= ROOM && (output.is_empty() || self.lent > MOST_ROOMS) {
            self.lent = self.lent.saturating_sub(1);
            self.rooms.push(output.give_back());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_in_the_order_they_came() {
        let mut buffer = Buffer::default();
        buffer.append(b"hello ");
        buffer.append(b"world");
        buffer.consume(3);
        assert_eq!(buffer.as_slice(), b"lo world");
        buffer.consume(100);
        assert!(buffer.is_empty());
    }

    #[test]
    fn a_queue_that_is_never_quite_empty_does_not_grow() {
        let mut buffer = Buffer::default();
        buffer.append(b"rest");
        for _ in 0..1000 {
            buffer.append(&[1; 1000]);
            buffer.consume(1000);
        }
        assert_eq!(buffer.len(), 4);
        assert!(buffer.bytes.capacity() < 4000);
    }

    #[test]
    fn an_empty_buffer_gives_its_memory_back_and_a_full_one_does_not() {
        let mut buffer = Buffer::default();
        buffer.append(&[1; 1000]);
        buffer.release();
        assert_eq!(buffer.len(), 1000);
        buffer.consume(1000);
        buffer.release();
        assert_eq!(buffer.bytes.capacity(), 0);
    }

    #[test]
    fn what_came_from_the_network_is_handed_over_and_the_rest_of_it_is_kept() {
        let mut scratch = Scratch::new();
        let mut input = Buffer::default();
        scratch.wire[..5].copy_from_slice(b"hello");
        scratch.hand_wire(&mut input, 5);
        input.consume(3);
        scratch.take_wire_back(&mut input);
        assert_eq!((input.as_slice(), input.bytes.len()), (&b"lo"[..], 2));
        assert_eq!(scratch.wire.len(), BATCH);
        scratch.wire[..2].copy_from_slice(b", ");
        scratch.hand_wire(&mut input, 2);
        scratch.take_wire_back(&mut input);
        assert_eq!(input.as_slice(), b"lo, ");
        assert_eq!(scratch.wire.len(), BATCH);
    }

    #[test]
    fn batches_are_small_while_much_is_kept() {
        let mut scratch = Scratch::new();
        scratch.account(PLENTY + 1, 0);
        assert_eq!(scratch.batch(), SMALL_BATCH);
        scratch.account(0, PLENTY + 1);
        assert_eq!(scratch.batch(), BATCH);
    }

    #[test]
    fn slow_readers_keep_rooms_but_not_all_of_them() {
        let mut scratch = Scratch::new();
        let mut outputs: Vec<Buffer> = (0..MOST_ROOMS + 10).map(|_| Buffer::default()).collect();
        for output in &mut outputs {
            scratch.lend_room(output);
            output.append(&[7; 100]);
            scratch.take_room_back(output);
            assert_eq!(output.as_slice(), [7; 100]);
        }
        let large = |output: &&Buffer| output.bytes.len() >= ROOM;
        assert_eq!(outputs.iter().filter(large).count(), MOST_ROOMS);
        for output in &mut outputs {
            output.consume(100);
            scratch.take_room_back(output);
        }
        assert_eq!(scratch.lent, 0);
        assert_eq!(outputs.iter().filter(large).count(), 0);
        scratch.tidy();
        assert_eq!(scratch.rooms.len(), 1);
    }
}
