//! What is counted, and who is told.
#![forbid(unsafe_code)]

use crate::common::{End, Ending, LIMIT, Running, Serving, Stud, eventually, run};
use nix::sys::signal::Signal;

fn served(stud: &Running) {
    let (words, end) = stud.connect().exchange(b"x", Ending::CloseNotify);
    assert_eq!((words.as_slice(), end), (&b"answer"[..], End::Clean));
}

/// What the metrics' socket answers.
fn metrics(stud: &Running) -> String {
    let mut command = std::process::Command::new("curl");
    command.args(["-q", "-sS", "-f", "--unix-socket"]);
    command
        .arg(stud.file("metrics"))
        .arg("http://localhost/metrics");
    let outcome = run(command, b"", LIMIT);
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    outcome.text()
}

/// The sum of the values of all whose name contains the word.
fn value(text: &str, word: &str) -> f64 {
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && line.contains(word));
    let values = lines.map(|line| line.rsplit(' ').next().unwrap_or_default());
    values
        .map(|value| value.parse::<f64>().expect("a number"))
        .sum()
}

#[test]
fn counters_are_told_in_the_words_of_prometheus() {
    let backend = Serving::answering(b"answer");
    let stud = Stud::to(backend.address);
    let path = stud.dir.join("metrics");
    let lines = format!("workers = 2\nmetrics = \"{}\"", path.display());
    let stud = stud.config(&lines).start();
    let before = metrics(&stud);
    assert!(before.contains("# TYPE stud_"), "{before}");
    for _ in 0..5 {
        served(&stud);
    }
    let mut plain = stud.dial().plain();
    plain.send(b"GET / HTTP/1.0\r\n\r\n");
    plain.rest();
    let grown = |word: &str| {
        eventually(word, || {
            (value(&metrics(&stud), word) > value(&before, word)).then_some(())
        });
    };
    grown("connections");
    grown("handshake");
    grown("bytes");
    // A dead worker takes nothing of the sums with it, and a reload neither.
    let now = value(&metrics(&stud), "connections_total");
    for worker in stud.roles("ssl-worker") {
        worker.send(Signal::SIGKILL);
    }
    stud.reload();
    assert!(value(&metrics(&stud), "connections_total") >= now);
    stud.stop();
}

#[test]
fn a_client_of_the_metrics_that_says_nothing_stops_nobody() {
    let backend = Serving::answering(b"answer");
    let stud = Stud::to(backend.address);
    let path = stud.dir.join("metrics");
    let stud = stud
        .config(&format!("metrics = \"{}\"", path.display()))
        .start();
    let silent: Vec<_> = (0..50)
        .map_while(|_| std::os::unix::net::UnixStream::connect(&path).ok())
        .collect();
    served(&stud);
    stud.reload();
    drop(silent);
    metrics(&stud);
}

#[test]
fn sigusr1_has_the_counters_said() {
    let backend = Serving::answering(b"answer");
    let stud = Stud::to(backend.address).start();
    for _ in 0..3 {
        served(&stud);
    }
    stud.signal(Signal::SIGUSR1);
    stud.log.wait_for("*connections*3*");
    served(&stud);
}
