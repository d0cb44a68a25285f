//! What the documents say of the program holds: the options of the manual, the tests that the list of holes names.
#![forbid(unsafe_code)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The letters behind a dash in `[ -13UX ] [ -c limit ]`.
fn of_usage() -> BTreeSet<char> {
    let outcome = common::run(
        Command::new(env!("CARGO_BIN_EXE_sslserver")),
        b"",
        common::LIMIT,
    );
    let usage = outcome
        .lines()
        .last()
        .copied()
        .unwrap_or_else(|| panic!("no usage line: {outcome:?}"))
        .to_owned();
    let words = usage
        .split_whitespace()
        .filter_map(|word| word.strip_prefix('-'));
    words
        .flat_map(|word| word.chars().collect::<Vec<_>>())
        .collect()
}

/// The letters of the items that begin with a flag: `.It Fl c Ar limit`, `.It Fl e , Fl s`.
fn of_page(page: &str) -> Vec<char> {
    let items = page.lines().filter_map(|line| line.strip_prefix(".It Fl "));
    let words = items.flat_map(|item| {
        item.split_whitespace()
            .take_while(|word| !["Ar", "Cm", "Li"].contains(word))
    });
    words
        .filter(|word| word.len() == 1 && word.chars().all(char::is_alphanumeric))
        .flat_map(str::chars)
        .collect()
}

#[test]
fn every_option_of_the_usage_line_has_one_item_in_the_manual_and_no_other_has() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/man/sslserver.8"))
        .expect("the page");
    let listed = of_page(&page);
    let page: BTreeSet<char> = listed.iter().copied().collect();
    assert_eq!(
        of_usage(),
        page,
        "usage line on the left, manual on the right"
    );
    assert_eq!(
        listed.len(),
        page.len(),
        "an option has two items: {listed:?}"
    );
    assert!(page.len() > 30, "{page:?}");
}

/// The rows name tests as FILE: `NAME`, with the file below tests or beside the code.
#[test]
fn every_test_that_the_list_of_known_holes_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/known-holes.md")).expect("the page");
    let mut sources = Vec::new();
    for folder in ["tests", "src"] {
        collect(&root.join(folder), &mut sources);
    }
    let mut named = 0;
    for (head, tail) in page
        .match_indices(".rs: `")
        .map(|(at, found)| (&page[..at], &page[at + found.len()..]))
    {
        let start = head
            .rfind(|letter: char| !letter.is_alphanumeric() && !"_/".contains(letter))
            .map_or(0, |at| at + 1);
        let file = format!("/{}.rs", &head[start..]);
        let name = tail.split('`').next().unwrap_or_default();
        let function = format!("fn {name}(");
        let found = sources
            .iter()
            .any(|(path, text)| path.ends_with(&file) && text.contains(&function));
        assert!(found, "{file} has no {name}");
        named += 1;
    }
    assert!(named > 30, "{named}");
}

fn collect(folder: &Path, sources: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, sources);
        } else if let Ok(text) = fs::read_to_string(&path) {
            sources.push((path.display().to_string(), text));
        }
    }
}
