# `make run` opens the board for the example site; `make test` installs what it needs and
# runs everything that CI runs. The rest is for those who work on number8.

SITE ?= examples/site
MINUTES ?= 1

.PHONY: run test check bench fuzz clean

run:
	cargo run --release -p number8-cli -- board $(SITE)

test:
	.ci/install
	@.ci/test

# The quick look before a commit.
check:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo test --workspace --lib --bins

# Measures number8 beside its peers. Takes the machine for itself.
bench:
	bench/run --out bench/RESULTS.md

# Every fuzz target for MINUTES each. Needs a nightly toolchain and cargo-fuzz.
fuzz:
	fuzz/run $$((60 * $(MINUTES)))

clean:
	cargo clean
	rm -rf tests/browser/node_modules
