//! A name server of the test's own: UDP and TCP on one port, and an answer from the test for each question.
#![forbid(unsafe_code)]

use crate::message::Question;
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

/// Messages for one question, one after the other; none is silence.
type Answers = dyn Fn(&Question, By) -> Vec<Vec<u8>> + Send + Sync;

pub struct Responder {
    pub address: SocketAddr,
    asked: Arc<AtomicUsize>,
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
        let (asked, over) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let answers: Arc<Answers> = Arc::new(answers);
        let by_udp = {
            let (answers, asked, over) = (answers.clone(), asked.clone(), over.clone());
            std::thread::spawn(move || serve_udp(&udp, delay, &answers, &asked, &over))
        };
        let by_tcp = {
            let (asked, over) = (asked.clone(), over.clone());
            std::thread::spawn(move || serve_tcp(&tcp, &answers, &asked, &over))
        };
        Responder {
            address,
            asked,
            over,
            threads: vec![by_udp, by_tcp],
        }
    }

    /// How many questions came.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
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
    asked: &AtomicUsize,
    over: &AtomicBool,
) {
    socket.set_read_timeout(Some(TURN)).expect("a time limit");
    let mut bytes = [0; 4096];
    while !over.load(Ordering::SeqCst) {
        let Ok((count, client)) = socket.recv_from(&mut bytes) else {
            continue;
        };
        asked.fetch_add(1, Ordering::SeqCst);
        let Some(question) = Question::parse(&bytes[..count]) else {
            continue;
        };
        let replies = answers(&question, By::Udp);
        let socket = socket.try_clone().expect("the same socket");
        let reply = move || {
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
    stream.set_read_timeout(Some(crate::common::LIMIT))?;
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
