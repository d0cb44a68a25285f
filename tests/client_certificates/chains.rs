//! Chains: what was revoked, how long they may be, and where their links come from.
#![forbid(unsafe_code)]

use crate::common::keys::{Order, Pair, authority, revocation_list, root};
use crate::{VERSIONS, asking, below, failed, refused, served, showing};

#[test]
fn a_revoked_certificate_is_refused_and_its_neighbour_is_not() {
    let mut order = Order::new("/CN=joe", "keyUsage=digitalSignature");
    order.serial = "0x51";
    let joe = order.signed_by(authority());
    order.serial = "0x52";
    let ann = order.signed_by(authority());
    let list = revocation_list(authority(), &["51"]);
    let server = asking("-m").file("CRLFILE", "crl.pem", &list).start();
    for version in VERSIONS {
        let line = failed("certificate verify failed: certificate revoked");
        refused(
            &server,
            showing(server.dial().version(version), &joe, &[]),
            &line,
        );
    }
    for version in VERSIONS {
        served(showing(server.dial().version(version), &ann, &[]));
    }
    // Without the list nobody knows.
    let server = asking("-m").start();
    served(showing(server.dial(), &joe, &[]));
}

#[test]
fn lists_of_several_authorities_may_stand_in_one_file_or_in_several() {
    let other = root("/CN=Another Root");
    let order = |serial, signer: &Pair| {
        let mut order = Order::new("/CN=joe", "keyUsage=digitalSignature");
        order.serial = serial;
        order.signed_by(signer)
    };
    let (bad, good) = (order("0x51", &other), order("0x52", &other));
    let (bad_here, good_here) = (order("0x61", authority()), order("0x62", authority()));
    let lists = [
        revocation_list(authority(), &["61"]),
        revocation_list(&other, &["51"]),
    ];
    let anchors = format!("{}{}", authority().certificate, other.certificate);
    let asking = || asking("-m").file("CAFILE", "all.pem", &anchors);
    let one = asking().file("CRLFILE", "crl.pem", lists.concat());
    let two = asking();
    let paths = [
        two.dir.write("crl0.pem", &lists[0]),
        two.dir.write("crl1.pem", &lists[1]),
    ];
    let two = two.env(
        "CRLFILE",
        &paths.map(|path| path.display().to_string()).join(":"),
    );
    for setup in [one, two] {
        let server = setup.start();
        let line = failed("certificate verify failed: certificate revoked");
        for joe in [&bad, &bad_here] {
            refused(&server, showing(server.dial(), joe, &[]), &line);
        }
        for ann in [&good, &good_here] {
            served(showing(server.dial(), ann, &[]));
        }
    }
}

#[test]
fn a_client_below_a_revoked_intermediate_is_refused() {
    let mut order = Order::new("/CN=Branch", "basicConstraints=critical,CA:TRUE");
    order.serial = "0x77";
    let branch = order.signed_by(authority());
    let joe = Order::new("/CN=joe", "keyUsage=digitalSignature").signed_by(&branch);
    let lists = [
        revocation_list(authority(), &["77"]),
        revocation_list(&branch, &[]),
    ];
    let server = asking("-m")
        .file("CRLFILE", "crl.pem", lists.concat())
        .start();
    let line = failed("certificate verify failed: certificate revoked");
    refused(
        &server,
        showing(server.dial(), &joe, &[&branch.certificate]),
        &line,
    );
}

#[test]
fn verifydepth_says_how_many_certificates_may_stand_between_and_is_1() {
    for (depth, most) in [(None, 1), (Some("0"), 0), (Some("1"), 1), (Some("3"), 3)] {
        for number in 0..=4 {
            let (joe, chain) = below(number);
            let others: Vec<&str> = chain.iter().map(|one| one.certificate.as_str()).collect();
            let mut setup = asking("-m");
            if let Some(depth) = depth {
                setup = setup.env("VERIFYDEPTH", depth);
            }
            let server = setup.start();
            let dial = showing(server.dial(), &joe, &others);
            if number <= most {
                served(dial);
            } else {
                let line = failed("certificate verify failed: certificate chain too long");
                refused(&server, dial, &line);
            }
        }
    }
}

#[test]
fn an_intermediate_that_the_client_leaves_out_may_stand_in_cafile() {
    let (joe, chain) = below(1);
    let server = asking("-m").start();
    let line = failed("certificate verify failed: unable to get local issuer certificate");
    refused(&server, showing(server.dial(), &joe, &[]), &line);
    let both = format!("{}{}", authority().certificate, chain[0].certificate);
    let server = asking("-m").file("CAFILE", "both.pem", both).start();
    served(showing(server.dial(), &joe, &[]));
}
