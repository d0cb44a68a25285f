//! A family of small programs around one TLS engine. Dependencies point one way:
//! programs, ucspi, privsep, tls + relay + rules, net, sys.

pub mod mconnect_io;
pub mod net;
pub mod privsep;
pub mod relay;
pub mod rules;
pub mod sniproxy;
pub mod sslclient;
pub mod sslprint;
pub mod sslserver;
pub mod stud;
pub mod sys;
pub mod tcprules;
pub mod tls;
pub mod tunnel;
pub mod ucspi;
