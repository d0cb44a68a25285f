//! What the documents say of the program holds: the options of the manual, the tests that the list of holes names.
#![forbid(unsafe_code)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The letters behind a dash in `[ -13UX ] [ -c limit ]`.
fn of_usage(program: &str) -> BTreeSet<char> {
    let outcome = common::run(Command::new(program), b"", common::LIMIT);
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

fn assert_listed(program: &str, name: &str) {
    let listed = of_page(&page(name));
    let page: BTreeSet<char> = listed.iter().copied().collect();
    assert_eq!(
        of_usage(program),
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

#[test]
fn every_option_of_the_usage_line_has_one_item_in_the_manual_and_no_other_has() {
    assert_listed(env!("CARGO_BIN_EXE_sslserver"), "sslserver.8");
}

#[test]
fn every_option_of_the_clients_usage_line_has_one_item_in_its_manual_and_no_other_has() {
    assert_listed(env!("CARGO_BIN_EXE_sslclient"), "sslclient.1");
}

/// The long and short names of the items of a section that begin with an option: `.It Fl f , -frontend Ns = Ns Ar file`.
fn of_section(page: &str, section: &str) -> Vec<String> {
    let (_, section) = page.split_once(section).expect("the section");
    let (section, _) = section.split_once("\n.Sh ").expect("an end of it");
    let items = section
        .lines()
        .filter_map(|line| line.strip_prefix(".It Fl "));
    let words = items.flat_map(str::split_whitespace);
    let is_letter = |word: &str| word.len() == 1 && word.chars().all(char::is_alphanumeric);
    let names = words.filter(|word| is_letter(word) || word.starts_with('-'));
    names.map(|name| format!("-{name}")).collect()
}

/// The same of the help: `  -n  --workers=NUM|auto`.
fn of_help(help: &str) -> Vec<String> {
    let lines = help
        .lines()
        .filter(|line| line.trim_start().starts_with('-'));
    let words = lines.flat_map(str::split_whitespace);
    let names = words.filter(|word| word.starts_with('-'));
    let names = names.filter_map(|name| name.split(['=', '[']).next());
    names.map(str::to_owned).collect()
}

fn page(name: &str) -> String {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("man");
    fs::read_to_string(pages.join(name)).expect(name)
}

fn help_of_stud() -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stud"));
    command.arg("--help");
    common::run(command, b"", common::LIMIT).text()
}

#[test]
fn every_option_of_studs_help_has_one_item_in_its_manual_and_no_other_has() {
    let mut listed = of_section(&page("stud.8"), "\n.Sh OPTIONS\n");
    let mut known = of_help(&help_of_stud());
    listed.sort();
    known.sort();
    assert_eq!(known, listed, "help on the left, manual on the right");
    assert!(known.len() > 80, "{known:?}");
}

/// A setting that the page forgot would seem to be for applications.
#[test]
fn every_setting_of_the_server_is_named_among_those_that_applications_do_not_get() {
    let page = page("sslserver-environ.7");
    let section = |name: &str| {
        let (_, section) = page.split_once(name).expect(name);
        section.split_once("\n.Sh ").expect("an end of it").0
    };
    let read = section("\n.Sh VARIABLES READ BY THE SERVER\n");
    let removed = section("\n.Sh VARIABLES REMOVED\n");
    let removed: BTreeSet<&str> = removed.split([' ', ',', '\n']).collect();
    let items = read.lines().filter_map(|line| line.strip_prefix(".It Ev "));
    let names: BTreeSet<&str> = items.flat_map(|item| item.split(" , ")).collect();
    let others = ["PATH", "UID", "GID"];
    let missing = names.iter().filter(|name| {
        !name.starts_with("SSL") && !others.contains(name) && !removed.contains(*name)
    });
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&&str>::new());
    assert!(names.len() > 40, "{names:?}");
}

/// The keys of the items that begin with one: `.It Ic send-bufsize No = Ar number`, `.It Ic ssl-engine , ocsp-dir`.
fn keys(page: &str) -> BTreeSet<String> {
    let items = page.lines().filter_map(|line| line.strip_prefix(".It Ic "));
    let words = items.flat_map(|item| item.split_whitespace().take_while(|word| *word != "No"));
    let names = words.filter(|word| *word != ",");
    names.map(str::to_owned).collect()
}

/// Keys of blocks stand beside the code, which checks those.
#[test]
fn every_setting_of_stud_is_a_key_in_the_manual_of_its_file() {
    let page = page("stud.conf.5");
    let listed = keys(&page);
    let help = help_of_stud();
    let (settings, commands) = help.split_once("Only on the command line").expect("both");
    for option in of_help(settings) {
        // An alias may stand in the text of its key.
        let key = option.trim_start_matches('-');
        let is_told = listed.contains(key) || page.contains(&format!("Also\n.Ic {key} .\n"));
        assert!(is_told || key.len() == 1, "{option}");
    }
    for option in of_help(commands) {
        assert!(!listed.contains(option.trim_start_matches('-')), "{option}");
    }
    // What is no key of the file is one of a block, and nothing else.
    let mut others = listed
        .iter()
        .filter(|key| !help.contains(&format!("--{key}")));
    let unknown = others.find(|key| {
        let is_known = |block: &str| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_stud"));
            command.args(["--config=-", "--test"]);
            let text = format!("{block} = {{ {key} = x }}");
            let outcome = common::run(command, text.as_bytes(), common::LIMIT);
            !outcome.stderr.contains("is no key of")
        };
        *key != "pem-file" && !is_known("frontend") && !is_known("pem-file")
    });
    assert_eq!(unknown, None);
}

#[test]
fn the_manual_of_tunnel_and_its_sample_have_the_same_keys() {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/rules/tunnel.ini");
    let sample = fs::read_to_string(sample).expect("the sample");
    let of_sample = sample.lines().filter_map(|line| line.split_once(" = "));
    let of_sample = of_sample.map(|(key, _)| key.to_owned()).collect();
    assert_eq!(keys(&page("tunnel.8")), of_sample);
}

/// Programs have a file for each, and scripts are as they are.
#[test]
fn everything_that_is_installed_has_a_manual_and_a_place_in_the_readme() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).expect("the page");
    let names = |folder: &str| -> Vec<String> {
        let entries = fs::read_dir(root.join(folder)).expect(folder);
        let names = entries.map(|entry| entry.expect(folder).file_name());
        names.filter_map(|name| name.into_string().ok()).collect()
    };
    let pages = names("man");
    let programs = names("src/bin").into_iter().chain(names("scripts"));
    let mut count = 0;
    for name in programs {
        let name = name.trim_end_matches(".rs");
        let is_page = |page: &String| {
            let section = page
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('.'));
            section.is_some_and(|section| section == "1" || section == "8")
        };
        assert!(pages.iter().any(is_page), "{name} has no manual");
        assert!(readme.contains(&format!("`{name}`")), "{name}");
        count += 1;
    }
    assert!(count > 10, "{count}");
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
