# `make run` opens the board for the example site; `make test` installs what it needs and
# runs the checks and tests. The rest is for those who work on number8.

SITE ?= examples/site
MINUTES ?= 1
ROUNDS ?= 100

.PHONY: run web wheel deb static test check bench fuzz sanitize faults soak clean

run: web
	cargo run --release -p number8-cli -- board $(SITE)

# The scripts of the pages; without Node.js the pages work without.
web:
	@if command -v npm >/dev/null; then .ci/web; else echo "npm is missing: the pages will be without scripts" >&2; fi

test:
	.ci/install
	@.ci/test

# The Python package as a wheel for the python3 of this machine, into target/wheels. This and the next two are built by a profile
# (packaging/profile), where llvm-profdata is there.
wheel: web
	packaging/wheel

# A Debian package of the command, into target/packages; packaging/check deb tries it on a clean root.
deb: web
	packaging/deb --binary "$$(packaging/program)"

# One program that needs no library; packaging/check static tries it in an empty root.
static: web
	packaging/static

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

# The unsafe code of the library and of the Python package, under AddressSanitizer. Needs a nightly toolchain and gcc's libasan.
sanitize:
	tests/sanitize/run

# What goes wrong around a server, ROUNDS times each, and half an hour of mixed load.
faults:
	cargo build -p number8-cli
	tests/faults/run.py --rounds $(ROUNDS)

soak:
	cargo build -p number8-cli
	tests/faults/soak.py

clean:
	cargo clean
	rm -rf tests/browser/node_modules web/node_modules web/dist
