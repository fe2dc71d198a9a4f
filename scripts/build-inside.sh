#!/usr/bin/env bash
# git clone and cargo build of a real program inside the mount, and the same outside: the results must be identical (root).
# The program is fsx, the file system exerciser that scripts/conformance.sh uses: 60 crates, one binary.
# Encoding is set to its most eager, so that sources and build products are encoded and changed again under the compiler.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need_root "a bind mount: both builds run at the same path, else their results differ"
"$top/scripts/install.sh" build mount conformance
find_holofs
make_work
disk=$work/disk mnt=$work/mnt place=$work/place
loop_image "$work/image" 4G "$disk"
mkdir "$mnt" "$place" "$disk/outside"
origin=$work/origin
registry=$(find "${CARGO_HOME:-$HOME/.cargo}/registry/src" -maxdepth 2 -type d -name 'fsx-*' | sort -V | tail -n 1)
[ -d "$registry" ] || die "cargo keeps no source of fsx; run cargo install fsx first"

export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=holofs GIT_AUTHOR_EMAIL=holofs@localhost
export GIT_COMMITTER_NAME=holofs GIT_COMMITTER_EMAIL=holofs@localhost
cp -r "$registry" "$origin"
rm -f "$origin/.cargo-ok"
git -C "$origin" init -q
git -C "$origin" add -A
git -C "$origin" commit -q -m import

# build DIR: clones and builds with DIR bound to the one place where builds happen.
build() {
    mkdir -p "$1/work"
    mount --bind "$1/work" "$place"
    git clone -q "$origin" "$place/fsx"
    (cd "$place/fsx" && env -u CARGO_TARGET_DIR CARGO_INCREMENTAL=0 cargo build --quiet --locked --release)
    git -C "$place/fsx" fsck --no-progress
    git -C "$place/fsx" status --porcelain
    umount "$place"
}
# What must be equal: the sources, the program and every library (not logs of times).
results() { (cd "$1/work/fsx" && find . -path ./.git -prune -o -type f \( -name '*.rs' -o -name '*.rlib' -o -name '*.rmeta' -o -name '*.so' -o -perm -u+x \) -print0 | sort -z | xargs -0 sha256sum); }

began=$SECONDS
build "$disk/outside" && say "outside: $((SECONDS - began)) s"
make_store "$disk/store" '[defaults]' 'min_size = "1B"' 'profile = "standard"' '[encode]' 'quiet = "0s"' 'linger = "0s"'
holofs mount "$disk/store" "$mnt"
began=$SECONDS
build "$mnt" && say "inside:  $((SECONDS - began)) s"
say "encodings while building: $(stat_of "$mnt" encoded)"
results "$disk/outside" >"$work/outside.sums"
results "$mnt" >"$work/inside.sums"
diff "$work/outside.sums" "$work/inside.sums" || die "the builds differ"
holofs settle "$mnt"
holofs umount "$mnt"
holofs mount "$disk/store" "$mnt"
results "$mnt" >"$work/again.sums"
diff "$work/outside.sums" "$work/again.sums" || die "the build differs after settling and mounting again"
git -C "$mnt/work/fsx" fsck --no-progress
"$mnt/work/fsx/target/release/fsx" --version
holofs umount "$mnt"
say "identical: $(wc -l <"$work/outside.sums") files"
