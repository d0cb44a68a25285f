//! A name server of the test's own: UDP and TCP on one port, and an answer from the test for each question.
#![forbid(unsafe_code)]

use super::LIMIT;
use super::message::{PTR, Question, SAME, TRUNCATED, name, record};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a thread may take to see that the test is over.
const TURN: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum By {
    Udp,
    Tcp,
}

/// Ten kilobytes of names of which `client.example.org` is the first: too long for UDP, which gets nothing but a hint at TCP.
pub fn too_long_for_udp(question: &Question, by: By) -> Vec<Vec<u8>> {
    if by == By::Udp {
        return vec![question.answer(TRUNCATED, &[])];
    }
    let mut records = vec![record(SAME, PTR, 60, &name("client.example.org"))];
    let others = (0..400).map(|other| name(&format!("other-{other}.example")));
    records.extend(others.map(|other| record(SAME, PTR, 60, &other)));
    vec![question.answer(0, &records)]
}

/// Messages for one question, one after the other; none is silence.
type Answers = dyn Fn(&Question, By) -> Vec<Vec<u8>> + Send + Sync;

#[derive(Default)]
struct Counts {
    asked: AtomicUsize,
    unanswered: AtomicUsize,
    most: AtomicUsize,
}

pub struct Responder {
    pub address: SocketAddr,
    counts: Arc<Counts>,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Responder {
    /// Answers at once.
    pub fn new(answers: impl Fn(&Question, By) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        Responder::slow(Duration::ZERO, answers)
    }

    /// Answers each question so long after it came, many at once.
    pub fn slow(
        delay: Duration,
        answers: impl Fn(&Question, By) -> Vec<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let (udp, tcp) = sockets();
        let address = udp.local_addr().expect("an address");
        let counts = Arc::new(Counts::default());
        let over = Arc::new(AtomicBool::new(false));
        let answers: Arc<Answers> = Arc::new(answers);
        let by_udp = {
            let (answers, counts, over) = (answers.clone(), counts.clone(), over.clone());
            std::thread::spawn(move || serve_udp(&udp, delay, &answers, &counts, &over))
        };
        let by_tcp = {
            let (counts, over) = (counts.clone(), over.clone());
            std::thread::spawn(move || serve_tcp(&tcp, &answers, &counts.asked, &over))
        };
        Responder {
            address,
            counts,
            over,
            threads: vec![by_udp, by_tcp],
        }
    }

    /// How many questions came.
    pub fn asked(&self) -> usize {
        self.counts.asked.load(Ordering::SeqCst)
    }

    /// How many questions, asked by UDP, waited for their answers at the same moment.
    pub fn most_at_once(&self) -> usize {
        self.counts.most.load(Ordering::SeqCst)
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Both on one free port.
pub fn sockets() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("an address")) {
            return (udp, tcp);
        }
    }
}

fn serve_udp(
    socket: &UdpSocket,
    delay: Duration,
    answers: &Arc<Answers>,
    counts: &Arc<Counts>,
    over: &AtomicBool,
) {
    socket.set_read_timeout(Some(TURN)).expect("a time limit");
    let mut bytes = [0; 4096];
    while !over.load(Ordering::SeqCst) {
        let Ok((count, client)) = socket.recv_from(&mut bytes) else {
            continue;
        };
        counts.asked.fetch_add(1, Ordering::SeqCst);
        let Some(question) = Question::parse(&bytes[..count]) else {
            continue;
        };
        let replies = answers(&question, By::Udp);
        let socket = socket.try_clone().expect("the same socket");
        let counts = counts.clone();
        let unanswered = counts.unanswered.fetch_add(1, Ordering::SeqCst) + 1;
        counts.most.fetch_max(unanswered, Ordering::SeqCst);
        let reply = move || {
            counts.unanswered.fetch_sub(1, Ordering::SeqCst);
            for reply in replies {
                let _ = socket.send_to(&reply, client);
            }
        };
        match delay.is_zero() {
            true => reply(),
            false => drop(std::thread::spawn(move || {
                std::thread::sleep(delay);
                reply();
            })),
        }
    }
}

fn serve_tcp(
    listener: &TcpListener,
    answers: &Arc<Answers>,
    asked: &AtomicUsize,
    over: &AtomicBool,
) {
    listener.set_nonblocking(true).expect("a flag");
    while !over.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((stream, _)) => {
                let _ = converse(stream, answers, asked);
            }
            Err(_) => std::thread::sleep(TURN / 10),
        }
    }
}

/// One question for each connection is enough here.
fn converse(
    mut stream: TcpStream,
    answers: &Arc<Answers>,
    asked: &AtomicUsize,
) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut bytes)?;
    asked.fetch_add(1, Ordering::SeqCst);
    if let Some(question) = Question::parse(&bytes) {
        for reply in answers(&question, By::Tcp) {
            stream.write_all(&(reply.len() as u16).to_be_bytes())?;
            stream.write_all(&reply)?;
        }
    }
    Ok(())
}
