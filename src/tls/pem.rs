//! The blocks of a PEM file (RFC 7468), found without looking into them: certificate, key and whatever else stands
//! there in any order.
#![forbid(unsafe_code)]

/// One block with its first and last line.
pub struct Block<'a> {
    /// What it says it is, such as `CERTIFICATE`.
    pub label: &'a [u8],
    pub text: &'a [u8],
}

/// All blocks in their order. One without an end reaches to the end of the file.
pub fn blocks(mut rest: &[u8]) -> impl Iterator<Item = Block<'_>> {
    std::iter::from_fn(move || {
        let (label, start) = seek(rest, b"-----BEGIN ", |_| true)?;
        let block = &rest[start.start..];
        let is_same = |other: &[u8]| other == label;
        let end = seek(block, b"-----END ", is_same).map_or(block.len(), |(_, line)| line.end);
        rest = &block[end..];
        Some(Block {
            label,
            text: &block[..end],
        })
    })
}

/// The first line that has a label behind this word and before five dashes: the label, and where the line lies.
fn seek<'a>(
    text: &'a [u8],
    word: &[u8],
    is_wanted: impl Fn(&[u8]) -> bool,
) -> Option<(&'a [u8], std::ops::Range<usize>)> {
    let mut end = 0;
    text.split_inclusive(|&byte| byte == b'\n')
        .find_map(|line| {
            let start = end;
            end += line.len();
            let label = line.trim_ascii_end().strip_prefix(word)?;
            let label = label.strip_suffix(b"-----")?;
            is_wanted(label).then_some((label, start..end))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Vec<(String, String)> {
        let string = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let found = blocks(text.as_bytes());
        found
            .map(|block| (string(block.label), string(block.text)))
            .collect()
    }

    #[test]
    fn blocks_are_found_among_anything_else() {
        let one = "-----BEGIN CERTIFICATE-----\r\nAAAA\r\n-----END CERTIFICATE-----\r\n";
        let other = "-----BEGIN DH PARAMETERS-----\nBBBB\n-----END DH PARAMETERS-----";
        let text = format!("subject: me\n{one}\n\n  -----BEGIN X-----\n{other}");
        let expected = [("CERTIFICATE", one), ("DH PARAMETERS", other)];
        let expected = expected.map(|(label, text)| (label.to_owned(), text.to_owned()));
        assert_eq!(labels(&text), expected);
    }

    #[test]
    fn a_block_without_its_end_reaches_to_the_end_of_the_file() {
        let text = "-----BEGIN A-----\nAAAA\n-----END B-----\nmore";
        assert_eq!(labels(text), [("A".to_owned(), text.to_owned())]);
        assert!(labels("").is_empty());
        assert!(labels("-----BEGIN A").is_empty());
    }
}
