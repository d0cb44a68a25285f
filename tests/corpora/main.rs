//! The targets of the fuzzer without the fuzzer: each does well with its seeds, whole and damaged. In `fuzz/seeds` there is
//! a folder for each target with files that it understands (`good-…`) and files that it refuses (`bad-…`).
#![forbid(unsafe_code)]

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use targets::{TARGETS, Target};

/// All of them together.
const MOST_BYTES: usize = 20_000;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn names(folder: &Path) -> BTreeSet<String> {
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| name(entry.unwrap())).collect()
}

/// The target's seeds with their names.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = here("fuzz/seeds").join(target);
    let names = names(&folder).into_iter();
    names
        .map(|name| (name.clone(), fs::read(folder.join(name)).unwrap()))
        .collect()
}

/// Runs a target, and says on what if that fails.
fn run(target: Target, bytes: &[u8], what: &str) -> bool {
    let ran = catch_unwind(AssertUnwindSafe(|| target(bytes)));
    ran.unwrap_or_else(|panic| {
        eprintln!("with {what}: {}", bytes.escape_ascii());
        resume_unwind(panic)
    })
}

#[test]
fn good_seeds_are_understood_and_bad_ones_refused() {
    for (target, function) in TARGETS {
        for (name, bytes) in seeds(target) {
            let understood = run(*function, &bytes, &format!("{target}/{name}"));
            match name.split_once('-') {
                Some(("good", _)) => assert!(understood, "{target}/{name}"),
                Some(("bad", _)) => assert!(!understood, "{target}/{name}"),
                _ => panic!("{target}/{name} is neither good- nor bad-"),
            }
        }
    }
}

#[test]
fn seeds_that_are_cut_or_changed_anywhere_do_no_harm() {
    for (target, function) in TARGETS {
        for (name, bytes) in seeds(target) {
            for place in 0..bytes.len() {
                run(*function, &bytes[..place], &format!("the front of {name}"));
                for change in [1, 0x80, 0xff] {
                    let mut changed = bytes.clone();
                    changed[place] ^= change;
                    run(*function, &changed, &format!("{name}, changed"));
                }
            }
        }
    }
}

#[test]
fn each_target_has_a_program_and_seeds_of_both_kinds() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names(&here("fuzz/seeds")), targets);
    let programs = targets.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(names(&here("fuzz/src/bin")), programs);
    let mut size = 0;
    for target in &targets {
        let seeds = seeds(target);
        for kind in ["good-", "bad-"] {
            let is_there = seeds.iter().any(|(name, _)| name.starts_with(kind));
            assert!(is_there, "{target} has no {kind}");
        }
        size += seeds.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
    }
    assert!(size <= MOST_BYTES, "{size} bytes of seeds");
}

#[test]
fn the_seeds_of_messages_are_as_they_are_today() {
    for (name, bytes) in targets::message_seeds::seeds() {
        let found = fs::read(here("fuzz/seeds/messages").join(&name)).unwrap_or_default();
        let how = "fuzz/README.md tells how to write them";
        assert_eq!(found, bytes, "{name} is of another time: {how}");
    }
}

#[test]
fn every_type_of_message_is_tried() {
    let tried = targets::messages::KINDS.iter();
    let tried: BTreeSet<String> = tried.map(|(name, _)| name.to_string()).collect();
    let mut known = BTreeSet::new();
    collect_messages(&here("src"), &mut known);
    // Of which there is none.
    known.remove("Nothing");
    assert_eq!(tried, known);
}

fn collect_messages(folder: &Path, known: &mut BTreeSet<String>) {
    for name in names(folder) {
        let path = folder.join(name);
        if path.is_dir() {
            collect_messages(&path, known);
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        let found = source.lines().filter_map(|line| {
            let rest = line.trim().strip_prefix("impl Message for ")?;
            rest.split(' ').next()
        });
        known.extend(found.map(str::to_owned));
    }
}
