//! What a name server answers: the listener takes whatever the lookup process makes of it. The bytes are taken apart by
//! the library, in that process as here.
#![forbid(unsafe_code)]

use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::{Name, RData};
use sslserver::privsep::channel;
use sslserver::privsep::lookup::{dns, names};
use sslserver::privsep::message::{Answer, FromLookup};

pub fn run(bytes: &[u8]) -> bool {
    let Ok(message) = Message::from_vec(bytes) else {
        return false;
    };
    for query in &message.queries {
        let found = dns::follow(query, &message.answers);
        assert!(found.records.len() <= message.answers.len());
        for data in &found.records {
            assert_eq!(data.record_type(), query.query_type());
            if let RData::PTR(name) = data {
                show(&name.0);
            }
        }
    }
    true
}

fn show(name: &Name) {
    match names::text(name) {
        Some(text) => assert_taken(Some(text), None),
        // Of 255 bytes none becomes more than four.
        None => assert!(name.is_root()),
    }
}

/// An answer with this gets through to the listener as it is.
pub fn assert_taken(remote_name: Option<String>, remote_info: Option<Vec<u8>>) {
    let answer = Answer {
        remote_name,
        remote_info,
        ..Answer::nothing()
    };
    let message = FromLookup::Answer { number: 1, answer };
    let arrived = channel::decode(&channel::encode(&message));
    assert_eq!(arrived, Some(message));
}
