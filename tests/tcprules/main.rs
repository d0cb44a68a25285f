//! tcprules and tcprulescheck as an administrator meets them: the real
//! programs, files, messages and exit codes; the samples below rules/ too.

mod ban;
mod check;
mod compile;
mod format;
mod output;
mod place;
mod samples;
