//! The integration tests of number8, in one binary.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, also in its own functions")]

// Finding, reading and listing the served files, and refusing all others.
mod store;
