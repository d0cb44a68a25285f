//! Words of others in a line of the log: the system's for its errors, and strangers'.
#![forbid(unsafe_code)]

use std::io;

/// A line without the middle of what is far too long to be read: its beginning says where, its end says why.
pub fn shorten(line: &str) -> String {
    const EACH: usize = 200;
    let count = line.chars().count();
    if count <= 2 * EACH + 100 {
        return line.to_owned();
    }
    let head: String = line.chars().take(EACH).collect();
    let tail: String = line.chars().skip(count - EACH).collect();
    format!("{head}...{tail}")
}

/// What a stranger had a hand in is clean already; but whatever a text is made of, it is one line, and no terminal obeys
/// what stands in it.
pub fn on_one_line(text: &str) -> String {
    text.replace(char::is_control, "?")
}

/// The system's words for an error, without the number that std appends.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// A field that a stranger had a hand in: what could break a line or forge one becomes `?`, and it ends after 100 bytes.
pub fn field(bytes: &[u8]) -> String {
    const MOST: usize = 100;
    let harmless = |&byte: &u8| match byte {
        b'%' | 0..=32 | 127.. => '?',
        _ => char::from(byte),
    };
    let mut text: String = bytes.iter().take(MOST).map(harmless).collect();
    if bytes.len() > MOST {
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_cannot_break_a_line_or_fill_it() {
        assert_eq!(field(b"a\nb%c d\xff"), "a?b?c?d?");
        let long = field(&[b'x'; 200]);
        assert_eq!(long.len(), 103);
        assert!(long.ends_with("x..."));
    }
}
