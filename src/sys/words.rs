//! Errors of the system in words that stand at the end of a line.
#![forbid(unsafe_code)]

use std::io;

/// The system's words for an error, without the number that std appends.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}
