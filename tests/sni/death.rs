//! Named sets are there again when the processes that knew them died.

use crate::common::{Kind, Shown, terminator};
use crate::sets::{one_file, server};

#[test]
fn named_sets_are_served_after_the_death_of_terminator_and_keeper() {
    let setup = one_file(
        server(),
        "one",
        Kind::Rsa2048,
        0,
        "one",
        &["one.example.org"],
    );
    let server = one_file(setup, "two", Kind::P256, 1, "two", &["*.example.org"]).start();
    for role in [terminator(), "ssl-keeper", terminator()] {
        server.kill(role);
        for (asked, certificate, signer) in [
            ("one.example.org", "one", "Middle 0"),
            ("x.example.org", "two", "Middle 1"),
        ] {
            let shown = Shown::to(&server, &["-servername", asked]);
            assert_eq!(shown.server(), certificate, "after {role}");
            assert_eq!(shown.chain, [certificate, signer]);
        }
    }
}
