//! RELOAD=auto: changed files are found once a minute, without a signal.
#![forbid(unsafe_code)]

use super::{renew, shown};
use crate::common::keys::{authority, for_names};
use crate::common::setup::JAIL_UID;
use crate::common::{Kind, Setup, is_root, say, tempdir::give};
use std::time::{Duration, Instant};

/// A minute, and what a busy machine needs.
const LIMIT: Duration = Duration::from_secs(100);

#[test]
fn a_changed_file_is_found_within_a_minute_where_the_keeper_looks_and_where_the_listener_does() {
    // Started together, so that they wait for the same minute.
    let opened = Setup::new().env("RELOAD", "auto").start();
    let jailed = is_root().then(|| {
        Setup::new()
            .env("RELOAD", "auto")
            .jailed(Kind::P256)
            .start()
    });
    let idle = Setup::new().env("RELOAD", "auto").start();
    renew(&opened, "renewed");
    if let Some(jailed) = &jailed {
        let pair = for_names(Kind::P256, authority(), "renewed", &["localhost"]);
        jailed.dir.write("jail/cert.pem", &pair.certificate);
        let key = jailed.dir.write("new-key", &pair.key);
        give(&key, JAIL_UID);
        std::fs::rename(key, jailed.dir.join("jail/key.pem")).expect("renamed");
    } else {
        say("not root: nobody to look inside a chroot");
    }
    let end = Instant::now() + LIMIT;
    for server in [Some(&opened), jailed.as_ref()].into_iter().flatten() {
        while server
            .log
            .count("sslserver: info: keys are renewed: 1 of 1")
            == 0
        {
            assert!(Instant::now() < end, "{:?}", server.log.lines());
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(shown(server), "renewed");
        server
            .log
            .wait_for("sslserver: info: a file has changed: reading keys again");
    }
    assert_eq!(idle.log.count("sslserver: info: a file has changed*"), 0);
}

#[test]
fn another_value_of_reload_is_refused() {
    let outcome = Setup::new().env("RELOAD", "hourly").run();
    assert_eq!(outcome.code(), 100, "{outcome:?}");
    assert!(
        format!("{outcome:?}").contains("is not auto"),
        "{outcome:?}"
    );
}
