//! Writes the seeds of messages anew, after a change of the messages or of what is said in them.
#![forbid(unsafe_code)]

use std::fs;
use std::io;
use std::path::Path;

fn main() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/messages");
    for old in fs::read_dir(&folder)? {
        let old = old?;
        if old.file_name().to_string_lossy().starts_with("good-") {
            fs::remove_file(old.path())?;
        }
    }
    for (name, bytes) in sslserver_fuzz::message_seeds::seeds() {
        fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}
