//! Which rule is a client's: one order of keys, the first that is stored wins.

#![forbid(unsafe_code)]

use super::cdb::{Cdb, Damage};
use super::{Client, Verdict, key};

pub fn decide(cdb: &Cdb, client: &Client) -> Result<Verdict, Damage> {
    // An IPv4 client of an IPv6 socket is an IPv4 client.
    let ip = client.ip.to_canonical();
    let text = key::address(ip);
    let text = text.as_bytes();

    let exact: [Option<[&[u8]; 3]>; 4] = [
        client.info.map(|info| [info, b"@", text]),
        client
            .info
            .zip(client.host)
            .map(|(info, host)| [info, b"@=", host]),
        Some([text, b"", b""]),
        client.host.map(|host| [b"=", host, b""]),
    ];
    for key in exact.iter().flatten() {
        if let Some(data) = cdb.find(key)? {
            return verdict(key, data);
        }
    }

    if ip.is_ipv4() {
        for (at, _) in dots(text).rev() {
            let prefix = &text[..=at];
            if let Some(data) = cdb.find(&[prefix])? {
                return verdict(&[prefix], data);
            }
        }
    }

    let bits = key::network(ip, if ip.is_ipv4() { 32 } else { 128 });
    let bits = bits.as_bytes();
    if let Some((len, data)) = cdb.find_longest(bits, 1)? {
        return verdict(&[&bits[..len]], data);
    }

    if let Some(host) = client.host {
        for (at, _) in dots(host) {
            let domain: [&[u8]; 2] = [b"=", &host[at..]];
            if let Some(data) = cdb.find(&domain)? {
                return verdict(&domain, data);
            }
        }
        if let Some(data) = cdb.find(&[b"="])? {
            return verdict(&[b"="], data);
        }
    }

    match cdb.find(&[])? {
        Some(data) => verdict(&[], data),
        None => Ok(Verdict::default()),
    }
}

/// Every rule there is.
pub fn all(cdb: &Cdb) -> Result<Vec<Verdict>, Damage> {
    let rules = cdb.records().map(|record| {
        let (key, data) = record?;
        verdict(&[key], data)
    });
    rules.collect()
}

fn dots(text: &[u8]) -> impl DoubleEndedIterator<Item = (usize, &u8)> {
    text.iter().enumerate().filter(|(_, byte)| **byte == b'.')
}

/// Reads a rule's data: items that end in NUL, `D` to deny and `+NAME=VALUE`.
/// Other items are left to later versions.
fn verdict(key: &[&[u8]], mut data: &[u8]) -> Result<Verdict, Damage> {
    let mut verdict = Verdict {
        matched: Some(key.concat()),
        ..Verdict::default()
    };
    while !data.is_empty() {
        let end = data.iter().position(|byte| *byte == 0);
        let (item, rest) = data.split_at(end.ok_or(Damage::Rule)?);
        match item {
            [b'D', ..] => verdict.deny = true,
            [b'+', variable @ ..] => {
                if let Some(at) = variable.iter().position(|byte| *byte == b'=') {
                    let value = variable[at + 1..].to_vec();
                    verdict.variables.push((variable[..at].to_vec(), value));
                }
            }
            _ => {}
        }
        data = &rest[1..];
    }
    Ok(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_without_its_end_is_damage_and_not_an_allowed_client() {
        assert_eq!(verdict(&[b""], b"D"), Err(Damage::Rule));
        assert_eq!(verdict(&[b""], b"+A=b\0D"), Err(Damage::Rule));
    }

    #[test]
    fn unknown_items_and_names_without_a_value_are_passed_over() {
        let read = verdict(&[b"k"], b"?x\0+A\0+B=c=d\0\0+=e\0D\0").unwrap();
        assert!(read.deny);
        let expected = [
            (b"B".to_vec(), b"c=d".to_vec()),
            (b"".to_vec(), b"e".to_vec()),
        ];
        assert_eq!(read.variables, expected);
    }
}
