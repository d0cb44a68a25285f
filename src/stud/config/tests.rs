//! What all tests of configurations share: a directory with files in it.
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

mod certificates;
mod values;
mod whole;

use super::Config;
use crate::stud::options::{Invocation, Task};

/// A directory of its own for one test, gone at its end.
pub struct Place(PathBuf);

impl Place {
    /// With some files that may be certificates.
    pub fn with_certificates() -> Place {
        let place = Place::new();
        for name in ["a.pem", "b.pem", "c.pem", "ca.pem"] {
            place.file(name);
        }
        place
    }

    pub fn new() -> Place {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("stud-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        match name.is_empty() {
            true => self.0.clone(),
            false => self.0.join(name),
        }
    }

    /// An empty file, whose contents no test of the configuration looks at.
    pub fn file(&self, name: &str) -> PathBuf {
        self.write(name, "")
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        path
    }
}

impl Place {
    /// What these words come to after the program's name, in this directory.
    pub fn task(&self, words: &[&str]) -> Result<Task, String> {
        let words = ["stud"].iter().chain(words).map(OsString::from);
        let invocation = Invocation::parse_in(self.path(""), words);
        invocation
            .map(|invocation| invocation.task)
            .map_err(|error| error.to_string())
    }

    /// The same for words with blanks between them.
    pub fn config(&self, line: &str) -> Result<Config, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match self.task(&words)? {
            Task::Run(config) | Task::Test(config) => Ok(*config),
            Task::Print(text) => Err(text),
        }
    }

    /// What a file says, with a certificate on the command line.
    pub fn read(&self, text: &str) -> Result<Config, String> {
        self.write("stud.conf", text);
        self.file("cert.pem");
        self.config("--config=stud.conf cert.pem")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
