#!/usr/bin/env bash
# Fuzzes parsers and codecs: scripts/fuzz.sh [TARGET...] [--seconds N] [--list]
# Each target (tests/fuzz/fuzz_targets, all of them unless some are named) runs for N seconds, 60 by default, one after
# the other. What was found to be worth keeping stays in target/fuzz/corpus and is where the next run begins.
# Prints for each target what ran, the coverage and the findings; exits with 1 for findings, whose inputs are named.
# Needs no nightly: coverage is counted by a pass that stable compilers have, memory by an allocator of the targets.
set -euo pipefail
cd "$(dirname "$0")/.."

die() { printf 'fuzz: %s\n' "$*" >&2; exit 2; }

all=$(sed -n 's/^path = "fuzz_targets\/\(.*\)\.rs"$/\1/p' tests/fuzz/Cargo.toml)
seconds=60 targets=()
while [ $# -gt 0 ]; do
    case $1 in
        --seconds) seconds=${2:-}; [ $# = 1 ] || shift ;;
        --seconds=*) seconds=${1#*=} ;;
        --list) printf '%s\n' $all; exit ;;
        -*) die "no option $1" ;;
        *) grep -qx -- "$1" <<<"$all" || die "no target $1; --list names them"; targets+=("$1") ;;
    esac
    shift
done
[[ $seconds =~ ^[1-9][0-9]*$ ]] || die "--seconds needs a number"
[ ${#targets[@]} -gt 0 ] || mapfile -t targets <<<"$all"

scripts/install.sh build
out=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
programs=$out/$host/release
# With --target build scripts and macros are built without these flags.
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares"
RUSTFLAGS=$(tr -s '\n ' ' ' <<<"$RUSTFLAGS")
cargo build --quiet --locked --release --manifest-path tests/fuzz/Cargo.toml --target "$host" --target-dir "$out" \
    --bin seeds $(printf -- '--bin %s ' "${targets[@]}")

mkdir -p "$out/corpus" "$out/findings" "$out/logs" "$out/tmp"
# The seeds of targets and formats as they are now: they cost seconds, and old ones stay useful.
TMPDIR=$out/tmp "$programs/seeds" tests/vectors "$out/seeds"

failed=0
printf '%-16s %12s %8s %8s %8s  %s\n' target executions a-second coverage corpus findings
for target in "${targets[@]}"; do
    log=$out/logs/$target.log
    mkdir -p "$out/corpus/$target" "$out/seeds/$target" "$out/findings/$target"
    code=0
    TMPDIR=$out/tmp "$programs/$target" "$out/corpus/$target" "$out/seeds/$target" \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=512 -max_len=65536 \
        -print_final_stats=1 -artifact_prefix="$out/findings/$target/" >"$log" 2>&1 || code=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
    covered=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | cut -d ' ' -f 2 || true)
    found=$(sed -n 's/^.*Test unit written to //p' "$log")
    [ "$code" = 0 ] || { failed=1; found=${found:-"exit $code, see $log"}; }
    printf '%-16s %12s %8s %8s %8s  %s\n' "$target" "${runs:--}" "${rate:--}" "${covered:--}" \
        "$(find "$out/corpus/$target" -type f | wc -l)" "${found:-none}"
done
rm -rf "$out/tmp"
exit $failed
