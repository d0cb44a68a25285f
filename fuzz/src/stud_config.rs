//! stud's and hitch's configuration files, from their bytes to a configuration, which comes back from the file that
//! `--default-config` makes of it.
#![forbid(unsafe_code)]

use sslserver::stud::config::Config;
use sslserver::stud::options::{Invocation, Task};

use super::temporary::Temporary;

pub fn run(bytes: &[u8]) -> bool {
    let Some(config) = configuration(bytes) else {
        return false;
    };
    let Some(Task::Print(written)) = task(bytes, &["--default-config"]) else {
        panic!("nothing printed");
    };
    assert_eq!(configuration(written.as_bytes()), Some(config), "{written}");
    true
}

/// Without what is said of the way that settings have come.
fn configuration(bytes: &[u8]) -> Option<Config> {
    let Task::Test(mut config) = task(bytes, &["--test"])? else {
        panic!("no configuration");
    };
    let has_effect = |note: &String| !note.starts_with("the frontends");
    config.notes.retain(has_effect);
    Some(*config)
}

fn task(bytes: &[u8], options: &[&str]) -> Option<Task> {
    let file = Temporary::with(bytes);
    let mut words = vec!["stud".into(), "--config".into(), file.path().into()];
    words.extend(options.iter().map(Into::into));
    Some(Invocation::parse(words).ok()?.task)
}
