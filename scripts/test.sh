#!/usr/bin/env bash
# Installs what is missing and runs all tests. Arguments go to the test runner: scripts/test.sh [FILTER...]
# Tests that mount need root and /dev/fuse.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh build mount test
if [ "$(id -u)" != 0 ] || [ ! -w /dev/fuse ]; then
    echo "note: not root, or /dev/fuse is not writable: tests that mount cannot run here" >&2
fi

if cargo nextest --version >/dev/null 2>&1; then
    cargo test --locked --quiet --doc
    cargo nextest run --locked --no-fail-fast "$@"
else
    cargo test --locked --no-fail-fast "$@"
fi
