//! The usage line and the manual page list the same options.
#![forbid(unsafe_code)]

mod common;

use std::collections::BTreeSet;
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
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/man/sslserver.8"))
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
