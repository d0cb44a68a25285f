use super::*;

fn left(pairs: &[(&str, &str)]) -> Environment {
    let own = |&(name, value): &(&str, &str)| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    inherited(pairs.iter().map(own))
}

fn lines(environment: &Environment) -> Vec<String> {
    let strings = environment.strings();
    strings
        .into_iter()
        .map(|s| s.into_string().unwrap())
        .collect()
}

#[test]
fn settings_of_ours_and_stale_facts_stay_behind() {
    let environment = left(&[
        ("PATH", "/bin"),
        ("KEYFILE", "/etc/key"),
        ("SSL_CHROOT", "/var"),
        ("SSLREMOTEIP", "1.2.3.4"),
        ("TCPREMOTEHOST", "old"),
        ("PROTO", "UDP"),
        ("UID", "7"),
    ]);
    assert_eq!(lines(&environment), ["PATH=/bin", "UID=7"]);
}

#[test]
fn rules_win_over_facts_but_never_speak_for_tls() {
    let mut environment = Environment::default();
    environment.set(b"TCPLOCALHOST", b"mail");
    let variables = [
        (&b"TCPLOCALHOST"[..], &b"movie.example"[..]),
        (b"SSL_PROTOCOL", b"forged"),
        (b"SSLCTLFD", b"0"),
        (b"RELAYCLIENT", b""),
        (b"", b"nameless"),
    ];
    rules(&mut environment, variables);
    let lines = lines(&environment);
    assert!(
        lines
            .iter()
            .any(|line| line == "TCPLOCALHOST=movie.example")
    );
    assert!(lines.iter().any(|line| line == "RELAYCLIENT="));
    assert!(
        !lines
            .iter()
            .any(|line| line.starts_with("SSL_") || line.starts_with("SSLCTL"))
    );
    assert!(!lines.iter().any(|line| line.contains("nameless")));
}
