//! Why handshakes fail, in a few classes that can be counted. The reasons are words of the TLS library, the system and our
//! own; here alone they are understood. One that is not counts as something else and is nothing worse.
#![forbid(unsafe_code)]

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    TimedOut,
    ClientLeft,
    NotTls,
    /// Client and server have no version, cipher, group or signature in common, as one of them says.
    NoAgreement,
    NoAlpn,
    /// SNI_STRICT, and nobody has the name.
    UnknownName,
    /// The client's certificate is missing or not good enough.
    ClientCertificate,
    /// The client does not like ours.
    RefusedByClient,
    /// The handshake was done and the client let go before there was a place for an application.
    NoPlace,
    Other,
}

impl Failure {
    /// In the order in which they are told.
    pub const ALL: [Failure; 10] = [
        Failure::TimedOut,
        Failure::ClientLeft,
        Failure::NotTls,
        Failure::NoAgreement,
        Failure::NoAlpn,
        Failure::UnknownName,
        Failure::ClientCertificate,
        Failure::RefusedByClient,
        Failure::NoPlace,
        Failure::Other,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Failure::TimedOut => "timed_out",
            Failure::ClientLeft => "client_left",
            Failure::NotTls => "not_tls",
            Failure::NoAgreement => "no_agreement",
            Failure::NoAlpn => "no_alpn",
            Failure::UnknownName => "unknown_name",
            Failure::ClientCertificate => "client_certificate",
            Failure::RefusedByClient => "refused_by_client",
            Failure::NoPlace => "no_place",
            Failure::Other => "other",
        }
    }

    /// Understands the reason that a session gives.
    pub fn of(reason: &str) -> Failure {
        if let Some((_, alert)) = reason.split_once(" alert ") {
            return Failure::of_alert(alert);
        }
        if reason.starts_with("no certificate for ") {
            return Failure::UnknownName;
        }
        // What the library found out about a certificate follows its reason.
        let (reason, _) = reason.split_once(": ").unwrap_or((reason, ""));
        match reason {
            "timed out" => Failure::TimedOut,
            "the client hung up"
            | "unexpected eof while reading"
            | "the SSL session has been shut down"
            | "Connection reset by peer"
            | "Connection timed out"
            | "Broken pipe"
            | "No route to host"
            | "Network is unreachable" => Failure::ClientLeft,
            "http request" | "https proxy request" | "wrong version number" => Failure::NotTls,
            "unsupported protocol"
            | "version too low"
            | "no protocols available"
            | "inappropriate fallback"
            | "no shared cipher"
            | "no suitable key share"
            | "no suitable groups"
            | "no shared groups"
            | "no suitable signature algorithm"
            | "no shared signature algorithms"
            | "unsafe legacy renegotiation disabled" => Failure::NoAgreement,
            "no application protocol" => Failure::NoAlpn,
            "peer did not return a certificate" | "certificate verify failed" => {
                Failure::ClientCertificate
            }
            _ => Failure::Other,
        }
    }

    /// What the client said before it hung up (RFC 8446, section 6.2), in the library's words.
    fn of_alert(alert: &str) -> Failure {
        let (alert, _) = alert.split_once(": ").unwrap_or((alert, ""));
        match alert {
            "protocol version" | "handshake failure" | "insufficient security" => {
                Failure::NoAgreement
            }
            "unknown ca"
            | "bad certificate"
            | "unsupported certificate"
            | "certificate revoked"
            | "certificate expired"
            | "certificate unknown" => Failure::RefusedByClient,
            "user cancelled" | "user canceled" => Failure::ClientLeft,
            _ => Failure::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_classes_whatever_follows_them() {
        for (reason, class) in [
            ("timed out", Failure::TimedOut),
            ("no shared cipher", Failure::NoAgreement),
            (
                "certificate verify failed: certificate has expired",
                Failure::ClientCertificate,
            ),
            ("tlsv1 alert unknown ca", Failure::RefusedByClient),
            ("ssl/tls alert bad certificate", Failure::RefusedByClient),
            ("tlsv1 alert protocol version", Failure::NoAgreement),
            ("no certificate for timed out", Failure::UnknownName),
            ("sslv3 alert illegal parameter", Failure::Other),
            ("", Failure::Other),
        ] {
            assert_eq!(Failure::of(reason), class, "{reason}");
        }
    }

    #[test]
    fn each_class_has_the_place_and_the_name_that_it_is_counted_by() {
        let mut names = Failure::ALL.map(Failure::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Failure::ALL.len());
        for (place, failure) in Failure::ALL.into_iter().enumerate() {
            assert_eq!(failure as usize, place);
        }
    }
}
