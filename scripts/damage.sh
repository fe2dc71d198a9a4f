#!/usr/bin/env bash
# Real files, real losses: copies a folder through the mount, damages the store within and then beyond its protection,
# and compares every byte. Usage: scripts/damage.sh [FOLDER]     (default: $HOLOFS_CORPUS, else ../shared/corpus)
# Passes when everything reads back exactly with two of sixteen chunk files of every spread set gone and a bit turned
# over in a third of the packed objects, when the damage is named, and when five more chunks gone cost that one file only, a
# picture no more than its sharpness.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

source=${1:-$HOLOFS_CORPUS}
[ -d "$source" ] || die "no folder at $source; name one, or set HOLOFS_CORPUS"
"$top/scripts/install.sh" build mount test
find_holofs
make_work
store=$work/store mnt=$work/mnt
mkdir "$mnt"
failures=0
check() { # check TEXT COMMAND...
    local text=$1
    shift
    if "$@"; then say "ok   $text"; else say "FAIL $text"; failures=$((failures + 1)); fi
}

make_store "$store" '[defaults]' 'profile = "standard"'
holofs mount "$store" "$mnt"
cp -a "$source/." "$mnt"
check "exact right after cp -a" diff -r "$source" "$mnt"
holofs settle "$mnt"
check "exact after settle" diff -r "$source" "$mnt"
holofs umount "$mnt"

mapfile -d '' sets < <(spread_sets "$store" | sort -z)
mapfile -d '' packed < <(packed_objects "$store" | sort -z)
say "$(find "$source" -type f | wc -l) files: ${#sets[@]} spread sets, ${#packed[@]} packed objects," \
    "$(du -sb "$source" | cut -f1) bytes, $(du -sb --exclude=.holofs "$store" | cut -f1) in the store"
check "there are spread sets and packed objects" test ${#sets[@]} -gt 0 -a ${#packed[@]} -gt 0

logical() { local name=${1#"$store/"}; printf '%s\n' "${name%.holo}"; }
for i in "${!sets[@]}"; do
    lose_chunks "${sets[i]}" 2 "$i"
    logical "${sets[i]}"
done >"$work/sets"
for i in "${!packed[@]}"; do
    if [ $((i % 3)) = 0 ]; then
        flip_bit "${packed[i]}" "$i"
        logical "${packed[i]}"
    fi
done >"$work/flipped"
cat "$work/sets" "$work/flipped" >"$work/damaged"
say "damaged $(wc -l <"$work/damaged") objects"

# all_named LIST REPORT: whether every line of LIST stands in REPORT; none_but: whether REPORT names nothing else.
all_named() {
    local name missing=0
    while IFS= read -r name; do
        grep -qF -- "$name" "$2" || { say "     not named: $name"; missing=1; }
    done <"$1"
    return $missing
}
none_but() { ! grep -vFf "$1" "$2"; }
# Files that are not as a healthy store has them: fewer chunks than there were, damage seen, or worse than exact.
damaged_by_status() {
    holofs status --json "$1" >"$work/status.json" || true
    python3 - "$work/status.json" <<'PY'
import json, sys
for entry in json.load(open(sys.argv[1])):
    chunks = entry["chunks"]
    if entry["state"] in ("degraded", "lost") or chunks["have"] < chunks["total"] or entry.get("damage"):
        print(entry["state"], chunks["have"], chunks["total"], entry["path"])
PY
}

holofs mount "$store" "$mnt"
check "exact with two of sixteen chunks of every set gone and flipped bits" diff -r "$source" "$mnt"
damaged_by_status "$mnt" >"$work/named"
check "status names every set that lost chunks" all_named "$work/sets" "$work/named"
check "status names no undamaged file" none_but "$work/damaged" "$work/named"
say "     reading met $(grep -cFf "$work/flipped" "$work/named" || true) of $(wc -l <"$work/flipped") flipped bits; one in parity is met by scrub alone"
holofs umount "$mnt"
code=0
holofs scrub "$store" >"$work/scrubbed" || code=$?
check "scrub says that all damage is recoverable (exit 4)" test "$code" = 4
check "scrub names every damaged file" all_named "$work/damaged" "$work/scrubbed"
check "scrub names no undamaged file" none_but "$work/damaged" "$work/scrubbed"

# Five more chunks of a file of the general codec, and of a picture where there is one.
victim="" picture=""
for set in "${sets[@]}"; do
    case $(logical "$set") in
        *.jpg | *.png) picture=${picture:-$set} ;;
        *) victim=${victim:-$set} ;;
    esac
done
excluded=()
for set in ${victim:+"$victim"} ${picture:+"$picture"}; do
    lose_chunks "$set" 5 more
    excluded+=(--exclude="$(basename "$(logical "$set")")")
    say "five more chunks gone from $(logical "$set"): $(find "$set" -name 'chunk_*' | wc -l) left"
done
holofs mount "$store" "$mnt"
check "everything else is exact" diff -r "${excluded[@]}" "$source" "$mnt"
if [ -n "$victim" ]; then
    name=$(logical "$victim")
    check "what is no picture gives EIO" grep -q 'Input/output error' <(cat "$mnt/$name" 2>&1 >/dev/null || true)
    damaged_by_status "$mnt" >"$work/named"
    check "status calls it lost" grep -q '^lost ' <(grep -F -- "$name" "$work/named")
fi
if [ -n "$picture" ]; then
    name=$(logical "$picture")
    check "the picture has its size" test "$(wc -c <"$mnt/$name")" = "$(wc -c <"$source/$name")"
    check "but is not the file" grep -q differ <(cmp "$mnt/$name" "$source/$name" 2>&1 || true)
    damaged_by_status "$mnt" >"$work/named"
    check "status calls it degraded" grep -q '^degraded ' <(grep -F -- "$name" "$work/named")
fi
holofs umount "$mnt"

say "damage: $failures failed"
[ "$failures" = 0 ]
