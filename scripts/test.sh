#!/usr/bin/env bash
# All checks, against real servers, on a fresh Debian machine with Rust: installs what is missing,
# starts the servers, then format, lints, dependency rules and tests. The tests come last, so that
# their summary is the end of the output. Arguments go to the tests: scripts/test.sh --test tidy
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() { printf '\n== %s\n' "$*" >&2; }

# --- what has to be installed ----------------------------------------------------------------

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

missing=()
command -v cc >/dev/null || missing+=(build-essential)
command -v pkg-config >/dev/null || missing+=(pkg-config)
command -v sqlite3 >/dev/null || missing+=(sqlite3)
command -v flock >/dev/null && command -v setpriv >/dev/null || missing+=(util-linux)
if [ "${#missing[@]}" -gt 0 ]; then
    step "installing ${missing[*]}"
    apt_options=(-o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 -qq -y)
    as_root env DEBIAN_FRONTEND=noninteractive apt-get "${apt_options[@]}" update </dev/null >&2 || true
    as_root env DEBIAN_FRONTEND=noninteractive apt-get "${apt_options[@]}" install --no-install-recommends "${missing[@]}" </dev/null >&2
fi
if ! command -v cargo >/dev/null && [ -f "$HOME/.cargo/env" ]; then . "$HOME/.cargo/env"; fi
command -v cargo >/dev/null || { echo "test.sh: Rust is needed: https://rustup.rs" >&2; exit 1; }
for component in rustfmt clippy; do
    cargo "${component/rust/}" --version >/dev/null 2>&1 || rustup component add "$component"
done

if [ "${CI:-}" = true ]; then
    # Outside of the clone, so that it stays clean; nothing is built twice, so incremental costs only.
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${TMPDIR:-/tmp}/dbferry-target}
    export CARGO_INCREMENTAL=0
fi

# --- servers ---------------------------------------------------------------------------------

step "servers"
if ! scripts/services.sh status >/dev/null 2>&1 && [ "${CI:-}" = true ]; then
    # Only what this call starts is stopped, and only where nobody will use it again.
    trap 'scripts/services.sh down >/dev/null 2>&1 || true' EXIT
fi
# Beside the servers, sqlx's own command line: tests compare with it.
variables=$(DBFERRY_SQLX=1 scripts/services.sh up)
eval "$variables"
scripts/services.sh status >&2

# --- checks ----------------------------------------------------------------------------------

step "format"
cargo fmt --check

step "lints"
cargo clippy --locked --all-targets -- -D warnings

# cargo-deny is used where it is installed. It is not installed here: Debian 12 has no package of
# it, and building it from source takes longer than everything else in this script.
if cargo deny --version >/dev/null 2>&1; then
    step "dependency rules"
    cargo deny --locked --offline check bans licenses sources
    # Advisories need their database; without a network there is nothing to check against.
    if cargo deny fetch db >/dev/null 2>&1; then
        cargo deny --locked check --disable-fetch advisories
    else
        echo "advisory data cannot be had here: not checked" >&2
    fi
else
    step "dependency rules: cargo-deny is not installed, deny.toml is not checked"
fi

# In CI, and where it is asked for: it takes a build with optimisation, which nothing else here needs.
if [ "${CI:-}" = true ] || [ "${INSTRUCTIONS:-}" = 1 ]; then
    step "instructions"
    scripts/instructions.sh
fi

# Library, program and integration tests. Benchmarks are only compiled (by the lints), and the
# crate keeps its examples in tests: a documentation test links the expression crates once more.
step "tests"
if [ "$#" -gt 0 ]; then
    cargo test --locked "$@"
else
    cargo test --locked --lib --bins --tests
fi
