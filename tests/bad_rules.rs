//! Rules files of which nothing can be read: a line, a closed connection, and no crash.
#![forbid(unsafe_code)]

mod common;

use common::setup::compile;
use common::{Kind, Setup};
use std::fs;

/// A rules file of which nothing can be read.
enum Rules {
    Missing,
    Directory,
    Empty,
    Truncated,
    Text,
    Damaged,
}

const BAD_RULES: [Rules; 6] = [
    Rules::Missing,
    Rules::Directory,
    Rules::Empty,
    Rules::Truncated,
    Rules::Text,
    Rules::Damaged,
];

/// Makes the file that 127.0.0.1 is looked up in.
fn bad_rules(setup: &Setup, rules: &Rules) -> String {
    let good = fs::read(compile(
        &setup.dir,
        "good.cdb",
        "127.0.0.1:allow,X=\"y\"\n:deny\n",
    ))
    .expect("a cdb");
    let name = "bad.cdb";
    match rules {
        Rules::Missing => {}
        Rules::Directory => drop(setup.dir.subdirectory(name)),
        Rules::Empty => drop(setup.dir.write(name, "")),
        Rules::Truncated => drop(setup.dir.write(name, &good[..1000])),
        Rules::Text => drop(setup.dir.write(name, "127.0.0.1:allow\n".repeat(200))),
        // Every table is said to lie far beyond the end.
        Rules::Damaged => {
            let far = [0xf0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0].repeat(256);
            drop(setup.dir.write(name, [&far, &good[2048..]].concat()));
        }
    }
    setup.dir.text(name)
}

#[test]
fn a_bad_rules_file_closes_the_connection_with_a_line_and_the_server_goes_on() {
    for option in ["-x", "-y"] {
        for rules in &BAD_RULES {
            let setup = Setup::bare().options(&["-1"]).keys(&[Kind::P256]);
            let file = bad_rules(&setup, rules);
            let server = setup
                .options(&[option, &file])
                .program(&["echo", "hi"])
                .start();
            for number in 1..=2 {
                assert!(
                    server.dial().try_connect().is_err(),
                    "served past {option} {file}"
                );
                server.log.wait_for_nth(
                    &format!("sslserver: fatal: (110) unable to read: {file}: *"),
                    number,
                );
            }
            let path = server.dir.join("bad.cdb");
            if path.is_dir() {
                fs::remove_dir(path).expect("an empty directory");
            }
            compile(&server.dir, "bad.cdb", ":allow\n");
            assert_eq!(server.reply(), "hi\n", "recovered");
            server.wait_until_idle();
            server.stop();
        }
    }
}

#[test]
fn with_capital_x_a_missing_rules_file_is_no_error_but_a_bad_one_is() {
    for option in ["-x", "-y"] {
        for rules in &BAD_RULES {
            let setup = Setup::bare().options(&["-1X"]).keys(&[Kind::P256]);
            let file = bad_rules(&setup, rules);
            let server = setup
                .options(&[option, &file])
                .program(&["echo", "hi"])
                .start();
            if matches!(rules, Rules::Missing) {
                assert_eq!(server.reply(), "hi\n");
                compile(&server.dir, "bad.cdb", ":deny\n");
            }
            assert!(server.dial().try_connect().is_err());
        }
    }
}
