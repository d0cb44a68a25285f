//! The samples for stud and tunnel serve as they stand, but for addresses, directories and the user.
#![forbid(unsafe_code)]

mod common;

use common::daemon::{Daemon, free};
use common::keys::{Pair, authority, for_names, leaf};
use common::tempdir::set_mode;
use common::{
    Backend, Dial, End, Ending, Kind, LIMIT, Program, Running, Serving, Stud, TempDir, eventually,
    run, say, showing, without_root,
};
use nix::sys::signal::Signal;
use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

const REQUEST: &[u8] = b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n";

fn sample(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    fs::read_to_string(path.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A sample with other words for those that are bound to a machine, all of which have to be there.
fn with(sample: String, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(sample, |text, (from, to)| {
        assert!(text.contains(from), "no {from} in {text}");
        text.replace(from, to)
    })
}

/// A configuration in the directory of `stud`, where its head says that everything is.
fn config(stud: Stud, name: &str, changes: &[(&str, &str)]) -> Stud {
    let root = stud.dir.subdirectory("root");
    let root = root.display().to_string();
    let here = stud.dir.text("");
    let here = here.trim_end_matches('/');
    let usual = [
        ("\"/etc/stud/", format!("\"{here}/")),
        ("\"stud\"", "\"daemon\"".into()),
        ("/var/lib/stud", root),
    ];
    let usual: Vec<_> = usual.iter().map(|(from, to)| (*from, &to[..])).collect();
    let text = with(sample(name), &usual);
    stud.config(&with(text, changes))
}

fn site(label: &str, name: &str) -> Pair {
    for_names(Kind::P256, authority(), label, &[name])
}

/// The last line of what a web server answers.
fn page(dial: Dial) -> String {
    let (bytes, end) = dial.connect().exchange(REQUEST, Ending::Nothing);
    let text = String::from_utf8(bytes).expect("text");
    assert_eq!(end, End::Clean, "{text}");
    text.lines().last().unwrap_or_default().trim().to_owned()
}

/// haproxy as the sample's backend: it answers with the client's address.
fn web(dir: &TempDir) -> Option<Daemon> {
    let address = free("127.0.0.1");
    let sections = format!(
        "frontend web\n mode http\n bind {address} accept-proxy\n \
         http-request return status 200 content-type text/plain lf-string \"%[src]\"\n"
    );
    Daemon::haproxy(dir, address, &sections)
}

/// The sample for the web, with the sites of two names, the first of them for everybody else.
fn web_stud(backend: SocketAddr) -> Stud {
    let stud = Stud::bare();
    stud.dir.subdirectory("sites");
    stud.file("sites/1.pem", &site("one", "one.example"));
    stud.file("sites/2.pem", &site("two", "two.example"));
    let metrics = stud.dir.text("metrics");
    let changes = [
        ("[*]:443", "[127.0.0.1]:0"),
        (
            "[127.0.0.1]:6081",
            &format!("[127.0.0.1]:{}", backend.port()),
        ),
        ("\"/run/stud.metrics\"", &format!("\"{metrics}\"")),
    ];
    config(stud, "stud.conf", &changes)
}

/// It serves, takes up a renewal and ends; the metrics are those of two connections.
fn serves_the_web(stud: Running) {
    assert_eq!(
        page(stud.dial().name("two.example").from("127.0.0.5")),
        "127.0.0.5"
    );
    assert_eq!(stud.dial().connect().shown(), "one");
    let mut told = String::new();
    let mut socket = UnixStream::connect(stud.file("metrics")).expect("the counters");
    socket
        .write_all(b"GET /metrics HTTP/1.0\r\n\r\n")
        .expect("room");
    socket.read_to_string(&mut told).expect("text");
    assert!(
        told.contains("\nstud_connections_accepted_total 2\n"),
        "{told}"
    );
    let renewed = site("renewed", "one.example");
    let text = format!("{}{}", renewed.certificate, renewed.key);
    stud.dir.write("sites/1.pem", text);
    stud.reload();
    eventually("the renewed certificate", || {
        let client = stud.dial().name("one.example").connect();
        (client.shown() == "renewed").then_some(())
    });
    stud.stop();
}

#[test]
fn the_sample_for_the_web_tells_haproxy_who_its_client_is() {
    let dir = TempDir::new();
    let Some(web) = web(&dir) else {
        return;
    };
    if !without_root("the_sample_for_the_web_tells_haproxy_who_its_client_is") {
        serves_the_web(web_stud(web.address).start());
    }
}

#[test]
fn the_sample_with_several_frontends_opens_the_office_to_a_certificate_of_ours_alone() {
    if without_root(
        "the_sample_with_several_frontends_opens_the_office_to_a_certificate_of_ours_alone",
    ) {
        return;
    }
    let office = Backend::new();
    let stud = Stud::bare();
    stud.dir.subdirectory("sites");
    stud.file("sites/a.pem", &site("a", "a.example"));
    let own = leaf(Kind::P256);
    stud.dir.write("office.crt", &own.certificate);
    stud.dir.write("office.key", &own.key);
    stud.dir.write("staff.pem", &authority().certificate);
    stud.dir
        .write("tickets", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n");
    set_mode(&stud.dir.join("tickets"), 0o600);
    let target = format!("[127.0.0.1]:{}", office.address.port());
    let changes = [
        ("host = \"*\"", "host = \"127.0.0.1\""),
        ("\"443\"", "\"0\""),
        ("\"8443\"", "\"0\""),
        ("[127.0.0.1]:8080", &target),
    ];
    let stud = config(stud, "stud-many.conf", &changes);
    let socket = stud.dir.join("root/web.sock");
    let web = UnixListener::bind(&socket).expect("a socket");
    set_mode(&socket, 0o666);
    let stud = stud.start();

    let mut visitor = stud.dial().name("a.example").connect();
    visitor.send(b"hello\n");
    let (mut accepted, _) = web.accept().expect("a connection");
    let mut heard = Vec::new();
    visitor.close_notify();
    accepted.read_to_end(&mut heard).expect("bytes");
    assert!(heard.ends_with(b"hello\n"), "{heard:?}");
    drop(accepted);
    let unknown = stud.dial().name("b.example").try_connect();
    assert!(unknown.is_err_and(|error| error.contains("unrecognized name")));

    let office_dial = || Dial::to(stud.addresses[1]);
    let staff = common::keys::of_client("DNS:joe");
    let mut joe = showing(office_dial(), &staff, &[]).connect();
    joe.send(b"hello\n");
    joe.close_notify();
    let heard = office.accept().rest();
    let header = String::from_utf8_lossy(&heard);
    assert!(
        header.contains("-----BEGIN TRUSTED CERTIFICATE-----"),
        "{header}"
    );
    // In TLS 1.3 a client learns of its refusal in place of the first answer.
    let mut stranger = office_dial().connect();
    assert!(stranger.tls.read(&mut [0]).is_err());
    office.assert_untouched();
    stud.log.wait_for("*name=a.example*end=complete");
    stud.stop();
}

#[test]
fn the_sample_for_mail_has_each_port_with_its_server() {
    if without_root("the_sample_for_mail_has_each_port_with_its_server") {
        return;
    }
    let servers = [Backend::new(), Backend::new()];
    let ports = servers
        .each_ref()
        .map(|server| format!("[127.0.0.1]:{}", server.address.port()));
    let stud = Stud::bare();
    stud.file("mail.pem", leaf(Kind::P256));
    let changes = [
        ("[*]:993", "[127.0.0.1]:0"),
        ("[*]:465", "[127.0.0.1]:0"),
        ("[127.0.0.1]:10143", &ports[0]),
        ("[127.0.0.1]:10025", &ports[1]),
    ];
    let stud = config(stud, "stud-imap.conf", &changes).start();
    for (address, server) in stud.addresses.iter().zip(&servers) {
        let mut client = Dial::to(*address).from("127.0.0.7").connect();
        let mut accepted = server.accept();
        let header = accepted.receive(20);
        assert!(
            header.starts_with(b"\r\n\r\n\0\r\nQUIT\n\x21\x11"),
            "{header:?}"
        );
        assert_eq!(header[16..], [127, 0, 0, 7]);
        accepted.send(b"* OK\r\n");
        assert_eq!(client.receive(6), b"* OK\r\n");
    }
    stud.stop();
}

#[test]
fn the_run_script_serves_in_the_foreground_and_takes_a_changed_file_up() {
    let dir = TempDir::new();
    let (old, new) = (Serving::answering(b"old"), Serving::answering(b"new"));
    let address = free("127.0.0.1");
    let own = leaf(Kind::P256);
    dir.write("site.pem", format!("{}{}", own.certificate, own.key));
    let write = |backend: &Serving| {
        let lines = [
            format!("frontend = \"[127.0.0.1]:{}\"", address.port()),
            common::stud::backend_line(backend.address),
            "pem-file = site.pem".into(),
        ];
        dir.write("stud.conf", lines.join("\n"));
    };
    write(&old);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/run.stud");
    let programs = Path::new(env!("CARGO_BIN_EXE_stud"))
        .parent()
        .expect("a folder");
    let mut command = Command::new("sh");
    command.arg(script).current_dir(dir.path());
    command.env_clear().env("FILES", "1024");
    command.env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
    let service = Program::start("stud", command);
    let answer = || {
        let mut client = Dial::to(address).connect();
        client.exchange(b"?", Ending::Nothing).0
    };
    service.stdout.wait_for("* listening on *");
    assert_eq!(answer(), b"old");
    write(&new);
    service.signal(Signal::SIGHUP);
    eventually("the new backend", || (answer() == b"new").then_some(()));
    service.stop();
}

/// What stands behind a key of the unit.
fn of_unit<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    let values = unit.lines().filter_map(|line| line.split_once('='));
    values
        .filter(|(name, _)| *name == key)
        .map(|(_, value)| value)
        .collect()
}

#[test]
fn the_unit_for_systemd_names_what_is_there_and_leaves_root_what_it_needs() {
    let unit = sample("stud.service");
    let stud = "/usr/local/bin/stud --config=/etc/stud/stud.conf";
    assert_eq!(of_unit(&unit, "ExecStart"), [stud]);
    let reload = [format!("{stud} --test"), "/bin/kill -HUP $MAINPID".into()];
    assert_eq!(of_unit(&unit, "ExecReload"), reload);
    verify(&unit);
    let dir = TempDir::new();
    let Some(web) = web(&dir) else {
        return;
    };
    if without_root("the_unit_for_systemd_names_what_is_there_and_leaves_root_what_it_needs") {
        return;
    }
    let allowed = of_unit(&unit, "CapabilityBoundingSet").concat();
    let allowed = allowed.split(' ').map(|word| word.replace("CAP_", ",+"));
    let allowed = allowed.collect::<String>().to_lowercase();
    let set = format!("--bounding-set=-all{allowed}");
    let confined = web_stud(web.address).prefix(&["setpriv", &set]);
    let tested = confined.run_with(&["--test"]);
    assert_eq!(tested.code(), 0, "{tested:?}");
    let stud = confined.start();
    let worker = &stud.roles("ssl-worker")[0];
    worker.send(Signal::SIGKILL);
    stud.log.wait_for("*worker * ended by signal 9");
    serves_the_web(stud);
}

/// systemd itself finds nothing wrong with it.
fn verify(unit: &str) {
    let program = "/usr/bin/systemd-analyze";
    if !Path::new(program).exists() {
        return say("no systemd-analyze: a part of a test is skipped");
    }
    let dir = TempDir::new();
    // It looks for the program and asks man(1) for the pages.
    let changes = [
        ("/usr/local/bin/stud", env!("CARGO_BIN_EXE_stud")),
        ("Documentation=", "#"),
    ];
    let file = dir.write("stud.service", with(unit.to_owned(), &changes));
    let mut command = Command::new(program);
    command.arg("verify").arg(file);
    let verdict = run(command, b"", LIMIT);
    assert_eq!(
        (verdict.code(), &verdict.stderr[..]),
        (0, ""),
        "{verdict:?}"
    );
}

#[test]
fn the_sample_for_tunnel_serves_with_every_key_known() {
    let backend = Serving::answering(b"answer");
    let dir = TempDir::new();
    let address = free("127.0.0.1");
    let changes = [
        ("= *", "= 127.0.0.1"),
        ("= 8443", &format!("= {}", address.port())),
        ("= localhost", "= 127.0.0.1"),
        ("= 4269", &format!("= {}", backend.address.port())),
    ];
    dir.write("tunnel.ini", with(sample("tunnel.ini"), &changes));
    let own = leaf(Kind::P256);
    dir.write("server-cert.pem", &own.certificate);
    dir.write("server-key.pem", &own.key);
    dir.write("ca-cert.pem", &authority().certificate);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tunnel"));
    command.current_dir(dir.path()).stdin(Stdio::null());
    let tunnel = Program::start("tunnel", command);
    tunnel.log.wait_for("* listening on *");
    let answer = Dial::to(address)
        .connect()
        .exchange(b"?", Ending::Nothing)
        .0;
    assert_eq!(answer, b"answer");
    let log = tunnel.stop();
    assert_eq!(log.count("*has no effect*"), 1, "{:?}", log.lines());
}
