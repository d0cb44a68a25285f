//! The file that holds the parent's number, for scripts that signal it. As long as its lock is held nobody else begins
//! to serve with the same file; one that a dead server left has no lock and is taken over.
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::sys::words;

/// Another server may take its file away between our opening and our locking it; not this often.
const ATTEMPTS: usize = 10;

/// Held by the process whose number it has. Dropped, it takes the file away.
pub struct PidFile {
    /// Absolute: a process in the background is in another directory.
    path: PathBuf,
    file: Flock<File>,
}

impl PidFile {
    /// Locks the file, made with mode 0644, and writes the number of this process, without a newline. To be called in
    /// the daemon, whose number is not its starter's. The error names the file.
    pub fn create(path: &Path) -> Result<PidFile, String> {
        let failed =
            |reason: &str| format!("unable to write pid file {}: {reason}", path.display());
        let system = |error: io::Error| failed(&words::reason(&error));
        let path = std::path::absolute(path).map_err(system)?;
        for _ in 0..ATTEMPTS {
            let file = open(&path).map_err(system)?;
            // A device, /dev/null for one, is not to be emptied, nor taken away at the end.
            if !file.metadata().map_err(system)?.is_file() {
                return Err(failed("it is no regular file"));
            }
            let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(file) => file,
                Err((file, Errno::EWOULDBLOCK)) => return Err(failed(&holder(file))),
                Err((_, errno)) => return Err(failed(errno.desc())),
            };
            let mut held = PidFile {
                path: path.clone(),
                file,
            };
            if held.is_what_the_name_means() {
                held.write().map_err(system)?;
                return Ok(held);
            }
        }
        Err(failed("others keep taking it away"))
    }

    fn write(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        write!(&*self.file, "{}", std::process::id())
    }

    fn is_what_the_name_means(&self) -> bool {
        match (fs::symlink_metadata(&self.path), self.file.metadata()) {
            (Ok(named), Ok(ours)) => (named.dev(), named.ino()) == (ours.dev(), ours.ino()),
            _ => false,
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if self.is_what_the_name_means() {
            // It stays where its folder belongs to somebody else by now, and says nothing without its lock.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A link is not followed: it could lead to any file of the system's, which would be emptied.
fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644);
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY);
    options.open(path)
}

/// Who has it, as it says there itself.
fn holder(file: File) -> String {
    let mut text = String::new();
    let _ = file.take(10).read_to_string(&mut text);
    match text.parse::<u32>() {
        Ok(pid) => format!("process {pid} is running with it"),
        Err(_) => "another process is running with it".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::unix::fs::{PermissionsExt, symlink};

    /// A name that no other test has; what is there goes with it.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Place {
            let file = format!("stud-pid-{}-{name}", std::process::id());
            Place(std::env::temp_dir().join(file))
        }

        fn text(&self) -> String {
            fs::read_to_string(&self.0).unwrap()
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn it_holds_our_number_without_a_newline_and_goes_with_us() {
        let place = Place::new("number");
        let held = PidFile::create(&place.0).unwrap();
        assert_eq!(place.text(), std::process::id().to_string());
        let mode = fs::metadata(&place.0).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        drop(held);
        assert!(!place.0.exists());
    }

    #[test]
    fn a_file_that_a_running_server_holds_is_an_error_that_names_both() {
        let place = Place::new("running");
        let _held = PidFile::create(&place.0).unwrap();
        let error = PidFile::create(&place.0).err().unwrap();
        let expected = format!(
            "unable to write pid file {}: process {} is running with it",
            place.0.display(),
            std::process::id()
        );
        assert_eq!(error, expected);
        assert_eq!(place.text(), std::process::id().to_string());
    }

    #[test]
    fn a_file_that_a_dead_server_left_is_taken_over() {
        let place = Place::new("left");
        fs::write(&place.0, "99999999999").unwrap();
        let _held = PidFile::create(&place.0).unwrap();
        assert_eq!(place.text(), std::process::id().to_string());
    }

    #[test]
    fn a_file_that_took_our_place_stays() {
        let place = Place::new("other");
        let held = PidFile::create(&place.0).unwrap();
        fs::remove_file(&place.0).unwrap();
        fs::write(&place.0, "1").unwrap();
        drop(held);
        assert_eq!(place.text(), "1");
    }

    #[test]
    fn what_is_no_file_is_left_alone() {
        let error = PidFile::create(Path::new("/dev/null")).err().unwrap();
        assert_eq!(
            error,
            "unable to write pid file /dev/null: it is no regular file"
        );
        let (target, link) = (Place::new("target"), Place::new("link"));
        fs::write(&target.0, "precious").unwrap();
        symlink(&target.0, &link.0).unwrap();
        assert!(PidFile::create(&link.0).is_err());
        assert_eq!(target.text(), "precious");
    }
}
