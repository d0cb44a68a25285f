//! INI files, as the original's library reads them.
#![forbid(unsafe_code)]

#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    pub section: String,
    pub name: String,
    pub value: String,
}

/// `[section]`, `name = value` or `name: value`; `;` and `#` begin a comment at the beginning of a line, `;` also behind
/// a blank; an indented line has another value for the name above it. Answers the number of a line that is none of these.
pub fn parse(text: &str) -> Result<Vec<Entry>, usize> {
    let mut section = String::new();
    let mut entries: Vec<Entry> = Vec::new();
    // Behind a section's line there is nothing to continue.
    let mut name = None;
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let meaning = without_comment(line).trim();
        if meaning.is_empty() {
            continue;
        }
        let is_indented = line.starts_with([' ', '\t']);
        let (key, value) = match (&name, meaning.strip_prefix('[')) {
            (Some(name), _) if is_indented => (String::clone(name), meaning),
            (_, Some(rest)) => {
                let (inside, _) = rest.split_once(']').ok_or(number + 1)?;
                section = inside.to_owned();
                name = None;
                continue;
            }
            (_, None) => {
                let (key, value) = meaning.split_once(['=', ':']).ok_or(number + 1)?;
                (key.trim().to_owned(), value.trim())
            }
        };
        name = Some(key.clone());
        entries.push(Entry {
            section: section.clone(),
            name: key,
            value: value.to_owned(),
        });
    }
    Ok(entries)
}

fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with([';', '#']) {
        return "";
    }
    let comment = line
        .match_indices(';')
        .find(|(at, _)| line[..*at].ends_with(char::is_whitespace));
    comment.map_or(line, |(at, _)| &line[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String, String)> {
        let entries = parse(text).unwrap().into_iter();
        entries
            .map(|entry| (entry.section, entry.name, entry.value))
            .collect()
    }

    fn entry(section: &str, name: &str, value: &str) -> (String, String, String) {
        (section.into(), name.into(), value.into())
    }

    #[test]
    fn names_have_values_behind_an_equals_sign_or_a_colon() {
        let text = "[main]\na = 1\nb: x=y\r\n[ssl]\na=2";
        let expected = [
            entry("main", "a", "1"),
            entry("main", "b", "x=y"),
            entry("ssl", "a", "2"),
        ];
        assert_eq!(read(text), expected);
    }

    #[test]
    fn comments_stand_at_the_beginning_of_a_line_or_behind_a_blank_and_a_semicolon() {
        let text = "; one\n# two\n  ; three\n[m] ; four\na = b#c;d ; five\n";
        assert_eq!(read(text), [entry("m", "a", "b#c;d")]);
    }

    #[test]
    fn an_indented_line_has_another_value_for_the_same_name() {
        let text = "[m]\na = 1\n  2\n[n]\n  b = 3\n";
        let expected = [
            entry("m", "a", "1"),
            entry("m", "a", "2"),
            entry("n", "b", "3"),
        ];
        assert_eq!(read(text), expected);
    }

    #[test]
    fn a_line_that_says_nothing_is_found_by_its_number() {
        for (text, line) in [("[m]\n\nword\n", 3), ("[m\n", 1), ("a=1\nb", 2)] {
            assert_eq!(parse(text), Err(line), "{text}");
        }
    }
}
