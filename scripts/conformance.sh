#!/usr/bin/env bash
# pjdfstest and fsx through a mount on a loop image of its own (root).
# Usage: scripts/conformance.sh [plain|eager|all] [--quick]     (default: all)
#   plain   nothing is encoded: what every program meets first
#   eager   everything is encoded as soon as it is closed, and is encoded again after every change
# Full: 1,000,000 fsx operations for each of three seeds; --quick: 20,000 for each.
# Passes when pjdfstest has no failure and at most one skip more than on the bare directory, fsx finds no wrong byte,
# and (eager) encodings happened. HOLOFS_BIN names another program; the default is a release build.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

modes="plain eager" operations=1000000
for word in "$@"; do
    case $word in
        plain | eager) modes=$word ;;
        all) modes="plain eager" ;;
        --quick) operations=20000 ;;
        *) die "unknown argument $word" ;;
    esac
done

need_root "loop images and pjdfstest's users"
"$top/scripts/install.sh" build mount conformance
find_holofs
make_work
disk=$work/disk mnt=$work/mnt
loop_image "$work/image" 2G "$disk"
mkdir "$mnt" "$disk/bare"
chmod 755 "$disk/bare"
failures=0
fail() { say "FAIL $*"; failures=$((failures + 1)); }

# pjdfstest DIR LOG: prints its summary line.
run_pjdfstest() {
    pjdfstest -c "$top/tests/conformance/pjdfstest.toml" -p "$1" -s "$work" >"$2" 2>&1 || true
    grep '^Summary:' "$2" || { tail -n 20 "$2" >&2; echo "Summary: none"; }
}
count_of() { grep -o "[0-9]* $1" <<<"$2" | head -n 1 | cut -d' ' -f1; }

check_pjdfstest() {
    local mode=$1 bare through
    bare=$(run_pjdfstest "$disk/bare" "$work/pjdfstest.bare")
    through=$(run_pjdfstest "$mnt" "$work/pjdfstest.$mode")
    say "pjdfstest bare:  ${bare#Summary: }"
    say "pjdfstest $mode: ${through#Summary: }"
    if [ "$(count_of failed "$through")" != 0 ]; then
        grep -E 'FAILED' "$work/pjdfstest.$mode" | sort -u >&2 || true
        fail "pjdfstest $mode: $through"
    fi
    if [ "$(count_of skipped "$through")" -gt $(($(count_of skipped "$bare") + 1)) ]; then
        comm -13 <(grep 'skipped$' "$work/pjdfstest.bare" | sort) <(grep 'skipped$' "$work/pjdfstest.$mode" | sort) >&2
        fail "pjdfstest $mode skips more than on the bare directory"
    fi
}

check_fsx() {
    local mode=$1 seed file conf before began slow_open=()
    for seed in 1 2 3; do
        file=$mnt/fsx.$seed conf=$work/fsx.toml
        cp "$top/tests/conformance/fsx.toml" "$conf"
        # One file is large enough to become a spread set; two stay packed objects.
        [ "$seed" != 3 ] || sed -i 's/^flen = .*/flen = 2097152/' "$conf"
        if [ "$mode" = eager ]; then
            # fsx never unmaps what it maps to read, and a file with a writable shared map is rightly never encoded.
            sed -i 's/^mapread = .*/mapread = 0/' "$conf"
            # It opens again at once; 50 ms before each open are what the encoder needs. (Delaying the return of
            # close would not do: the kernel lets go of the file only after it.)
            slow_open=(strace -f --seccomp-bpf -qq -o /dev/null -P "$file" -e trace=openat -e inject=openat:delay_enter=50000)
        fi
        before=$(stat_of "$mnt" encoded) began=$SECONDS
        if "${slow_open[@]}" fsx -f "$conf" -N "$operations" -S "$seed" -P "$work" "$file" >"$work/fsx.log" 2>&1; then
            say "fsx $mode, seed $seed: $operations operations clean, $(($(stat_of "$mnt" encoded) - before)) encodings, $((SECONDS - began)) s"
        else
            tail -n 40 "$work/fsx.log" >&2
            fail "fsx $mode, seed $seed"
        fi
    done
}

for mode in $modes; do
    store=$disk/$mode
    case $mode in
        plain) make_store "$store" '[defaults]' 'codec = "plain"' ;;
        eager) make_store "$store" '[defaults]' 'min_size = "1B"' 'profile = "standard"' '[encode]' 'quiet = "0s"' 'linger = "0s"' ;;
    esac
    holofs mount "$store" "$mnt"
    chmod 755 "$mnt"
    check_pjdfstest "$mode"
    check_fsx "$mode"
    encoded=$(stat_of "$mnt" encoded)
    say "$mode: $encoded encodings in all"
    if [ "$mode" = eager ] && [ "$encoded" = 0 ]; then
        fail "the encoder never ran"
    fi
    holofs umount "$mnt"
done

say "conformance: $failures failed"
[ "$failures" = 0 ]
