//! TLS in the other direction: our connection to a server, whose certificate is checked (`stud --client`, sslclient).
#![forbid(unsafe_code)]

use std::net::IpAddr;

use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslMode, SslOptions};
use openssl::x509::verify::X509CheckFlags;

use super::context::{Refused, limit, refused};
use super::gate::Gate;
use super::identity::Identity;
use super::provider::ClientContext;
use super::settings::Settings;

/// Connections to servers.
pub struct Outward {
    context: ClientContext,
}

/// What a server is told, and what its certificate must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Naming {
    /// It is told which name is wanted (RFC 6066, 3), unless that is an address.
    pub tell: bool,
    /// Its certificate must be for that name or address.
    pub check: bool,
}

impl Naming {
    pub const FULL: Naming = Naming {
        tell: true,
        check: true,
    };
}

impl Outward {
    /// `gate` is for the servers; whoever asks for our certificate is shown `identity`.
    pub fn new(
        settings: &Settings,
        gate: &Gate,
        identity: Option<&Identity>,
    ) -> Result<Outward, Refused> {
        let general = refused("unable to create TLS context", "");
        let mut context = SslContext::builder(SslMethod::tls_client()).map_err(&general)?;
        context.set_options(SslOptions::NO_COMPRESSION | SslOptions::NO_RENEGOTIATION);
        context.set_mode(SslMode::RELEASE_BUFFERS | SslMode::NO_AUTO_CHAIN);
        limit(&mut context, settings)?;
        if let Some(protocols) = &settings.alpn {
            context
                .set_alpn_protos(protocols)
                .map_err(refused("unable to set protocols", ""))?;
        }
        gate.use_by_default(&mut context)
            .map_err(refused("unable to set up the check of servers", ""))?;
        if let Some(identity) = identity {
            identity
                .use_by_default(&mut context)
                .map_err(refused("unable to use certificate", ""))?;
        }
        let context = ClientContext::new(context).map_err(general)?;
        Ok(Outward { context })
    }

    /// A connection to this server, a name or an address.
    pub fn connection(&self, host: &str, naming: Naming) -> Result<Ssl, ErrorStack> {
        let host = host.trim_end_matches('.');
        let mut ssl = self.context.connection(host)?;
        let address = host.parse::<IpAddr>();
        if address.is_err() && naming.tell {
            ssl.set_hostname(host)?;
        }
        if naming.check {
            let parameters = ssl.param_mut();
            match address {
                Ok(address) => parameters.set_ip(address)?,
                Err(_) => {
                    parameters.set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS);
                    parameters.set_host(host)?;
                }
            }
        }
        Ok(ssl)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use openssl::ssl::SslContext;

    use super::*;
    use crate::tls::catalogue::Collector;
    use crate::tls::client::Demand;
    use crate::tls::context::{Frontend, Purpose, server};
    use crate::tls::named::{Index, Order};
    use crate::tls::rig::{Made, Meeting, add, make, settings};

    fn backend(made: &Made) -> SslContext {
        let mut collector = Collector::default();
        let place = add(&mut collector, made, &[]);
        let catalogue = Arc::new(collector.finish().unwrap());
        let frontend = Frontend {
            index: Index::new(catalogue, Order::AsListed, Vec::new()).unwrap(),
            default: vec![place],
            gate: Arc::new(Gate::open().unwrap()),
            dh: None,
        };
        let settings = settings();
        let purpose = Purpose {
            scope: "test",
            settings: &settings,
            tickets: 1,
            sessions: None,
        };
        server(frontend, purpose).unwrap()
    }

    fn meet(outward: &Outward, host: &str, backend: &SslContext) -> Meeting {
        let ssl = outward.connection(host, Naming::FULL).unwrap();
        let mut meeting = Meeting::new(ssl, backend);
        meeting.go_on();
        meeting
    }

    fn outward(trusted: &Made) -> Outward {
        let anchors = std::slice::from_ref(&trusted.certificate);
        let gate = Gate::new(Demand::Valid, anchors, &[], &[]).unwrap();
        Outward::new(&settings(), &gate, None).unwrap()
    }

    #[test]
    fn a_server_is_good_if_its_certificate_has_the_name_and_leads_to_an_anchor() {
        let (one, stranger) = (make("one.example"), make("one.example"));
        let outward = outward(&one);
        for host in ["one.example", "ONE.example."] {
            let meeting = meet(&outward, host, &backend(&one));
            assert!(meeting.is_done(), "{host} {:?}", meeting.refusal);
        }
        for host in ["two.example", "example", "a.one.example", "192.0.2.1"] {
            let meeting = meet(&outward, host, &backend(&one));
            let refusal = meeting.refusal.as_deref().unwrap_or_default();
            assert!(refusal.contains("certificate verify failed"), "{host}");
        }
        assert!(!meet(&outward, "one.example", &backend(&stranger)).is_done());
    }

    #[test]
    fn the_name_is_told_to_the_server_and_an_address_is_not() {
        let one = make("one.example");
        let outward = outward(&one);
        let asked = |host| {
            let meeting = meet(&outward, host, &backend(&one));
            crate::tls::choice::asked(meeting.server.ssl()).map(<[u8]>::to_vec)
        };
        assert_eq!(asked("one.example"), Some(b"one.example".to_vec()));
        assert_eq!(asked("192.0.2.1"), None);
    }

    #[test]
    fn the_session_with_a_server_is_resumed_with_that_server() {
        let one = make("one.example");
        let outward = outward(&one);
        let backend = backend(&one);
        assert!(!meet(&outward, "one.example", &backend).is_resumed());
        for _ in 0..3 {
            assert!(meet(&outward, "one.example", &backend).is_resumed());
        }
        // It would be no answer to the question whose certificate this is.
        assert!(!meet(&outward, "two.example", &backend).is_done());
    }
}
