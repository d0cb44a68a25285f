pub mod check;
pub mod compile;
