use proptest::prelude::*;

use super::*;
use crate::stud::config::tests::Place;

mod round_trip;
mod samples;

fn words(line: usize, key: &str, words: &[&str]) -> Entry {
    let words = words.iter().map(|word| String::from(*word)).collect();
    Entry {
        line,
        key: key.into(),
        value: Value::Words(words),
    }
}

fn one(text: &str) -> String {
    match parse(text.as_bytes()).unwrap().as_slice() {
        [
            Entry {
                value: Value::Words(words),
                ..
            },
        ] if words.len() == 1 => words[0].clone(),
        other => panic!("{text}: {other:?}"),
    }
}

fn problem(text: &str) -> (usize, String) {
    let unreadable = parse(text.as_bytes()).unwrap_err();
    (unreadable.line, unreadable.problem)
}

#[test]
fn a_file_without_settings_is_fine() {
    for text in [
        "",
        "\n\n",
        "# nothing",
        "\u{feff}# nothing\n",
        " \t\r\n#\r\n",
    ] {
        assert_eq!(parse(text.as_bytes()), Ok(vec![]), "{text:?}");
    }
}

#[test]
fn a_value_may_stand_in_quotes_or_bare() {
    for text in [
        "user = a",
        "user=a",
        "user =\"a\"",
        "user='a'",
        "  user\t= a # b",
        "user = a,",
        "user=a\r\n",
    ] {
        assert_eq!(one(text), "a", "{text:?}");
    }
}

#[test]
fn a_bare_value_may_have_signs_in_it_that_a_key_has_not() {
    assert_eq!(one("ciphers = HIGH:@SECLEVEL=0"), "HIGH:@SECLEVEL=0");
    assert_eq!(one("backend = 127.0.0.1,8000"), "127.0.0.1,8000");
    assert_eq!(one("frontend = [*]:443;[*]:444"), "[*]:443;[*]:444");
    assert_eq!(one("user = don't"), "don't");
}

#[test]
fn a_comment_begins_anywhere_but_in_a_string() {
    assert_eq!(one("a = b# c\n# d = e"), "b");
    assert_eq!(one("a = \"b # c\" # d"), "b # c");
    assert_eq!(one("# x\n a# y\n =b# z"), "b");
}

#[test]
fn a_backslash_makes_a_quote_plain_in_double_quotes_alone() {
    assert_eq!(one(r#"a = "b\"c\\d\e""#), r#"b"c\d\e"#);
    assert_eq!(one(r"a = 'b\'"), r"b\");
}

#[test]
fn settings_may_share_a_line() {
    let expected = [
        words(1, "a", &["1"]),
        words(1, "b", &["2"]),
        words(2, "c", &["3"]),
    ];
    assert_eq!(parse(b"a = 1 b=2\nc=\"3\""), Ok(Vec::from(expected)));
}

#[test]
fn versions_are_a_list_that_may_go_on_in_the_next_line() {
    let text = b"tls-protos = TLSv1.2,\n   TLSv1.3\nuser = a";
    let expected = [
        words(1, "tls-protos", &["TLSv1.2", "TLSv1.3"]),
        words(3, "user", &["a"]),
    ];
    assert_eq!(parse(text), Ok(Vec::from(expected)));
}

#[test]
fn a_block_holds_settings_and_further_blocks() {
    let text = b"frontend = {\n host = \"*\"; port = 443,\n pem-file = { cert = a }\n}\nuser = b";
    let inner = vec![words(3, "cert", &["a"])];
    let block = vec![
        words(2, "host", &["*"]),
        words(2, "port", &["443"]),
        Entry {
            line: 3,
            key: "pem-file".into(),
            value: Value::Block(inner),
        },
    ];
    let expected = vec![
        Entry {
            line: 1,
            key: "frontend".into(),
            value: Value::Block(block),
        },
        words(5, "user", &["b"]),
    ];
    assert_eq!(parse(text), Ok(expected));
}

#[test]
fn what_cannot_be_read_is_found_by_its_line() {
    for (text, line, expected) in [
        ("\nworkers", 2, "no = behind \"workers\""),
        ("a = b c\nd", 2, "no = behind \"d\""),
        ("workers 4", 1, "no = behind \"workers\""),
        ("frontend {\n}", 1, "no = behind \"frontend\""),
        ("workers =\nbacklog = 1", 1, "no value for workers"),
        ("workers = # 4", 1, "no value for workers"),
        ("= 4", 1, "no key in front of ="),
        ("{", 1, "a { that belongs to no key"),
        ("a = b\n}", 2, "a } without a {"),
        ("a = {\nb = c\n", 1, "a { without its closing }"),
        (
            "a = {\nb = { c = { d = 1 } } }",
            2,
            "a block in a block in a block",
        ),
        ("\n\na = \"b\nc\"", 3, "a string without its closing \""),
        ("a = 'b", 1, "a string without its closing '"),
    ] {
        assert_eq!(problem(text), (line, expected.into()), "{text:?}");
    }
    let unreadable = parse(b"a = b\n\xff").unwrap_err();
    assert_eq!(unreadable.line, 2);
}

proptest! {
    #[test]
    fn no_bytes_are_too_odd_to_be_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn no_signs_of_the_grammar_are_too_many(text in "[a-c ={}\"'#\\\\\n,;]{0,200}") {
        let _ = parse(text.as_bytes());
    }
}

#[test]
fn what_a_setting_wants_is_told_with_file_line_and_key() {
    let place = Place::new();
    place.file("cert.pem");
    for (text, expected) in [
        (
            "workers = none",
            "line 1: workers wants auto or a number from 1 to 1024, not \"none\"",
        ),
        ("\nworker = 4", "line 2: \"worker\" is no key of this file"),
        ("user =\n", "line 1: no value for user"),
        (
            "workers = \"\"",
            "line 1: workers wants auto or a number from 1 to 1024, not \"\"",
        ),
        (
            "quiet = maybe",
            "line 1: quiet wants on or off, not \"maybe\"",
        ),
        (
            "ciphers = a b",
            "line 1: ciphers takes one word, or one string in quotes, not \"a b\"",
        ),
        (
            "backend = localhost:80",
            "line 1: backend wants [HOST]:PORT or HOST,PORT, not \"localhost:80\"",
        ),
        (
            "pem-file = /nowhere.pem",
            "line 1: pem-file /nowhere.pem: No such file or directory",
        ),
        ("frontend = {\n host = a\n}", "line 1: frontend has no port"),
        (
            "frontend = {\n port = 1\n user = b\n}",
            "line 3: \"user\" is no key of a frontend",
        ),
        (
            "pem-file = { private-key = cert.pem }",
            "line 1: pem-file has no cert",
        ),
        (
            "pem-file = { key = cert.pem }",
            "line 1: \"key\" is no key of a pem-file",
        ),
        ("workers = { a = b }", "line 1: workers takes no block"),
        (
            "tls = on\nssl = on",
            "line 2: ssl and tls exclude each other",
        ),
        (
            "tls-protos = TLSv1.1 TLSv1.3",
            "line 1: tls-protos wants versions without a gap: TLSv1.2 is missing",
        ),
        (
            "user = \"a\u{7}\"",
            "line 1: user wants plain text without control characters",
        ),
        (
            "write-proxy-v1 = 7",
            "line 1: write-proxy-v1 wants on or off, not \"7\"",
        ),
    ] {
        let problem = place.read(text).unwrap_err();
        let expected = format!("{}, {expected}", place.path("stud.conf").display());
        assert_eq!(problem, expected);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let place = Place::new();
    let file = |name: &str| place.path(name).display().to_string();
    assert_eq!(
        place.config("--config x").unwrap_err(),
        format!("unable to read {}: No such file or directory", file("x"))
    );
    place.folder("d");
    assert_eq!(
        place.config("--config d").unwrap_err(),
        format!("unable to read {}: Is a directory", file("d"))
    );
    place.write("long", &"#".repeat((16 << 20) + 1));
    assert_eq!(
        place.config("--config long").unwrap_err(),
        format!("unable to read {}: more than 16777216 bytes", file("long"))
    );
}

#[test]
fn every_key_of_a_block_has_an_item_in_the_manual() {
    let page = include_str!("../../../man/stud.conf.5");
    let of_frontend = apply::OF_FRONTEND.iter().map(|key| key.name);
    for key in of_frontend.chain(apply::OF_PEM.iter().map(|key| key.name)) {
        assert!(page.contains(&format!("\n.It Ic {key} No = ")), "{key}");
    }
}
