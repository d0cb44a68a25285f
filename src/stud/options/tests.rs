use std::os::unix::ffi::OsStringExt;

use super::*;
use crate::stud::config::tests::Place;
use crate::stud::config::{Backend, Level};

fn place() -> Place {
    let place = Place::new();
    place.file("a.pem");
    place
}

/// What an invocation with a certificate comes to.
fn config(line: &str) -> Config {
    place().config(&format!("{line} a.pem")).unwrap()
}

fn problem(line: &str) -> String {
    place().config(line).unwrap_err()
}

fn printed(words: &[&str]) -> String {
    match place().task(words) {
        Ok(Task::Print(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn options_and_certificates_may_be_mixed_until_a_double_dash() {
    let place = place();
    place.file("-q");
    let config = place.config("a.pem -n2 a.pem -s -- -q").unwrap();
    assert_eq!(config.workers, 2);
    assert_eq!(config.log.level, Level::Errors);
    assert_eq!(config.pems.last().unwrap().certificate, place.path("-q"));
}

#[test]
fn values_stand_behind_their_option_in_every_way_of_getopt() {
    for line in [
        "-n2",
        "-n 2",
        "--workers=2",
        "--workers 2",
        "-qn2",
        "-sqn 2",
    ] {
        assert_eq!(config(line).workers, 2, "{line}");
    }
    let spaced = place().task(&["--ciphers", "-q", "a.pem"]).unwrap();
    let Task::Run(spaced) = spaced else {
        panic!("{spaced:?}");
    };
    assert_eq!(spaced.frontends[0].settings.ciphers.as_deref(), Some("-q"));
}

#[test]
fn switches_need_no_value_and_take_one_behind_an_equals_sign() {
    for line in [
        "-s",
        "--syslog",
        "--syslog=on",
        "--syslog=YES",
        "--syslog=off -s",
    ] {
        assert!(config(line).log.syslog.is_some(), "{line}");
    }
    for line in ["", "--syslog=off", "-s --syslog=no", "-s --syslog=0"] {
        assert!(config(line).log.syslog.is_none(), "{line}");
    }
}

#[test]
fn a_beginning_is_enough_where_it_is_clear() {
    assert_eq!(config("--wor=2").workers, 2);
    assert_eq!(config("--chr /").chroot, Some("/".into()));
    assert!(config("--dae").daemon);
    assert_eq!(problem("--sys"), "--sys may mean syslog or syslog-facility");
    assert_eq!(problem("--nothing"), "unknown option --nothing; try --help");
}

#[test]
fn what_was_clear_before_hitch_added_options_still_is() {
    let ciphers = config("--cip=x").frontends[0].settings.ciphers.clone();
    assert_eq!(ciphers.as_deref(), Some("x"));
    assert!(config("--pro").proxy_proxy);
    assert!(config("--cl").client);
    assert_eq!(config("--use=daemon").user.as_deref(), Some("daemon"));
}

#[test]
fn an_exact_name_is_no_abbreviation_of_a_longer_one() {
    assert!(config("--write-proxy").preamble != config("").preamble);
    assert!(config("--syslog").log.syslog.is_some());
}

#[test]
fn later_options_override_earlier_ones_and_files_count_where_they_stand() {
    let place = place();
    place.write("f", "workers = 3\nbackend = \"[f]:1\"");
    let workers = |line: &str| place.config(&format!("{line} a.pem")).unwrap().workers;
    assert_eq!(workers("-n2 -n5"), 5);
    assert_eq!(workers("-n2 --config=f"), 3);
    assert_eq!(workers("--config=f -n2"), 2);
    place.write("g", "workers = 4");
    let config = place.config("--config f --config g a.pem").unwrap();
    assert_eq!(config.workers, 4);
    assert_eq!(config.backends, [Backend::Tcp("f".into(), 1)]);
}

#[test]
fn tls_and_ssl_exclude_each_other_but_override_those_of_a_file() {
    assert_eq!(
        problem("--tls --ssl a.pem"),
        "--ssl and tls exclude each other"
    );
    let place = place();
    place.write("f", "tls-protos = TLSv1.3");
    let config = place.config("--config f --tls a.pem").unwrap();
    assert_eq!(
        config.frontends[0].settings.min,
        crate::tls::settings::Version::Tls10
    );
}

#[test]
fn wrong_words_are_named() {
    assert_eq!(problem("-z"), "unknown option -z; try --help");
    assert_eq!(problem("-n"), "-n wants a value; try --help");
    assert_eq!(problem("--workers"), "--workers wants a value; try --help");
    // getopt takes the sign for a part of the value, and so do we.
    assert_eq!(
        problem("-k=5"),
        "-k wants a number from 1 to 32767, not \"=5\""
    );
    assert_eq!(problem("--test=on"), "--test takes no value; try --help");
    assert_eq!(
        problem("--pem-file=a.pem"),
        "unknown option --pem-file; try --help"
    );
    let odd = OsString::from_vec(vec![b'x', 0xff]);
    let error = Invocation::parse(["stud".into(), odd]).unwrap_err();
    assert_eq!(error.to_string(), "\"x\u{fffd}\" is not UTF-8");
    assert_eq!(error.exit_code(), 1);
}

#[test]
fn every_option_of_stud_and_hitch_is_known() {
    for line in [
        "--config=f --tls -c x -e x -O --client -b a,1 -f *,1 -n1 -B1 -k1 -r / -u daemon -g daemon -q -s \
         --syslog-facility daemon --daemon --write-ip -t",
        "--ssl --ciphers=x --prefer-server-ciphers --backend=[a]:1 --frontend=[*]:1 --workers=1 --backlog=1 \
         --keepalive=1 --chroot=/ --user=daemon --group=daemon --quiet --syslog --write-proxy --test",
        "--proxy-proxy -C 5",
        "--shared-cache=5 --write-proxy-v2 -b pipe:///x",
        "--tls-protos=TLSv1.2 --ssl-engine=x --recv-bufsize=1 --send-bufsize=1 -R1 --backend-refresh=1 \
         --enable-tcp-fastopen=on -L1 --log-level=1 -l log --log-filename=log --write-proxy-v1=off \
         --sni-nomatch-abort=on --alpn-protos=h2 --ocsp-dir=/x -o /x -p pid --pidfile=pid --dbg-listen=l -n auto",
        "--ciphersuites=x --ecdh-curve=x --client-verify=none --client-verify-ca=a.pem --pem-dir=. \
         --pem-dir-glob=*.pem --proxy-tlv --proxy-authority --proxy-client-cert --ssl-handshake-timeout=1 \
         --backend-connect-timeout=1 --tcp-fastopen --ocsp-verify-staple=on",
        "--ticket-key-file=a.pem --metrics=m --idle-timeout=1 --proxy-header-timeout=1 --drain-timeout=1",
    ] {
        let place = place();
        place.file("f");
        let outcome = place.config(&format!("{line} a.pem"));
        assert!(outcome.is_ok(), "{line}: {outcome:?}");
    }
}

#[test]
fn no_name_and_no_letter_means_two_things() {
    let mut names: Vec<_> = names::COMMANDS
        .iter()
        .map(|(_, _, name, _)| *name)
        .collect();
    let mut letters: Vec<_> = names::COMMANDS
        .iter()
        .filter_map(|(_, letter, _, _)| *letter)
        .collect();
    for row in table::rows() {
        names.push(row.name);
        names.extend(row.aliases);
        letters.extend(row.letter);
    }
    let (all_names, all_letters) = (names.len(), letters.len());
    names.sort();
    names.dedup();
    letters.sort();
    letters.dedup();
    assert_eq!((names.len(), letters.len()), (all_names, all_letters));
}

#[test]
fn help_has_every_option_and_the_values_in_force_so_far() {
    let text = printed(&["-n7", "--help", "--nonsense"]);
    for row in table::rows().filter(|row| row.is_option()) {
        let names = std::iter::once(&row.name).chain(row.aliases);
        for name in names {
            assert!(text.contains(&format!("  --{name}")), "{name}\n{text}");
        }
        let letter = row
            .letter
            .map(|letter| format!("  -{letter}  --{}", row.name));
        assert!(letter.is_none_or(|letter| text.contains(&letter)), "{text}");
    }
    assert!(text.contains("(Default: 7)"), "{text}");
    assert!(text.contains("--default-config\n"), "{text}");
    assert!(text.lines().all(|line| line.len() < 120), "{text}");
}

#[test]
fn the_version_stands_behind_the_name_that_the_program_was_called_by() {
    let words = ["/usr/sbin/proxy", "-V"].map(OsString::from);
    let invocation = Invocation::parse(words).unwrap();
    match invocation.task {
        Task::Print(text) => assert_eq!(text, format!("proxy {}\n", env!("CARGO_PKG_VERSION"))),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_configuration_is_printed_as_it_is_where_the_option_stands() {
    let text = printed(&["-n7", "a.pem", "--default-config", "-n8"]);
    assert!(text.contains("workers = 7\n"), "{text}");
    assert!(text.contains("/a.pem\"\n"), "{text}");
}

#[test]
fn a_test_is_told_from_a_run() {
    let place = place();
    assert!(matches!(place.task(&["-t", "a.pem"]), Ok(Task::Test(_))));
    assert!(matches!(place.task(&["a.pem"]), Ok(Task::Run(_))));
}

#[test]
fn standard_input_is_read_once_for_all_reloads() {
    let place = place();
    for name in ["-", ""] {
        let invocation = Invocation {
            program: "stud".into(),
            task: Task::Print(String::new()),
            arguments: vec![format!("--config={name}").into(), "a.pem".into()],
            directory: place.path(""),
            standard_input: OnceCell::from(b"workers = 5".to_vec()),
        };
        for _ in 0..2 {
            assert_eq!(invocation.reparse().unwrap().workers, 5);
        }
    }
}

#[test]
fn a_reload_reads_the_same_files_again_from_the_directory_of_the_start() {
    let place = place();
    place.write("f", "workers = 2");
    place.folder("d");
    place.file("d/one.pem");
    let words = ["stud", "--config=f", "d"].map(OsString::from);
    let invocation = Invocation::parse_in(place.path(""), words).unwrap();
    place.write("f", "workers = 3");
    place.file("d/two.pem");
    let config = invocation.reparse().unwrap();
    assert_eq!((config.workers, config.pems.len()), (3, 2));
    place.write("f", "worker = 3");
    let error = invocation.reparse().unwrap_err().to_string();
    assert!(
        error.ends_with("/f, line 1: \"worker\" is no key of this file"),
        "{error}"
    );
}
