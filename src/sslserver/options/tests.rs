use super::*;

fn parse(line: &str) -> Result<Options, Error> {
    Options::parse(line.split_whitespace().map(OsString::from))
}

fn complaint(line: &str) -> String {
    parse(line).unwrap_err().to_string()
}

#[test]
fn options_may_be_bundled_and_arguments_attached_or_apart() {
    let options = parse("-Xvx rules.cdb -Hl0 -c5 0 993 imapd").unwrap();
    assert!(options.missing_rules && !options.common.lookup);
    assert_eq!(options.rules, Some("rules.cdb".into()));
    assert_eq!(options.common.local_name.as_deref(), Some(&b"0"[..]));
    assert_eq!((options.limit, options.common.level), (5, Level::Status));
}

#[test]
fn parsing_stops_at_the_host_so_that_the_program_keeps_its_options() {
    let options = parse("-v 0 993 imapd -c -x --long").unwrap();
    let program: Vec<&[u8]> = options.program.iter().map(|word| word.as_bytes()).collect();
    assert_eq!(program, [&b"imapd"[..], b"-c", b"-x", b"--long"]);
}

#[test]
fn the_program_may_have_any_bytes_in_its_arguments() {
    let words = ["0", "993", "imapd"].map(OsString::from);
    let odd = OsString::from_vec(vec![0xff, 0xfe]);
    let options = Options::parse(words.into_iter().chain([odd])).unwrap();
    assert_eq!(options.program[1].as_bytes(), [0xff, 0xfe]);
}

#[test]
fn the_last_of_several_options_counts_even_inside_a_bundle() {
    assert_eq!(parse("-vQ 0 1 p").unwrap().common.level, Level::Warning);
    assert_eq!(parse("-Qv 0 1 p").unwrap().common.level, Level::Status);
    assert!(!parse("-es -E -S 0 1 p").unwrap().common.ssl_environment);
}

#[test]
fn tcp_variables_are_the_default_and_ssl_variables_come_when_asked_for() {
    let environments = |line| {
        let options = parse(line).unwrap();
        (
            options.common.tcp_environment,
            options.common.ssl_environment,
        )
    };
    assert_eq!(environments("0 1 p"), (true, false));
    assert_eq!(environments("-e 0 1 p"), (true, true));
    assert_eq!(environments("-s 0 1 p"), (true, true));
    assert_eq!(environments("-Es 0 1 p"), (false, true));
}

#[test]
fn what_cannot_be_done_is_refused_and_never_ignored() {
    assert_eq!(complaint("-k 0 1 p"), "illegal option -- k");
    assert_eq!(complaint("-c"), "option requires an argument -- c");
}

#[test]
fn numbers_are_wholly_decimal_and_in_range() {
    for bad in [
        "abc",
        "5x",
        "0",
        "-1",
        "+1",
        "1000001",
        "99999999999999999999",
    ] {
        let complaint = complaint(&format!("-c {bad} 0 1 p"));
        let expected = format!("usage: -c wants a number from 1 to 1000000, not \"{bad}\"");
        assert_eq!(complaint, expected);
    }
}

#[test]
fn host_port_and_program_are_all_wanted() {
    for line in ["", "-v", "0", "0 993"] {
        assert!(matches!(parse(line), Err(Error::Incomplete)), "{line}");
    }
}

#[test]
fn the_usage_line_names_every_letter_once() {
    let line = usage();
    for (letter, argument) in ARGUMENTS {
        assert!(line.contains(&format!("[ -{letter} {argument} ]")));
        assert!(!FLAGS.contains(letter));
    }
}
