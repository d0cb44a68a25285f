//! What tcprulescheck answers: the order of the rules, the question's sources.

use crate::place::{CHECK, Place};

#[test]
fn the_more_exact_rule_wins_in_the_documented_order() {
    let place = Place::new("order");
    let client = ["9.8.7.6", "a.b.example", "joe"];
    let forms = [
        ("joe@9.8.7.6", "rule joe@9.8.7.6:"),
        ("joe@=a.b.example", "rule joe@=a.b.example:"),
        ("9.8.7.6", "rule 9.8.7.6:"),
        ("=a.b.example", "rule =a.b.example:"),
        ("9.8.7.", "rule 9.8.7.:"),
        ("9.8.", "rule 9.8.:"),
        ("9.", "rule 9.:"),
        ("9.8.7.6/32", "rule 9.8.7.6/32:"),
        ("9.8.0.0/20", "rule 9.8.0./20:"),
        ("8/7", "rule 8./7:"),
        ("0.0.0.0/1", "rule 0./1:"),
        ("0.0.0.0/0", "rule 0./0:"),
        ("=.b.example", "rule =.b.example:"),
        ("=.example", "rule =.example:"),
        ("=", "rule =:"),
        ("", "default:"),
    ];
    // All of them, then without the first, and so on.
    for (number, (_, shown)) in forms.iter().enumerate() {
        let rules = forms[number..]
            .iter()
            .map(|(form, _)| format!("{form}:deny\n"));
        place.compile(rules.rev().collect::<String>()).quietly();
        let done = place.check(&client);
        assert_eq!(done.stdout, format!("{shown}\ndeny connection\n"));
    }
    place.compile("").quietly();
    assert_eq!(place.check(&client).stdout, "default:\nallow connection\n");
}

#[test]
fn ipv6_networks_match_from_the_longest_down_to_none_at_all_with_a_host_name_too() {
    let place = Place::new("ipv6");
    let forms = [
        (
            "2001:db8::7",
            "rule 2001:0DB8:0000:0000:0000:0000:0000:0007:",
        ),
        ("2001:db8::7/128", "rule 2001:db8::7/128:"),
        ("2001:db8::/33", "rule 2001:db8::/33:"),
        ("2001:db8::/32", "rule 2001:db8::/32:"),
        ("::/1", "rule ::/1:"),
        ("::/0", "rule ::/0:"),
        ("=.example", "rule =.example:"),
    ];
    for (number, (_, shown)) in forms.iter().enumerate() {
        let rules: String = forms[number..]
            .iter()
            .map(|(form, _)| format!("{form}:deny\n"))
            .collect();
        place.compile(rules).quietly();
        let done = place.check(&["2001:db8::7", "host.example"]);
        assert_eq!(done.stdout, format!("{shown}\ndeny connection\n"));
    }
    place.compile("::/0:deny\n1.2.3.4:deny\n").quietly();
    assert_eq!(
        place.check(&["4.4.4.4"]).stdout,
        "default:\nallow connection\n"
    );
    assert_eq!(
        place.check(&["::ffff:1.2.3.4"]).stdout,
        "rule 1.2.3.4:\ndeny connection\n"
    );
}

#[test]
fn the_question_comes_from_the_arguments_or_the_environment() {
    let place = Place::new("question");
    place
        .compile("1.1.1.1:allow,A=\"b c\",D=''\n=h:deny\njoe@2.2.2.2:deny\n=:allow\n")
        .quietly();
    let env = [
        ("TCPREMOTEIP", "1.1.1.1"),
        ("TCPREMOTEHOST", "other"),
        ("TCPREMOTEINFO", "joe"),
    ];
    let ask = |values: &[&str], env: &[(&str, &str)]| {
        let done = place.run_with(&[&[CHECK, "cdb"], values].concat(), "", env);
        assert_eq!(done.code, Some(0));
        (done.stdout, done.stderr)
    };
    let (answer, question) = ask(&[], &env);
    assert_eq!(
        answer,
        "rule 1.1.1.1:\nset environment variable A=b c\nset environment variable D=\nallow connection\n"
    );
    assert_eq!(
        question,
        "tcprulescheck: info: TCPREMOTEIP: 1.1.1.1 TCPREMOTEHOST: other TCPREMOTEINFO: joe\n"
    );
    assert_eq!(
        ask(&["2.2.2.2"], &env).0,
        "rule joe@2.2.2.2:\ndeny connection\n"
    );
    assert_eq!(
        ask(&["3.3.3.3", "h"], &env).0,
        "rule =h:\ndeny connection\n"
    );
    assert_eq!(
        ask(&["3.3.3.3", ""], &env).0,
        "default:\nallow connection\n"
    );
    assert_eq!(
        ask(&["3.3.3.3"], &[("TCPREMOTEHOST", "")]).0,
        "rule =:\nallow connection\n"
    );
    let (answer, question) = ask(&[], &[]);
    assert_eq!(answer, "default:\nallow connection\n");
    assert!(
        question.starts_with("tcprulescheck: info: TCPREMOTEIP: 0 "),
        "{question}"
    );
}
