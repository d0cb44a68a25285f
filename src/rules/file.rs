//! The compiled rules file as a server sees it: kept in memory, read again
//! when another file stands in its place, and trusted in nothing.

#![forbid(unsafe_code)]

use super::cdb::{Cdb, Damage};
use super::{Client, Verdict, lookup};
use crate::sys::words::reason;
use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The largest file that is read, and that `tcprules` writes.
pub const MAX_FILE: u64 = 256 << 20;

/// How coarse a file system's clock may be. A file changed so short a time
/// before it was read may change again without another time stamp.
const CLOCK_STEP: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub struct RulesFile {
    path: PathBuf,
    loaded: Option<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    identity: Identity,
    settled: bool,
    /// Damage is remembered too, or a large bad file would be read at every
    /// connection.
    content: Result<Cdb, Damage>,
}

impl RulesFile {
    pub fn new(path: PathBuf) -> RulesFile {
        RulesFile { path, loaded: None }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file says now of this client. One `stat` if nothing changed.
    pub fn lookup(&mut self, client: &Client) -> Result<Verdict, RulesError> {
        let cdb = self.current()?;
        lookup::decide(cdb, client).map_err(RulesError::Damaged)
    }

    /// All rules in it, in no order.
    pub fn rules(&mut self) -> Result<Vec<Verdict>, RulesError> {
        lookup::all(self.current()?).map_err(RulesError::Damaged)
    }

    fn current(&mut self) -> Result<&Cdb, RulesError> {
        let metadata = fs::metadata(&self.path).map_err(RulesError::System)?;
        let loaded = match self.loaded.take() {
            Some(kept) if kept.settled && kept.identity == Identity::of(&metadata) => kept,
            _ => Loaded::from(&self.path, &metadata)?,
        };
        match &self.loaded.insert(loaded).content {
            Ok(cdb) => Ok(cdb),
            Err(damage) => Err(RulesError::Damaged(*damage)),
        }
    }
}

impl Loaded {
    fn from(path: &Path, seen: &Metadata) -> Result<Loaded, RulesError> {
        // Before the open, which could wake a device, and after it, because
        // only then is it sure what was opened.
        check_kind(seen)?;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)
            .map_err(RulesError::System)?;
        let metadata = file.metadata().map_err(RulesError::System)?;
        check_kind(&metadata)?;
        Ok(Loaded {
            settled: is_settled(change_time(&metadata), SystemTime::now()),
            identity: Identity::of(&metadata),
            content: Cdb::new(read_whole(file, metadata.len())?),
        })
    }
}

fn check_kind(metadata: &Metadata) -> Result<(), RulesError> {
    if metadata.is_dir() {
        Err(RulesError::Directory)
    } else if !metadata.is_file() {
        Err(RulesError::NotRegular)
    } else if metadata.len() > MAX_FILE {
        Err(RulesError::TooLarge)
    } else {
        Ok(())
    }
}

fn read_whole(file: File, expected: u64) -> Result<Vec<u8>, RulesError> {
    let mut bytes = Vec::new();
    let expected = usize::try_from(expected).map_err(|_| RulesError::TooLarge)?;
    bytes
        .try_reserve_exact(expected)
        .map_err(|_| RulesError::System(io::ErrorKind::OutOfMemory.into()))?;
    let mut limited = file.take(MAX_FILE + 1);
    limited
        .read_to_end(&mut bytes)
        .map_err(RulesError::System)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(RulesError::TooLarge);
    }
    Ok(bytes)
}

fn change_time(metadata: &Metadata) -> SystemTime {
    let seconds = u64::try_from(metadata.ctime()).unwrap_or(0);
    let nanoseconds = u32::try_from(metadata.ctime_nsec()).unwrap_or(0);
    let since = Duration::new(seconds, nanoseconds);
    let epoch = SystemTime::UNIX_EPOCH;
    epoch.checked_add(since).unwrap_or(epoch)
}

/// False while a change is so fresh that the next could carry the same time.
fn is_settled(changed: SystemTime, now: SystemTime) -> bool {
    match now.duration_since(changed) {
        Ok(age) => age > CLOCK_STEP,
        // Far in the future means that the clock was set back since.
        Err(ahead) => ahead.duration() > CLOCK_STEP,
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    fn of(metadata: &Metadata) -> Identity {
        Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Why a rules file cannot be used. The text is the reason alone; whoever
/// reports it names the file.
#[derive(Debug)]
pub enum RulesError {
    System(io::Error),
    Directory,
    NotRegular,
    TooLarge,
    Damaged(Damage),
}

impl RulesError {
    /// There is no such file, which option `-X` forgives.
    pub fn is_missing(&self) -> bool {
        matches!(self, RulesError::System(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RulesError::System(error) => f.write_str(&reason(error)),
            RulesError::Directory => f.write_str("is a directory"),
            RulesError::NotRegular => f.write_str("is not a regular file"),
            RulesError::TooLarge => write!(f, "is larger than {} MB", MAX_FILE >> 20),
            RulesError::Damaged(damage) => damage.fmt(f),
        }
    }
}

impl std::error::Error for RulesError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_settled_when_the_next_must_have_another_time() {
        let now = SystemTime::now();
        let second = Duration::from_secs(1);
        assert!(is_settled(now - second, now));
        assert!(is_settled(now + second, now));
        assert!(!is_settled(now, now));
        assert!(!is_settled(now - CLOCK_STEP, now));
        assert!(!is_settled(now + CLOCK_STEP, now));
    }

    #[test]
    fn only_a_settled_file_is_believed_to_be_the_same_by_its_times() {
        let name = format!("rules-settled-test.{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, [0, 8, 0, 0, 0, 0, 0, 0].repeat(256)).unwrap();
        let client = Client {
            ip: [1, 2, 3, 4].into(),
            host: None,
            info: None,
        };
        let mut file = RulesFile::new(path.clone());
        for settled in [true, false] {
            file.loaded = Some(Loaded {
                identity: Identity::of(&fs::metadata(&path).unwrap()),
                settled,
                content: Err(Damage::Record),
            });
            // What is kept is damaged, what lies there is not.
            assert_eq!(file.lookup(&client).is_err(), settled);
        }
        fs::remove_file(path).unwrap();
    }
}
