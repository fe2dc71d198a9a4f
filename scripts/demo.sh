#!/usr/bin/env bash
# What holofs does, shown on real files: a store, a mount, files in, chunks away, everything back.
# Usage: scripts/demo.sh     Installs what is missing, builds, works in a temporary folder and leaves nothing behind.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

if [ "$(id -u)" != 0 ] && [ ! -w /dev/fuse ]; then
    die "/dev/fuse is not writable for you; run this as root, or let an administrator open it"
fi
"$top/scripts/install.sh" build mount test
say "Building holofs ..."
find_holofs
make_work
store=$work/store mnt=$work/mnt
mkdir "$mnt"
step() { printf '\n== %s\n' "$*"; }
shown() { printf '$ %s\n' "$*"; "$@"; }
name_of() { local name=${1#"$store/"}; printf '%s\n' "${name%.holo}"; }

step "1. A store, and a mount of it"
# Every file gets the protection that pictures and sound have by default; most get a file for each chunk.
shown holofs init -q "$store"
tee "$store/.holofs/store.toml" <<'TOML'
version = 1
[defaults]
profile = "standard"
min_size = "1B"
[[rule]]
glob = ["text/**", "jpeg/**", "png/**", "wav/**", "*.rs"]
layout = "spread"
TOML
shown holofs mount "$store" "$mnt"
grep "$mnt" /proc/mounts

step "2. Real files in"
originals=$work/originals
mkdir "$originals"
if [ -d "$HOLOFS_CORPUS" ]; then
    say "From the corpus: a book, logs, pictures and sound."
    # Several of each kind, not all 51 MB: this is a demonstration.
    for part in text logs/Apache jpeg/flower.jpg jpeg/galaxy.jpg png/coffee.png png/kodim03.png wav/voice.wav; do
        if [ -e "$HOLOFS_CORPUS/$part" ]; then (cd "$HOLOFS_CORPUS" && cp -a --parents "$part" "$originals"); fi
    done
else
    say "There is no corpus at $HOLOFS_CORPUS: taking this project's own sources and documents."
fi
(cd "$top" && git ls-files -z 'src' '*.md' 'Cargo.*' 2>/dev/null | xargs -0r cp -a --parents -t "$originals")
shown cp -a "$originals/." "$mnt"
shown diff -r "$originals" "$mnt"
say "$(find "$mnt" -type f | wc -l) files, $(du -sb "$originals" | cut -f1) bytes, equal to the originals; they are plain files so far."

step "3. Encoded: holofs would do it once a file has been quiet for five minutes; 'settle' does it now"
shown holofs settle "$mnt"
shown diff -r "$originals" "$mnt"
mapfile -d '' sets < <(spread_sets "$store" | sort -z)
mapfile -d '' packed < <(packed_objects "$store" | sort -z)
[ ${#sets[@]} -gt 0 ] || die "nothing was encoded"
largest=$(for set in "${sets[@]}"; do name=$(name_of "$set"); stat -c "%s $name" "$originals/$name"; done | sort -rn | sed -n '1s/^[0-9]* //p')
shown holofs why "$mnt/$largest"

step "4. What lies in the store"
(cd "$store" && ls -l "$largest.holo" | sed -n 1,6p)
say "..."
say "${#sets[@]} sets with a file for each chunk, ${#packed[@]} objects with all chunks in one file;" \
    "$(du -sb --exclude=.holofs "$store" | cut -f1) bytes with protection, of $(du -sb "$originals" | cut -f1)."
shown holofs umount "$mnt"

step "5. A bad day: two of the sixteen chunks of every set are deleted, a bit is turned over in every packed object"
for i in "${!sets[@]}"; do lose_chunks "${sets[i]}" 2 "$i"; done
for i in "${!packed[@]}"; do flip_bit "${packed[i]}" "$i"; done
say "$(find "$store" -path "$store/.holofs" -prune -o -name 'chunk_*' -print | wc -l) chunk files are left."
shown holofs mount "$store" "$mnt"
shown diff -r "$originals" "$mnt"
say "Not one byte is missing. holofs knows what happened, though:"
holofs status "$mnt/$largest" || true

step "6. A worse day: five more chunks of one file are gone; it needs fourteen and has nine"
shown holofs umount "$mnt"
lose_chunks "$store/$largest.holo" 5 worse
shown holofs mount "$store" "$mnt"
if cat "$mnt/$largest" >/dev/null 2>"$work/error"; then die "$largest could be read with nine chunks"; fi
cat "$work/error"
holofs status "$mnt/$largest" || true
differences=$(diff -rq "$originals" "$mnt" 2>&1 | grep -vF -- "$largest" || true)
[ -z "$differences" ] || die "other files were hurt: $differences"
say "That file gives an error, never wrong bytes. The other $(($(find "$originals" -type f | wc -l) - 1)) files are exact."
shown holofs umount "$mnt"

step "What you saw"
cat <<TEXT
Files went in through an ordinary mount and were cut into sixteen chunks each. Any fourteen give every byte back.
With more gone, a file that cannot be proved exact gives an error, and no file suffers from another's loss.
Pictures are shown softer then, as valid files of their own size. The temporary folder of this demonstration is removed now.
TEXT
