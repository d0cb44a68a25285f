//! The directory is the configuration, and every connection sees it as it is then.
#![forbid(unsafe_code)]

use crate::common::{tempdir::set_mode, without_root};
use crate::router::{Backend, Router, Setup, alert, hello};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Runs the router as somebody whom permissions mean.
const SOMEBODY: [&str; 4] = [
    "setpriv",
    "--reuid=61001",
    "--regid=61001",
    "--clear-groups",
];

fn is_served(router: &Router, backend: &Backend) {
    let mut client = router.saying(&hello("a.example"));
    let mut server = backend.accept();
    server.send(b"here");
    assert_eq!(client.read(4), b"here");
}

fn is_unknown(router: &Router) {
    assert_eq!(router.saying(&hello("a.example")).rest(), alert(112));
}

#[test]
fn hosts_come_and_go_without_a_restart() {
    let router = Setup::new().start();
    is_unknown(&router);
    let backend = router.backend("a.example");
    is_served(&router, &backend);
    fs::rename(&backend.directory, router.hosts.join("b.example")).unwrap();
    is_unknown(&router);
    fs::rename(router.hosts.join("b.example"), &backend.directory).unwrap();
    is_served(&router, &backend);
    fs::remove_file(backend.directory.join("tls-socket")).unwrap();
    is_unknown(&router);
    router.stop(&[]);
}

#[test]
fn directories_and_sockets_may_be_links() {
    let router = Setup::new().start();
    let backend = router.backend("b.example");
    symlink("b.example", router.hosts.join("a.example")).unwrap();
    is_served(&router, &backend);
    fs::remove_file(router.hosts.join("a.example")).unwrap();
    router.hosts.subdirectory("a.example");
    let link = router.hosts.join("a.example/tls-socket");
    symlink("../b.example/tls-socket", link).unwrap();
    is_served(&router, &backend);
    router.stop(&[]);
}

#[test]
fn what_the_router_may_not_reach_is_unknown() {
    if without_root("what_the_router_may_not_reach_is_unknown") {
        return;
    }
    let router = Setup::new().under(&SOMEBODY).start();
    let backend = router.backend("a.example");
    let socket = backend.directory.join("tls-socket");
    is_served(&router, &backend);
    set_mode(&socket, 0o700);
    is_unknown(&router);
    set_mode(&socket, 0o777);
    set_mode(&backend.directory, 0o700);
    is_unknown(&router);
    set_mode(&backend.directory, 0o711);
    is_served(&router, &backend);
    // Not even the way back is lost when the hosts directory is closed for a while.
    set_mode(router.hosts.path(), 0o700);
    is_unknown(&router);
    set_mode(router.hosts.path(), 0o711);
    is_served(&router, &backend);
    router.stop(&[]);
}

/// Tells everybody its name.
fn serve(listener: UnixListener, word: &'static str, served: &AtomicUsize) {
    while let Ok((mut stream, _)) = listener.accept() {
        let mut bytes = vec![0; hello("a.example").len() + 200];
        match stream.read(&mut bytes) {
            Ok(count) if bytes[..count].ends_with(b"stop") => return,
            Ok(count) => {
                let has_line = bytes[..count].starts_with(b"PROXY TCP4 ");
                assert_eq!(has_line, word == "told", "socket and settings were mixed");
                served.fetch_add(1, Ordering::Relaxed);
                let _ = stream.write_all(word.as_bytes());
            }
            Err(_) => {}
        }
    }
}

/// Puts a link to another directory in the place of a name, in one step.
fn point(hosts: &Path, name: &str, to: &str) {
    symlink(to, hosts.join("new")).unwrap();
    fs::rename(hosts.join("new"), hosts.join(name)).unwrap();
}

#[test]
fn a_replaced_directory_is_taken_up_whole_under_load_and_nobody_is_lost() {
    let router = Setup::new().start();
    let hosts = router.hosts.path().to_owned();
    for name in ["told", "untold"] {
        router.hosts.subdirectory(name);
    }
    fs::write(hosts.join("told/send-proxy-v1"), "").unwrap();
    point(&hosts, "a.example", "told");
    let served = AtomicUsize::new(0);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for word in ["told", "untold"] {
            let listener = UnixListener::bind(hosts.join(word).join("tls-socket")).unwrap();
            let served = &served;
            scope.spawn(move || serve(listener, word, served));
        }
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for word in ["untold", "told"] {
                    point(&hosts, "a.example", word);
                }
            }
        });
        let clients: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let heard = router.saying(&hello("a.example")).rest();
                        assert!(heard == b"told" || heard == b"untold", "{heard:?}");
                    }
                })
            })
            .collect();
        let ends: Vec<_> = clients.into_iter().map(|client| client.join()).collect();
        over.store(true, Ordering::Relaxed);
        for word in ["told", "untold"] {
            let mut stop =
                std::os::unix::net::UnixStream::connect(hosts.join(word).join("tls-socket"))
                    .unwrap();
            stop.write_all(b"stop").unwrap();
        }
        ends.into_iter().for_each(|end| end.unwrap());
    });
    assert_eq!(served.load(Ordering::Relaxed), 600);
    router.stop(&[]);
}

#[test]
fn hosts_come_go_and_are_closed_under_load_and_each_connection_sees_them_as_they_are() {
    if without_root(
        "hosts_come_go_and_are_closed_under_load_and_each_connection_sees_them_as_they_are",
    ) {
        return;
    }
    let router = Setup::new().under(&SOMEBODY).start();
    let steady = router.hosts.subdirectory("b.example").join("tls-socket");
    let listener = UnixListener::bind(&steady).unwrap();
    set_mode(&steady, 0o777);
    let served = AtomicUsize::new(0);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| serve(listener, "untold", &served));
        let load = || {
            while !over.load(Ordering::Relaxed) {
                assert_eq!(router.saying(&hello("b.example")).rest(), b"untold");
            }
        };
        let clients = [scope.spawn(load), scope.spawn(load)];
        let changes = scope.spawn(|| {
            for _ in 0..40 {
                let backend = router.backend("a.example");
                is_served(&router, &backend);
                set_mode(&backend.directory, 0o700);
                is_unknown(&router);
                set_mode(&backend.directory, 0o711);
                is_served(&router, &backend);
                fs::remove_dir_all(&backend.directory).unwrap();
                is_unknown(&router);
            }
        });
        let changed = changes.join();
        over.store(true, Ordering::Relaxed);
        let loaded = clients.map(|client| client.join());
        let mut stop = std::os::unix::net::UnixStream::connect(&steady).unwrap();
        stop.write_all(b"stop").unwrap();
        changed.unwrap();
        loaded.into_iter().for_each(|end| end.unwrap());
    });
    assert!(served.load(Ordering::Relaxed) > 0);
    router.stop(&[]);
}
