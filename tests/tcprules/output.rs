//! How tcprules treats the files it finds and makes.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};

use crate::place::{Place, TCPRULES};

#[test]
fn the_temporary_file_is_never_somebody_elses() {
    let place = Place::new("temporary");
    place.compile(":deny\n").quietly();
    let live = fs::read(place.join("cdb")).unwrap();

    let in_the_way = "tcprules: fatal: (111) unable to create: tmp: there is something \
                      that is no regular file: remove it or choose another name";
    symlink("cdb", place.join("tmp")).unwrap();
    place.compile(":allow\n").failed(111, in_the_way);
    assert_eq!(fs::read(place.join("cdb")).unwrap(), live);
    fs::remove_file(place.join("tmp")).unwrap();
    fs::create_dir(place.join("tmp")).unwrap();
    place.compile(":allow\n").failed(111, in_the_way);
    fs::remove_dir(place.join("tmp")).unwrap();

    let same = place.run(&[TCPRULES, "cdb", "./cdb"], ":allow\n");
    same.failed(
        100,
        "tcprules: usage: ./cdb is the rules file itself: give the temporary file a name of its own",
    );
    assert_eq!(fs::read(place.join("cdb")).unwrap(), live);

    // What an earlier run left behind is no obstacle, nor are its contents or
    // its mode of any consequence; a hard link to it is another's file.
    fs::write(place.join("kept"), "kept").unwrap();
    fs::set_permissions(place.join("kept"), fs::Permissions::from_mode(0o777)).unwrap();
    fs::hard_link(place.join("kept"), place.join("tmp")).unwrap();
    place
        .run(
            &["sh", "-c", "umask 027; exec \"$0\" cdb tmp", TCPRULES],
            ":allow\n",
        )
        .quietly();
    assert_eq!(fs::read(place.join("kept")).unwrap(), b"kept");
    assert_eq!(
        fs::metadata(place.join("cdb")).unwrap().mode() & 0o7777,
        0o640
    );
    assert_eq!(place.names(), ["cdb", "kept"]);
}

#[test]
fn a_failure_of_the_system_is_told_with_its_reason_and_leaves_the_old_rules() {
    let place = Place::new("system");
    place.compile(":deny\n").quietly();
    let live = fs::read(place.join("cdb")).unwrap();

    place.run(&[TCPRULES, "cdb", "no/tmp"], ":allow\n").failed(
        111,
        "tcprules: fatal: (111) unable to create: no/tmp: No such file or directory",
    );
    place
        .run(&["sh", "-c", "exec \"$0\" cdb tmp < .", TCPRULES], "")
        .failed(
            111,
            "tcprules: fatal: (111) unable to read input: Is a directory",
        );
    let full = "trap '' XFSZ; ulimit -f 1; exec \"$0\" cdb tmp";
    place
        .run(&["sh", "-c", full, TCPRULES], "1.2.3.4-200:allow\n")
        .failed(
            111,
            "tcprules: fatal: (111) unable to write to: tmp: File too large",
        );
    fs::create_dir(place.join("dir")).unwrap();
    place.run(&[TCPRULES, "dir", "tmp"], ":allow\n").failed(
        111,
        "tcprules: fatal: (111) unable to move tmp to: dir: Is a directory",
    );
    assert_eq!(fs::read(place.join("cdb")).unwrap(), live);
    assert_eq!(place.names(), ["cdb", "dir"]);
}

#[test]
fn a_run_whose_temporary_file_was_taken_away_does_not_publish_the_others() {
    let place = Place::new("taken");
    let mut first = Command::new("timeout")
        .args(["60", TCPRULES, "cdb", "tmp"])
        .current_dir(&place.0)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = first.stdin.take().unwrap();
    // More than a pipe holds: when it is written the program reads, and so it
    // has made its file.
    stdin.write_all(&b"# comment\n".repeat(200_000)).unwrap();
    place.compile("1.2.3.4:deny\n").quietly();
    let live = fs::read(place.join("cdb")).unwrap();
    stdin.write_all(b":allow\n").unwrap();
    drop(stdin);
    let output = first.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(111));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "tcprules: fatal: (111) unable to write to: tmp: another program took it away \
         meanwhile: give each run a temporary file of its own\n"
    );
    assert_eq!(fs::read(place.join("cdb")).unwrap(), live);
    assert_eq!(place.names(), ["cdb"]);
}
