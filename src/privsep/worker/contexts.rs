//! The TLS contexts of a worker, one for each frontend: made of what the keeper tells everybody.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Duration;

use openssl::error::ErrorStack;
use openssl::ssl::SslContext;
use openssl::x509::X509;

use super::orders::{self, Orders};
use crate::privsep::message::{PublicPart, TerminatorToKeeper};
use crate::tls::catalogue::{Catalogue, Collector};
use crate::tls::context::{self, Frontend, Purpose, Sessions};
use crate::tls::gate::Gate;
use crate::tls::named::{Index, Order};
use crate::tls::outward::{Naming, Outward};
use crate::tls::sessions::{self, Verdict};
use crate::tls::stream::{Tls, TlsError};

/// The keeper has everything in memory; a pause this long means that it is dead.
const KEEPER_PATIENCE: Duration = Duration::from_secs(30);
/// Each costs a twelfth of a handshake, and whoever resumes gets another one.
const TICKETS: usize = 1;

pub enum Contexts {
    /// For clients, by frontend.
    Inward(Vec<SslContext>),
    /// For backends, whose names are checked.
    Outward(Vec<Outward>),
}

pub fn build(orders: &Orders, keeper: &TerminatorToKeeper) -> Result<Contexts, String> {
    let (chains, lists) = learn(keeper)?;
    if orders.client {
        let outward = orders.frontends.iter().map(|frontend| {
            let anchors = authorities(&lists, frontend.gate);
            let gate = Gate::new(frontend.gate.demand, anchors, &[], &[])
                .map_err(|stack| format!("unable to set up the check of servers: {stack}"))?;
            Outward::new(&frontend.settings, &gate, None).map_err(|refused| refused.to_string())
        });
        return outward.collect::<Result<_, _>>().map(Contexts::Outward);
    }
    let catalogue = Arc::new(chains.finish()?);
    let mut gates = Gates {
        lists: &lists,
        made: Vec::new(),
    };
    let inward = orders.frontends.iter().map(|frontend| {
        let frontend_context = serve(orders, frontend, &catalogue, &mut gates)?;
        let purpose = Purpose {
            scope: "stud",
            settings: &frontend.settings,
            tickets: TICKETS,
            sessions: orders.sessions.map(with_store),
        };
        context::server(frontend_context, purpose).map_err(|refused| refused.to_string())
    });
    inward.collect::<Result<_, _>>().map(Contexts::Inward)
}

fn serve(
    orders: &Orders,
    frontend: &orders::Frontend,
    catalogue: &Arc<Catalogue>,
    gates: &mut Gates<'_>,
) -> Result<Frontend, String> {
    let general = gates
        .find(frontend.gate)
        .map_err(|stack| stack.to_string())?;
    let mut listed = Vec::new();
    for &pem in &frontend.pems {
        let gate = match orders.pems.get(pem).copied().flatten() {
            Some(gate) => gates.find(gate).map_err(|stack| stack.to_string())?,
            None => general.clone(),
        };
        listed.push((pem as u16, gate));
    }
    let default = frontend.default.map(|pem| pem as u16);
    // A client that names nobody meets what the default certificate's clients meet.
    let own = listed.iter().find(|(place, _)| Some(*place) == default);
    let gate = own.map_or(general, |(_, gate)| gate.clone());
    Ok(Frontend {
        index: Index::new(catalogue.clone(), Order::AsListed, listed)?,
        default: default.into_iter().collect(),
        gate,
        dh: None,
    })
}

fn with_store(orders: orders::Sessions) -> Sessions {
    Sessions {
        alone: orders.alone,
        prepare: Box::new(move |context| sessions::enable(context, orders.alone)),
        inquiry: Box::new(|ssl| sessions::inquire(ssl) == Verdict::Suspend),
    }
}

/// What clients have to show, made once for all who ask the same.
struct Gates<'a> {
    lists: &'a [Vec<X509>],
    made: Vec<(orders::Gate, Arc<Gate>)>,
}

impl Gates<'_> {
    fn find(&mut self, wanted: orders::Gate) -> Result<Arc<Gate>, ErrorStack> {
        if let Some((_, made)) = self.made.iter().find(|(orders, _)| *orders == wanted) {
            return Ok(made.clone());
        }
        let anchors = authorities(self.lists, wanted);
        let gate = Arc::new(Gate::new(wanted.demand, anchors, anchors, &[])?);
        self.made.push((wanted, gate.clone()));
        Ok(gate)
    }
}

fn authorities(lists: &[Vec<X509>], gate: orders::Gate) -> &[X509] {
    let list = gate.authorities.map(usize::from);
    list.and_then(|list| lists.get(list))
        .map_or(&[], Vec::as_slice)
}

/// Receives what the keeper tells: chains, and the lists of authorities.
fn learn(keeper: &TerminatorToKeeper) -> Result<(Collector, Vec<Vec<X509>>), String> {
    let mut chains = Collector::default();
    let mut lists: Vec<Vec<X509>> = Vec::new();
    loop {
        let received = keeper.receive_within(KEEPER_PATIENCE);
        let (part, _) =
            received.map_err(|error| format!("a worker hears nothing from the keeper: {error}"))?;
        match part {
            PublicPart::Chain(chain) => drop(chains.add(&chain.entry())),
            PublicPart::Anchor { list, certificate } => {
                let list = usize::from(list);
                if lists.len() <= list {
                    lists.resize_with(list + 1, Vec::new);
                }
                let certificate = X509::from_der(&certificate);
                lists[list].push(certificate.map_err(|stack| stack.to_string())?);
            }
            PublicPart::End(_) => return Ok((chains, lists)),
            PublicPart::DhParameters(_) | PublicPart::Name(_) | PublicPart::Revoked(_) => {}
        }
    }
}

impl Contexts {
    /// TLS with a client of this frontend.
    pub fn accept(&self, frontend: u16) -> Result<Tls, TlsError> {
        match self {
            Contexts::Inward(contexts) => {
                Tls::new(&contexts[usize::from(frontend)]).map_err(|stack| failed(&stack))
            }
            Contexts::Outward(_) => Err(TlsError("no certificate for clients".into())),
        }
    }

    /// TLS with the backend of this frontend.
    pub fn connect(&self, frontend: u16, host: &str) -> Result<Tls, TlsError> {
        match self {
            Contexts::Outward(contexts) => {
                let ssl = contexts[usize::from(frontend)].connection(host, Naming::FULL);
                ssl.and_then(Tls::from_ssl).map_err(|stack| failed(&stack))
            }
            Contexts::Inward(_) => Err(TlsError("no authorities for backends".into())),
        }
    }
}

fn failed(stack: &ErrorStack) -> TlsError {
    TlsError(stack.to_string())
}
