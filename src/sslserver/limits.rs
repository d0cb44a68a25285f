//! How many connections there may be: all that run, those whose handshake is not done yet, and those of each client.
#![forbid(unsafe_code)]

/// Limits of the whole server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `-c`: connections with an application.
    pub running: usize,
    /// Connections before that, so that silent clients do not take the places of others.
    pub unfinished: usize,
    /// MAXCONIP: connections of one client, from accept on. `None`: as many as `-c` has.
    pub per_client: Option<usize>,
}

impl Limits {
    /// Room for a burst of handshakes in proportion to the connections that are wanted.
    pub fn unfinished_for(running: usize) -> usize {
        running.saturating_mul(4).max(512)
    }

    /// The limit per client as the log shows it.
    pub fn shown_per_client(&self) -> usize {
        self.per_client.unwrap_or(self.running)
    }
}

/// A limit that a rule sets for the connection it matched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleLimits {
    /// `MAXCONIP=n`
    pub per_client: Option<usize>,
    /// `MAXCONNET=n/length`
    pub per_network: Option<(usize, u8)>,
}

impl RuleLimits {
    /// Finds the limits among a rule's variables; the second answer is a value that means nothing.
    pub fn read<'a>(
        variables: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> (RuleLimits, Option<&'a [u8]>) {
        let mut limits = RuleLimits::default();
        let mut bad = None;
        for (name, value) in variables {
            let text = std::str::from_utf8(value).unwrap_or_default();
            let understood = match name {
                b"MAXCONIP" => {
                    limits.per_client = text.parse().ok();
                    limits.per_client.is_some()
                }
                b"MAXCONNET" => {
                    limits.per_network = text.split_once('/').and_then(|(most, length)| {
                        Some((most.parse().ok()?, length.parse().ok()?))
                    });
                    limits.per_network.is_some()
                }
                _ => true,
            };
            if !understood {
                bad = Some(value);
            }
        }
        (limits, bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_sets_limits_and_a_bad_value_is_told() {
        let variables: [(&[u8], &[u8]); 3] =
            [(b"MAXCONIP", b"2"), (b"MAXCONNET", b"10/24"), (b"X", b"y")];
        let (limits, bad) = RuleLimits::read(variables);
        assert_eq!(limits.per_client, Some(2));
        assert_eq!(limits.per_network, Some((10, 24)));
        assert_eq!(bad, None);
        let (limits, bad) = RuleLimits::read([(&b"MAXCONIP"[..], &b"many"[..])]);
        assert_eq!((limits, bad), (RuleLimits::default(), Some(&b"many"[..])));
    }

    #[test]
    fn handshakes_have_room_beside_the_connections() {
        assert_eq!(Limits::unfinished_for(40), 512);
        assert_eq!(Limits::unfinished_for(1000), 4000);
    }
}
