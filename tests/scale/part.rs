//! A process of the test's own: this program once more, in the role of clients or of a backend. It is told what to do
//! by lines and answers each with one that begins with `ok`; what it says meanwhile are marks.
#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// For whatever is asked. Work that takes longer says marks meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Part {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    words: String,
}

impl Part {
    /// `prefix`: words that run it, such as those of a network.
    pub fn start(prefix: &[&str], words: &[&str]) -> Part {
        let own = std::env::current_exe().expect("this program");
        let own = own.to_str().expect("a path of plain letters");
        let words = [prefix, &[own], words].concat();
        let spawned = Command::new(words[0])
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{words:?}: {error}"));
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().expect("piped"));
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Part {
            input: child.stdin.take(),
            child,
            lines,
            words: words.join(" "),
        }
    }

    pub fn tell(&mut self, order: &str) {
        let input = self.input.as_mut().expect("open to the end");
        writeln!(input, "{order}").unwrap_or_else(|error| panic!("{}: {error}", self.words));
    }

    /// The next line, which has to come.
    pub fn hear(&mut self) -> String {
        self.lines
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|error| panic!("{}: no answer: {error}", self.words))
    }

    /// The numbers behind the `ok` of the next line.
    pub fn result(&mut self) -> Vec<u64> {
        let line = self.hear();
        let numbers = line.strip_prefix("ok");
        let numbers = numbers.unwrap_or_else(|| panic!("{}: {line}", self.words));
        let parse = |word: &str| word.parse().expect("a number");
        numbers.split_whitespace().map(parse).collect()
    }

    pub fn ask(&mut self, order: &str) -> Vec<u64> {
        self.tell(order);
        self.result()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Has all do the same at the same time.
pub fn all(parts: &mut [Part], order: &str) -> Vec<Vec<u64>> {
    for part in parts.iter_mut() {
        part.tell(order);
    }
    parts.iter_mut().map(Part::result).collect()
}
