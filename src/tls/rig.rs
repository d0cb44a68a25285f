//! For tests: throw-away certificates, a keeper in this process, and handshakes in memory.
#![forbid(unsafe_code)]

use std::sync::{Mutex, OnceLock};

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::rand::rand_bytes;
use openssl::rsa::Rsa;
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslContextRef, SslMethod, SslStream, SslVerifyMode,
    SslVersion, StatusType,
};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Name};

use super::catalogue::{Collector, Entry, Place};
use super::provider::{self, ClientContext, Keeper};
use super::settings::{Settings, Version};
use super::signing;
use super::staple::Staple;
use super::stream::{Got, Shake, Tls, TlsError, Wire};
use super::tickets::{self, TicketKey, TicketName, TicketSecrets};

/// A key with its certificate, by which it is signed itself.
pub struct Made {
    pub certificate: X509,
    pub chain: Vec<Vec<u8>>,
    pub key: PKey<Private>,
    /// Under which our keeper has the key.
    pub number: u16,
}

/// With an ECDSA key; the common name and the alternative names are these.
pub fn make(name: &str) -> Made {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    signed(name, name, key, MessageDigest::sha256())
}

pub fn make_ed25519(name: &str) -> Made {
    let digest = MessageDigest::null();
    signed(name, name, PKey::generate_ed25519().unwrap(), digest)
}

pub fn make_rsa(name: &str, bits: u32) -> Made {
    let key = PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap();
    signed(name, name, key, MessageDigest::sha256())
}

/// Neither a common name nor any other.
pub fn make_nameless() -> Made {
    let digest = MessageDigest::null();
    signed("", "", PKey::generate_ed25519().unwrap(), digest)
}

/// The same with another's name as its issuer's, though nobody has checked it.
pub fn issued(name: &str, made: Made) -> Made {
    let digest = match made.key.id() {
        Id::ED25519 => MessageDigest::null(),
        _ => MessageDigest::sha256(),
    };
    signed(name, "authority", made.key, digest)
}

fn signed(name: &str, issuer: &str, key: PKey<Private>, digest: MessageDigest) -> Made {
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let mut serial = [1; 8];
    rand_bytes(&mut serial[1..]).unwrap();
    let serial = BigNum::from_slice(&serial).unwrap();
    let serial = serial.to_asn1_integer().unwrap();
    builder.set_serial_number(&serial).unwrap();
    builder.set_subject_name(&common(name)).unwrap();
    builder.set_issuer_name(&common(issuer)).unwrap();
    let (start, end) = (Asn1Time::days_from_now(0), Asn1Time::days_from_now(1));
    builder.set_not_before(&start.unwrap()).unwrap();
    builder.set_not_after(&end.unwrap()).unwrap();
    builder.set_pubkey(&key).unwrap();
    let authority = BasicConstraints::new().ca().build().unwrap();
    builder.append_extension(authority).unwrap();
    if !name.is_empty() {
        let context = builder.x509v3_context(None, None);
        let names = SubjectAlternativeName::new().dns(name).build(&context);
        builder.append_extension(names.unwrap()).unwrap();
    }
    builder.sign(&key, digest).unwrap();
    let certificate = builder.build();
    Made {
        chain: vec![certificate.to_der().unwrap()],
        certificate,
        number: keep(key.clone()),
        key,
    }
}

fn common(name: &str) -> X509Name {
    let mut whole = X509Name::builder().unwrap();
    if !name.is_empty() {
        whole.append_entry_by_nid(Nid::COMMONNAME, name).unwrap();
    }
    whole.build()
}

static KEYS: Mutex<Vec<PKey<Private>>> = Mutex::new(Vec::new());

fn keep(key: PKey<Private>) -> u16 {
    let mut keys = KEYS.lock().unwrap();
    keys.push(key);
    u16::try_from(keys.len() - 1).unwrap()
}

/// The keeper of all tests, which run in one process.
struct Here(Mutex<TicketSecrets>);

impl Keeper for Here {
    fn sign(&self, key: u16, scheme: u16, message: &[u8]) -> Option<Vec<u8>> {
        let keys = KEYS.lock().unwrap();
        signing::sign(&keys[usize::from(key)], scheme, message, Version::Tls12).ok()
    }

    fn new_ticket(&self) -> Option<TicketKey> {
        self.0.lock().unwrap().fresh(tickets::now()).ok()
    }

    fn open_ticket(&self, name: TicketName) -> Option<TicketKey> {
        self.0.lock().unwrap().open(name, tickets::now())
    }
}

/// Has this process a keeper.
pub fn with_keeper() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let secrets = TicketSecrets::random(tickets::now()).unwrap();
        provider::set_keeper(Some(Box::new(Here(Mutex::new(secrets)))));
    });
}

/// Puts a certificate with these names into a catalogue.
pub fn add(collector: &mut Collector, made: &Made, names: &[&str]) -> Place {
    add_stapled(collector, made, names, None)
}

pub fn add_stapled(
    collector: &mut Collector,
    made: &Made,
    names: &[&str],
    staple: Option<&Staple>,
) -> Place {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let entry = Entry {
        key: made.number,
        names: &names,
        certificates: &made.chain,
        staple,
        dh: &[],
    };
    collector.add(&entry).unwrap()
}

pub fn settings() -> Settings {
    Settings::from_environment(|_| None).unwrap()
}

/// A client that comes again with what it got.
pub struct Client(ClientContext);

/// How a handshake went, and how it may go on.
pub struct Meeting {
    pub client: SslStream<Wire>,
    pub server: Tls,
    /// What the server says of a handshake that it ended.
    pub failure: Option<TlsError>,
    /// What the client does.
    pub refusal: Option<String>,
}

impl Client {
    pub fn new(version: SslVersion, change: impl FnOnce(&mut SslContextBuilder)) -> Client {
        let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
        context.set_verify(SslVerifyMode::NONE);
        context.set_min_proto_version(Some(version)).unwrap();
        context.set_max_proto_version(Some(version)).unwrap();
        change(&mut context);
        Client(ClientContext::new(context).unwrap())
    }

    /// Shakes hands with a server under a name, with the session of the last time if there is one, and says goodbye.
    pub fn meet(&self, server: &SslContextRef, name: Option<&str>) -> Meeting {
        let mut meeting = self.begin(server, name);
        meeting.go_on();
        meeting
    }

    pub fn begin(&self, server: &SslContextRef, name: Option<&str>) -> Meeting {
        let mut ssl = self.0.connection("whoever").unwrap();
        if let Some(name) = name {
            ssl.set_hostname(name).unwrap();
        }
        ssl.set_status_type(StatusType::OCSP).unwrap();
        Meeting::new(ssl, server)
    }
}

impl Meeting {
    pub fn new(client: Ssl, server: &SslContextRef) -> Meeting {
        with_keeper();
        Meeting {
            client: SslStream::new(client, Wire::default()).unwrap(),
            server: Tls::new(server).unwrap(),
            failure: None,
            refusal: None,
        }
    }

    /// One turn of each, the client first, and what it says goes through `between`. `false`: nobody has more to say.
    pub fn turn(&mut self, between: impl FnOnce(&mut Vec<u8>)) -> bool {
        if let Err(error) = self.client.do_handshake()
            && let Some(stack) = error.ssl_error()
        {
            self.refusal = Some(stack.to_string());
        }
        // Tickets come behind the handshake.
        let _ = self.client.ssl_read(&mut [0; 1]);
        let mut said = self.client.get_ref().output.as_slice().to_vec();
        self.client.get_mut().output.clear();
        between(&mut said);
        self.server.wire().input.append(&said);
        match self.server.handshake() {
            // It waits for somebody else, who has been by now.
            Ok(Shake::Suspended) => return true,
            Ok(_) => {}
            Err(error) => drop(self.failure.get_or_insert(error)),
        }
        let answer = self.server.wire().output.as_slice().to_vec();
        self.server.wire().output.clear();
        self.client.get_mut().input.append(&answer);
        !said.is_empty() || !answer.is_empty()
    }

    pub fn go_on(&mut self) {
        while self.turn(|_| ()) {}
    }

    /// Has the client say something and the server say it again: what the client hears.
    pub fn say(&mut self, word: &[u8]) -> Vec<u8> {
        self.client.ssl_write(word).unwrap();
        let said = self.client.get_ref().output.as_slice().to_vec();
        self.client.get_mut().output.clear();
        self.server.wire().input.append(&said);
        let mut heard = vec![0; word.len()];
        assert_eq!(self.server.read(&mut heard), Ok(Got::Data(word.len())));
        self.server.write(&heard).unwrap();
        let answer = self.server.wire().output.as_slice().to_vec();
        self.server.wire().output.clear();
        self.client.get_mut().input.append(&answer);
        self.client.ssl_read(&mut heard).unwrap();
        heard
    }

    pub fn is_done(&self) -> bool {
        let ends = [self.client.ssl(), self.server.ssl()];
        self.failure.is_none()
            && self.refusal.is_none()
            && ends.iter().all(|ssl| ssl.is_init_finished())
    }

    /// Whether the session of an earlier one went on.
    pub fn is_resumed(&self) -> bool {
        assert!(self.is_done(), "{:?} {:?}", self.failure, self.refusal);
        self.client.ssl().session_reused()
    }

    /// The common name of the certificate that the client saw.
    pub fn shown(&self) -> String {
        assert!(self.is_done(), "{:?} {:?}", self.failure, self.refusal);
        let certificate = self.client.ssl().peer_certificate().unwrap();
        let mut names = certificate.subject_name().entries_by_nid(Nid::COMMONNAME);
        names.next().unwrap().data().to_string().unwrap()
    }

    pub fn alert(&self) -> &str {
        self.refusal.as_deref().unwrap_or("none")
    }
}

/// A session whose connection ended without a goodbye is not resumed.
impl Drop for Meeting {
    fn drop(&mut self) {
        let _ = self.client.shutdown();
    }
}
