//! The `number8` command.
fn main() {}
