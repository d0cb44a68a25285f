//! What a server showed to `openssl s_client`: its chain, and what its application, `env` with `-s`, knows.
#![forbid(unsafe_code)]

use super::peers::{Outcome, unnamed_s_client};
use super::server::Server;

pub struct Shown {
    pub outcome: Outcome,
    /// The common names in the chain that was sent, the server's own first.
    pub chain: Vec<String>,
}

impl Shown {
    /// `-noservername` among the options, or `-servername` and a name.
    pub fn to(server: &Server, options: &[&str]) -> Shown {
        let outcome = unnamed_s_client(server, options, "");
        let text = outcome.text();
        let mut chain = Vec::new();
        for line in text.lines() {
            if let Some((number, subject)) = line.trim_start().split_once(" s:CN = ")
                && number == chain.len().to_string()
            {
                chain.push(subject.to_owned());
            }
        }
        Shown { outcome, chain }
    }

    pub fn variable(&self, name: &str) -> Option<String> {
        let text = self.outcome.text();
        let found = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        found.map(str::to_owned)
    }

    /// The certificate by its common name, which the client verified and the application knows.
    pub fn server(&self) -> String {
        let known = self.variable("SSL_SERVER_S_DN_CN");
        let known = known.unwrap_or_else(|| panic!("not served: {}", self.outcome.stderr));
        let sent = self.chain.first().cloned().unwrap_or_default();
        assert!(sent == known || self.is_resumed(), "{sent} {known}");
        let verified = self.outcome.text().contains("Verify return code: 0 (ok)");
        assert!(verified, "{}", self.outcome.text());
        known
    }

    pub fn is_resumed(&self) -> bool {
        self.outcome.text().contains("\nReused, ")
    }

    /// The handshake failed with this alert, and no application ran.
    pub fn assert_alert(&self, number: u8) {
        let outcome = &self.outcome;
        let alert = format!("SSL alert number {number}\n");
        assert!(outcome.stderr.contains(&alert), "{}", outcome.stderr);
        assert_eq!(self.variable("PATH"), None);
    }
}
