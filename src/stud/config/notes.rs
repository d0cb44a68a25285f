//! What is accepted and has no effect, a line for the log each.
#![forbid(unsafe_code)]

use super::draft::Draft;

impl Draft {
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let mut note = |on: bool, text: &str| {
            if on {
                notes.push(text.to_owned());
            }
        };
        let pems = self.frontends.list.iter().map(|front| &front.pems);
        let mut pems = pems.chain([&self.pems]).flat_map(|pems| &pems.0);
        let verify = self.ocsp.verify.0.is_some() || pems.any(|pem| pem.verify_staple.0.is_some());
        let fronts = || self.frontends.list.iter().map(|front| &front.tls);
        note(
            self.engine.0.is_some(),
            "ssl-engine has no effect: OpenSSL 3 has providers instead",
        );
        for (set, key) in [
            (self.ocsp.folder.0.is_some(), "ocsp-dir"),
            (self.ocsp.response_time.0.is_some(), "ocsp-resp-tmo"),
            (self.ocsp.connect_time.0.is_some(), "ocsp-connect-tmo"),
            (self.ocsp.interval.0.is_some(), "ocsp-refresh-interval"),
            (verify, "ocsp-verify-staple"),
        ] {
            note(
                set,
                &format!(
                    "{key} has no effect: OCSP responses are not fetched, ocsp-resp-file names one"
                ),
            );
        }
        let gone = fronts().chain([&self.tls]).any(|tls| tls.protocols.gone);
        note(gone, "SSLv3 has no effect: the library does not have it");
        note(
            self.frontends.replaced,
            "the frontends that were named last, in a file or on the command line, replace earlier ones",
        );
        let unused = self.client && (!self.pems.0.is_empty() || self.pem_folder.0.is_some());
        note(unused, "PEM files have no effect with --client");
        notes
    }
}
