//! The names of the DNS as rules, environment and log have them. Whoever owns a reverse zone chooses its bytes.
#![forbid(unsafe_code)]

use hickory_resolver::proto::rr::Name;

use crate::privsep::message::lookup::MAX_NAME;

/// Lower-case, without the dot at the end; every byte but letters, digits, hyphen and underscore as a backslash and
/// three octal digits, also a dot that is no end of a label. The root is no name.
pub fn text(name: &Name) -> Option<String> {
    let mut text = String::new();
    for label in name.iter() {
        if !text.is_empty() {
            text.push('.');
        }
        for byte in label.iter().map(u8::to_ascii_lowercase) {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => text.push(byte.into()),
                _ => text.push_str(&format!("\\{byte:03o}")),
            }
        }
    }
    Some(text).filter(|text| !text.is_empty() && text.len() <= MAX_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(labels: &[&[u8]]) -> Option<String> {
        text(&Name::from_labels(labels.iter().copied()).unwrap())
    }

    #[test]
    fn an_ordinary_name_is_made_lower_case() {
        let name = of(&[b"Mail-1", b"_x", b"Example", b"ORG"]);
        assert_eq!(name.as_deref(), Some("mail-1._x.example.org"));
    }

    #[test]
    fn bytes_that_do_not_belong_into_a_name_are_escaped() {
        let name = of(&[b"we%ird\x01", b"a.b", b"\xff \n=\\"]);
        assert_eq!(
            name.as_deref(),
            Some(r"we\045ird\001.a\056b.\377\040\012\075\134")
        );
    }

    #[test]
    fn the_root_is_no_name() {
        assert_eq!(text(&Name::root()), None);
    }

    #[test]
    fn the_longest_name_fits() {
        let label = [0xff; 63];
        let name = of(&[&label, &label, &label, &label[..61]]);
        assert_eq!(name.map(|text| text.len()), Some(4 * 250 + 3));
    }
}
