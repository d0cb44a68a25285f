//! Thousands of connections at once.
#![forbid(unsafe_code)]

use crate::common::{Process, say};
use crate::router::{Client, Server, Setup, hello};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What this process and the router may open, raised where that is allowed.
fn descriptors() -> usize {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let _ = setrlimit(Resource::RLIMIT_NOFILE, hard.max(30_000), hard.max(30_000));
    getrlimit(Resource::RLIMIT_NOFILE).unwrap().0 as usize
}

fn kilobytes(pid: i32) -> usize {
    let text = Process::read(pid).unwrap().status("VmRSS");
    text.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn ten_thousand_idle_connections_cost_little_and_all_still_work() {
    // Some for the other tests.
    let count = 10_000.min((descriptors() - 1000) / 2);
    if count < 10_000 {
        say(&format!(
            "ten_thousand_idle_connections: only {count} for want of descriptors"
        ));
    }
    let router = Setup::new().start();
    let backend = router.backend("a.example");
    let whole = hello("a.example");
    let join = || -> (Client, Server) {
        let client = router.saying(&whole);
        let mut server = backend.accept();
        server.read(whole.len());
        (client, server)
    };
    let first = join();
    let before = kilobytes(router.pid());
    let mut all: Vec<_> = (1..count).map(|_| join()).collect();
    all.push(first);
    let each = (kilobytes(router.pid()) - before) * 1024 / count;
    assert!(each <= 4096, "{each} bytes for each connection");
    let ticks = || Process::read(router.pid()).unwrap().ticks;
    let then = ticks();
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert!(ticks() <= then + 2, "idle connections take time");
    for (client, server) in all.iter_mut() {
        client.send(b"ping");
        assert_eq!(server.read(4), b"ping");
        server.send(b"pong");
        assert_eq!(client.read(4), b"pong");
    }
    drop(all);
    router.stop(&[]);
}
