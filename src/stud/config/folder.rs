//! Directories of certificates: the files in them in the order of their names, chosen by a pattern of the shell.
#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::sys::words;

/// More certificates than anybody has in one process.
const MOST: usize = 100_000;

/// The files whose names match. What begins with a dot is passed over, as the shell does, and so are directories.
pub fn list(folder: &Path, pattern: Option<&str>) -> Result<Vec<PathBuf>, String> {
    let unreadable =
        |error: std::io::Error| format!("{}: {}", folder.display(), words::reason(&error));
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let name = name.as_bytes();
        let wanted = pattern.is_none_or(|pattern| matches(pattern.as_bytes(), name));
        // A link counts for what it leads to: that is how secrets are mounted and certificates renewed.
        if !name.starts_with(b".") && wanted && entry.path().is_file() {
            found.push(entry.path());
        }
        if found.len() > MOST {
            return Err(format!("{}: more than {MOST} files", folder.display()));
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a name has the shape of a pattern, glob(7): `*`, `?`, `[a-z]`, `[!a-z]`, and `\` before a plain character.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut place) = (0, 0);
    // Behind the last star, and the name's place where the rest was tried: one step back is enough.
    let mut star = None;
    while place < name.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at + 1, place));
            at += 1;
            continue;
        }
        match one(&pattern[at..], name[place]) {
            Some(length) => (at, place) = (at + length, place + 1),
            None => match &mut star {
                Some((behind, tried)) => {
                    *tried += 1;
                    (at, place) = (*behind, *tried);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

/// The length of the pattern's first element if it stands for this byte.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'\\', plain, ..] => (*plain == byte).then_some(2),
        [b'[', rest @ ..] => match set(rest, byte) {
            Some((holds, length)) => holds.then_some(length + 1),
            None => (byte == b'[').then_some(1),
        },
        [plain, ..] => (*plain == byte).then_some(1),
    }
}

/// What stands behind `[`: whether the byte is in it, and its length; `None` if it has no end.
fn set(text: &[u8], byte: u8) -> Option<(bool, usize)> {
    let inverted = matches!(text.first(), Some(b'!' | b'^'));
    let mut at = usize::from(inverted);
    let first = at;
    let mut holds = false;
    loop {
        match text.get(at..)? {
            [b']', ..] if at > first => return Some((holds != inverted, at + 1)),
            [low, b'-', high, ..] if *high != b']' => {
                holds |= (*low..=*high).contains(&byte);
                at += 3;
            }
            [single, ..] => {
                holds |= *single == byte;
                at += 1;
            }
            [] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stud::config::tests::Place;

    #[test]
    fn a_pattern_is_that_of_the_shell() {
        for (pattern, name) in [
            ("*.pem", "a.pem"),
            ("*", ""),
            ("a*b*c", "axxbxxbc"),
            ("?.pem", "a.pem"),
            ("[a-c]*", "beta"),
            ("[!a-c]*", "delta"),
            ("[]x]", "]"),
            ("[x", "[x"),
            ("\\*", "*"),
            ("a-[0-9-]", "a--"),
        ] {
            assert!(matches(pattern.as_bytes(), name.as_bytes()), "{pattern}");
        }
        for (pattern, name) in [
            ("*.pem", "a.pem.bak"),
            ("?.pem", "ab.pem"),
            ("[a-c]*", "delta"),
            ("[!a-c]*", "beta"),
            ("\\*", "x"),
            ("", "x"),
            ("a", ""),
        ] {
            assert!(!matches(pattern.as_bytes(), name.as_bytes()), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_full_of_stars_is_tried_in_no_more_than_a_moment() {
        let pattern = "*a".repeat(50);
        assert!(!matches(pattern.as_bytes(), &[b'a'; 49]));
        assert!(!matches((pattern + "b").as_bytes(), &[b'a'; 5000]));
    }

    #[test]
    fn files_come_in_the_order_of_their_names_without_directories_and_hidden_ones() {
        let place = Place::new();
        for name in ["b.pem", "a.pem", "c.txt", ".a.pem.swp"] {
            place.file(name);
        }
        place.folder("d.pem");
        std::os::unix::fs::symlink(place.path("a.pem"), place.path("e.pem")).unwrap();
        let all = ["a.pem", "b.pem", "c.txt", "e.pem"].map(|name| place.path(name));
        assert_eq!(list(&place.path(""), None), Ok(all.to_vec()));
        let some = ["a.pem", "b.pem", "e.pem"].map(|name| place.path(name));
        assert_eq!(list(&place.path(""), Some("*.pem")), Ok(some.to_vec()));
    }

    #[test]
    fn a_directory_that_cannot_be_read_is_named() {
        let problem = list(Path::new("/nowhere"), None).unwrap_err();
        assert_eq!(problem, "/nowhere: No such file or directory");
    }
}
