//! A directory to run the programs in.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

pub const TCPRULES: &str = env!("CARGO_BIN_EXE_tcprules");
pub const CHECK: &str = env!("CARGO_BIN_EXE_tcprulescheck");

/// A directory of a test's own, gone when it ends well.
pub struct Place(pub PathBuf);

impl Place {
    pub fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("tcprules-{name}.{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Place(path)
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Compiles to `cdb` by way of `tmp`.
    pub fn compile(&self, rules: impl AsRef<[u8]>) -> Done {
        self.run(&[TCPRULES, "cdb", "tmp"], rules)
    }

    pub fn check(&self, values: &[&str]) -> Done {
        self.run(&[&[CHECK, "cdb"], values].concat(), "")
    }

    /// Runs a command in this directory, for a bounded time, in a clean
    /// environment.
    pub fn run(&self, command: &[&str], input: impl AsRef<[u8]>) -> Done {
        self.run_with(command, input, &[])
    }

    pub fn run_with(
        &self,
        command: &[&str],
        input: impl AsRef<[u8]>,
        env: &[(&str, &str)],
    ) -> Done {
        let stdin = std::env::temp_dir().join(format!("{}.stdin", self.0.display()));
        fs::write(&stdin, input).unwrap();
        let output = Command::new("timeout")
            .arg("60")
            .args(command)
            .current_dir(&self.0)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(env.iter().copied())
            .stdin(File::open(&stdin).unwrap())
            .output()
            .unwrap();
        fs::remove_file(&stdin).unwrap();
        Done {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

#[derive(Debug)]
pub struct Done {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    #[track_caller]
    pub fn quietly(self) {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""));
    }

    #[track_caller]
    pub fn failed(self, code: i32, message: &str) {
        assert_eq!((self.code, self.stderr.trim_end()), (Some(code), message));
    }
}
