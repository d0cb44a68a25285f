//! A day's work of many clients: short connections and long ones, small answers and large ones, full handshakes and
//! resumed ones, all ways to end a connection. The numbers that decide are the same in every run.
#![forbid(unsafe_code)]

use crate::crowd::Crowd;
use crate::frame::Request;
use crate::member::{Progress, Step};

/// Requests of a connection, each as likely as the others.
const LENGTHS: [u64; 8] = [1, 1, 1, 1, 2, 5, 30, 120];
/// The longest stream in bytes.
const LONGEST: u64 = 40_000;

pub struct Work {
    /// Requests not given to a connection yet.
    left: u64,
    at_once: u64,
    marks: u64,
    random: u64,
    connections: u64,
    /// Those that had a session, and those whose session was taken.
    offered: u64,
    resumed: u64,
}

/// What a connection was counted for.
#[derive(Clone, Copy, Default)]
struct Entry {
    answered: u64,
    offered: bool,
}

impl Work {
    /// So many requests, on so many connections at a time. A mark is said whenever another n-th of them is answered.
    pub fn new(requests: u64, at_once: u64, marks: u64, seed: u64) -> Work {
        Work {
            left: requests,
            at_once,
            marks,
            random: 0x9e37_79b9_7f4a_7c15 ^ seed,
            connections: 0,
            offered: 0,
            resumed: 0,
        }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 20) % below
    }

    /// Answers with the numbers of answers, connections, sessions offered and sessions resumed.
    pub fn run(mut self, crowd: &mut Crowd) -> Result<Vec<u64>, String> {
        let total = self.left;
        let mut answered = 0;
        let mut marked = 0;
        let mut entries: Vec<Entry> = Vec::new();
        let mut busy = 0;
        while busy < self.at_once && self.left > 0 {
            self.begin(crowd, &mut entries)?;
            busy += 1;
        }
        while busy > 0 {
            for (place, progress) in crowd.turn()? {
                if progress != Progress::Over {
                    continue;
                }
                busy -= 1;
                answered += self.end(crowd, place, entries[place]);
                if self.left > 0 {
                    self.begin(crowd, &mut entries)?;
                    busy += 1;
                }
                while marked < self.marks && answered * self.marks >= (marked + 1) * total {
                    marked += 1;
                    println!("mark");
                }
            }
        }
        Ok(vec![answered, self.connections, self.offered, self.resumed])
    }

    fn begin(&mut self, crowd: &mut Crowd, entries: &mut Vec<Entry>) -> Result<(), String> {
        let length = LENGTHS[self.random(LENGTHS.len() as u64) as usize].min(self.left);
        self.left -= length;
        let (newest, resume) = (self.random(3) > 0, self.random(2) > 0);
        let (place, offered) = crowd.join(newest, resume)?;
        let last = self.random(10);
        for number in 1..=length {
            let request = match self.random(20) {
                _ if number == length && last < 3 => Request::End,
                0..3 => Request::Down {
                    size: 1 + self.random(LONGEST),
                    start: self.random(1 << 40),
                },
                3 => Request::Up {
                    size: 1 + self.random(LONGEST),
                    start: self.random(1 << 40),
                },
                _ => Request::Echo,
            };
            crowd.members[place].add(Step::Ask(request, 1));
        }
        match last {
            0..3 => {}
            3 => crowd.members[place].add(Step::Leave),
            _ => crowd.members[place].add(Step::Close),
        }
        if entries.len() <= place {
            entries.resize(place + 1, Entry::default());
        }
        entries[place] = Entry {
            answered: length,
            offered,
        };
        Ok(())
    }

    fn end(&mut self, crowd: &mut Crowd, place: usize, entry: Entry) -> u64 {
        let member = crowd.members.remove(place);
        assert_eq!(member.answered, entry.answered, "answers of a connection");
        self.connections += 1;
        self.offered += u64::from(entry.offered);
        self.resumed += u64::from(entry.offered && member.tls.ssl().session_reused());
        member.answered
    }
}
