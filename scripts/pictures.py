#!/usr/bin/env python3
"""Measures how holofs keeps pictures, file by file: the section `pictures` of scripts/bench.sh.

Usage: pictures.py HOLOFS CORPUS WORK PLOT.svg [PEERS]
Prints, for each PNG and JPEG of the corpus: bytes in one exact layer and with four previews, without protection, against the file, cjxl (where
installed: pixels only for PNG, the file for JPEG) and lepton or preflate with zstd (PEERS is the program of benches/peers); bytes with
protection (any 14 of 16) over those of one layer; encoding and decoding speed on one core, the start of the process taken off; the time a mount
takes to the first byte; PSNR and SSIM from 1 to 16 chunks, beside the original Holo.Codec: chunks that share out the residual over a coarse
picture of 64 pixels, so that MSE(k) = MSE(0) (1 - k/16); its bytes, and the least that we are above its PSNR. Lines beginning with '=' are for
the record.
"""
import io, json, math, os, shutil, subprocess, sys, time, zlib
from pathlib import Path

import numpy as np
from PIL import Image

HOLOFS, CORPUS, WORK, PLOT = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
PEERS = sys.argv[5] if len(sys.argv) > 5 else None
CORE = ["taskset", "-c", "0"]
Image.MAX_IMAGE_PIXELS = None


def run(*command, **more):
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, **more).stdout


def seconds(*command):
    began = time.perf_counter()
    run(*CORE, *command)
    return time.perf_counter() - began


def store(file, profile):
    """A store with the file in it, encoded; its bytes and the seconds it took on one core."""
    place = WORK / "store"
    shutil.rmtree(place, ignore_errors=True)
    run(HOLOFS, "init", place)
    (place / ".holofs/store.toml").write_text(f'version = 1\n[defaults]\nmin_size = "1B"\nprofile = {profile}\n[encode]\nlinger = "0s"\n')
    shutil.copy(file, place / file.name)
    took = seconds(HOLOFS, "settle", "-q", place) - START
    status = json.loads(run(HOLOFS, "status", "--json", place))[0]
    return place, status, took


def psnr(a, b):
    error = ((a - b) ** 2).mean()
    return 99.0 if error == 0 else 10 * np.log10(255**2 / error)


def ssim(a, b):
    """Mean structural similarity of the luma, 8x8 windows (Wang et al. 2004)."""
    a, b = (p @ np.array([0.299, 0.587, 0.114]) for p in (a, b))
    h, w = (n - n % 8 for n in a.shape)
    if min(h, w) == 0:
        return 1.0
    a, b = (p[:h, :w].reshape(h // 8, 8, w // 8, 8).swapaxes(1, 2).reshape(-1, 64) for p in (a, b))
    ma, mb, va, vb = a.mean(1), b.mean(1), a.var(1), b.var(1)
    cov = (a * b).mean(1) - ma * mb
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return float((((2 * ma * mb + c1) * (2 * cov + c2)) / ((ma**2 + mb**2 + c1) * (va + vb + c2))).mean())


def pixels(file):
    return np.asarray(Image.open(file).convert("RGB")).astype(float)


def holo_codec(picture, chunks=16):
    """What Holo.Codec version 2 makes of a picture: PSNR of its coarse view, and bytes of all chunks."""
    whole, small = picture.convert("RGB"), picture.convert("RGB")
    small.thumbnail((64, 64), Image.BICUBIC)
    coarse = io.BytesIO()
    small.save(coarse, "PNG")
    residual = np.asarray(whole).astype("<i2") - np.asarray(small.resize(picture.size, Image.BICUBIC)).astype("<i2")
    count, stride = residual.size, max(1, int(((1 + 5**0.5) / 2 - 1) * residual.size))
    while math.gcd(stride, count) != 1:
        stride += 1
    shared = residual.ravel()[np.arange(count, dtype=np.uint64) * np.uint64(stride) % np.uint64(count)]
    stored = sum(30 + coarse.tell() + len(zlib.compress(shared[i::chunks].tobytes())) for i in range(chunks))
    error = (residual.astype(float) ** 2).mean()
    return 10 * np.log10(255**2 / error) if error else 99.0, stored


def peer(file):
    """Bytes and speeds of lepton (JPEG) or preflate and zstd (PNG) on one core; None where they refuse."""
    line = run(*CORE, PEERS, file).decode().split() if PEERS else ["-"]
    return None if line[0] == "-" else (int(line[0]), float(line[1]), float(line[2]))


def jxl_bytes(file):
    if not shutil.which("cjxl"):
        return None
    out = WORK / "x.jxl"
    try:
        run("cjxl", "--quiet", "--num_threads=0", *(["-d", "0", "-e", "7"] if file.suffix == ".png" else ["-j", "1"]), file, out)
    except subprocess.CalledProcessError:
        return None
    return out.stat().st_size


def curve(file, original):
    points = []
    for k in range(1, 17):
        out = WORK / f"degraded{file.suffix}"
        run(HOLOFS, "degrade", file, "--keep", k, "-o", out, "--overwrite")
        seen = pixels(out)
        points.append((psnr(original, seen), ssim(original, seen)))
    return points


def plot(curves):
    """PSNR over chunks: ours solid, the law dashed; mean over the pictures of each kind."""
    colours, lines = {".png": "#1f77b4", ".jpg": "#d62728"}, []
    at = lambda k, db: f"{40 + 34 * k},{360 - 7 * (min(db, 50) - 10)}"
    for kind, colour in colours.items():
        mine = [c for c in curves if c[0] == kind]
        if not mine:
            continue
        ours = np.mean([[min(p, 50) for p, _ in c[1]] for c in mine], axis=0)
        base = np.mean([c[2] for c in mine])
        law = [base - 10 * np.log10(max(1 - k / 16, 1e-4)) for k in range(1, 17)]
        for dbs, dash in ((ours, ""), (law, ' stroke-dasharray="6 4"')):
            points = " ".join(at(k, db) for k, db in enumerate(dbs, 1))
            lines.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2"{dash} points="{points}"/>')
    for db in range(10, 51, 10):
        lines.append(f'<text x="8" y="{364 - 7 * (db - 10)}">{db}</text>')
    lines += [f'<text x="{36 + 34 * k}" y="384">{k}</text>' for k in range(1, 17)]
    text = '<text x="60" y="20">PSNR in dB over chunks of 16: blue PNG, red JPEG, dashed the law of shared residuals</text>'
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    PLOT.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="620" height="400" font-size="11">{text}{"".join(lines)}</svg>\n')


START = min(seconds(HOLOFS, "--version") for _ in range(5))
print(f"{'file':32} {'bytes':>9} {'one':>7} {'layers':>7} {'jxl':>7} {'peer':>7} {'prot.':>7} {'enc':>6} {'dec':>6} {'x peer':>11} {'open':>6} {'holo':>6} {'dB':>5}"
      "  PSNR/SSIM at 1 4 8 12 chunks")
sums, curves = {}, []
for file in sorted(f for kind in ("png", "jpeg") for f in (CORPUS / kind).iterdir()):
    size = file.stat().st_size
    _, one, _ = store(file, '"none"')
    place, kept, encoding = store(file, '"standard"')
    shown = json.loads(run(HOLOFS, "show", "--json", place / file.name))
    layered = sum(layer["bytes"] for layer in shown["object"]["layers"])
    mount = WORK / "mount"
    mount.mkdir(exist_ok=True)
    run(HOLOFS, "mount", place, mount)
    began = time.perf_counter()
    with open(mount / file.name, "rb") as f:
        f.read(1)
    first = time.perf_counter() - began
    run(HOLOFS, "umount", mount)
    decoding = seconds(HOLOFS, "cat", place / file.name) - START
    picture = Image.open(file)
    work = size if file.suffix == ".jpg" else picture.width * picture.height * 3
    jxl = jxl_bytes(file)
    other = peer(file)
    points, (base, theirs) = [], holo_codec(picture)
    above = float("nan")
    if kept["codec"] in ("image", "jpeg"):
        points = curve(file, pixels(file))
        above = min(p - base + 10 * np.log10(1 - k / 16) for k, (p, _) in enumerate(points[:15], 1))
        curves.append((file.suffix, points, base))
    cells = [f"{100 * s / size:6.2f}%" if s else "      -" for s in (one["stored"], layered, jxl, other and other[0])]
    speeds = f"{other[1] / encoding:5.2f} {other[2] / decoding:5.2f}" if other else "-"
    shown = " ".join(f"{points[k - 1][0]:.1f}/{points[k - 1][1]:.2f}" for k in (1, 4, 8, 12)) if points else kept["codec"]
    print(f"{file.name[:32]:32} {size:9} {' '.join(cells)} {kept['stored'] / one['stored']:6.3f}x {work / encoding / 1e6:6.1f} {work / decoding / 1e6:6.1f}"
          f" {speeds:>11} {1000 * first:4.0f}ms {kept['stored'] / theirs:5.3f}x {above:5.1f}  {shown}", flush=True)
    total = sums.setdefault(file.suffix, [0] * 11)
    fits = (one["stored"], layered, *other[:1]) if other else (0, 0, 0)
    for i, n in enumerate((size, one["stored"], layered, kept["stored"], work, encoding, decoding, theirs, *fits)):
        total[i] += n
for kind, (size, one, layered, kept, work, encoding, decoding, theirs, *fits) in sums.items():
    rows = {"one layer %": 100 * one / size, "layers %": 100 * layered / size, "standard / one layer": kept / one,
            "encode MB/s": work / encoding / 1e6, "decode MB/s": work / decoding / 1e6, "standard / Holo.Codec": kept / theirs}
    if fits[2]:
        rows |= {"one layer / peer": fits[0] / fits[2], "layers / peer": fits[1] / fits[2]}
    for row, value in rows.items():
        print(f"= {kind[1:]} {row.replace(' ', '-')} {value:.3f}")
plot(curves)
