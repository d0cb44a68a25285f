//! The script that adds to a deny list under attack.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};

use crate::place::{CHECK, Done, Place, TCPRULES};

const BAN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/rules/ban");

fn ban(place: &Place, arguments: &[&str], addresses: &str) -> Done {
    let command = [&[BAN], arguments, &["list.rules", "list.cdb"]].concat();
    place.run_with(&command, addresses, &[("TCPRULES", TCPRULES)])
}

#[test]
fn ban_merges_addresses_into_the_list_and_keeps_what_stands_there_otherwise() {
    let place = Place::new("ban");
    let source = "# by hand\n1.1.1.1:allow,A=\"b\"\n9.9.9.9:deny\n:allow\n5.5.5.5:deny\n";
    fs::write(place.join("list.rules"), source).unwrap();
    fs::set_permissions(place.join("list.rules"), fs::Permissions::from_mode(0o600)).unwrap();
    let done = ban(
        &place,
        &[],
        "# seen today\n\n 9.9.9.9 # again\n2001:DB8::7\n::ffff:3.3.3.3\n10.0.0.0/8\r\n192.0.2.\n3.3.3.3",
    );
    assert_eq!(done.stdout, "ban: 4 new, 6 in all\n");
    done.quietly();
    assert_eq!(
        fs::read_to_string(place.join("list.rules")).unwrap(),
        "# by hand\n1.1.1.1:allow,A=\"b\"\n:allow\n10.0.0.0/8:deny\n192.0.2.:deny\n\
         2001:db8::7:deny\n3.3.3.3:deny\n5.5.5.5:deny\n9.9.9.9:deny\n"
    );
    assert_eq!(
        fs::metadata(place.join("list.rules")).unwrap().mode() & 0o7777,
        0o600
    );
    for address in ["2001:db8::7", "3.3.3.3", "10.9.8.7", "192.0.2.5", "5.5.5.5"] {
        let answer = place.run(&[CHECK, "list.cdb", address], "").stdout;
        assert!(answer.ends_with("deny connection\n"), "{address}: {answer}");
    }
    assert_eq!(place.names(), ["list.cdb", "list.rules", "list.rules.lock"]);
}

#[test]
fn ban_changes_nothing_if_one_line_is_no_address() {
    let place = Place::new("ban-garbage");
    ban(&place, &[], "7.7.7.7\n");
    let before = fs::metadata(place.join("list.cdb")).unwrap().ino();
    for bad in [
        "1.2.3",
        "1.2.3.4.",
        "256.1.1.1",
        "01.2.3.4",
        "1.2.3.4/33",
        "10/8",
        "foo",
        "/",
        "1.2.3.4:allow",
        ":allow",
        "1.2.3.4 5.6.7.8",
        "$(reboot)",
    ] {
        let done = ban(&place, &[], &format!("8.8.8.8\n\n{bad}\n"));
        done.failed(101, &format!("ban: line 3: not an address: {bad}"));
    }
    for bad in ["::12345", "1::2::3", ":"] {
        let done = ban(&place, &[], &format!("8.8.8.8\n\n{bad}\n"));
        done.failed(
            101,
            &format!("ban: line 3: invalid IPv6 address on line: {bad}"),
        );
    }
    let never = ban(&place, &[], "::ffff:0:0/96\n");
    assert!(
        never.stderr.contains("line 1: this rule can never match"),
        "{never:?}"
    );
    assert_eq!(never.code, Some(101));

    assert_eq!(
        fs::read_to_string(place.join("list.rules")).unwrap(),
        "7.7.7.7:deny\n"
    );
    assert_eq!(fs::metadata(place.join("list.cdb")).unwrap().ino(), before);

    fs::write(place.join("list.rules"), "7.7.7.7:deny\nnonsense\n").unwrap();
    let done = ban(&place, &[], "8.8.8.8\n");
    assert_eq!(done.code, Some(101));
    assert!(
        done.stderr.contains("unable to parse this line: nonsense"),
        "{done:?}"
    );
    assert_eq!(fs::metadata(place.join("list.cdb")).unwrap().ino(), before);
    assert_eq!(place.names(), ["list.cdb", "list.rules", "list.rules.lock"]);
}

#[test]
fn ban_is_safe_against_itself_and_waits_no_longer_than_told() {
    let place = Place::new("ban-together");
    let mut running = Vec::new();
    for number in 1..=8 {
        let command = format!("echo 10.0.0.{number} | '{BAN}' -w 50 list.rules list.cdb");
        let child = Command::new("timeout")
            .args(["60", "sh", "-c", &command])
            .current_dir(&place.0)
            .env("TCPRULES", TCPRULES)
            .stdout(Stdio::null())
            .spawn();
        running.push(child.unwrap());
    }
    assert!(
        running
            .iter_mut()
            .all(|child| child.wait().unwrap().success())
    );
    for number in 1..=8 {
        let answer = place
            .run(&[CHECK, "list.cdb", &format!("10.0.0.{number}")], "")
            .stdout;
        assert!(answer.ends_with("deny connection\n"), "{number}");
    }

    let held = format!("flock list.rules.lock '{BAN}' -w 0 list.rules list.cdb");
    let done = place.run_with(&["sh", "-c", &held], "1.1.1.1\n", &[("TCPRULES", TCPRULES)]);
    done.failed(
        111,
        "ban: another run holds ./list.rules.lock for 0 seconds: try again",
    );
    let usage = "ban: usage: ban [-w seconds] deny.rules deny.cdb < addresses";
    place.run(&[BAN, "list.rules"], "").failed(100, usage);
    assert_eq!(place.names(), ["list.cdb", "list.rules", "list.rules.lock"]);
}
