//! Secrets that several machines have in common: a text file, one secret on each line.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::path::Path;

use openssl::base64::decode_block;

use super::{MOST, Secret, TicketSecrets, mix};
use crate::sys::words;
use crate::tls::material::{Files, Unusable, reason, unusable};

/// Makes a secret of bytes that somebody has written down.
const FROM_FILE: &[u8] = b"a secret of tickets, from a file";
/// How many bytes a line stands for.
const LENGTHS: std::ops::RangeInclusive<usize> = 32..=128;

impl TicketSecrets {
    /// Reads the secrets of a file, which do not change: the first one seals, all of them open. With what there is to
    /// say about it.
    pub fn from_file(files: &Files, path: &Path) -> Result<(TicketSecrets, Vec<String>), Unusable> {
        let bad = unusable("unable to load ticket keys", path);
        let (bytes, mode) = files
            .read_with_mode(path)
            .map_err(|error| bad(words::reason(&error)))?;
        let text = String::from_utf8_lossy(&bytes);
        let mut secrets = VecDeque::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |what: &str| bad(format!("line {}: {what}", number + 1));
            let key = decode_block(line).ok();
            let key = key
                .filter(|key| LENGTHS.contains(&key.len()))
                .ok_or_else(|| {
                    wrong("not 32 to 128 bytes in base64; make a key with: openssl rand -base64 48")
                })?;
            if secrets.len() == MOST {
                return Err(wrong(&format!("more than {MOST} keys")));
            }
            let secret = mix(&key, FROM_FILE).and_then(Secret::new);
            secrets.push_back(secret.map_err(|stack| bad(reason(&stack)))?);
        }
        if secrets.is_empty() {
            return Err(bad(
                "no key in it; make one with: openssl rand -base64 48".into()
            ));
        }
        let mut warnings = Vec::new();
        if mode & 0o007 != 0 {
            let path = path.display();
            warnings.push(format!(
                "ticket keys are open to every user: {path}: mode {:o}",
                mode & 0o777
            ));
        }
        let secrets = TicketSecrets {
            secrets,
            since: None,
        };
        Ok((secrets, warnings))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::*;

    const NOON: Duration = Duration::from_secs(43_200);
    const LATER: Duration = Duration::from_secs(3_000_000);

    fn line(seed: u8, length: usize) -> String {
        openssl::base64::encode_block(&vec![seed; length])
    }

    fn load(text: &str, mode: u32) -> Result<(TicketSecrets, Vec<String>), String> {
        let directory = std::env::temp_dir();
        let (process, thread) = (std::process::id(), std::thread::current().id());
        let path = directory.join(format!("ticket-keys-{process}-{thread:?}"));
        let mut file = fs::File::create(&path).unwrap();
        file.set_permissions(fs::Permissions::from_mode(mode))
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let loaded = TicketSecrets::from_file(&Files::default(), &path);
        fs::remove_file(&path).unwrap();
        loaded.map_err(|unusable| unusable.to_string())
    }

    fn machine(text: &str) -> TicketSecrets {
        load(text, 0o600).unwrap().0
    }

    #[test]
    fn what_one_machine_seals_another_with_the_same_file_opens() {
        let text = format!("# ours\n\n  {}\n", line(1, 48));
        let sealed = machine(&text).fresh(NOON).unwrap();
        assert!(machine(&text).open(sealed.name, LATER) == Some(sealed));
        let other = machine(&line(2, 48)).fresh(NOON).unwrap();
        assert!(machine(&text).open(other.name, NOON).is_none());
    }

    #[test]
    fn the_key_of_the_old_file_still_opens_when_it_is_listed_second() {
        let old = line(1, 32);
        let sealed = machine(&old).fresh(NOON).unwrap();
        let mut both = machine(&format!("{}\n{old}\n", line(2, 32)));
        assert!(both.open(sealed.name, NOON) == Some(sealed));
        let new = both.fresh(NOON).unwrap();
        assert!(machine(&old).open(new.name, NOON).is_none());
        assert!(machine(&line(2, 32)).open(new.name, NOON) == Some(new));
    }

    #[test]
    fn the_keys_of_a_file_do_not_change_with_time() {
        let mut secrets = machine(&line(1, 48));
        let sealed = secrets.fresh(NOON).unwrap();
        secrets.fresh(LATER).unwrap();
        assert!(secrets.open(sealed.name, LATER) == Some(sealed));
    }

    #[test]
    fn a_bad_line_is_named() {
        let bad = format!("{}\n\nonce upon a time\n", line(1, 48));
        let error = load(&bad, 0o600).err().unwrap();
        assert!(error.contains("/ticket-keys-"), "{error}");
        assert!(error.contains(": line 3: "), "{error}");
        for length in [31, 129] {
            assert!(load(&line(1, length), 0o600).is_err(), "{length}");
        }
        let many: Vec<String> = (0..17).map(|seed| line(seed, 32)).collect();
        let error = load(&many.join("\n"), 0o600).err().unwrap();
        assert!(error.ends_with(": line 17: more than 16 keys"), "{error}");
        assert!(load(&many[..16].join("\n"), 0o600).is_ok());
        assert!(load("# nothing yet\n", 0o600).is_err());
    }

    #[test]
    fn a_file_that_everybody_may_read_is_warned_of() {
        let warnings = |mode| load(&line(1, 48), mode).unwrap().1;
        assert!(warnings(0o640).is_empty());
        let said = warnings(0o644);
        assert!(said[0].ends_with("mode 644"), "{said:?}");
    }
}
