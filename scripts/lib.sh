# What the scripts share: the program, temporary folders, loop images, mounts and their end, damage. Sourced, not run.
# shellcheck shell=bash
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$top/target}
HOLOFS_CORPUS=${HOLOFS_CORPUS:-$top/../shared/corpus}
work=""

say() { printf '%s\n' "$*"; }
die() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2; exit 1; }
need_root() { [ "$(id -u)" = 0 ] || die "needs root for $1"; }

# The program under test: $HOLOFS_BIN, else a release build of this tree.
find_holofs() {
    if [ -z "${HOLOFS_BIN:-}" ]; then
        cargo build --quiet --release --locked --manifest-path "$top/Cargo.toml" --bin holofs
        HOLOFS_BIN=$target/release/holofs
    fi
    [ -x "$HOLOFS_BIN" ] || die "no program at $HOLOFS_BIN"
}
holofs() { "$HOLOFS_BIN" "$@"; }

# A folder of our own in $work; it and every mount in it are gone when the script ends, however it ends.
make_work() {
    work=$(mktemp -d "${TMPDIR:-/tmp}/holofs-$(basename "$0" .sh).XXXXXX")
    work=$(realpath "$work")
    chmod 755 "$work"
    trap leave EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# Mount points at or below a folder, the innermost first.
mounts_below() {
    local at
    while read -r _ _ _ _ at _; do
        at=$(printf '%b' "$at")
        case $at in "$1" | "$1"/*) printf '%s\n' "$at" ;; esac
    done </proc/self/mountinfo | sort -r
}

# Processes that name a folder of ours as a word of their command line: the daemon of a store or of a mount.
daemons_of() {
    local line pid word
    for line in /proc/[0-9]*/cmdline; do
        pid=${line#/proc/}
        pid=${pid%/cmdline}
        [ "$pid" != "$$" ] || continue
        while IFS= read -r -d '' word; do
            if [ "$word" = "$1" ]; then
                printf '%s\n' "$pid"
                break
            fi
        done 2>/dev/null <"$line" || true
    done
}

leave() {
    local code=$? at pid
    trap - EXIT INT TERM
    cd /
    if [ -n "$work" ] && [ -d "$work" ]; then
        mounts_below "$work" | while read -r at; do
            timeout 30 "${HOLOFS_BIN:-false}" umount "$at" 2>/dev/null || umount "$at" 2>/dev/null || umount -l "$at" || true
        done
        for pid in $(daemons_of "$work/store"); do kill "$pid" 2>/dev/null || true; done
        if [ -z "$(mounts_below "$work")" ]; then
            rm -rf "$work"
        else
            echo "left behind, still mounted: $work" >&2
            [ "$code" != 0 ] || code=1
        fi
    fi
    exit "$code"
}

# loop_image FILE SIZE DIR: an ext4 of its own, so that nothing we do can fill or hurt another disk.
loop_image() {
    truncate -s "$2" "$1"
    mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$1"
    mkdir -p "$3"
    mount -o loop "$1" "$3"
}

# make_store STORE [LINE...]: an empty store whose policy is `version = 1` and these lines.
make_store() {
    local store=$1
    shift
    holofs init -q "$store"
    [ $# = 0 ] || printf '%s\n' 'version = 1' "$@" >"$store/.holofs/store.toml"
}

# One number of the mount's own counters: stat_of MNT NAME
stat_of() {
    python3 -c 'import json, sys; print(json.load(open(sys.argv[1] + "/.holofs/stats.json"))[sys.argv[2]])' "$1" "$2"
}

# Spread sets and packed objects of a store, by name, ended by NUL bytes.
spread_sets() { find "$1" -path "$1/.holofs" -prune -o -type f -path '*.holo/manifest' -printf '%h\0'; }
packed_objects() { find "$1" -path "$1/.holofs" -prune -o -type f -name '*.holo' -not -path '*.holo/*' -print0; }

# Endless bytes that depend on a seed alone, for shuf.
bytes_from() { yes "$1" 2>/dev/null || true; }

# lose_chunks SET N [SEED]: deletes N chunk files of one spread set.
lose_chunks() {
    find "$1" -name 'chunk_*' -print0 | sort -z | shuf -z -n "$2" --random-source=<(bytes_from "${3:-1}") | xargs -0r rm --
}

# flip_bit FILE SEED: turns over one bit somewhere in a file.
flip_bit() {
    local at byte
    at=$(shuf -n 1 -i "0-$(($(stat -c %s "$1") - 1))" --random-source=<(bytes_from "$2"))
    byte=$(od -An -tu1 -j "$at" -N 1 "$1")
    printf '%b' "\\x$(printf %x $((byte ^ (1 << ($2 % 8)))))" | dd of="$1" bs=1 seek="$at" conv=notrunc status=none
}
