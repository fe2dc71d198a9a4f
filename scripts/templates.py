#!/usr/bin/env python3
"""Measures how holofs keeps what repeats: the section `templates` of scripts/bench.sh.

Usage: templates.py HOLOFS CORPUS WORK [--rounds N]
Classes: text and logs of the corpus, each as one archive; source (crates of which cargo's registry holds more than one version, as one archive),
the two last versions of each, and binaries (the largest programs of /usr/bin, up to 20 MB, as one archive). Prints, for each: bytes in one
layer (profile none), bytes on disk with the profile standard, beside zstd -19 and --long=27, xz -9e, squashfs (xz, 128 KiB), and zstd -19 on pieces of 16 KiB and
64 KiB, which can be read as far from the beginning as ours. Then the speed of encoding and decoding on one core (whole commands; best of N rounds), the
memory they take, and reads through a fresh mount: the first byte, 4 KiB at random places. Then a tree of 3,000 small files of cargo's registry, plain,
encoded file by file, and as a solid directory: bytes and blocks, `ls -lR`, all of it read, 4 KiB of one. Then two versions of a tree, kept as files with the
defaults: what they take together, by status and in all bytes of the store (dictionaries included), of what each takes in a store of its own; beside
zstd -19 of the one and of the other's difference from it (--patch-from), squashfs and xz of both.
At last what was measured beside what is wanted. Lines beginning with '=' are for the record.
"""
import argparse, io, json, os, random, re, resource, shutil, stat, statistics, subprocess, tarfile, time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("holofs"), parser.add_argument("corpus", type=Path), parser.add_argument("work", type=Path)
parser.add_argument("--rounds", type=int, default=3)
ARGS = parser.parse_args()
HOLOFS, WORK = ARGS.holofs, ARGS.work
CORE = ["taskset", "-c", "0"]
SEED = int(time.time())
TABLE = []


def run(*command, **more):
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, **more).stdout


def measured(*command):
    """Seconds on one core and the most memory in MB."""
    began = time.perf_counter()
    child = subprocess.Popen([*CORE, *(str(c) for c in command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    took = time.perf_counter() - began
    if status != 0:
        raise RuntimeError(f"{command}: {status}")
    return took, usage.ru_maxrss / 1024


def archive(name, files):
    """One uncompressed archive of files, without times and owners."""
    path = WORK / f"{name}.tar"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as out:
        for label, content in files:
            info = tarfile.TarInfo(label[-100:])
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return path


def tree(top, prefix=""):
    return [(prefix + str(f.relative_to(top)), f.read_bytes()) for f in sorted(top.rglob("*")) if f.is_file() and not f.is_symlink()]


def versions():
    """Crates of which there are several versions, oldest first, up to 24 MB."""
    registry = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo")) / "registry/src"
    crates = {}
    for crate in registry.glob("*/*"):
        if match := re.match(r"(.+?)-(\d+\.\d+\.\d+.*)$", crate.name):
            crates.setdefault(match[1], []).append(crate)
    found, total = [], 0
    for name in sorted(crates):
        if len(crates[name]) > 1:
            for crate in sorted(crates[name]):
                files = tree(crate, crate.name + "/")
                total += sum(len(content) for _, content in files)
                found += files
        if total > 24 << 20:
            break
    return found


def binaries():
    programs = [p for p in Path("/usr/bin").iterdir() if p.is_file() and not p.is_symlink()]
    elf = [(p.name, p.read_bytes()) for p in sorted(programs, key=lambda p: -p.stat().st_size) if p.open("rb").read(4) == b"\x7fELF"]
    kept, total = [], 0
    for name, content in elf:
        if total + len(content) <= 20 << 20:
            kept.append((name, content))
            total += len(content)
    return kept


def filled(file, profile):
    place = WORK / "store"
    shutil.rmtree(place, ignore_errors=True)
    run(HOLOFS, "init", place)
    (place / ".holofs/store.toml").write_text(f'version = 1\n[defaults]\nmin_size = "1B"\nprofile = "{profile}"\n[encode]\nlinger = "0s"\n')
    shutil.copy(file, place / file.name)
    return place


def pieces(file, size):
    """Bytes of zstd -19 on pieces of a size, each with nothing but itself."""
    directory = WORK / "pieces"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    content = file.read_bytes()
    for i in range(0, len(content), size):
        (directory / f"{i:09}").write_bytes(content[i:i + size])
    run("sh", "-c", "ls | xargs zstd -q -19 --no-check --rm", cwd=directory)
    total = sum(f.stat().st_size for f in directory.iterdir())
    shutil.rmtree(directory)
    return total


def peers(file):
    squash = WORK / "squash"
    run("mksquashfs", file, squash, "-comp", "xz", "-noappend", "-quiet", "-no-progress")
    found = {
        "zstd": len(run("zstd", "-q", "-19", "-c", file)), "long": len(run("zstd", "-q", "-19", "--long=27", "-c", file)),
        "xz": len(run("xz", "-9e", "-c", file)), "squash": squash.stat().st_size, "16K": pieces(file, 16 << 10), "64K": pieces(file, 64 << 10),
    }
    squash.unlink()
    return found


def wanted(row, value, must=None, after=None, larger=False, digits=1):
    TABLE.append((row, value, must, after, larger, digits))


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


def reads(place, name, size):
    """Microseconds of the first byte, and of reads of 4 KiB at random places: median and the 99th of 100."""
    first, each = [], []
    for _ in range(ARGS.rounds):
        with Mounted(place) as mount:
            began = time.perf_counter()
            fd = os.open(mount / name, os.O_RDONLY)
            os.pread(fd, 1, 0)
            first.append(1e6 * (time.perf_counter() - began))
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
            for offset in random.Random(SEED).sample(range(1, size // 4096), min(300, size // 4096 - 1)):
                began = time.perf_counter()
                os.pread(fd, 4096, offset * 4096)
                each.append(1e6 * (time.perf_counter() - began))
            os.close(fd)
    each.sort()
    return statistics.median(first), statistics.median(each), each[len(each) * 99 // 100]


def small_files():
    """3,000 files of cargo's registry, each up to 64 KiB, with their directories."""
    registry = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo")) / "registry/src"
    top, count = WORK / "small", 0
    for file in (f for f in sorted(registry.rglob("*")) if f.is_file() and not f.is_symlink() and f.stat().st_size <= 64 << 10):
        target = top / file.relative_to(registry)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target)
        count += 1
        if count == 3000:
            break
    return top


def taken(top):
    """Bytes of all files, and of the blocks that they and their directories take."""
    all_ = [p.lstat() for p in [top, *top.rglob("*")] if ".holofs" not in p.parts]
    return sum(s.st_size for s in all_ if stat.S_ISREG(s.st_mode)), 512 * sum(s.st_blocks for s in all_)


def solid():
    """A tree of small files as it is, file by file, and as one: what it takes, and how it is read."""
    source = small_files()
    place = WORK / "store"
    print(f"\n{'tree':14} {'bytes':>10} {'blocks':>10}  made s  ls -lR s  read s  4 KiB p50 p99 us")
    for form in ("plain", "file by file", "solid"):
        shutil.rmtree(place, ignore_errors=True)
        run(HOLOFS, "init", place)
        (place / ".holofs/store.toml").write_text('version = 1\n[defaults]\nmin_size = "1B"\n[encode]\nlinger = "0s"\n')
        shutil.copytree(source, place / "small", symlinks=True)
        os.sync()
        began = time.perf_counter()
        if form == "file by file":
            run(HOLOFS, "settle", "-q", place)
        elif form == "solid":
            run(HOLOFS, "convert", "-q", "--solid", place / "small")
        made = time.perf_counter() - began
        bytes_, blocks = taken(place)
        with Mounted(place) as mount:
            began = time.perf_counter()
            run("ls", "-lR", mount)
            listed = time.perf_counter() - began
        with Mounted(place) as mount:
            began = time.perf_counter()
            run("tar", "cf", WORK / "all.tar", "small", cwd=mount)
            read = time.perf_counter() - began
            assert run("diff", "-r", source, mount / "small") == b""
        with Mounted(place) as mount:
            each = []
            files = [f for f in sorted(source.rglob("*")) if f.is_file() and f.stat().st_size >= 4096]
            for file in random.Random(SEED).sample(files, min(300, len(files))):
                fd = os.open(mount / "small" / file.relative_to(source), os.O_RDONLY)
                offset = random.randrange(file.stat().st_size // 4096) * 4096
                began = time.perf_counter()
                os.pread(fd, 4096, offset)
                each.append(1e6 * (time.perf_counter() - began))
                os.close(fd)
            each.sort()
        middle, worst = statistics.median(each), each[len(each) * 99 // 100]
        print(f"{form:14} {bytes_:10} {blocks:10} {made:7.1f} {listed:9.2f} {read:7.2f} {middle:9.0f} {worst:5.0f}", flush=True)
        for what, value in (("bytes", bytes_), ("bytes of blocks", blocks), ("made in s", made), ("ls -lR s", listed), ("read s", read), ("4 KiB p50 us", middle), ("4 KiB p99 us", worst)):
            wanted(f"small files {form} {what}", value, digits=2)
    shutil.rmtree(place)


CLASSES = {
    # name: files, must and after of its size, must and after of reading on
    "text": (lambda: tree(ARGS.corpus / "text"), 23, 18, 350, 1000), "logs": (lambda: tree(ARGS.corpus / "logs"), 10, 7.5, 700, 1000),
    "source": (versions, 20, 10, 1000, 1000), "binaries": (binaries, 37, 32, None, None),
}
print(f"{'class':10} {'bytes':>9} {'codec':9} {'holofs':>7} {'stand.':>7} {'zstd-19':>7} {'long 27':>7} {'xz -9e':>7} {'squash':>7} {'16K':>7} {'64K':>7}"
      f"  encode MB/s, MB  decode MB/s, MB  first byte, 4 KiB p50 p99 us")
for name, (files, must, after, pace, pace_after) in CLASSES.items():
    file = archive(name, files())
    size = file.stat().st_size
    place = filled(file, "none")
    encoding = min(measured(HOLOFS, "settle", "-q", filled(file, "none")) for _ in range(ARGS.rounds))
    shown = json.loads(run(HOLOFS, "show", "--json", place / file.name))
    bytes_, codec = sum(layer["bytes"] for layer in (shown["object"] or {"layers": [{"bytes": size}]})["layers"]), shown["codec"]
    decoding = min(measured(HOLOFS, "cat", place / file.name) for _ in range(ARGS.rounds))
    first, middle, worst = reads(place, file.name, size)
    shutil.rmtree(place)
    place = filled(file, "standard")
    run(HOLOFS, "settle", "-q", place)
    standard = json.loads(run(HOLOFS, "show", "--json", place / file.name))["stored"]
    shutil.rmtree(place)
    theirs = peers(file)
    percent = lambda n: f"{100 * n / size:6.2f}%"
    print(f"{name:10} {size:9} {codec:9} {percent(bytes_)} {percent(standard)} {' '.join(percent(n) for n in theirs.values())}"
          f"  {size / encoding[0] / 1e6:6.1f} {encoding[1]:6.0f}   {size / decoding[0] / 1e6:7.1f} {decoding[1]:6.0f}   {first:9.0f} {middle:6.0f} {worst:6.0f}", flush=True)
    wanted(f"{name} % of the original", 100 * bytes_ / size, must, after, digits=2)
    wanted(f"{name} over zstd -19 on pieces of 16 KiB", bytes_ / theirs["16K"], digits=3)
    wanted(f"{name} over zstd -19", bytes_ / theirs["zstd"], digits=3)
    wanted(f"{name} encode MB/s", size / encoding[0] / 1e6, 5, 20, larger=True)
    wanted(f"{name} decode MB/s", size / decoding[0] / 1e6, pace, pace_after, larger=True)
    wanted(f"{name} encoder, bytes of memory per byte", encoding[1] * 1024 * 1024 / size, digits=1)
    wanted(f"{name} first byte us", first, 50_000, 10_000, digits=0)
    wanted(f"{name} 4 KiB p50 us", middle, 50, 20, digits=0)
    wanted(f"{name} 4 KiB p99 us", worst, 150, 60, digits=0)
    file.unlink()
solid()



def edited(files):
    """Another version: of every forty lines one is new."""
    chosen = random.Random(1)
    for i, (name, content) in enumerate(files):
        lines = content.splitlines(True)
        for at in range(i % 40, len(lines), 40):
            lines[at] = b"# changed: %f\n" % chosen.random()
        yield name, b"".join(lines)


def library():
    top = Path(os.__file__).parent
    files = [f for package in ("asyncio", "email", "unittest", "json", "http", "importlib") for f in tree(top / package, f"{package}/") if f[0].endswith(".py")]
    return files, list(edited(files))


def crates():
    """The first and the last version of each crate."""
    by_crate = {}
    for name, content in versions():
        crate, _, rest = name.partition("/")
        by_crate.setdefault(re.match(r"(.+?)-\d", crate)[1], {}).setdefault(crate, []).append((rest, content))
    ends = [(crate, each[min(each)], each[max(each)]) for crate, each in by_crate.items()]
    return [[(f"{crate}/{rest}", content) for crate, *both in ends for rest, content in both[i]] for i in (0, 1)]


def kept(*trees):
    """Bytes by status, in all files of the store, and of its dictionaries, with the defaults; seconds of settling."""
    place = WORK / "store"
    shutil.rmtree(place, ignore_errors=True)
    run(HOLOFS, "init", place)
    for i, files in enumerate(trees):
        for name, content in files:
            path = place / str(i) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    began = time.perf_counter()
    run(HOLOFS, "settle", "-q", place)
    took = time.perf_counter() - began
    weigh = lambda top: sum(f.stat().st_size for f in top.rglob("*") if f.is_file())
    found = sum(f["stored"] for f in json.loads(run(HOLOFS, "--json", "status", place))), weigh(place), weigh(place / ".holofs/dict"), took
    shutil.rmtree(place)
    return found


print(f"\n{'two versions':10} {'bytes':>9} {'alone':>8} {'and':>8} {'together':>8} {'%':>5} {'on disk':>8} {'%':>5} {'shared':>8} {'patch':>8} {'squash':>8} {'xz':>8}  settling s")
for name, both in {"library": library(), "crates": crates()}.items():
    alone, together = [kept(files) for files in both], kept(*both)
    tars = [archive(f"{name}-{i}", files) for i, files in enumerate(both)]
    shutil.rmtree(WORK / "both", ignore_errors=True)
    for i, files in enumerate(both):
        for label, content in files:
            (WORK / f"both/{i}" / label).parent.mkdir(parents=True, exist_ok=True)
            (WORK / f"both/{i}" / label).write_bytes(content)
    patch = len(run("zstd", "-q", "-19", "-c", tars[0])) + len(run("zstd", "-q", "-19", "--long=27", "-c", f"--patch-from={tars[0]}", tars[1]))
    run("mksquashfs", WORK / "both", WORK / "squash", "-comp", "xz", "-noappend", "-quiet", "-no-progress")
    whole = len(run("xz", "-9e", "-c", input=b"".join(t.read_bytes() for t in tars)))
    shares = [together[i] / sum(a[i] for a in alone) for i in (0, 1)]
    print(f"{name:12} {sum(len(c) for files in both for _, c in files):9} {alone[0][1]:8} {alone[1][1]:8} {together[0]:8} {100 * shares[0]:4.1f}% {together[1]:8} {100 * shares[1]:4.1f}%"
          f" {together[2]:8} {patch:8} {(WORK / 'squash').stat().st_size:8} {whole:8}  {together[3]:.1f}", flush=True)
    wanted(f"{name} two versions % of each alone", 100 * shares[0], 80)
    wanted(f"{name} two versions % on disk", 100 * shares[1], 80)
    (WORK / "squash").unlink(), shutil.rmtree(WORK / "both"), [t.unlink() for t in tars]

print(f"\n{'row':52} {'value':>9} {'must':>8} {'after':>8}")
for row, value, must, after, larger, digits in TABLE:
    worse = lambda limit: limit is not None and (value < limit if larger else value > limit)
    standing = "below must" if worse(must) else "" if must is None else "not yet after" if worse(after) else "after"
    cell = lambda limit: f"{limit:8.{digits}f}" if limit is not None else " " * 8
    print(f"{row:52} {value:9.{digits}f} {cell(must)} {cell(after)} {standing}")
for row, value, *_ in TABLE:
    print(f"= {row.replace(' ', '-').replace(',', '')} {value:.3f}")
