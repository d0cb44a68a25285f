//! Every byte arrives, in both directions, however either side ends.
#![forbid(unsafe_code)]

mod common;

use common::{End, Ending, Setup, curl, pattern};
use std::fs;

#[test]
fn busybox_httpd_serves_a_large_file_byte_for_byte() {
    let setup = Setup::new();
    let content = pattern(100_000_000);
    setup.dir.write("large", &content);
    let root = setup.dir.text("");
    let server = setup
        .program(&["busybox", "httpd", "-i", "-h", &root])
        .start();
    let outcome = curl(
        &server,
        &["-o", &server.dir.text("received")],
        "https://{}/large",
    );
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    let received = fs::read(server.dir.join("received")).expect("curl's file");
    assert!(
        received == content,
        "{} bytes of {}",
        received.len(),
        content.len()
    );
    server.wait_until_idle();
}

#[test]
fn a_thousand_short_replies_over_8_parallel_clients_all_arrive() {
    let server = Setup::new().program(&["echo", "hi"]).start();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for number in 0..125 {
                    assert_eq!(server.reply(), "hi\n", "reply {number}");
                }
            });
        }
    });
    server
        .log
        .wait_for_nth("sslserver: ended by * status 0", 1000);
    server.wait_until_idle();
    server.stop();
}

#[test]
fn half_a_gigabyte_of_output_is_complete() {
    let server = Setup::new()
        .program(&["head", "-c", "512M", "/dev/zero"])
        .start();
    let mut size = 0;
    let end = server.connect().transfer(b"", Ending::Nothing, |piece| {
        size += piece.len();
    });
    assert_eq!((size, end), (512 << 20, End::Clean));
    server.wait_until_idle();
}

#[test]
fn input_echoed_by_cat_comes_back_whole_after_close_notify_and_after_a_bare_fin() {
    let server = Setup::new().start();
    let content = pattern(5_000_000);
    for ending in [Ending::CloseNotify, Ending::Fin] {
        let (echo, end) = server.connect().exchange(&content, ending);
        assert!(
            echo == content,
            "{ending:?}: {} bytes of {}",
            echo.len(),
            content.len()
        );
        assert_eq!(end, End::Clean, "{ending:?}");
    }
    server.log.wait_for_nth("sslserver: ended by * status 0", 2);
    assert_eq!(
        server.log.count("sslserver: error*"),
        0,
        "{:?}",
        server.log.lines()
    );
    server.wait_until_idle();
}

#[test]
fn an_application_that_works_on_after_the_end_of_its_input_is_heard() {
    let server = Setup::new()
        .shell("cat >/dev/null; sleep 1; echo done")
        .start();
    for ending in [Ending::CloseNotify, Ending::Fin] {
        let (reply, end) = server.connect().exchange(b"some input", ending);
        assert_eq!(
            (reply.as_slice(), end),
            (&b"done\n"[..], End::Clean),
            "{ending:?}"
        );
    }
    server.wait_until_idle();
}

#[test]
fn an_application_that_never_writes_gets_everything_and_ends() {
    let setup = Setup::new();
    let file = setup.dir.text("received");
    let server = setup.shell(&format!("cat >{file}; exit 3")).start();
    let content = pattern(5_000_000);
    let (reply, end) = server.connect().exchange(&content, Ending::CloseNotify);
    assert_eq!((reply.len(), end), (0, End::Clean));
    server.log.wait_for("sslserver: ended by * status 768");
    assert!(fs::read(server.dir.join("received")).expect("the file") == content);
    server.wait_until_idle();
}

#[test]
fn an_application_that_closes_its_output_first_still_gets_its_input() {
    let setup = Setup::new();
    let file = setup.dir.text("received");
    let server = setup
        .shell(&format!("echo bye; exec >&-; cat >{file}"))
        .start();
    let mut client = server.connect();
    let (reply, end) = client.exchange(b"", Ending::Nothing);
    assert_eq!((reply.as_slice(), end), (&b"bye\n"[..], End::Clean));
    client.send(&pattern(100_000));
    client.close_notify();
    client.fin();
    server.log.wait_for("sslserver: ended by * status 0");
    assert!(fs::read(server.dir.join("received")).expect("the file") == pattern(100_000));
    server.wait_until_idle();
}

#[test]
fn an_application_that_exits_at_once_closes_the_connection_cleanly() {
    let server = Setup::new().program(&["true"]).start();
    for content in [&b""[..], b"never read"] {
        let (reply, end) = server.connect().exchange(content, Ending::Nothing);
        assert_eq!((reply.len(), end), (0, End::Clean), "sent {content:?}");
    }
    server.log.wait_for_nth("sslserver: ended by * status 0", 2);
    server.wait_until_idle();
}

#[test]
fn both_sides_writing_without_reading_first_do_not_block_each_other() {
    let server = Setup::new()
        .shell("head -c 3000000 /dev/zero; head -c 3000000 | wc -c")
        .start();
    let (reply, end) = server
        .connect()
        .exchange(&pattern(3_000_000), Ending::Nothing);
    assert_eq!((&reply[3_000_000..], end), (&b"3000000\n"[..], End::Clean));
    server.wait_until_idle();
}

#[test]
fn an_application_whose_child_holds_the_output_open_does_not_lose_it() {
    let server = Setup::new().shell("(sleep 1; echo late) & exit 0").start();
    assert_eq!(server.reply(), "late\n");
    server.wait_until_idle();
}

#[test]
fn a_background_child_without_the_output_does_not_hold_the_connection() {
    let server = Setup::new()
        .shell("sleep 3600 <&- >&- 2>&- & echo $!")
        .start();
    let pid = server.reply();
    let pid: i32 = pid.trim().parse().expect("a pid");
    let left = common::Process::read(pid).expect("still running");
    left.send(nix::sys::signal::Signal::SIGTERM);
    server.wait_until_idle();
}

#[test]
fn input_that_had_to_wait_for_the_application_arrives_though_the_client_says_nothing_more() {
    let server = Setup::new()
        .shell("read size; sleep 1; head -c $size | wc -c")
        .options(&["-c", "100"])
        .start();
    std::thread::scope(|scope| {
        for number in 0..80 {
            let server = &server;
            scope.spawn(move || {
                let size = 250_000 + number * 5_003;
                let mut input = format!("{size}\n").into_bytes();
                input.extend(pattern(size));
                let (reply, end) = server.connect().exchange(&input, Ending::Nothing);
                assert_eq!(String::from_utf8_lossy(&reply), format!("{size}\n"));
                assert_eq!(end, End::Clean, "{size}");
            });
        }
    });
    server.wait_until_idle();
}
