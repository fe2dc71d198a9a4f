#!/usr/bin/env bash
# Measures holofs beside the bare directory and beside libfuse's passthrough_hp, in turns, best of N, and prints ratios.
# Usage: scripts/bench.sh [mount] [user] [memory] [sizes] [pictures] [sound] [templates] [--disk DIR] [--rounds N] [--no-record]    (default: all sections)
#   mount    data and metadata rows as root, with passthrough
#   user     the same rows as an ordinary user, without passthrough
#   memory   memory of the daemon and the time a mount takes, empty and with 100,000 files
#   pictures bytes, speed and quality of each picture of the corpus (scripts/pictures.py), and a plot in target/pictures.svg
#   sound    bytes, speed and quality of each sound of the corpus and of hard ones made up, a long one through a mount (scripts/sound.py)
#   templates bytes, speed and latency of text, logs, versions of source and binaries (scripts/templates.py)
#   sizes    stored bytes of each class of the corpus ($HOLOFS_CORPUS, else ../shared/corpus), profile none and standard
# Everything lies on ext4 in a loop image in memory (the bare directory costs nothing there), or in DIR with --disk.
# Each row is appended to benches/record.csv. A benchmark reports: a slow row is no failure.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

sections=() disk_at="" rounds=5 record=$top/benches/record.csv
while [ $# -gt 0 ]; do
    case $1 in
        mount | user | memory | sizes | pictures | sound | templates) sections+=("$1") ;;
        --disk) disk_at=$(realpath "$2"); shift ;;
        --rounds) rounds=$2; shift ;;
        --no-record) record=/dev/null ;;
        *) die "unknown argument $1" ;;
    esac
    shift
done
[ ${#sections[@]} -gt 0 ] || sections=(mount user memory sizes pictures sound templates)

need_root "loop images and passthrough"
"$top/scripts/install.sh" build mount bench
find_holofs
medium=${disk_at:+disk}
medium=${medium:-ram}
TMPDIR=${disk_at:-/dev/shm} make_work
disk=$work/disk
if [ -n "$disk_at" ]; then mkdir "$disk"; else loop_image "$work/image" 6G "$disk"; fi
chmod 755 "$disk"
mkdir "$work/bin" "$work/tmp"
# An ordinary user must be able to run what is measured.
install -m 755 "$HOLOFS_BIN" "$work/bin/holofs"
HOLOFS_BIN=$work/bin/holofs
rustc -O --edition 2024 "$top/benches/small_files.rs" -o "$work/bin/small_files"

# What a row must reach, as a share of the bare directory (root); an ordinary user gets 0.7 of it.
declare -A must=(
    [read]=0.95 [mmap]=0.95 [random]=0.86 [write1m]=0.90 [write4k]=0.85 [create]=0.20 [open]=0.10 [stat]=0.05 [unlink]=0.18
    [untar]=0.16 [git-status]=0.60 [ls-fresh]=0.15 [ls-again]=0.30 [find-fresh]=0.30 [cached-read]=0.95 [cached-random]=0.86
)
rows=(read mmap random write1m write4k create open stat unlink untar git-status ls-fresh ls-again find-fresh cached-read cached-random)
machine=$(awk -F': ' '/model name/ {print $2; exit}' /proc/cpuinfo | tr -d ',')" x$(nproc)"
commit=$(git -C "$top" describe --always --dirty 2>/dev/null || echo unknown)

# keep SECTION ROW UNIT BARE MOUNT RATIO PEER_RATIO
keep() {
    if [ ! -s "$record" ] && [ "$record" != /dev/null ]; then
        echo "date,commit,machine,kernel,medium,section,row,unit,bare,holofs,ratio,peer_ratio" >"$record"
    fi
    (IFS=,; echo "$(date -u +%F),$commit,$machine,$(uname -r),$medium,$*") >>"$record"
}

# --- the rows of one directory -------------------------------------------------------------------------------------

as=() # how to become the user who measures
raw=$work/raw

# note TARGET ROW VALUE: larger is better.
note() { printf '%s %s %s\n' "$2" "$1" "$3" >>"$raw"; }

# speed TARGET ROW COMMAND...: runs it and notes runs per second.
speed() {
    local label=$1 row=$2 began ended
    shift 2
    began=${EPOCHREALTIME/./}
    "${as[@]}" "$@" >/dev/null
    ended=${EPOCHREALTIME/./}
    note "$label" "$row" "$(awk -v us=$((ended - began)) 'BEGIN {printf "%.3f", 1e6 / us}')"
}

# throughput TARGET ROW FILE FIO-OPTION...: MB/s of one second of fio over an existing file.
throughput() {
    local label=$1 row=$2 file=$3 out
    shift 3
    out=$("${as[@]}" fio --name=row --filename="$file" --size=256M --time_based --runtime=1 --invalidate=0 --fallocate=none \
        --ioengine=psync --minimal --terse-version=3 "$@" | grep '^3;')
    # Fields 7 and 48 of the terse line are KiB/s read and written.
    note "$label" "$row" "$(awk -F';' '{printf "%.1f", ($7 + $48) * 1024 / 1e6}' <<<"$out")"
}

measure_data() {
    local label=$1 dir=$2
    throughput "$label" read "$dir/data" --rw=read --bs=1M
    throughput "$label" mmap "$dir/data" --rw=read --bs=1M --ioengine=mmap
    throughput "$label" random "$dir/data" --rw=randread --bs=4k --norandommap --randrepeat=1
    throughput "$label" write1m "$dir/target" --rw=write --bs=1M
    throughput "$label" write4k "$dir/target" --rw=write --bs=4k
    throughput "$label" cached-read "$dir/encoded" --rw=read --bs=1M
    throughput "$label" cached-random "$dir/encoded" --rw=randread --bs=4k --norandommap --randrepeat=1
}

measure_metadata() {
    local label=$1 dir=$2 row value
    "${as[@]}" "$work/bin/small_files" "$dir/small" 4000 | while read -r row value; do note "$label" "$row" "$value"; done
    speed "$label" untar tar -C "$dir" -xf "$work/tree.tar"
    "${as[@]}" rm -rf "$dir/tree"
    "${as[@]}" git -C "$dir/repository" status --porcelain >/dev/null
    speed "$label" git-status git -C "$dir/repository" status --porcelain
    # A mount made anew has seen nothing; the bare directory is as warm as it will be.
    again_mounted "$label"
    speed "$label" ls-fresh ls -lR "$dir/repository"
    speed "$label" ls-again ls -lR "$dir/repository"
    again_mounted "$label"
    speed "$label" find-fresh find "$dir/repository" -name nothing
}

# --- the targets: bare, holofs, peer -------------------------------------------------------------------------------

declare -A place
targets=()

mount_target() {
    case $1 in
        holofs) "${as[@]}" "$HOLOFS_BIN" mount "$area/store" "${place[holofs]}" ;;
        peer)
            "${as[@]}" "$work/bin/passthrough_hp" "$area/peer" "${place[peer]}" >/dev/null
            until grep -qF " ${place[peer]} " /proc/mounts; do sleep 0.02; done ;;
    esac
}
unmount_target() {
    case $1 in
        holofs) "${as[@]}" "$HOLOFS_BIN" umount "${place[holofs]}" ;;
        peer)
            if [ ${#as[@]} -gt 0 ]; then "${as[@]}" fusermount3 -u "${place[peer]}"; else umount "${place[peer]}"; fi ;;
    esac
}
again_mounted() { unmount_target "$1"; mount_target "$1"; }

# passthrough_hp comes with libfuse's source; Debian's source package is where it can be had.
build_peer() {
    [ ! -x "$work/bin/passthrough_hp" ] || return 0
    local dir=$work/tmp/libfuse
    grep -qx ID=debian /etc/os-release || return 1
    mkdir -p "$dir/lists/partial" "$dir/parts"
    # This machine's own package sources, asked for source packages.
    find /etc/apt/sources.list.d -name '*.sources' -exec cp -t "$dir/parts" {} +
    find "$dir/parts" -name '*.sources' -exec sed -i 's/^Types:.*/Types: deb-src/' {} +
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed -n 's/^deb /deb-src /p' >"$dir/sources.list"
    local apt=(apt-get -qq -o "Dir::Etc::SourceList=$dir/sources.list" -o "Dir::Etc::SourceParts=$dir/parts"
        -o "Dir::State::Lists=$dir/lists" -o APT::Sandbox::User=root)
    # shellcheck disable=SC2046
    (
        cd "$dir" && "${apt[@]}" update && "${apt[@]}" source --download-only fuse3 && tar -xf fuse3_*.orig.tar.xz --strip-components=1 &&
            g++ -O2 -DHAVE_UTIMENSAT -DHAVE_POSIX_FALLOCATE -DHAVE_SETXATTR $(pkg-config --cflags fuse3) example/passthrough_hp.cc \
                -o "$work/bin/passthrough_hp" $(pkg-config --libs fuse3)
    ) >"$dir/log" 2>&1
}

# The same files in every target, put there before anything is measured.
fill() {
    local dir=$1
    "${as[@]}" cp "$work/data" "$dir/data"
    "${as[@]}" cp "$work/data" "$dir/target"
    "${as[@]}" cp "$work/data" "$dir/encoded"
    "${as[@]}" cp -r "$work/repository" "$dir/repository"
    "${as[@]}" git -C "$dir/repository" status --porcelain >/dev/null
}

make_material() {
    [ ! -e "$work/data" ] || return 0
    head -c 256M /dev/urandom >"$work/data"
    python3 - "$work/tmp/tree" <<'PY'
import os, random, sys
rng = random.Random(1)
words = ["%x" % rng.getrandbits(32) for _ in range(2000)]
for i in range(3000):
    directory = os.path.join(sys.argv[1], f"part-{i // 300}", f"room-{i // 30 % 10}")
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, f"file-{i}.txt"), "w") as f:
        f.write("\n".join(rng.choices(words, k=rng.randint(20, 800))))
PY
    tar -C "$work/tmp" -cf "$work/tree.tar" tree
    mv "$work/tmp/tree" "$work/repository"
    git -C "$work/repository" init -q
    git -C "$work/repository" add -A
    git -C "$work/repository" -c user.name=bench -c user.email=bench@localhost commit -q -m all
    chmod -R a+rX "$work/repository" "$work/data" "$work/tree.tar"
}

# rows_of SECTION FACTOR: prints the table of the best values and records it.
rows_of() {
    local row bare holofs peer ratio peer_ratio target_ratio standing
    printf '%-14s %12s %12s %8s %8s %8s\n' row bare holofs ratio must peer
    for row in "${rows[@]}"; do
        read -r bare holofs peer < <(awk -v row="$row" '$1 == row && $3 > best[$2] {best[$2] = $3}
            END {print best["bare"] + 0, best["holofs"] + 0, best["peer"] + 0}' "$raw")
        ratio=$(awk -v a="$holofs" -v b="$bare" 'BEGIN {printf "%.3f", b ? a / b : 0}')
        peer_ratio=$(awk -v a="$peer" -v b="$bare" 'BEGIN {if (a && b) printf "%.3f", a / b; else print "-"}')
        target_ratio=$(awk -v m="${must[$row]}" -v f="$2" 'BEGIN {printf "%.3f", m * f}')
        standing=$(awk -v r="$ratio" -v m="$target_ratio" -v p="$peer_ratio" \
            'BEGIN {print r < m ? "below" : (p != "-" && r < 0.97 * p) ? "below peer" : ""}')
        printf '%-14s %12s %12s %8s %8s %8s %s\n' "$row" "$bare" "$holofs" "$ratio" "$target_ratio" "$peer_ratio" "$standing"
        keep "$1" "$row" "per second" "$bare" "$holofs" "$ratio" "$peer_ratio"
    done
}

compare_mounts() {
    local round label
    area=$disk/$1
    targets=(bare holofs)
    if build_peer; then targets+=(peer); else say "no passthrough_hp here: its column stays empty"; fi
    mkdir -p "$area/bare" "$area/peer" "$work/$1-holofs" "$work/$1-peer"
    place=([bare]=$area/bare [holofs]=$work/$1-holofs [peer]=$work/$1-peer)
    # Nothing is encoded while we measure, but for the file that is measured as an encoded one.
    make_store "$area/store" '[defaults]' 'codec = "plain"' '[[rule]]' 'glob = ["encoded"]' 'codec = "stored"' 'profile = "light"'
    if [ ${#as[@]} -gt 0 ]; then chown -R nobody:nogroup "$area" "${place[holofs]}" "${place[peer]}"; fi
    : >"$raw"
    for label in "${targets[@]}"; do
        mount_target "$label"
        fill "${place[$label]}"
    done
    "${as[@]}" "$HOLOFS_BIN" settle -q "${place[holofs]}"
    for label in "${targets[@]}"; do "${as[@]}" cat "${place[$label]}/encoded" >/dev/null; done
    for ((round = 1; round <= rounds; round++)); do
        for label in "${targets[@]}"; do measure_data "$label" "${place[$label]}"; done
        for label in "${targets[@]}"; do measure_metadata "$label" "${place[$label]}"; done
        for label in "${targets[@]}"; do "${as[@]}" cat "${place[$label]}/encoded" >/dev/null; done
    done
    for label in "${targets[@]}"; do unmount_target "$label"; done
    rm -rf "$area"
}

# --- the sections --------------------------------------------------------------------------------------------------

section_mount() {
    as=()
    make_material
    say "mount: root, ext4 on $medium, best of $rounds, $machine, Linux $(uname -r), $commit"
    compare_mounts mount
    rows_of mount 1
}

section_user() {
    local fuse_mode
    fuse_mode=$(stat -c %a /dev/fuse)
    as=(setpriv --reuid nobody --regid nogroup --clear-groups env HOME="$work/home" GIT_CONFIG_GLOBAL=/dev/null)
    install -d -o nobody -g nogroup "$work/home"
    make_material
    say "user: nobody, ext4 on $medium, best of $rounds, $machine, Linux $(uname -r), $commit"
    # udev opens /dev/fuse to everybody; a machine without udev has it closed. It is as it was afterwards.
    chmod 666 /dev/fuse
    trap 'chmod '"$fuse_mode"' /dev/fuse; leave' EXIT
    compare_mounts user
    chmod "$fuse_mode" /dev/fuse
    trap leave EXIT
    rows_of user 0.7
    as=()
}

# memory_of STORE: resident MB of the daemon that serves it.
memory_of() { awk '/^VmRSS/ {printf "%.1f", $2 / 1000}' "/proc/$(daemons_of "$1" | head -n 1)/status"; }

section_memory() {
    local store=$disk/many mnt=$work/many began first idle full
    say "memory: $machine, Linux $(uname -r), $commit"
    mkdir "$mnt"
    make_store "$store" '[encode]' 'quiet = "30d"'
    holofs mount "$store" "$mnt"
    idle=$(memory_of "$store")
    holofs umount "$mnt"
    python3 - "$store" <<'PY'
import os, sys
for d in range(100):
    os.makedirs(f"{sys.argv[1]}/d{d}")
    for f in range(1000):
        os.close(os.open(f"{sys.argv[1]}/d{d}/f{f}", os.O_CREAT | os.O_WRONLY, 0o644))
PY
    began=${EPOCHREALTIME/./}
    holofs mount "$store" "$mnt"
    first=$(((${EPOCHREALTIME/./} - began) / 1000))
    ls -lR "$mnt" >/dev/null
    full=$(memory_of "$store")
    holofs umount "$mnt"
    say "idle mount                    $idle MB (must: 30)"
    say "after looking at 100,000 files $full MB (must: 150)"
    say "mount of 100,000 files         $first ms (must: 50)"
    keep memory idle MB "" "$idle" "" ""
    keep memory 100000-files MB "" "$full" "" ""
    keep memory mount-100000-files ms "" "$first" "" ""
    rm -rf "$store"
}

# stored_bytes STORE: "size stored" summed over all its files.
stored_bytes() {
    holofs status --json "$1" | python3 -c '
import json, sys
files = json.load(sys.stdin)
print(sum(f["size"] for f in files), sum(f["stored"] for f in files))'
}

section_sizes() {
    local class profile size stored percent
    if [ ! -d "$HOLOFS_CORPUS" ]; then
        say "sizes: no corpus at $HOLOFS_CORPUS; set HOLOFS_CORPUS"
        return
    fi
    say "sizes: bytes on disk after settle, % of the original, $commit"
    for class in "$HOLOFS_CORPUS"/*/; do
        class=$(basename "$class")
        for profile in none standard; do
            make_store "$disk/sizes" '[defaults]' "profile = \"$profile\"" 'min_size = "1B"'
            cp -a "$HOLOFS_CORPUS/$class" "$disk/sizes"
            holofs settle -q "$disk/sizes"
            read -r size stored < <(stored_bytes "$disk/sizes")
            percent=$(awk -v a="$stored" -v b="$size" 'BEGIN {printf "%.2f", b ? 100 * a / b : 0}')
            printf '%-12s %-9s %12s %12s %8s %%\n' "$class" "$profile" "$size" "$stored" "$percent"
            keep sizes "$class-$profile" bytes "$size" "$stored" "$percent" ""
            rm -rf "$disk/sizes"
        done
    done
}

section_pictures() {
    local kind row value peers
    if [ ! -d "$HOLOFS_CORPUS" ]; then
        say "pictures: no corpus at $HOLOFS_CORPUS; set HOLOFS_CORPUS"
        return
    fi
    "$top/scripts/install.sh" pictures
    say "pictures: bytes of the file, MB/s of pixels (PNG) or of the file (JPEG) on one core, $machine, $commit"
    mkdir "$disk/pictures"
    peers=$top/target/peers/release/peers
    cargo build --quiet --release --manifest-path "$top/benches/peers/Cargo.toml" --target-dir "$top/target/peers" || peers=
    python3 "$top/scripts/pictures.py" "$HOLOFS_BIN" "$HOLOFS_CORPUS" "$disk/pictures" "$top/target/pictures.svg" ${peers:+"$peers"} | tee "$work/pictures"
    while read -r _ kind row value; do keep pictures "$kind-$row" "" "" "$value" "" ""; done < <(grep '^=' "$work/pictures")
}

section_sound() {
    local row value
    if [ ! -d "$HOLOFS_CORPUS" ]; then
        say "sound: no corpus at $HOLOFS_CORPUS; set HOLOFS_CORPUS"
        return
    fi
    "$top/scripts/install.sh" sound
    say "sound: $machine, $commit"
    mkdir "$disk/sound"
    python3 "$top/scripts/sound.py" "$HOLOFS_BIN" "$HOLOFS_CORPUS" "$disk/sound" --rounds "$rounds" | tee "$work/sound"
    while read -r _ row value; do keep sound "$row" "" "" "$value" "" ""; done < <(grep '^=' "$work/sound")
}

section_templates() {
    local row value
    if [ ! -d "$HOLOFS_CORPUS" ]; then
        say "templates: no corpus at $HOLOFS_CORPUS; set HOLOFS_CORPUS"
        return
    fi
    "$top/scripts/install.sh" templates
    say "templates: $machine, $commit"
    mkdir "$disk/templates"
    python3 "$top/scripts/templates.py" "$HOLOFS_BIN" "$HOLOFS_CORPUS" "$disk/templates" --rounds "$rounds" | tee "$work/templates"
    while read -r _ row value; do keep templates "$row" "" "" "$value" "" ""; done < <(grep '^=' "$work/templates")
}

for section in "${sections[@]}"; do
    "section_$section"
done
