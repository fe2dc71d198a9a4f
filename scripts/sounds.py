"""Sounds made up for measurements, and samples of files: used by scripts/sound.py.

Everything follows from a seed. What is called music here are the recordings of the corpus."""
import struct, subprocess
from pathlib import Path

import numpy as np

RATE, SECONDS = 48_000, 10


def write_wav(frames, bits=16, number_format=1):
    """A WAV file of frames of channels: integers of `bits` (format 1) or floats (3)."""
    frames = frames if frames.ndim == 2 else frames[:, None]
    channels = frames.shape[1]
    if number_format == 3:
        body = frames.astype("<f4").tobytes()
    elif bits == 8:
        body = (frames + 128).astype(np.uint8).tobytes()
    elif bits == 24:
        body = frames.astype("<i4").ravel().view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    else:
        body = frames.astype(f"<i{bits // 8}").tobytes()
    width = channels * bits // 8
    head = struct.pack("<HHIIHH", number_format, channels, RATE, RATE * width, width, bits)
    if number_format == 1 and (channels > 2 or bits > 16):
        # What older headers may not say.
        rest = struct.pack("<HHI", 22, bits, (1 << channels) - 1) + struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")
        head = struct.pack("<H", 0xFFFE) + head[2:] + rest
    chunks = b"fmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def samples(file):
    """16-bit samples of a WAV or FLAC file, frame by frame, as i64."""
    content = Path(file).read_bytes()
    if content[:4] == b"fLaC":
        content = subprocess.run(["flac", "-s", "-d", "-F", "-c", str(file)], capture_output=True).stdout
    at, channels = 12, 1
    while at + 8 <= len(content):
        name, length = struct.unpack_from("<4sI", content, at)
        if name == b"fmt ":
            channels = struct.unpack_from("<H", content, at + 10)[0]
        if name == b"data":
            body = np.frombuffer(content, "<i2", min(length, len(content) - at - 8) // 2, at + 8)
            return body.astype(np.int64).reshape(-1, channels)
        at += 8 + length + length % 2
    raise ValueError(f"{file}: no samples")


def music(corpus):
    """The recordings of the corpus one after the other, between -1 and 1."""
    names = ("gc", "voice", "voice-note")
    return np.concatenate([samples(corpus / "wav" / f"{name}.wav")[:, 0] for name in names]) / 32768


def made_up(corpus, seed):
    """Names and WAV files of sounds that are hard for one way of coding or another."""
    rng = np.random.default_rng(seed)
    count = RATE * SECONDS
    at = np.arange(count)
    pitch = 441.3
    cycle = at * pitch / RATE
    whole = lambda wave, level=0.6: np.round(wave * level * 32767).astype(np.int64)
    partials = np.arange(1, int(RATE / 2 / pitch) + 1)
    limited = sum(np.sin(2 * np.pi * n * cycle) / n for n in partials)
    odd = sum(np.sin(2 * np.pi * n * cycle) / n for n in partials[::2])
    clicks = rng.integers(-1, 2, count)
    clicks[:: RATE // 4] += 12_000
    clicks[100 :: RATE // 7] -= 9_000
    tune = music(corpus)[:count]
    sixth = np.stack([np.roll(tune, 311 * c) * (0.9 - 0.11 * c) for c in range(6)], 1)
    yield "square", write_wav(whole(np.sign(np.sin(2 * np.pi * cycle) + 1e-9)))
    yield "square, band-limited", write_wav(whole(odd))
    yield "sawtooth", write_wav(whole(2 * (cycle % 1) - 1))
    yield "sawtooth, band-limited", write_wav(whole(limited, 0.3))
    yield "clicks in near-silence", write_wav(clicks)
    yield "noise of 1 step", write_wav(rng.integers(0, 2, count))
    yield "noise of 2 steps", write_wav(rng.integers(-1, 2, count))
    yield "noise of full scale", write_wav(rng.integers(-32768, 32768, count))
    yield "sine sweep", write_wav(whole(np.sin(2 * np.pi * 20 * SECONDS / np.log(1000) * (1000 ** (at / count) - 1))))
    yield "silence", write_wav(np.zeros(count, np.int64))
    yield "music of 24 bits", write_wav(np.round(tune * 0.77 * (1 << 23) + rng.normal(0, 20, count)).astype(np.int64), 24)
    yield "music of 32-bit floats", write_wav((tune * 0.77).astype(np.float32), 32, 3)
    yield "music of 8 bits", write_wav(np.round(tune * 127).astype(np.int64), 8)
    yield "music of 6 channels", write_wav(whole(sixth, 1.0))


def long_sound(corpus, file, minutes, seed):
    """Many minutes of stereo: the recordings again and again, at other speeds, levels, places and with other noise."""
    rng = np.random.default_rng(seed)
    tune, left = music(corpus), int(minutes * 60 * RATE)
    pieces = []
    while left > 0:
        speed = rng.uniform(0.8, 1.25)
        at = np.arange(0, len(tune) - 1, speed)
        piece = np.interp(at, np.arange(len(tune)), np.roll(tune, rng.integers(len(tune))))
        gains, delay = rng.uniform(0.3, 0.9, 2), int(rng.integers(1, 400))
        piece = np.stack([piece * gains[0], np.roll(piece, delay) * gains[1]], 1) * 32767
        pieces.append(np.round(piece + rng.normal(0, 0.7, piece.shape)).clip(-32768, 32767).astype("<i2")[:left])
        left -= len(pieces[-1])
    file.write_bytes(write_wav(np.concatenate(pieces)))
