use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::stud::config::Facility;

const TIME: LocalTime = LocalTime {
    year: 2025,
    month: 3,
    day: 4,
    hour: 5,
    minute: 6,
    second: 7,
    microsecond: 89,
};

/// A folder for one test, taken away with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("stud-log-{}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn log(&self, level: Level) -> Log {
        let settings = LogSettings {
            level,
            file: Some(self.path("log")),
            syslog: None,
        };
        Log::open("stud", &settings).unwrap()
    }

    /// The lines of the log without time and process.
    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("log")).unwrap();
        let after = |line: &str| line.split_once("] ").unwrap().1.to_owned();
        text.lines().map(after).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn pid(number: i32) -> Pid {
    Pid::from_raw(number)
}

/// One line of each kind.
fn say_all(log: &Log) {
    log.life("started");
    log.error("refused");
    log.connection(pid(7), "finished");
}

#[test]
fn a_line_has_the_form_of_hitch() {
    let line = format(TIME, pid(42), "text");
    assert_eq!(line, "20250304T050607.000089 [   42] text\n");
    let line = format(TIME, pid(1_234_567), "text");
    assert_eq!(line, "20250304T050607.000089 [1234567] text\n");
}

#[test]
fn each_level_says_what_it_is_for() {
    let (life, error, connection) = ("started", "refused", "finished");
    for (level, expected) in [
        (Level::Quiet, vec![error]),
        (Level::Life, vec![life]),
        (Level::Errors, vec![life, error]),
        (Level::Connections, vec![life, error, connection]),
    ] {
        let folder = Folder::new(&format!("level-{level:?}"));
        say_all(&folder.log(level));
        assert_eq!(folder.lines(), expected, "{level:?}");
    }
}

#[test]
fn no_text_is_more_than_one_line() {
    let folder = Folder::new("one-line");
    folder.log(Level::Life).life("a\nb\r\u{1b}[1m\u{85}c\u{e4}");
    assert_eq!(folder.lines(), ["a?b??[1m?c\u{e4}"]);
}

#[test]
fn the_file_is_appended_to_and_others_may_read_it() {
    let folder = Folder::new("append");
    folder.log(Level::Life).life("one");
    folder.log(Level::Life).life("two");
    assert_eq!(folder.lines(), ["one", "two"]);
    let mode = fs::metadata(folder.path("log"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o644);
}

#[test]
fn a_file_that_was_moved_away_is_opened_anew_on_request() {
    let folder = Folder::new("reopen");
    let log = folder.log(Level::Life);
    log.life("one");
    fs::rename(folder.path("log"), folder.path("log.1")).unwrap();
    log.life("two");
    log.reopen().unwrap();
    log.life("three");
    assert_eq!(folder.lines(), ["three"]);
    let old = fs::read_to_string(folder.path("log.1")).unwrap();
    assert_eq!(old.lines().count(), 2);
}

#[test]
fn a_file_that_was_moved_away_is_noticed_once_a_minute() {
    let folder = Folder::new("minute");
    let start = Instant::now();
    let mut file = LogFile::open(&folder.path("log")).unwrap();
    file.write(b"one\n", start).unwrap();
    fs::rename(folder.path("log"), folder.path("log.1")).unwrap();
    fs::write(folder.path("log"), "").unwrap();
    file.write(b"two\n", start + Duration::from_secs(59))
        .unwrap();
    file.write(b"three\n", start + Duration::from_secs(60))
        .unwrap();
    assert_eq!(fs::read(folder.path("log")).unwrap(), b"three\n");
    assert_eq!(fs::read(folder.path("log.1")).unwrap(), b"one\ntwo\n");
}

#[test]
fn a_file_that_cannot_be_opened_anew_stays() {
    let folder = Folder::new("gone");
    let log = folder.log(Level::Life);
    fs::rename(folder.path("log"), folder.path("log.1")).unwrap();
    fs::create_dir(folder.path("log")).unwrap();
    let reason = log.reopen().unwrap_err();
    let path = folder.path("log");
    let expected = format!("unable to open log file {}: Is a directory", path.display());
    assert_eq!(reason, expected);
    log.life("still here");
    assert_eq!(
        fs::read_to_string(folder.path("log.1"))
            .unwrap()
            .lines()
            .count(),
        1
    );
}

#[test]
fn a_pipe_that_nobody_reads_does_not_hold_up_the_start() {
    let folder = Folder::new("pipe");
    nix::unistd::mkfifo(&folder.path("log"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(LogFile::open(&folder.path("log")).is_err());
}

#[test]
fn syslog_has_lines_of_rfc_3164() {
    let folder = Folder::new("syslog");
    let receiver = UnixDatagram::bind(folder.path("socket")).unwrap();
    let mut syslog = Syslog::new(&folder.path("socket"), Facility(3 << 3), "stud");
    syslog.send(Priority::Error, TIME, pid(42), "text").unwrap();
    let mut buffer = [0; 100];
    let length = receiver.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"<27>Mar  4 05:06:07 stud[42]: text");
}

#[test]
fn a_syslog_that_was_started_again_is_found_again() {
    let folder = Folder::new("syslog-again");
    let path = folder.path("socket");
    let mut syslog = Syslog::new(&path, Facility(3 << 3), "stud");
    assert!(syslog.send(Priority::Error, TIME, pid(42), "lost").is_err());
    for text in ["one", "two"] {
        let receiver = UnixDatagram::bind(&path).unwrap();
        syslog
            .send(Priority::Information, TIME, pid(42), text)
            .unwrap();
        let mut buffer = [0; 100];
        let length = receiver.recv(&mut buffer).unwrap();
        assert!(buffer[..length].ends_with(text.as_bytes()));
        drop(receiver);
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_syslog_that_does_not_read_loses_lines_and_holds_up_nobody() {
    let folder = Folder::new("syslog-full");
    let path = folder.path("socket");
    let _receiver = UnixDatagram::bind(&path).unwrap();
    let log = folder.log(Level::Life);
    log.outlets.borrow_mut().syslog = Some(Syslog::new(&path, Facility(3 << 3), "stud"));
    for _ in 0..10_000 {
        log.life("text");
    }
    assert_eq!(folder.lines().len(), 10_000);
    assert!(log.lost() > 0);
}
