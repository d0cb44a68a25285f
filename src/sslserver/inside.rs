//! `sslserver --from-inside ROLE`, for auditors: takes the place of a role, with the settings of the environment, and says
//! what can be done from there. It is no way to run the server, so the usage line does not have it.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use super::config::Variables;
use super::error::Error;
use super::identities::{application_ids, roles};
use super::log::{Level, Log};
use super::options::Options;
use crate::privsep::attempts::{self, Findings};

const OPTION: &str = "--from-inside";

/// The role that the arguments (without the program's name) ask for, if it is that.
pub fn asked(mut arguments: impl Iterator<Item = OsString>) -> Option<String> {
    let asked = arguments.next().is_some_and(|word| word == OPTION);
    let role = asked.then(|| arguments.next().unwrap_or_default())?;
    Some(role.to_string_lossy().into_owned())
}

/// Makes the attempts and prints a line for each. 0: nothing was possible that the role must not do. 1: something was.
pub fn main(word: &str, program: String) -> ExitCode {
    match run(word) {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::FAILURE,
        Err(error) => {
            Log::new(program, Level::Warning).line(Level::Warning, &error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// True if something was possible that must not be.
fn run(word: &str) -> Result<bool, Error> {
    let Some(role) = attempts::role(word) else {
        let words: Vec<&str> = attempts::words().collect();
        let words = words.join(", ");
        return Err(Error::BadSetting(format!("{OPTION} wants one of: {words}")));
    };
    let (options, variables) = (Options::default(), Variables::current());
    let ids = application_ids(&options, &variables, &mut Vec::new())?;
    let confinement = roles(&options, &variables, ids, &mut Vec::new())?.confinement;
    let Findings { lines, is_broken } =
        attempts::try_all(role, &confinement).map_err(Error::fatal)?;
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let printed = std::io::stdout().write_all(text.as_bytes());
    printed.map_err(|error| Error::fatal(format_args!("unable to write: {error}")))?;
    Ok(is_broken)
}
