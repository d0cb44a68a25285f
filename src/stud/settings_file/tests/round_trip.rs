//! `--default-config` writes what reads back.
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use crate::stud::config::Config;
use crate::stud::config::tests::Place;
use crate::stud::options::Task;
use crate::stud::options::table::{self, Kind};

/// Values for every option: those that stand for others of their kind, and the odd ones among them.
fn values(name: &str) -> &'static [&'static str] {
    const BOOLEANS: &[&str] = &["on", "off"];
    const TIMES: &[&str] = &["0", "1", "7200", "off"];
    const WORDS: &[&str] = &["", "a:b", "a \"b\" c", "a\\b\\", "#{=}'", "ä;,"];
    match name {
        "frontend" => &[
            "[*]:1",
            "[::1]:0;a,2",
            "[*]:443+odd name's #1.pem",
            "b,3+dir",
        ],
        "backend" => &["[a]:1", "::1,2", "/run/\"x\"", "pipe://@a b"],
        "pem-dir" | "chroot" => &["dir", ""],
        "ticket-key-file" | "client-verify-ca" => &["a.pem", "odd name's #1.pem"],
        "session-store" => &[""],
        "shared-cache" | "session-cache" => &["0", "1000"],
        "shared-cache-listen" | "shared-cache-peer" | "shared-cache-if" => &[""],
        "tls-protos" => &["TLSv1.2", "TLSv1.2 TLSv1.3", "TLSv1.0,TLSv1.1"],
        "alpn-protos" => &["h2, http/1.1", "x\"y"],
        "client-verify" => &["none"],
        "workers" => &["1", "1024", "auto"],
        "backlog" => &["-1", "0", "4096"],
        "keepalive" => &["1", "32767"],
        "send-bufsize" | "recv-bufsize" => &["-1", "65536"],
        "user" | "group" => &["daemon", ""],
        "log-level" => &["0", "1", "2"],
        "syslog-facility" => &["auth", "local3", "daemon"],
        "ocsp-verify-staple" => BOOLEANS,
        _ if name.ends_with("-timeout") || name == "backend-refresh" => TIMES,
        _ => match table::key(name).map(|row| row.kind) {
            Some(Kind::Boolean) => BOOLEANS,
            Some(Kind::Number) => panic!("no values for {name}"),
            _ => WORDS,
        },
    }
}

fn options() -> impl Iterator<Item = &'static str> {
    let options = table::rows().filter(|row| row.is_option());
    options.map(|row| row.name)
}

/// Blocks that a file may have, to be followed by options.
const BLOCKS: [&str; 4] = [
    "",
    "frontend = { host = 127.0.0.1 port = 0 match-global-certs = on ciphers = 'x \"y\"' tls = on }",
    "frontend = { port = 9 pem-file = { cert = a.pem private-key = \"odd name's #1.pem\" client-verify = required } \
     pem-file = dir client-verify-ca = a.pem sni-nomatch-abort = on }",
    "pem-file = { cert = a.pem ocsp-resp-file = a.pem ocsp-verify-staple = on }\npem-file = dir",
];

fn place() -> Place {
    let place = Place::new();
    place.folder("dir");
    for name in ["a.pem", "odd name's #1.pem", "dir/b.pem"] {
        place.file(name);
    }
    place
}

/// Without what is said of the way that settings have come.
fn configuration(place: &Place, words: &[&str]) -> Result<Config, String> {
    match place.task(words)? {
        Task::Run(mut config) => {
            config
                .notes
                .retain(|note| !note.starts_with("the frontends"));
            Ok(*config)
        }
        other => panic!("{other:?}"),
    }
}

fn comes_back(place: &Place, words: &[&str]) {
    // Settings that exclude each other have nothing to come back as.
    let Ok(config) = configuration(place, words) else {
        return;
    };
    let written = [words, &["--default-config"]].concat();
    let Ok(Task::Print(text)) = place.task(&written) else {
        panic!("nothing printed");
    };
    place.write("written", &text);
    let again = configuration(place, &["--config", "written"]);
    assert_eq!(again.as_ref(), Ok(&config), "{words:?}\n{text}");
    // From another directory, too: no path has stayed relative.
    let file = place.path("written").display().to_string();
    assert_eq!(
        configuration(&Place::new(), &["--config", &file]),
        Ok(config)
    );
}

#[test]
fn each_value_of_each_setting_comes_back() {
    let place = place();
    for name in options() {
        for value in values(name) {
            let option = format!("--{name}={value}");
            let words = [option.as_str(), "a.pem"];
            configuration(&place, &words).unwrap_or_else(|problem| panic!("{option}: {problem}"));
            comes_back(&place, &words);
        }
    }
}

#[test]
fn the_blocks_come_back() {
    let place = place();
    for block in BLOCKS {
        place.write("blocks", block);
        comes_back(&place, &["--config=blocks", "a.pem"]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn whatever_is_set_comes_back(
        block in select(&BLOCKS[..]),
        names in subsequence(options().collect::<Vec<_>>(), 0..20),
        places in prop::collection::vec(any::<Index>(), 20),
    ) {
        let place = place();
        place.write("blocks", block);
        let chosen = names.iter().zip(&places);
        let options: Vec<String> = chosen
            .map(|(name, place)| format!("--{name}={}", place.get(values(name))))
            .collect();
        let mut words = vec!["--config=blocks"];
        words.extend(options.iter().map(String::as_str));
        words.push("odd name's #1.pem");
        comes_back(&place, &words);
    }
}
