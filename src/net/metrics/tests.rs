use std::process::{Command, Stdio};

use nix::poll::PollFlags;

use super::*;
use crate::sys::descriptor;

const LIMIT: Duration = Duration::from_secs(20);

/// A name that no other test has.
fn place(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("stud-metrics-{}-{name}", std::process::id()))
}

fn text() -> String {
    "stud_connections 12\n".into()
}

/// What everybody is sent.
fn expected() -> String {
    String::from_utf8(http(&text())).unwrap()
}

/// Has something happened, or would it happen at once?
fn stirs(metrics: &Metrics) -> bool {
    let wanted = [Some((metrics.as_fd(), PollFlags::POLLIN))];
    descriptor::wait(wanted, Duration::ZERO).unwrap()[0].readable
}

fn read(mut client: UnixStream) -> io::Result<String> {
    client.set_read_timeout(Some(LIMIT)).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).map(|_| answer)
}

#[test]
fn a_reader_is_answered_before_it_has_said_a_word() {
    let path = place("silent");
    let mut metrics = Metrics::open(&path).unwrap();
    let client = UnixStream::connect(&path).unwrap();
    assert!(stirs(&metrics));
    metrics.turn(Instant::now(), text);
    assert_eq!(read(client).unwrap(), expected());
    // It is gone, and that is seen.
    metrics.turn(Instant::now(), text);
    assert_eq!(metrics.due(), None);
    assert!(!stirs(&metrics));
}

#[test]
fn a_request_is_thrown_away_and_does_no_harm() {
    let path = place("request");
    let mut metrics = Metrics::open(&path).unwrap();
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    metrics.turn(Instant::now(), text);
    client.write_all(&[0xff; 10_000]).unwrap();
    for _ in 0..4 {
        metrics.turn(Instant::now(), text);
    }
    assert_eq!(read(client).unwrap(), expected());
}

#[test]
fn who_sends_without_end_is_put_out() {
    let path = place("endless");
    let mut metrics = Metrics::open(&path).unwrap();
    let mut client = UnixStream::connect(&path).unwrap();
    metrics.turn(Instant::now(), text);
    let outcome = (0..1000).try_for_each(|_| {
        client.write_all(&[0; 4096])?;
        metrics.turn(Instant::now(), text);
        Ok::<(), io::Error>(())
    });
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(metrics.due(), None);
}

#[test]
fn who_stays_is_put_out_after_a_second_and_others_wait_for_a_place() {
    let path = place("many");
    let mut metrics = Metrics::open(&path).unwrap();
    let start = Instant::now();
    let clients: Vec<_> = (0..MOST + 1)
        .map(|_| UnixStream::connect(&path).unwrap())
        .collect();
    metrics.turn(start, text);
    assert_eq!(metrics.readers.len(), MOST);
    // One is left outside, and wakes nobody.
    assert!(!stirs(&metrics));
    let due = metrics.due().unwrap();
    assert_eq!(due, start + PATIENCE);
    metrics.turn(due, text);
    assert_eq!(metrics.readers.len(), 1);
    for client in clients {
        assert_eq!(read(client).unwrap(), expected());
    }
}

#[test]
fn the_socket_is_for_owner_and_group_and_goes_with_us() {
    let path = place("file");
    let metrics = Metrics::open(&path).unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    drop(metrics);
    assert!(!path.exists());
}

#[test]
fn a_socket_that_a_dead_server_left_is_replaced() {
    let path = place("stale");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    drop(Metrics::open(&path).unwrap());
}

#[test]
fn a_socket_that_somebody_listens_on_is_left_to_him() {
    let path = place("busy");
    let _metrics = Metrics::open(&path).unwrap();
    let error = Metrics::open(&path).err().unwrap();
    let expected = "another process is listening on it";
    assert!(error.ends_with(expected), "{error}");
    assert!(error.contains(path.to_str().unwrap()), "{error}");
    assert!(path.exists());
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let path = place("precious");
    fs::write(&path, "precious").unwrap();
    assert!(Metrics::open(&path).is_err());
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    fs::remove_file(&path).unwrap();
}

#[test]
fn curl_has_the_text() {
    let path = place("curl");
    let mut metrics = Metrics::open(&path).unwrap();
    let mut curl = Command::new("curl")
        .args(["--silent", "--show-error", "--unix-socket"])
        .arg(&path)
        .arg("http://stud/metrics")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let end = Instant::now() + LIMIT;
    while curl.try_wait().unwrap().is_none() {
        assert!(Instant::now() < end, "curl does not end");
        let wanted = [Some((metrics.as_fd(), PollFlags::POLLIN))];
        descriptor::wait(wanted, Duration::from_millis(20)).unwrap();
        metrics.turn(Instant::now(), text);
    }
    let output = curl.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), text());
}
