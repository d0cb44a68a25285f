//! Bytes on their way: what one side gave and the other has not taken yet. And the large scratch buffers that
//! belong to a worker, not to a connection.
#![forbid(unsafe_code)]

/// How much is moved in one go: on loopback a `send` of 256 kB costs a third less per byte than one per record.
pub const BATCH: usize = 256 * 1024;

/// A queue of bytes that owns no memory while it is empty.
#[derive(Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    pub fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub fn append(&mut self, bytes: &[u8]) {
        // What was consumed makes room first: a queue that is never quite empty would grow without end.
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Forgets the first `count` bytes. The memory stays for the next batch; see [`Buffer::release`].
    pub fn consume(&mut self, count: usize) {
        self.start += count.min(self.bytes.len() - self.start);
        if self.is_empty() {
            self.clear();
        }
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }

    /// Gives back the memory of an empty buffer.
    pub fn release(&mut self) {
        if self.is_empty() {
            *self = Buffer::default();
        }
    }
}

/// Room to read into, shared by all connections of a worker; nothing stays in it from one turn to the next.
pub struct Scratch {
    /// Bytes as they came from the network.
    pub wire: Vec<u8>,
    /// Decrypted bytes, or an application's.
    pub plain: Vec<u8>,
}

impl Scratch {
    /// The pages are zero pages of the kernel until they are written to.
    pub fn new() -> Scratch {
        Scratch {
            wire: vec![0; BATCH],
            plain: vec![0; BATCH],
        }
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Scratch::new()
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
        assert_eq!(buffer.as_slice().len(), 4);
        assert!(buffer.bytes.capacity() < 4000);
    }

    #[test]
    fn an_empty_buffer_gives_its_memory_back_and_a_full_one_does_not() {
        let mut buffer = Buffer::default();
        buffer.append(&[1; 1000]);
        buffer.release();
        assert_eq!(buffer.as_slice().len(), 1000);
        buffer.consume(1000);
        buffer.release();
        assert_eq!(buffer.bytes.capacity(), 0);
    }
}
