//! A real IMAP server behind TLS.
#![forbid(unsafe_code)]

mod common;

use common::{Setup, curl, is_root, say};
use nix::unistd::{chown, getegid, geteuid};
use std::path::Path;

const IMAP: &str = "/usr/lib/dovecot/imap";

const MAIL: &str = "From: joe@example.org\r\nSubject: a letter\r\n\r\nHello from the maildir.\r\n";

/// Dovecot refuses to work as root, so the application gets other ids there.
fn ids() -> (u32, u32) {
    if is_root() {
        (61_033, 61_034)
    } else {
        (geteuid().as_raw(), getegid().as_raw())
    }
}

#[test]
fn dovecot_imap_serves_a_mailbox_to_curl() {
    if !Path::new(IMAP).exists() {
        return say("dovecot_imap_serves_a_mailbox_to_curl: skipped: needs dovecot's imap");
    }
    let (uid, gid) = ids();
    let mut setup = Setup::new();
    setup.dir.subdirectory("mail");
    for folder in ["cur", "new", "tmp"] {
        setup.dir.subdirectory(&format!("mail/{folder}"));
    }
    setup.dir.write("mail/cur/1.1.example:2,S", MAIL);
    for path in [
        "mail",
        "mail/cur",
        "mail/new",
        "mail/tmp",
        "mail/cur/1.1.example:2,S",
    ] {
        chown(&setup.dir.join(path), Some(uid.into()), Some(gid.into())).expect("chown");
    }
    let mail = setup.dir.text("mail");
    let config = setup.dir.write(
        "dovecot.conf",
        format!(
            "mail_location = maildir:{mail}\nbase_dir = {mail}/run\nssl = no\nlog_path = /dev/stderr\nmail_uid = {uid}\n\
             mail_gid = {gid}\nfirst_valid_uid = 1\nfirst_valid_gid = 1\nstats_writer_socket_path =\n"
        ),
    );
    if is_root() {
        setup = setup.options(&["-u", &uid.to_string(), "-g", &gid.to_string()]);
    }
    let config = config.display().to_string();
    let server = setup
        .env("USER", "joe")
        .env("HOME", &mail)
        .program(&[IMAP, "-c", &config])
        .start();

    let listing = curl(&server, &["-u", "joe:unused"], "imaps://{}/");
    assert_eq!(listing.code(), 0, "{listing:?} {:?}", server.log.lines());
    assert!(listing.text().contains("INBOX"), "{listing:?}");
    let letter = curl(&server, &["-u", "joe:unused"], "imaps://{}/INBOX;UID=1");
    assert_eq!(letter.code(), 0, "{letter:?} {:?}", server.log.lines());
    assert!(
        letter.text().contains("Hello from the maildir."),
        "{letter:?}"
    );
    server.wait_until_idle();
    server.stop();
}
