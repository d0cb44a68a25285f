//! Names as people write them, and that clients and people mean the same directory.

use super::*;
use proptest::prelude::*;

fn spelled(name: &str) -> String {
    spell(name.as_bytes()).unwrap_or_else(|why| panic!("{name:?}: {why}"))
}

#[test]
fn each_form_of_a_name_has_its_one_spelling() {
    for (given, name) in [
        ("EXAMPLE.COM", "example.com"),
        ("Example.Com.", "example.com"),
        ("bücher.de", "xn--bcher-kva.de"),
        ("BÜCHER.de", "xn--bcher-kva.de"),
        ("xn--Bcher-KVA.de", "xn--bcher-kva.de"),
        ("faß.de", "xn--fa-hia.de"),
        ("σς.gr", "xn--3xab.gr"),
        ("🕸💍.ws", "xn--sr8hvo.ws"),
        ("XN--SR8HVO.ws", "xn--sr8hvo.ws"),
        ("ex。com", "ex.com"),
        ("ｅｘ.com", "ex.com"),
        ("ﬁ.com", "fi.com"),
        ("①.com", "1.com"),
        ("a\u{ad}b.com", "ab.com"),
        ("a\u{300}.com", "xn--0ca.com"),
        ("localhost", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("ab--cd.com", "ab--cd.com"),
        ("a-.com", "a-.com"),
    ] {
        assert_eq!(spelled(given), name, "{given}");
    }
}

#[test]
fn what_is_no_name_of_a_host_is_refused() {
    let long = format!("{}.com", "a".repeat(64));
    let longer = "a.".repeat(128);
    for bad in [
        "",
        ".",
        "。",
        "a..b",
        ".a",
        "a..",
        "xn--.com",
        "xn--ascii-.com",
        &long,
        &longer,
        "a_b.com",
        "*.a",
        "a/b",
        "a b",
        "::1",
        "a\0b",
        "a\nb",
        "-a.com",
        "\u{300}a.com",
        "1א.com",
        "\u{661}.com",
        "xn--a.com",
        "xn--99999999.de",
        "xn--a-ecp.ru",
    ] {
        assert!(spell(bad.as_bytes()).is_err(), "{bad:?}");
    }
    assert_eq!(spell(b"a\xff.com"), Err(BadName::Unmappable));
}

#[test]
fn a_refusal_tells_what_is_wrong() {
    for (bad, why) in [
        ("a_b.com", "'_' in a host name"),
        ("a b", "' ' in a host name"),
        ("a\nb", "'\\n' in a host name"),
        ("a..b", "nothing before, between or behind the dots"),
        ("-h", "a part begins with a hyphen"),
        ("1א.com", "letters that no host name has (UTS 46)"),
        ("xn--a.com", "letters that no host name has (UTS 46)"),
    ] {
        assert_eq!(spell(bad.as_bytes()).unwrap_err().to_string(), why);
    }
}

#[test]
fn hashed_directories_are_called_as_they_always_were() {
    for (name, directory) in [
        ("example.com", "ceA51lG1FUJ-gCIICYcmzOsjls2JmL6BBz5LAHROpe0"),
        ("localhost", "ZKE5xCArs3y41ZKE0_kqtNA2urtMvbK-ansjzK4vCRc"),
        (
            "xn--sr8hvo.ws",
            "L7iMDmoKIBb0oI6qIDi7ga0_wVYHTpwtnGoIyPl1ScQ",
        ),
    ] {
        assert_eq!(Naming::Hashed.directory(name), directory);
        assert_eq!(Naming::Plain.directory(name), name);
    }
}

#[test]
fn punycode_that_says_something_else_is_spelled_wrong() {
    for wrong in ["xn--ascii-.com", "xn--a.com", "a.xn--.b", "xn--a-ecp.ru"] {
        assert!(!is_spelled_right(wrong), "{wrong}");
    }
    for right in ["xn--bcher-kva.de", "axn--b.de", "ab--cd.com", "localhost"] {
        assert!(is_spelled_right(right), "{right}");
    }
}

/// What the router takes from a client that says these bytes.
fn taken(bytes: &[u8]) -> Option<String> {
    let name = HostName::parse(bytes).ok()?;
    is_spelled_right(&name).then_some(name)
}

proptest! {
    #[test]
    fn what_a_person_gets_is_what_a_client_can_ask_for(name in any::<String>()) {
        if let Ok(spelled) = spell(name.as_bytes()) {
            prop_assert_eq!(taken(spelled.as_bytes()), Some(spelled));
        }
    }

    #[test]
    fn what_a_client_can_ask_for_is_spelled_the_same(name in "(xn--)?[a-zA-Z0-9-]{1,12}(\\.(xn--)?[a-z0-9-]{1,12}){0,3}") {
        if let Some(taken) = taken(name.as_bytes()) {
            prop_assert_eq!(spell(name.as_bytes()), Ok(taken));
        } else {
            prop_assert_ne!(spell(name.as_bytes()), Ok(name.to_ascii_lowercase()));
        }
    }
}
