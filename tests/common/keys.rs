//! Certificates and keys, made with the openssl program, each once per test binary and only if a test asks for it.
#![forbid(unsafe_code)]

use super::peers::must;
use super::tempdir::TempDir;
use std::process::Command;
use std::sync::OnceLock;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Rsa2048,
    Rsa4096,
    P256,
    Ed25519,
}

pub const KINDS: [Kind; 4] = [Kind::Rsa2048, Kind::Rsa4096, Kind::P256, Kind::Ed25519];

#[derive(Debug)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

pub struct Chain {
    pub leaf: Pair,
    pub intermediate: String,
}

const LEAF: &str = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1";

impl Kind {
    fn options(self) -> &'static [&'static str] {
        match self {
            Kind::Rsa2048 => &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            Kind::Rsa4096 => &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"],
            Kind::P256 => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            Kind::Ed25519 => &["-algorithm", "ED25519"],
        }
    }
}

/// The certificate that every client trusts.
pub fn authority() -> &'static Pair {
    static PAIR: OnceLock<Pair> = OnceLock::new();
    PAIR.get_or_init(|| root("/CN=Test Root"))
}

/// A certificate for localhost, signed by the authority.
pub fn leaf(kind: Kind) -> &'static Pair {
    static PAIRS: [OnceLock<Pair>; 4] = [const { OnceLock::new() }; 4];
    PAIRS[kind as usize].get_or_init(|| certified(kind, authority(), "/CN=localhost", LEAF, "30"))
}

/// A client's, with these alternative names.
pub fn of_client(names: &str) -> Pair {
    let names = format!("subjectAltName={names}");
    certified(Kind::P256, authority(), "/CN=somebody", &names, "30")
}

/// One that ended yesterday.
pub fn expired() -> Pair {
    certified(Kind::P256, authority(), "/CN=localhost", LEAF, "-1")
}

/// One of about ten kilobytes, for it has many names.
pub fn large() -> Pair {
    let names: Vec<String> = (0..250)
        .map(|n| format!("DNS:host-number-{n:05}.example.org"))
        .collect();
    let extension = format!("subjectAltName=DNS:localhost,{}", names.join(","));
    certified(Kind::P256, authority(), "/CN=localhost", &extension, "30")
}

/// One whose signer is not the authority but signed by it.
pub fn chain() -> Chain {
    let middle = intermediate("/CN=Test Intermediate", authority());
    let leaf = Order::new("/CN=localhost", LEAF).signed_by(&middle);
    Chain {
        leaf,
        intermediate: middle.certificate,
    }
}

/// A certificate for these names; its common name is `label`, by which a test knows it again.
pub fn for_names(kind: Kind, signer: &Pair, label: &str, names: &[&str]) -> Pair {
    let names: Vec<String> = names.iter().map(|name| format!("DNS:{name}")).collect();
    let extension = format!("subjectAltName={}", names.join(","));
    certified(kind, signer, &format!("/CN={label}"), &extension, "30")
}

/// One that is for no host name.
pub fn for_addresses() -> Pair {
    let names = "subjectAltName=IP:192.0.2.1";
    certified(Kind::P256, authority(), "/CN=addresses", names, "30")
}

/// The key of the pair under a password.
pub fn encrypted(pair: &Pair, password: &str) -> String {
    let dir = TempDir::new();
    let file = dir.write("key", &pair.key);
    let word = dir.write("password", password);
    let word = format!("file:{}", word.display());
    openssl(&["pkey", "-aes256", "-passout", &word], &[("-in", &file)])
}

fn certified(kind: Kind, signer: &Pair, subject: &str, extension: &str, days: &str) -> Pair {
    let order = Order {
        kind,
        days,
        ..Order::new(subject, extension)
    };
    order.signed_by(signer)
}

/// An authority that signed itself.
pub fn root(subject: &str) -> Pair {
    let dir = TempDir::new();
    let key = new_key(Kind::P256);
    let file = dir.write("key", &key);
    let words = ["req", "-x509", "-new", "-days", "30", "-subj", subject];
    let certificate = openssl(&words, &[("-key", &file)]);
    Pair { certificate, key }
}

/// An authority below another.
pub fn intermediate(subject: &str, signer: &Pair) -> Pair {
    Order::new(subject, "basicConstraints=critical,CA:TRUE").signed_by(signer)
}

/// What a certificate is to say.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    pub kind: Kind,
    pub subject: &'a str,
    pub extension: &'a str,
    pub days: &'a str,
    pub serial: &'a str,
}

impl Order<'_> {
    pub fn new<'a>(subject: &'a str, extension: &'a str) -> Order<'a> {
        Order {
            kind: Kind::P256,
            subject,
            extension,
            days: "30",
            serial: "4711",
        }
    }

    pub fn signed_by(&self, signer: &Pair) -> Pair {
        let dir = TempDir::new();
        let key = new_key(self.kind);
        let key_file = dir.write("key", &key);
        let request = openssl(
            &[
                "req",
                "-new",
                "-subj",
                self.subject,
                "-addext",
                self.extension,
            ],
            &[("-key", &key_file)],
        );
        let request = dir.write("request", request);
        let signer_certificate = dir.write("signer", &signer.certificate);
        let signer_key = dir.write("signer-key", &signer.key);
        let mut words = vec!["x509", "-req", "-copy_extensions", "copy"];
        words.extend(["-set_serial", self.serial, "-days", self.days]);
        let certificate = openssl(
            &words,
            &[
                ("-in", &request),
                ("-CA", &signer_certificate),
                ("-CAkey", &signer_key),
            ],
        );
        Pair { certificate, key }
    }
}

/// A list on which the signer says that these serial numbers (hexadecimal, of even length) are good no more.
pub fn revocation_list(signer: &Pair, serials: &[&str]) -> String {
    let dir = TempDir::new();
    let lines = serials
        .iter()
        .map(|serial| format!("R\t491231235959Z\t240101000000Z\t{serial}\tunknown\t/CN=revoked\n"));
    let index = dir.write("index", lines.collect::<String>());
    let certificate = dir.write("signer", &signer.certificate);
    let key = dir.write("key", &signer.key);
    let config = dir.write(
        "config",
        format!(
            "[ca]\ndefault_ca=own\n[own]\ndatabase={}\ndefault_md=sha256\ndefault_crl_days=30\n",
            index.display()
        ),
    );
    openssl(
        &["ca", "-gencrl"],
        &[
            ("-config", &config),
            ("-cert", &certificate),
            ("-keyfile", &key),
        ],
    )
}

fn new_key(kind: Kind) -> String {
    openssl(&[&["genpkey"], kind.options()].concat(), &[])
}

pub fn openssl(words: &[&str], files: &[(&str, &std::path::PathBuf)]) -> String {
    let mut command = Command::new("openssl");
    command.args(words);
    for (option, file) in files {
        command.arg(option).arg(file);
    }
    String::from_utf8(must(command)).expect("PEM is ASCII")
}

/// The signer's word (OCSP, DER) that a certificate of the usual serial number is good.
pub fn stapled(pair: &Pair, signer: &Pair) -> Vec<u8> {
    let dir = TempDir::new();
    // The usual serial number in hexadecimal.
    let index = dir.write("index", "V\t491231235959Z\t\t1267\tunknown\t/CN=any\n");
    let certificate = dir.write("certificate", &pair.certificate);
    let signer_certificate = dir.write("signer", &signer.certificate);
    let key = dir.write("key", &signer.key);
    let (request, response) = (dir.join("request"), dir.join("response"));
    openssl(
        &["ocsp"],
        &[
            ("-issuer", &signer_certificate),
            ("-cert", &certificate),
            ("-reqout", &request),
        ],
    );
    openssl(
        &["ocsp", "-ndays", "1"],
        &[
            ("-index", &index),
            ("-CA", &signer_certificate),
            ("-rsigner", &signer_certificate),
            ("-rkey", &key),
            ("-reqin", &request),
            ("-respout", &response),
        ],
    );
    std::fs::read(response).expect("a response")
}
