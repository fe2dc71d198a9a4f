#!/usr/bin/env bash
# Installs what this machine lacks for the named purposes and is quiet when nothing is missing.
# Usage: scripts/install.sh [build] [mount] [test] [conformance] [bench] [pictures] [sound] [templates] [check]     (default: build mount test)
# As root it installs Debian packages; otherwise it says what to install.
set -euo pipefail

RUST=1.95                       # rust-version of Cargo.toml
PJDFSTEST=0.2.2 FSX=0.3.2
packages=() crates=()

has() { command -v "$1" >/dev/null; }
command_from() { has "$1" || packages+=("$2"); }
file_from() { [ -e "$1" ] || packages+=("$2"); }
crate() { [ "$("$1" --version 2>/dev/null | awk '{print $2}')" = "$2" ] || crates+=("$1@$2"); }
rust_is_new_enough() {
    has cargo && [ "$(printf '%s\n' "$RUST" "$(cargo --version | awk '{print $2}')" | sort -V | head -n 1)" = "$RUST" ]
}

for purpose in "${@:-build mount test}"; do
    for word in $purpose; do
        case $word in
            build) command_from cc build-essential ;;
            mount) command_from fusermount3 fuse3 ;;
            test)
                command_from setfattr attr; command_from setfacl acl; command_from strace strace
                command_from rsync rsync; command_from python3 python3
                command_from djpeg libjpeg-turbo-progs; command_from pngtopnm netpbm
                command_from flac flac; command_from ffmpeg ffmpeg; command_from qemu-x86_64 qemu-user ;;
            conformance)
                command_from mkfs.ext4 e2fsprogs; command_from strace strace; command_from python3 python3
                command_from git git; file_from /usr/include/sys/acl.h libacl1-dev
                crate pjdfstest "$PJDFSTEST"; crate fsx "$FSX" ;;
            bench)
                command_from mkfs.ext4 e2fsprogs; command_from fio fio; command_from g++ g++; command_from git git
                command_from setpriv util-linux; command_from xz xz-utils; command_from python3 python3
                command_from pkg-config pkg-config; file_from /usr/include/fuse3/fuse_lowlevel.h libfuse3-dev ;;
            pictures)
                command_from cjxl libjxl-tools; command_from taskset util-linux
                python3 -c 'import numpy, PIL' 2>/dev/null || packages+=(python3-numpy python3-pil) ;;
            sound)
                command_from flac flac; command_from wavpack wavpack; command_from ffmpeg ffmpeg; command_from taskset util-linux
                python3 -c 'import numpy' 2>/dev/null || packages+=(python3-numpy) ;;
            templates)
                command_from mksquashfs squashfs-tools; command_from zstd zstd; command_from xz xz-utils
                command_from taskset util-linux; command_from python3 python3 ;;
            check) has cargo-deny || crates+=(cargo-deny) ;;
            *) echo "install: unknown purpose $word" >&2; exit 2 ;;
        esac
    done
done

if [ ${#packages[@]} -gt 0 ]; then
    mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)
    if [ "$(id -u)" != 0 ] || ! has apt-get; then
        echo "install: these Debian packages are missing: ${packages[*]}" >&2
        echo "hint: as root: apt-get update && apt-get install -y ${packages[*]}" >&2
        exit 1
    fi
    echo "installing ${packages[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

if ! rust_is_new_enough; then
    echo "install: Rust $RUST or newer is missing" >&2
    echo "hint: https://rustup.rs installs it, 'rustup update' renews it" >&2
    exit 1
fi

for crate in "${crates[@]}"; do
    echo "installing $crate with cargo"
    # A development build of these tools is ready in half the time and fast enough for what they do here.
    cargo install --quiet --locked --debug "$crate"
done
