//! Where it is written whom the server trusts: files, folders, and what is wrong with them.
#![forbid(unsafe_code)]

use crate::common::keys::{Kind, Order, authority, leaf, openssl, revocation_list, root};
use crate::common::setup::JAIL_UID;
use crate::common::tempdir::give;
use crate::common::{Server, Setup, glob, peers, without_root};
use crate::{HELLO, asking, client, failed, refused, served, showing};

/// It ends with 111 and a line that fits.
fn fatal(setup: &Setup, line: &str) {
    let outcome = setup.run();
    assert_eq!(outcome.code(), 111, "{outcome:?}");
    assert!(
        outcome.lines().iter().any(|found| glob(line, found)),
        "{line}: {outcome:?}"
    );
    assert_eq!(outcome.stdout, b"", "no readiness");
}

#[test]
fn m_and_z_need_somebody_to_trust() {
    for option in ["-m", "-z"] {
        let bare = || Setup::new().options(&[option]);
        for setup in [
            bare(),
            bare().env("CAFILE", "").env("CADIR", ""),
            bare().file("CCAFILE", "names.pem", &authority().certificate),
        ] {
            fatal(&setup, "sslserver: fatal: (111) *CAFILE*");
        }
    }
}

#[test]
fn without_m_and_z_the_settings_mean_nothing() {
    let server = Setup::new()
        .env("CAFILE", "/nonexistent")
        .env("CADIR", "/nonexistent")
        .env("CCAFILE", "/nonexistent")
        .env("CRLFILE", "/nonexistent")
        .program(&["echo", "hello"])
        .start();
    served(server.dial());
}

#[test]
fn what_cannot_be_read_is_fatal_at_the_start_and_named() {
    for (variable, content) in [
        ("CAFILE", None),
        ("CADIR", None),
        ("CCAFILE", None),
        ("CCADIR", None),
        ("CRLFILE", None),
        ("CAFILE", Some("no certificate")),
        ("CCAFILE", Some("no certificate")),
        ("CRLFILE", Some("no list")),
        ("CAFILE", Some("")),
        ("CRLFILE", Some("")),
        (
            "CAFILE",
            Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ),
        (
            "CRLFILE",
            Some("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"),
        ),
    ] {
        let setup = asking("-m");
        let (setup, path) = match content {
            None => (
                setup.env(variable, "/nonexistent/file"),
                "/nonexistent/file",
            ),
            Some(content) => (setup.file(variable, "damaged.pem", content), "damaged.pem"),
        };
        fatal(
            &setup,
            &format!("sslserver: *: (111) unable to load *{path}*"),
        );
    }
}

#[test]
fn a_bad_verifydepth_is_refused_at_the_start() {
    for value in ["-1", "many", "1x", "99999999999"] {
        let outcome = asking("-m").env("VERIFYDEPTH", value).run();
        assert!([100, 111].contains(&outcome.code()), "{value}: {outcome:?}");
        assert!(
            outcome.stderr.contains("VERIFYDEPTH"),
            "{value}: {outcome:?}"
        );
    }
}

#[test]
fn cadir_is_a_folder_of_certificates_with_the_names_that_openssl_gives_them() {
    let other = root("/CN=Another Root");
    let setup = Setup::new().options(&["-m"]).shell(HELLO);
    let folder = setup.dir.subdirectory("ca");
    for pair in [authority(), &other] {
        let file = setup.dir.write("one.pem", &pair.certificate);
        let hash = openssl(&["x509", "-noout", "-hash"], &[("-in", &file)]);
        setup
            .dir
            .write(&format!("ca/{}.0", hash.trim()), &pair.certificate);
    }
    // As in /etc/ssl/certs.
    setup.dir.write("ca/README", "no certificate");
    let server = setup.env("CADIR", &folder.display().to_string()).start();
    let joe = client("/CN=joe");
    let ann = Order::new("/CN=ann", "keyUsage=digitalSignature").signed_by(&other);
    served(showing(server.dial(), &joe, &[]));
    served(showing(server.dial(), &ann, &[]));
    let third = root("/CN=Third Root");
    let eve = Order::new("/CN=eve", "keyUsage=digitalSignature").signed_by(&third);
    let server_line = failed("certificate verify failed: *");
    let before = server.log.count("application");
    if let Ok(mut client) = showing(server.dial(), &eve, &[]).try_connect() {
        let _ = std::io::Read::read_to_end(&mut client.tls, &mut Vec::new());
    }
    server.log.wait_for(&server_line);
    server.wait_until_idle();
    assert_eq!(server.log.count("application"), before);
}

#[test]
fn cafile_may_list_several_files_and_hold_several_certificates() {
    let roots = ["/CN=One", "/CN=Two", "/CN=Three"].map(root);
    let setup = Setup::new().options(&["-m"]).shell(HELLO);
    let two = format!("{}{}", roots[0].certificate, roots[1].certificate);
    let files = [
        setup.dir.write("two.pem", two),
        setup.dir.write("third.pem", &roots[2].certificate),
    ];
    let files = files.map(|file| file.display().to_string()).join(":");
    let server = setup.env("CAFILE", &files).start();
    for signer in &roots {
        let joe = Order::new("/CN=joe", "keyUsage=digitalSignature").signed_by(signer);
        served(showing(server.dial(), &joe, &[]));
    }
}

/// The names that a client is told, as s_client shows them; none if it was asked without names.
fn names_sent(server: &Server, version: &str) -> Vec<String> {
    let outcome = peers::s_client(server, &[version], "hello\n");
    let text = outcome.text();
    if text.contains("No client certificate CA names sent") {
        return Vec::new();
    }
    let (_, after) = text
        .split_once("\nAcceptable client certificate CA names\n")
        .unwrap_or_else(|| panic!("no names: {outcome:?}"));
    let lines = after.lines();
    lines
        .take_while(|line| line.contains(" = "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_names_of_ccafile_and_ccadir_are_what_clients_are_told() {
    let (one, two) = (root("/CN=First Choice"), root("/CN=Second Choice"));
    let both = format!("{}{}", one.certificate, two.certificate);
    let by_file = asking("-m").file("CCAFILE", "names.pem", both);
    let by_folder = asking("-m");
    let folder = by_folder.dir.subdirectory("names");
    by_folder.dir.write("names/one.pem", &one.certificate);
    by_folder.dir.write("names/two.pem", &two.certificate);
    let by_folder = by_folder.env("CCADIR", &folder.display().to_string());
    for setup in [by_file, by_folder] {
        let server = setup.start();
        for version in ["-tls1_2", "-tls1_3"] {
            let mut names = names_sent(&server, version);
            names.sort();
            assert_eq!(
                names,
                ["CN = First Choice", "CN = Second Choice"],
                "{version}"
            );
        }
        // Names are told, not trusted; CAFILE is.
        let joe = Order::new("/CN=joe", "keyUsage=digitalSignature").signed_by(&one);
        refused(
            &server,
            showing(server.dial(), &joe, &[]),
            &failed("certificate verify failed: *"),
        );
        served(showing(server.dial(), &client("/CN=joe"), &[]));
    }
}

#[test]
fn without_ccafile_no_names_are_told_and_a_certificate_is_asked_for_all_the_same() {
    let server = asking("-m").start();
    for version in ["-tls1_2", "-tls1_3"] {
        assert_eq!(
            names_sent(&server, version),
            Vec::<String>::new(),
            "{version}"
        );
    }
    let line = failed("peer did not return a certificate");
    server.log.wait_for_nth(&line, 2);
    served(showing(server.dial(), &client("/CN=joe"), &[]));
}

#[test]
fn the_start_shows_where_the_authorities_are() {
    let server = asking("-m")
        .file("CCAFILE", "names.pem", &authority().certificate)
        .start();
    let pid = server.role("sslserver").pid;
    for (word, file) in [("cafile", "ca.pem"), ("ccafile", "names.pem")] {
        let path = server.dir.text(file);
        server
            .log
            .wait_for(&format!("sslserver: {word} {pid} {path}"));
    }
}

#[test]
fn all_of_it_is_read_inside_the_jail_by_the_keeper() {
    if without_root("all_of_it_is_read_inside_the_jail_by_the_keeper") {
        return;
    }
    let setup = Setup::bare()
        .options(&["-1", "-v", "-H", "-m"])
        .jailed(Kind::P256);
    setup.dir.subdirectory("jail/more");
    let list = revocation_list(authority(), &["51"]);
    for (name, content) in [
        ("jail/ca.pem", authority().certificate.as_str()),
        ("jail/names.pem", &leaf(Kind::P256).certificate),
        ("jail/crl.pem", &list),
        ("jail/more/extra.pem", &root("/CN=Extra").certificate),
    ] {
        give(&setup.dir.write(name, content), JAIL_UID);
    }
    // With and without the jail's own path before it.
    let outside = setup.dir.text("jail/names.pem");
    let server = setup
        .env("CAFILE", "/ca.pem")
        .env("CADIR", "/more")
        .env("CCAFILE", &outside)
        .env("CRLFILE", "/crl.pem")
        .shell(HELLO)
        .start();
    let mut order = Order::new("/CN=joe", "keyUsage=digitalSignature");
    order.serial = "0x51";
    let line = failed("certificate verify failed: certificate revoked");
    refused(
        &server,
        showing(server.dial(), &order.signed_by(authority()), &[]),
        &line,
    );
    served(showing(server.dial(), &client("/CN=ann"), &[]));
}

#[test]
fn the_application_does_not_see_the_settings() {
    let server = asking("-m")
        .file("CCAFILE", "names.pem", &authority().certificate)
        .env("VERIFYDEPTH", "2")
        .program(&["env"])
        .start();
    let text = showing(server.dial(), &client("/CN=joe"), &[])
        .connect()
        .text();
    for name in ["CAFILE", "CADIR", "CCAFILE", "VERIFYDEPTH", "CRLFILE"] {
        assert!(!text.contains(&format!("{name}=")), "{name}: {text}");
    }
}
