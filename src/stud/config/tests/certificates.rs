//! Which certificates a frontend has, in which order, and what their clients have to show.
use super::Place;
use crate::stud::config::{Config, Pem};
use crate::tls::client::Demand;

/// The names of the PEM files that a frontend looks through, and of its default.
fn names(config: &Config, frontend: usize) -> (Vec<String>, String) {
    let name = |pem: &usize| {
        let path = &config.pems[*pem].certificate;
        path.file_name().unwrap().to_str().unwrap().to_owned()
    };
    let frontend = &config.frontends[frontend];
    (
        frontend.pems.iter().map(name).collect(),
        name(&frontend.default.unwrap()),
    )
}

fn listed(names: &[&str], default: &str) -> (Vec<String>, String) {
    let names = names.iter().map(|name| String::from(*name));
    (names.collect(), default.into())
}

#[test]
fn without_a_certificate_there_is_nothing_to_serve() {
    let problem = Place::with_certificates().config("-q").unwrap_err();
    assert_eq!(
        problem,
        "frontend [*]:8443 has no certificate: name a PEM file with chain and key"
    );
}

#[test]
fn certificates_keep_their_order_and_the_last_is_the_default() {
    let place = Place::with_certificates();
    place.write("f", "pem-file = c.pem");
    let config = place.config("b.pem a.pem --config f").unwrap();
    assert_eq!(
        names(&config, 0),
        listed(&["c.pem", "b.pem", "a.pem"], "a.pem")
    );
}

#[test]
fn a_directory_among_the_certificates_stands_for_its_files() {
    let place = Place::with_certificates();
    place.folder("d");
    for name in ["d/z", "d/y", "d/.hidden"] {
        place.file(name);
    }
    let config = place.config("d a.pem").unwrap();
    assert_eq!(names(&config, 0), listed(&["y", "z", "a.pem"], "a.pem"));
    let config = place.config("a.pem d").unwrap();
    assert_eq!(names(&config, 0), listed(&["a.pem", "y", "z"], "z"));
    place.folder("empty");
    let problem = place.config("a.pem empty").unwrap_err();
    assert!(
        problem.ends_with("/empty has no PEM file in it"),
        "{problem}"
    );
}

#[test]
fn files_of_pem_dir_follow_the_others_and_the_first_is_the_default_of_none() {
    let place = Place::with_certificates();
    place.folder("d");
    for name in ["d/y.pem", "d/x.pem", "d/readme"] {
        place.file(name);
    }
    let line = "--pem-dir d --pem-dir-glob *.pem";
    let config = place.config(line).unwrap();
    assert_eq!(names(&config, 0), listed(&["x.pem", "y.pem"], "x.pem"));
    let config = place.config(&format!("{line} a.pem")).unwrap();
    assert_eq!(
        names(&config, 0),
        listed(&["a.pem", "x.pem", "y.pem"], "a.pem")
    );
}

#[test]
fn a_frontend_with_its_own_certificates_has_the_others_only_when_told() {
    let place = Place::with_certificates();
    let config = place.config("-f [*]:1+b.pem -f [*]:2 a.pem").unwrap();
    assert_eq!(names(&config, 0), listed(&["b.pem"], "b.pem"));
    assert_eq!(names(&config, 1), listed(&["a.pem"], "a.pem"));
    place.write(
        "f",
        r#"
        frontend = { port = "1" match-global-certs = on pem-file = "b.pem" pem-file = "c.pem" }
        frontend = { port = "2" match-global-certs = off }
        pem-file = "a.pem"
        pem-file = "b.pem"
        "#,
    );
    let config = place.config("--config f").unwrap();
    assert_eq!(
        names(&config, 0),
        listed(&["b.pem", "c.pem", "a.pem"], "c.pem")
    );
    assert_eq!(names(&config, 1), listed(&[], "b.pem"));
    assert_eq!(config.pems.len(), 3, "each file is there once");
}

#[test]
fn the_same_file_with_another_key_is_another_certificate() {
    let place = Place::with_certificates();
    place.write("f", "pem-file = { cert = a.pem private-key = b.pem }");
    let config = place.config("--config f a.pem a.pem").unwrap();
    assert_eq!(config.pems.len(), 2);
    assert_eq!(config.pems[0].key, place.path("b.pem"));
    assert_eq!(config.pems[1].key, place.path("a.pem"));
}

#[test]
fn a_certificate_block_has_key_staple_and_demand_of_its_own() {
    let place = Place::with_certificates();
    place.write(
        "f",
        "pem-file = {\n cert = a.pem\n private-key = b.pem\n ocsp-resp-file = c.pem\n \
         client-verify = optional\n client-verify-ca = ca.pem\n}",
    );
    let config = place.config("--config f").unwrap();
    let expected = Pem {
        certificate: place.path("a.pem"),
        key: place.path("b.pem"),
        staple: Some(place.path("c.pem")),
        demand: Some((Demand::Optional, Some(place.path("ca.pem")))),
    };
    assert_eq!(config.pems, [expected]);
}

#[test]
fn who_asks_for_certificates_has_to_say_whom_they_are_traced_back_to() {
    let place = Place::with_certificates();
    let problem = place.config("--client-verify=required a.pem").unwrap_err();
    assert!(
        problem.starts_with("frontend [*]:8443 asks clients for certificates"),
        "{problem}"
    );
    place.write("f", "pem-file = { cert = a.pem client-verify = optional }");
    let problem = place.config("--config f").unwrap_err();
    assert!(problem.contains("a.pem are asked"), "{problem}");
    let line = "--client-verify=required --client-verify-ca=ca.pem a.pem";
    let config = place.config(line).unwrap();
    assert_eq!(config.frontends[0].demand, Demand::Valid);
    assert_eq!(config.frontends[0].authorities, Some(place.path("ca.pem")));
    place.config(&format!("{line} --config f")).unwrap();
}

#[test]
fn authorities_of_a_certificate_are_for_the_demand_of_its_frontend() {
    let place = Place::with_certificates();
    place.write("f", "pem-file = { cert = a.pem client-verify-ca = b.pem }");
    let line = "--client-verify=required --client-verify-ca=ca.pem --config f";
    let config = place.config(line).unwrap();
    let expected = Some((Demand::Valid, Some(place.path("b.pem"))));
    assert_eq!(config.pems[0].demand, expected);
}
