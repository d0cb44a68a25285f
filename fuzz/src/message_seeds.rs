//! Every kind of message between roles as the seeds of their target: made here, since nobody can type them.
#![forbid(unsafe_code)]

use sslserver::net::proxy_header::Announced;
use sslserver::privsep::channel::{self, Message};
use sslserver::privsep::message::resolver::Resolved;
use sslserver::privsep::message::store::ServerAddresses;
use sslserver::privsep::message::*;
use sslserver::tls::client::{Demand, TrustFiles};
use sslserver::tls::material::{PairFiles, SetFiles};
use sslserver::tls::settings::{Settings, Version};
use sslserver::tls::staple::Staple;
use sslserver::tls::tickets::TicketKey;

use super::messages::KINDS;

#[derive(Default)]
struct Seeds(Vec<(String, Vec<u8>)>);

impl Seeds {
    fn add<M: Message>(&mut self, name: &str, message: M) {
        let kind = std::any::type_name::<M>()
            .rsplit("::")
            .next()
            .unwrap_or_default();
        let number = KINDS.iter().position(|(known, _)| *known == kind);
        let number = number.expect("every message has its place in KINDS");
        let encoded = channel::encode(&message);
        let bytes = [&[number as u8][..], &encoded].concat();
        self.0.push((format!("good-{kind}-{name}"), bytes));
    }
}

fn text(text: &str) -> String {
    text.to_owned()
}

/// The files' names, which all say that they are good, and what is in them.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Seeds::default();
    of_the_keeper(&mut seeds);
    of_terminator_and_session(&mut seeds);
    of_the_lookup(&mut seeds);
    of_workers(&mut seeds);
    of_the_store(&mut seeds);
    of_a_client(&mut seeds);
    seeds.0
}

fn of_a_client(seeds: &mut Seeds) {
    let proof = Proof {
        scheme: 0x0403,
        message: b"transcript".to_vec(),
    };
    seeds.add("signed", proof);
    let chain = vec![b"our own".to_vec(), b"its signer's".to_vec()];
    seeds.add("chain", ToSession::Chain(chain));
    seeds.add("signature", ToSession::Signature(vec![1; 64]));
}

fn of_the_keeper(seeds: &mut Seeds) {
    seeds.add("terminator", ToKeeper::Terminator(1));
    let pair = PairFiles {
        certificate: "/cert.pem".into(),
        is_chain: true,
        key: "/key.pem".into(),
    };
    let files = SetFiles {
        pairs: vec![pair],
        folder: Some("/names".into()),
        dh: Some("/dh.pem".into()),
        trust: TrustFiles {
            anchors: vec!["/ca.pem".into()],
            revoked: vec!["/crl.pem".into()],
            ..TrustFiles::default()
        },
        oldest: Version::Tls12,
    };
    let set = ToKeeper::Set {
        number: 2,
        files: Box::new(files),
        terminator: Some(1),
        opened: vec!["/cert.pem".into()],
    };
    seeds.add("set", set);
    let state = [&[1][..], &[0; 8], &[7; 64]].concat();
    seeds.add("secrets", Heritage(state));
    seeds.add("loaded", FromKeeper::Loaded { dh_bits: 2048 });
    let failed = FromKeeper::SetFailed {
        number: 2,
        terminator: 1,
        reason: text("no such file"),
    };
    seeds.add("failed", failed);
    let renewed = Err(text("key does not fit"));
    seeds.add("renewed", FromKeeper::Renewed(renewed));
    seeds.add("warning", FromKeeper::Warning(text("it has expired")));
    seeds.add(
        "unusable",
        FromKeeper::Unusable(text("its key does not fit")),
    );
    let chain = Chain {
        key: 1,
        named: true,
        names: vec![text("a.example"), text("*.b.example")],
        certificates: vec![b"certificate".to_vec(), b"issuer".to_vec()],
        staple: Some(Staple {
            response: b"response".to_vec(),
            until: 1_800_000_000,
        }),
        dh: b"parameters".to_vec(),
    };
    seeds.add("chain", PublicPart::Chain(chain));
    let (list, certificate) = (1, b"certificate".to_vec());
    seeds.add("anchor", PublicPart::Anchor { list, certificate });
    seeds.add("end", PublicPart::End(2));
    seeds.add("one", NewSession);
    let sign = Request::Sign {
        key: 1,
        scheme: 0x0403,
        message: b"to be signed".to_vec(),
    };
    seeds.add("sign", sign);
    seeds.add("open", Request::Open([2; 16]));
    let key = TicketKey {
        name: [2; 16],
        cipher: [3; 32],
        mac: [4; 32],
    };
    let reply = Reply {
        signature: b"signature".to_vec(),
        opened: None,
        fresh: Some(key),
    };
    seeds.add("signature", reply);
}

fn of_terminator_and_session(seeds: &mut Seeds) {
    let settings = Settings {
        ciphers: Some(text("HIGH")),
        ciphersuites: None,
        groups: Some(text("X25519")),
        min: Version::Tls12,
        max: None,
        alpn: Some(b"\x02h2".to_vec()),
        server_order: true,
        strict: false,
        tickets: true,
        verify_depth: 1,
    };
    let set = ToTerminator::Set {
        number: 2,
        settings,
        demand: Demand::Valid,
        scope: text("1"),
    };
    seeds.add("set", set);
    let order = ConnectionOrder {
        number: 7,
        set: 2,
        patience: 26_000,
        client: "2001:db8::1".parse().unwrap(),
        host: Some(text("client.example")),
    };
    seeds.add("connection", ToTerminator::Connection(order));
    seeds.add("short", FromTerminator::Short(text("no more processes")));
    let facts = Facts {
        protocol: text("TLSv1.3"),
        cipher: text("TLS_AES_256_GCM_SHA384"),
        group: text("X25519"),
        name: text("www.example.org"),
        resumed: true,
    };
    let environment = b"SSL_PROTOCOL=TLSv1.3\0".to_vec();
    let established = || SessionReport::Established {
        facts: facts.clone(),
        environment: environment.clone(),
    };
    seeds.add("established", established());
    let report = FromTerminator::Report {
        number: 7,
        report: Box::new(established()),
    };
    seeds.add("report", report);
    let (pid, reason) = (4711, text("timed out"));
    seeds.add("failed", SessionReport::Failed { pid, reason });
    let finished = SessionReport::Finished {
        received: 1000,
        sent: 2000,
        ending: Ending::ClientGone(text("connection reset")),
    };
    seeds.add("finished", finished);
}

fn of_the_lookup(seeds: &mut Seeds) {
    let question = ToLookup {
        number: 7,
        wanted: Wanted {
            remote_name: true,
            proxy_header: true,
            ..Wanted::default()
        },
        local: "192.0.2.1:443".parse().unwrap(),
        remote: "[fe80::1%7]:52100".parse().unwrap(),
    };
    let (local, remote) = (question.local, question.remote);
    seeds.add("question", question);
    let answer = Answer {
        announced: Ok(Announced::Ends { remote, local }),
        remote_name: Some(text(r"a\045.example.org")),
        remote_info: Some(b"joe".to_vec()),
        local_name: Some(text("www.example.org")),
    };
    seeds.add("answer", FromLookup::Answer { number: 7, answer });
    let answer = Answer::refusal(text("no PROXY header"));
    seeds.add("refusal", FromLookup::Answer { number: 8, answer });
    let found = Resolved {
        place: 3,
        addresses: Ok(vec![local.ip(), remote.ip()]),
    };
    seeds.add("found", found);
    let failed = Resolved {
        place: 4,
        addresses: Err(text("no such name")),
    };
    seeds.add("failed", failed);
}

fn of_workers(seeds: &mut Seeds) {
    let address = || "192.0.2.1:80".parse().unwrap();
    let targets = ToWorker::Targets {
        backend: 1,
        targets: vec![Target::Tcp(address()), Target::Unix("@backend".into())],
    };
    seeds.add("targets", targets);
    seeds.add("drain", ToWorker::Drain { patience: 60_000 });
    let finished = Finished {
        client: address(),
        announced: Some("[2001:db8::1]:52100".parse().unwrap()),
        name: b"www.example.org".to_vec(),
        protocol: text("TLSv1.3"),
        cipher: text("TLS_AES_256_GCM_SHA384"),
        resumed: true,
        received: 1000,
        sent: 2000,
        milliseconds: 30_000,
        finish: Finish::BackendGone(text("connection reset")),
    };
    seeds.add("finished", FromWorker::Finished(Box::new(finished)));
    let (backend, reason) = (1, text("connection refused"));
    seeds.add("unreached", FromWorker::Unreached { backend, reason });
}

fn of_the_store(seeds: &mut Seeds) {
    seeds.add("one", NewWorker);
    seeds.add("down", StoreReport::Down(text("cache: timed out")));
    let get = ToStore::Get {
        token: 7,
        id: [1; 32],
        once: true,
    };
    seeds.add("get", get);
    let put = ToStore::Put {
        id: [1; 32],
        lifetime: 7200,
        sealed: b"sealed".to_vec(),
    };
    seeds.add("put", put);
    let found = Found {
        token: 7,
        sealed: Some(b"sealed".to_vec()),
    };
    seeds.add("session", found);
    let addresses = ["192.0.2.1:6379", "[fe80::1%7]:6379"];
    let addresses = addresses.map(|address| address.parse().unwrap());
    seeds.add("two", ServerAddresses(Ok(addresses.into())));
}
