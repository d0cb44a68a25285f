use super::*;

fn lines(environment: &Environment) -> Vec<String> {
    let strings = environment.strings();
    strings
        .into_iter()
        .map(|s| s.into_string().unwrap())
        .collect()
}

fn connected(remote: &str, tcp: bool) -> Environment {
    let mut environment = Environment::default();
    let ends = Ends {
        local_name: Some(b"mail"),
        local: "192.0.2.1:993".parse().unwrap(),
        remote_name: None,
        remote_info: None,
        remote: remote.parse().unwrap(),
    };
    environment.connection(&ends, tcp);
    environment
}

#[test]
fn an_ipv4_client_has_tcp_and_ssl_names() {
    let lines = lines(&connected("192.0.2.9:5", true));
    assert_eq!(lines[0], "PROTO=TCP");
    for line in [
        "SSLREMOTEIP=192.0.2.9",
        "TCPREMOTEPORT=5",
        "TCPLOCALHOST=mail",
    ] {
        assert!(lines.iter().any(|known| known == line), "{line}");
    }
    assert!(!lines.iter().any(|line| line.starts_with("TCP6")));
}

#[test]
fn an_ipv6_client_has_tcp6_names_too() {
    let lines = lines(&connected("[2001:db8::1]:5", true));
    assert_eq!(lines[0], "PROTO=TCP6");
    assert!(lines.iter().any(|line| line == "TCP6REMOTEIP=2001:db8::1"));
}

#[test]
fn without_tcp_names_the_protocol_is_tls() {
    let lines = lines(&connected("[2001:db8::1]:5", false));
    assert_eq!(lines[0], "PROTO=TLS");
    assert!(!lines.iter().any(|line| line.starts_with("TCP")));
}

#[test]
fn a_session_can_set_nothing_but_tls_variables() {
    let mut environment = Environment::default();
    assert!(environment.tls(b"SSL_PROTOCOL=TLSv1.3\0SSL_CIPHER=X\0"));
    assert_eq!(
        lines(&environment),
        ["SSL_PROTOCOL=TLSv1.3", "SSL_CIPHER=X"]
    );
    assert!(!environment.tls(b"SSL_CIPHER=X\0LD_PRELOAD=/tmp/x\0"));
    assert!(!environment.tls(b"SSL_CERT_FILE=/tmp/x\0"));
    assert!(!environment.tls(b"SSL_WITHOUT_VALUE\0"));
}

#[test]
fn a_session_can_set_no_more_variables_than_a_chain_needs() {
    let block: String = (0..=MOST).map(|n| format!("SSL_CLIENT_{n}=x\0")).collect();
    assert!(!Environment::default().tls(block.as_bytes()));
}
