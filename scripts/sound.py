#!/usr/bin/env python3
"""Measures how holofs keeps sound, file by file: the section `sound` of scripts/bench.sh.

Usage: sound.py HOLOFS CORPUS WORK [--rounds N] [--minutes N]
Prints, for each WAV of the corpus and the FLAC that `flac -8` makes of it: bytes in one exact layer and with four previews, without protection,
against `flac -8 --no-padding` and `wavpack -hhx4`, and with the protection of the profile `standard`; SNR of any 1, 4, 8 and 12 of 16 chunks
beside the original Holo.Codec (chunks that share out the residual over 2048 samples with lines between them, so that the noise of k chunks is that
of none times 1 - k/16). Then sounds made up to be hard, one layer and layered against flac. Then speeds: MB/s of PCM, whole commands on one core,
the programs in turns, the best of N rounds (3). Then a sound of many minutes (20) through a mount, made anew for each look: the first byte, 0.1 s from
its middle by ffmpeg, all of it. At last what was measured beside what is wanted. Lines beginning with '=' are for the record.
"""
import argparse, json, math, shutil, statistics, subprocess, time, zlib
from pathlib import Path

import numpy as np

from sounds import long_sound, made_up, samples

parser = argparse.ArgumentParser()
parser.add_argument("holofs"), parser.add_argument("corpus", type=Path), parser.add_argument("work", type=Path)
parser.add_argument("--rounds", type=int, default=3), parser.add_argument("--minutes", type=float, default=20)
ARGS = parser.parse_args()
HOLOFS, WORK = ARGS.holofs, ARGS.work
CORE = ["taskset", "-c", "0"]
SEED = int(time.time())
TABLE = []


def run(*command, **more):
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, **more).stdout


def seconds(*command):
    began = time.perf_counter()
    subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def filled(file, profile, more=""):
    """A new store with the file in it, not yet encoded."""
    place = WORK / "store"
    shutil.rmtree(place, ignore_errors=True)
    run(HOLOFS, "init", place)
    (place / ".holofs/store.toml").write_text(
        f'version = 1\n[defaults]\nmin_size = "1B"\nprofile = "{profile}"\n{more}\n[encode]\nlinger = "0s"\n')
    shutil.copy(file, place / file.name)
    return place


def stored(file, profile, more=""):
    """A store with the file in it, encoded, and what it says of the file."""
    place = filled(file, profile, more)
    run(HOLOFS, "settle", "-q", place)
    return place, json.loads(run(HOLOFS, "show", "--json", place / file.name))


def both(file):
    """Bytes of one layer, of layers, and of layers with protection; the codec."""
    _, one = stored(file, "none")
    _, kept = stored(file, "standard")
    layers = sum(layer["bytes"] for layer in kept["object"]["layers"])
    return one["stored"], layers, kept["stored"], kept["codec"]


def peers(file):
    """Bytes of flac and wavpack; None where they refuse."""
    out = WORK / "peer.out"
    sizes = []
    for command in (["flac", "-s", "-f", "-8", "--no-padding", file, "-o", out], ["wavpack", "-q", "-y", "-hhx4", file, "-o", out]):
        try:
            run(*command)
            sizes.append(out.stat().st_size)
        except subprocess.CalledProcessError:
            sizes.append(None)
    return sizes


def holo_codec(sound, chunks=16):
    """What Holo.Codec version 2 makes of 16-bit samples, frame by frame: SNR of its coarse form, and bytes of all chunks."""
    frames = len(sound)
    length = max(2, min(2048, frames))
    coarse = sound[np.linspace(0, frames - 1, length, dtype=np.int64)]
    at = np.linspace(0, length - 1, frames)
    low = np.floor(at).astype(np.int64)
    high = np.minimum(low + 1, length - 1)
    part = (at - low)[:, None]
    line = np.round((1 - part) * coarse[low] + part * coarse[high]).astype(np.int64)
    residual = (sound - line).ravel()
    count = residual.size
    step = max(1, int(((1 + 5**0.5) / 2 - 1) * count)) if count > 1 else 1
    while math.gcd(step, count) != 1:
        step += 1
    shared = residual.astype("<i2")[np.arange(count, dtype=np.uint64) * np.uint64(step) % np.uint64(count)]
    first = len(zlib.compress(coarse.astype("<i2").tobytes(), 9))
    size = sum(36 + first + len(zlib.compress(shared[i::chunks].tobytes(), 9)) for i in range(chunks))
    return snr(sound, line), size


def snr(sound, seen):
    noise = ((sound - seen).astype(float) ** 2).sum()
    return 99.0 if noise == 0 else 10 * math.log10(max((sound.astype(float) ** 2).sum(), 1) / noise)


def complaints(file):
    """Whether ffmpeg, or flac of what is its own, has anything to say against a file."""
    said = [subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", file, "-f", "null", "-"], capture_output=True)]
    if file.suffix == ".flac":
        said.append(subprocess.run(["flac", "-s", "-t", file], capture_output=True))
    return any(done.returncode or b"rror" in done.stderr for done in said)


def heard(sound, seen):
    """SNR of what a player got out of a file; what it did not get is silence."""
    whole = np.zeros_like(sound)
    whole[: len(seen)] = seen[: len(sound)]
    return snr(sound, whole)


def curves(file, sound, rng, orders=3):
    """SNR of 1 to 16 chunks, added in random orders; how often it fell, how far sets of one size differ, what players complain of."""
    place, _ = stored(file, "standard", 'layout = "spread"')
    aside = WORK / "aside"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    home = place / f"{file.name}.holo"
    chunks = sorted(path.name for path in home.iterdir() if path.name != "manifest")
    found, wrong = [], 0
    for _ in range(orders):
        for name in chunks:
            (home / name).rename(aside / name)
        dbs = []
        for name in rng.permutation(chunks):
            (aside / name).rename(home / name)
            cat = subprocess.run([HOLOFS, "cat", "--allow-degraded", place / file.name], capture_output=True)
            seen = WORK / f"seen{file.suffix}"
            seen.write_bytes(cat.stdout)
            dbs.append(heard(sound, samples(seen)))
            wrong += complaints(seen)
        found.append(dbs)
    falls = sum(b < a - 1e-9 for dbs in found for a, b in zip(dbs, dbs[1:]))
    apart = max(max(dbs) - min(dbs) for dbs in zip(*found))
    return found[0], falls, apart, wrong


def in_turns(*measures):
    """The least of each measure, taken in turns."""
    rounds = [[measure() for measure in measures] for _ in range(ARGS.rounds)]
    return [min(times) for times in zip(*rounds)]


def wanted(row, value, must=None, after=None, larger=False, digits=3):
    """A row for the table at the end, and for the record."""
    TABLE.append((row, value, must, after, larger, digits))


def share(number, of):
    return f"{100 * number / of:6.2f}%" if number else "      -"


def ratio(number, of):
    return f"{number / of:6.3f}" if number and of else "     -"


def corpus_files():
    """The WAV files, and the FLAC files that flac makes of them."""
    files = sorted((ARGS.corpus / "wav").glob("*.wav"))
    for file in files:
        run("flac", "-s", "-f", "-8", "-o", WORK / f"{file.stem}.flac", file)
    return files + [WORK / f"{file.stem}.flac" for file in files]


def sizes(files):
    rng = np.random.default_rng(SEED)
    print(f"bytes, % of the file; then over flac -8; SNR in dB of random sets of chunks, seed {SEED}, and above Holo.Codec's")
    print(f"{'file':18} {'bytes':>9} {'one':>7} {'layers':>7} {'stand.':>7} {'flac':>7} {'wavpack':>7} {'one/f':>6} {'lay/f':>6} {'st/one':>6} {'st/Holo':>7}"
          f"  {'dB at 1 4 8 12':23} {'above Holo at 4 8 12':>20} falls apart refused")
    sums, worst, gains, falling, refused, apart_most = {}, 0.0, [], 0, 0, 0.0
    for file in files:
        kind, size = file.suffix[1:], file.stat().st_size
        wav = ARGS.corpus / "wav" / f"{file.stem}.wav"
        one, layers, protected, _ = both(file)
        flac, wavpack = peers(wav)
        sound = samples(wav)
        base, theirs = holo_codec(sound)
        dbs, falls, apart, wrong = curves(file, sound, rng)
        above = [dbs[k - 1] - base + 10 * math.log10(1 - k / 16) for k in (4, 8, 12)]
        shown = " ".join(f"{dbs[k - 1]:5.1f}" for k in (1, 4, 8, 12))
        print(f"{file.name[:18]:18} {size:9} {share(one, size)} {share(layers, size)} {share(protected, size)} {share(flac, size)} {share(wavpack, size)}"
              f" {ratio(one, flac)} {ratio(layers, flac)} {ratio(protected, one)} {ratio(protected, theirs):>7}  {shown} "
              f"{' '.join(f'{db:+6.1f}' for db in above):>20} {falls:5} {apart:5.2f} {wrong:8}", flush=True)
        for name in (kind, f"{kind} without synth") if file.stem != "synth" else (kind,):
            total = sums.setdefault(name, np.zeros(7))
            total += (size, one, layers, protected, flac, wavpack, theirs)
        falling, refused, apart_most = falling + falls, refused + wrong, max(apart_most, apart)
        if kind == "wav":
            worst = max(worst, layers / flac)
            gains.append(above)
    for name, (size, one, layers, protected, flac, wavpack, theirs) in sums.items():
        print(f"{name:18} {size:9.0f} {share(one, size)} {share(layers, size)} {share(protected, size)} {share(flac, size)} {share(wavpack, size)}"
              f" {ratio(one, flac)} {ratio(layers, flac)} {ratio(protected, one)} {ratio(protected, theirs):>7}")
        wanted(f"{name} layers / flac -8", layers / flac, 0.96, 0.90)
        wanted(f"{name} one layer / flac -8", one / flac, 0.95, 0.91)
        wanted(f"{name} one layer / wavpack -hhx4", one / wavpack)
        wanted(f"{name} standard / one layer", protected / one, 1.25, 1.20)
        wanted(f"{name} standard / Holo.Codec", protected / theirs, 1 / 1.1, 0.5)
    wanted("wav worst file, layers / flac -8", worst, 1.01)
    for k, above, must, after in zip((4, 8, 12), zip(*gains), (7, 9, 15), (10, 15, 22)):
        wanted(f"dB above Holo.Codec at {k}, least", min(above), must, after, larger=True, digits=1)
        wanted(f"dB above Holo.Codec at {k}, mean", statistics.mean(above), must, after, larger=True, digits=1)
    wanted("times SNR fell with a chunk more", falling, 0, digits=0)
    wanted("degraded files that players complain of", refused, 0, digits=0)
    wanted("dB between sets of one size", apart_most, 0, digits=2)


def hard():
    print(f"\nmade-up sounds, 10 s (seed {SEED}): bytes, % of the file, and over flac -8, where flac takes none of it over wavpack (w)")
    print(f"{'sound':26} {'bytes':>9} {'flac':>7} {'wavpack':>7} {'one':>7} {'layers':>7} {'one/f':>6} {'lay/f':>6}  codec")
    worst = (0, "", 0, "")
    for name, content in made_up(ARGS.corpus, SEED):
        file = WORK / f"{name}.wav"
        file.write_bytes(content)
        one, layers, _, codec = both(file)
        flac, wavpack = peers(file)
        peer, size = flac or wavpack, file.stat().st_size
        flag = "".join(f" {word} ABOVE 1.01" for word, ours in (("one", one), ("layers", layers)) if ours > 1.01 * peer)
        print(f"{name:26} {size:9} {share(flac, size)} {share(wavpack, size)} {share(one, size)} {share(layers, size)} {ratio(one, peer)} {ratio(layers, peer)}"
              f" {'' if flac else 'w'} {codec}{flag}", flush=True)
        wanted(f"{name} one layer / flac -8", one / peer, 1.01)
        wanted(f"{name} layers / flac -8", layers / peer, 1.01)
        file.unlink()


def speeds(files):
    print(f"\nMB/s of PCM on one core, whole commands, in turns, best of {ARGS.rounds}: encode / decode")
    print(f"{'file':18} {'layers':>13} {'one layer':>13} {'flac -8':>13} {'wavpack -hhx4':>13}")
    total = np.zeros(9)

    def settled(file, profile):
        return seconds(*CORE, HOLOFS, "settle", "-q", filled(file, profile))

    for file in files:
        pcm = samples(file).nbytes / 4  # of 16-bit samples in i64
        flac, wavpack = WORK / "peer.flac", WORK / "peer.wv"
        into_flac = lambda: seconds(*CORE, "flac", "-s", "-f", "-8", "--no-padding", "-o", flac, file)
        into_wavpack = lambda: seconds(*CORE, "wavpack", "-q", "-y", "-hhx4", file, "-o", wavpack)
        encoding = in_turns(lambda: settled(file, "standard"), into_flac, lambda: settled(file, "none"), into_wavpack)
        layers = stored(file, "standard")[0].rename(WORK / "layers")
        one = stored(file, "none")[0]
        decoding = in_turns(
            lambda: seconds(*CORE, HOLOFS, "cat", layers / file.name), lambda: seconds(*CORE, "flac", "-s", "-d", "-c", flac),
            lambda: seconds(*CORE, HOLOFS, "cat", one / file.name), lambda: seconds(*CORE, "wvunpack", "-q", wavpack, "-o", "-"))
        shutil.rmtree(layers)
        total += (pcm, *encoding, *decoding)
        speeds_row(file.name, pcm, encoding, decoding)
    pcm, encoding, decoding = total[0], total[1:5], total[5:]
    speeds_row("all", pcm, encoding, decoding)
    wanted("encode MB/s", pcm / encoding[0] / 1e6, 10, 25, larger=True, digits=1)
    wanted("decode MB/s", pcm / decoding[0] / 1e6, 30, 50, larger=True, digits=1)
    for name, i in (("one layer", 2), ("flac -8", 1), ("wavpack -hhx4", 3)):
        wanted(f"encode MB/s, {name}", pcm / encoding[i] / 1e6, digits=1, larger=True)
        wanted(f"decode MB/s, {name}", pcm / decoding[i] / 1e6, digits=1, larger=True)


def speeds_row(name, pcm, encoding, decoding):
    cells = (f"{pcm / encoding[i] / 1e6:6.1f}/{pcm / decoding[i] / 1e6:6.1f}" for i in (0, 2, 1, 3))
    print(f"{name:18} {' '.join(cells)}", flush=True)


class Mounted:
    """A mount of a store that has seen nothing."""

    def __init__(self, place):
        self.place, self.at = place, WORK / "mount"

    def __enter__(self):
        self.at.mkdir(exist_ok=True)
        run(HOLOFS, "mount", self.place, self.at)
        return self.at

    def __exit__(self, *_):
        run(HOLOFS, "umount", self.at)


def through_a_mount():
    file = WORK / "long.wav"
    long_sound(ARGS.corpus, file, ARGS.minutes, SEED)
    place, shown = stored(file, "standard")
    length, middle = ARGS.minutes * 60, ARGS.minutes * 30
    (place / file.name).unlink(missing_ok=True)
    size = file.stat().st_size
    print(f"\nthrough a mount: {ARGS.minutes:g} minutes of stereo, {size} bytes kept in {shown['stored']} ({shown['codec']}), ms: best and median of {2 * ARGS.rounds}")

    def first_byte(path):
        began = time.perf_counter()
        with open(path, "rb") as f:
            f.read(1)
        return time.perf_counter() - began

    def middle_bytes(path):
        began = time.perf_counter()
        with open(path, "rb", buffering=0) as f:
            f.seek(size // 2)
            f.read(4096)
        return time.perf_counter() - began

    def ffmpeg(*seeking):
        return lambda path: seconds("ffmpeg", "-nostdin", "-v", "error", *seeking, "-i", path, "-f", "null", "-")

    rows = (("first byte", first_byte, 50, 10), ("4 KiB in the middle", middle_bytes, None, None),
            ("ffmpeg -ss MIDDLE -t 0.1", ffmpeg("-ss", middle, "-t", 0.1), None, None))
    print(f"{'':26} {'mount':>15} {'plain file':>15}")
    for name, measure, must, after in rows:
        ours, plain = [], []
        for _ in range(2 * ARGS.rounds):
            with Mounted(place) as mount:
                ours.append(1000 * measure(mount / file.name))
            plain.append(1000 * measure(file))
        print(f"{name:26} {min(ours):7.1f} {statistics.median(ours):7.1f} {min(plain):7.1f} {statistics.median(plain):7.1f}", flush=True)
        wanted(f"{name}, ms, median", statistics.median(ours), must, after, digits=1)
        wanted(f"{name}, ms over a plain file, median", statistics.median(ours) - statistics.median(plain), digits=1)
    ours, plain = [], []
    for _ in range(ARGS.rounds):
        with Mounted(place) as mount:
            ours.append(length / ffmpeg()(mount / file.name))
        plain.append(length / ffmpeg()(file))
    print(f"{'all of it, x real time':26} {max(ours):7.0f} {statistics.median(ours):7.0f} {max(plain):7.0f} {statistics.median(plain):7.0f}")
    wanted("played through a mount, x real time", max(ours), larger=True, digits=0)
    wanted("played from a plain file, x real time", max(plain), larger=True, digits=0)


FILES = corpus_files()
sizes(FILES)
hard()
speeds([file for file in FILES if file.suffix == ".wav"])
through_a_mount()
print(f"\n{'row':52} {'value':>9} {'must':>8} {'after':>8}")
for row, value, must, after, larger, digits in TABLE:
    worse = lambda limit: limit is not None and (value < limit if larger else value > limit + 1e-9)
    standing = "below must" if worse(must) else "" if must is None or after is None else "not yet after" if worse(after) else "after"
    limits = " ".join(f"{limit:8.{digits}f}" if limit is not None else " " * 8 for limit in (must, after))
    print(f"{row:52} {value:9.{digits}f} {limits} {standing}")
for row, value, *_, digits in TABLE:
    print(f"= {row.replace(', ', '-').replace(' ', '-')} {value:.{max(digits, 3)}f}")
