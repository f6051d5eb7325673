//! What the attributes refuse, and how the compiler says so. `TRYBUILD=overwrite cargo test -p number8-macros` writes
//! down what it says now.

#[test]
fn n2_mistakes_are_errors_where_they_were_made() {
    trybuild::TestCases::new().compile_fail("tests/refused/*.rs");
}
