//! Directories of key sets for the tests.
#![forbid(unsafe_code)]

use crate::common::keys::{Pair, authority, for_names, intermediate};
use crate::common::setup::JAIL_UID;
use crate::common::tempdir::give;
use crate::common::{Kind, Setup};
use std::path::Path;
use std::sync::OnceLock;

/// A server whose application tells its environment, with an empty directory of key sets.
pub fn server() -> Setup {
    let setup = Setup::new().options(&["-s"]).program(&["env"]);
    let folder = setup.dir.subdirectory("certs").display().to_string();
    setup.env("CERTDIR", &folder)
}

/// One of two authorities between, so that a chain of the wrong one is seen.
pub fn middle(number: usize) -> &'static Pair {
    static PAIRS: [OnceLock<Pair>; 2] = [const { OnceLock::new() }; 2];
    PAIRS[number].get_or_init(|| intermediate(&format!("/CN=Middle {number}"), authority()))
}

/// Certificate, its signer's certificate, and key.
pub fn pair(kind: Kind, signer: usize, label: &str, names: &[&str]) -> (String, String) {
    let pair = for_names(kind, middle(signer), label, names);
    let chain = format!("{}{}", pair.certificate, middle(signer).certificate);
    (chain, pair.key)
}

/// `NAME.pem`
pub fn one_file(
    setup: Setup,
    name: &str,
    kind: Kind,
    signer: usize,
    label: &str,
    names: &[&str],
) -> Setup {
    let (chain, key) = pair(kind, signer, label, names);
    setup
        .dir
        .write(&format!("certs/{name}.pem"), format!("{chain}{key}"));
    setup
}

/// What an ACME client keeps below `root`: the files in `archive`, links to them in `live/NAME`. One more blank
/// line is in the chain, as some of them leave it.
pub fn acme(root: &Path, name: &str, (chain, key): &(String, String)) {
    let archive = root.join("archive").join(name);
    let live = root.join("live").join(name);
    for folder in [&archive, &live] {
        std::fs::create_dir_all(folder).expect("a directory");
    }
    std::fs::write(
        root.join("live/README"),
        "This directory contains your keys",
    )
    .expect("written");
    let chain = chain.replacen(
        "-----END CERTIFICATE-----\n",
        "-----END CERTIFICATE-----\n\n",
        2,
    );
    for (file, content) in [("fullchain", &chain), ("privkey", key)] {
        let target = archive.join(format!("{file}1.pem"));
        std::fs::write(&target, content).expect("written");
        give(&target, JAIL_UID);
        let link = live.join(format!("{file}.pem"));
        let relative = format!("../../archive/{name}/{file}1.pem");
        std::os::unix::fs::symlink(relative, link).expect("a link");
    }
}
