//! Servers that are no Redis, or one in somebody else's hands.
#![forbid(unsafe_code)]

use crate::common::{TempDir, eventually};
use crate::role::{Role, Setup};
use sslserver::privsep::message::StoreReport;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

crate::tests! {
    a_server_that_is_no_redis_does_no_harm
    a_server_that_falls_silent_is_asked_no_more_than_the_bound
    hostile_words_of_the_server_stay_on_one_line
    a_server_that_talks_without_end_cannot_fill_the_machine
}

/// How long a thread may take to see that the test is over.
const TURN: Duration = Duration::from_millis(50);

/// After the trial that every connection begins with: what becomes of it. `false`: it is closed.
type Talk = dyn Fn(&mut UnixStream, &[u8]) -> bool + Send + Sync;

struct Fake {
    dir: TempDir,
    over: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Fake {
    /// Each time when something comes, `talk` is called with it.
    fn new(talk: impl Fn(&mut UnixStream, &[u8]) -> bool + Send + Sync + 'static) -> Fake {
        let dir = TempDir::new();
        let listener = UnixListener::bind(dir.join("redis.sock")).expect("a socket");
        listener.set_nonblocking(true).expect("a socket");
        let (over, talk): (Arc<AtomicBool>, Arc<Talk>) = (Arc::default(), Arc::new(talk));
        let ended = over.clone();
        let accepting = std::thread::spawn(move || {
            let mut threads = Vec::new();
            while !ended.load(Ordering::SeqCst) {
                let Ok((client, _)) = listener.accept() else {
                    std::thread::sleep(TURN);
                    continue;
                };
                let (talk, over) = (talk.clone(), ended.clone());
                threads.push(std::thread::spawn(move || converse(client, &*talk, &over)));
            }
            for thread in threads {
                let _ = thread.join();
            }
        });
        Fake {
            dir,
            over,
            accepting: Some(accepting),
        }
    }

    fn start(&self) -> Role {
        let path = self.dir.text("redis.sock");
        Setup::new(format!("redis+unix://{path}")).start()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.accepting.take() {
            let _ = thread.join();
        }
    }
}

fn converse(mut client: UnixStream, talk: &Talk, over: &AtomicBool) {
    client.set_nonblocking(false).expect("a socket");
    client.set_read_timeout(Some(TURN)).expect("a time limit");
    client.set_write_timeout(Some(TURN)).expect("a time limit");
    let mut bytes = vec![0; 65_536];
    while !over.load(Ordering::SeqCst) {
        match client.read(&mut bytes) {
            Ok(0) => return,
            Ok(count) if !talk(&mut client, &bytes[..count]) => return,
            _ => {}
        }
    }
}

fn holds(bytes: &[u8], word: &str) -> bool {
    bytes
        .windows(word.len())
        .any(|part| part == word.as_bytes())
}

/// Answers the trial as a server without the key would.
fn pass_the_trial(client: &mut UnixStream, bytes: &[u8]) -> bool {
    let is_trial = holds(bytes, ":trial\r\n");
    let reply: &[u8] = if holds(bytes, "SETEX") {
        b"+OK\r\n"
    } else {
        b"$-1\r\n"
    };
    is_trial && client.write_all(reply).is_ok()
}

fn why_down(role: &Role) -> String {
    match role.report() {
        StoreReport::Down(text) => text,
        other => panic!("{other:?}"),
    }
}

fn a_server_that_is_no_redis_does_no_harm() {
    for rubbish in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"\0\xff\xfe\r\n\r\n",
        b"*1000000000\r\n$-1\r\n",
        b"$99999999999999999999\r\n",
        b":1\r\n:2\r\n:3\r\n",
        b"*1\r\n*1\r\n*1\r\n*1\r\n",
    ] {
        let fake = Fake::new(move |client, _| client.write_all(rubbish).is_ok());
        let mut role = fake.start();
        why_down(&role);
        assert_eq!(role.worker().get(1), None);
        assert_eq!(role.end(), Some(0));
    }
}

fn a_server_that_falls_silent_is_asked_no_more_than_the_bound() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let fake = Fake::new(move |client, bytes| {
        if !pass_the_trial(client, bytes) {
            let questions = bytes.windows(5).filter(|part| part == b"\nGET\r");
            count.fetch_add(questions.count(), Ordering::SeqCst);
        }
        true
    });
    let role = fake.start();
    let worker = role.worker();
    // The connection is there when the first question is one of the server's.
    eventually("a question", || {
        worker.get(1);
        Some(()).filter(|()| asked.load(Ordering::SeqCst) > 0)
    });
    // The time of that question was over: a new connection.
    assert!(why_down(&role).contains("no answer within"));
    assert_eq!(role.report(), StoreReport::Up);
    let before = asked.load(Ordering::SeqCst);
    let answers = std::thread::scope(|scope| {
        let reader = scope.spawn(|| (0..5000).map(|_| worker.answer()).collect::<Vec<_>>());
        for token in 0..5000 {
            worker.ask(token, 1, false);
        }
        reader.join().expect("no panic")
    });
    assert!(answers.iter().all(|found| found.sealed.is_none()));
    let asked = asked.load(Ordering::SeqCst) - before;
    assert!((1..=1024).contains(&asked), "{asked}");
    assert!(why_down(&role).contains("no answer within"));
}

fn hostile_words_of_the_server_stay_on_one_line() {
    let fake = Fake::new(|client, _| {
        let words = format!("-ERR one\x1b[2J\x07\u{85}two{}\r\n", "x".repeat(5000));
        client.write_all(words.as_bytes()).is_ok()
    });
    let text = why_down(&fake.start());
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(text.len() < 1000, "{text}");
}

fn a_server_that_talks_without_end_cannot_fill_the_machine() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let fake = Fake::new(move |client, bytes| {
        let mut alive = pass_the_trial(client, bytes);
        if !holds(bytes, "GETDEL") {
            return alive;
        }
        // What nobody asked for, up to what the protocol allows.
        alive &= client.write_all(b"$500000000\r\n").is_ok();
        let piece = [b'x'; 65_536];
        while alive {
            alive = client.write_all(&piece).is_ok();
            count.fetch_add(piece.len(), Ordering::SeqCst);
        }
        false
    });
    let mut role = fake.start();
    // Its memory has a limit, and it dies of it. The parent starts another one.
    assert_eq!(role.ended(), None);
    let sent = sent.load(Ordering::SeqCst);
    assert!(sent < 300 << 20, "{sent} bytes");
}
