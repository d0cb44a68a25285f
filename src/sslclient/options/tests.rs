use super::*;
use crate::ucspi::log::Level;

fn parse(line: &str) -> Result<Options, Error> {
    Options::parse(line.split_whitespace().map(OsString::from))
}

#[test]
fn options_may_be_bundled_and_arguments_attached_or_apart() {
    let options = parse("-RHl0 -vxT5+7 -w 9 -k key -c cert host 443 cat -v").unwrap();
    assert!(!options.common.lookup && !options.common.ident && options.verify);
    assert_eq!(options.common.local_name.as_deref(), Some(&b"0"[..]));
    assert_eq!(options.common.level, Level::Status);
    let seconds = |number| Duration::from_secs(number);
    assert_eq!(options.connect, (seconds(5), seconds(7)));
    assert_eq!(options.common.idle, seconds(9));
    assert_eq!((&*options.host, &*options.port), ("host", "443"));
    assert_eq!(options.program, [c"cat".to_owned(), c"-v".to_owned()]);
}

#[test]
fn a_server_is_checked_and_told_its_name_unless_somebody_says_otherwise() {
    let switches = |line: &str| {
        let options = parse(line).unwrap();
        [
            options.verify,
            options.check_name,
            options.tell_name,
            options.delayed,
        ]
    };
    assert_eq!(switches("0 1 p"), [true, true, true, false]);
    assert_eq!(switches("-XNMy 0 1 p"), [false, false, false, true]);
    assert_eq!(switches("-XNMy -xnmY 0 1 p"), [true, true, true, false]);
}

#[test]
fn the_second_time_may_be_left_out() {
    let times = |line: &str| parse(line).unwrap().connect;
    let seconds = |(first, second)| (Duration::from_secs(first), Duration::from_secs(second));
    assert_eq!(times("0 1 p"), seconds((2, 58)));
    assert_eq!(times("-T3 0 1 p"), seconds((3, 0)));
    assert_eq!(times("-T 3+0 0 1 p"), seconds((3, 0)));
}

#[test]
fn an_empty_file_is_none() {
    let options = parse("0 1 p").unwrap();
    let empty = ["-a", "", "-A", "", "-c", "", "-z", "", "0", "1", "p"];
    let emptied = Options::parse(empty.map(OsString::from)).unwrap();
    for options in [options, emptied] {
        assert_eq!(options.ca_file, None);
        assert_eq!(options.ca_folder, None);
        assert_eq!(options.certificate, None);
        assert_eq!(options.ciphers, None);
    }
}

#[test]
fn the_usage_line_names_every_letter_once() {
    let mut letters: Vec<char> = FLAGS.chars().collect();
    letters.extend(ARGUMENTS.map(|(letter, _)| letter));
    let count = letters.len();
    letters.sort_unstable();
    letters.dedup();
    assert_eq!(letters.len(), count);
    for (letter, argument) in ARGUMENTS {
        assert!(usage().contains(&format!("[ -{letter} {argument} ]")));
    }
    for letter in FLAGS.chars() {
        assert!(parse(&format!("-{letter} 0 1 p")).is_ok(), "{letter}");
    }
}
