"""Writes the runs that later versions must go on from, with the program as it was at commit d3acc59.

    python3 make.py PROGRAM MNIST

PROGRAM is the program of that commit and MNIST the folder of MNIST's files. Each run is trained to a step,
kept, and trained on in a copy; `expected.json` says what that came to: the losses that were reported, and a
SHA-256 of all weights and moments. What a processor's vectors make of sums differs, so the file names those
of the processor it was written on (AVX-512), and the checkpoint after the last step is kept to compare with
elsewhere.
"""

import gzip
import hashlib
import json
import pathlib
import shutil
import struct
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
SMALL = ["--latent", "3", "--batch-size", "10", "--seed", "3", "--device", "cpu"]
# Hidden layers, other flags, the data, and the step at which the run is kept, of ten an epoch.
RUNS = {
    "bytes": ("12", [], "images", 10),
    "floats": ("12", ["--likelihood", "normal", "--scale", "shared"], "floats.npz", 10),
    "layer-norm": ("12", ["--layer-norm", "--activation", "gelu"], "images", 10),
    "classes": ("12", ["--classes", "10"], "images", 10),
    "importance": ("12", ["--importance", "4", "--average", "0.9"], "images", 10),
    "accumulate": ("12", ["--accumulate", "5"], "images", 10),
    "within": ("9,7", [], "images", 7),
}
LAST = "20"
# What a run is taken up from; pictures and reports are made anew.
KEPT = ["config.toml", "metrics.jsonl", "checkpoint.safetensors", "best.safetensors"]


def read(path):
    with gzip.open(path) as file:
        return file.read()


def data(mnist):
    """A hundred images of 8×8, each a part of one of MNIST's, their labels, and the first as floats."""
    folder = HERE / "images"
    folder.mkdir(exist_ok=True)
    for kind, count in [("train", 100), ("t10k", 20)]:
        pixels = read(mnist / f"{kind}-images-idx3-ubyte.gz")[16:]
        labels = read(mnist / f"{kind}-labels-idx1-ubyte.gz")[8:]
        images = b"".join(
            pixels[784 * i + 28 * row + 10 : 784 * i + 28 * row + 18] for i in range(count) for row in range(10, 18)
        )
        head = struct.pack(">IIII", 0x803, count, 8, 8)
        (folder / f"{kind}-images-idx3-ubyte").write_bytes(head + images)
        head = struct.pack(">II", 0x801, count)
        (folder / f"{kind}-labels-idx1-ubyte").write_bytes(head + labels[:count])
    import numpy

    arrays = {}
    for kind, key in [("train", "x_train"), ("t10k", "x_test")]:
        words = (folder / f"{kind}-images-idx3-ubyte").read_bytes()[16:]
        bytes_ = numpy.frombuffer(words, numpy.uint8).reshape(-1, 8, 8)
        arrays[key] = (bytes_ / numpy.float32(255)).astype(numpy.float32)
    numpy.savez_compressed(HERE / "floats.npz", **arrays)


def train(program, *arguments):
    subprocess.run([program, "train", "--quiet", *arguments], cwd=HERE, check=True)


def digest(checkpoint):
    """A SHA-256 of every tensor's bytes, by the order of their names."""
    whole = checkpoint.read_bytes()
    length = struct.unpack("<Q", whole[:8])[0]
    head = json.loads(whole[8 : 8 + length])
    start = 8 + length
    found = hashlib.sha256()
    for name in sorted(name for name in head if name != "__metadata__"):
        first, last = head[name]["data_offsets"]
        found.update(whole[start + first : start + last])
    return found.hexdigest()


def epochs(run):
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def main(program, mnist):
    data(pathlib.Path(mnist))
    expected = {}
    for name, (hidden, flags, images, stop) in RUNS.items():
        run, copy = HERE / name, HERE / "copy"
        for folder in [run, copy]:
            shutil.rmtree(folder, ignore_errors=True)
        flags = [*SMALL, "--hidden", hidden, *flags, "--data", images, "--epochs", "2"]
        train(program, *flags, "--max-steps", str(stop), "--out", name)
        for path in run.iterdir():
            if path.name not in KEPT:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(run, copy)
        train(program, "--resume", "copy", "--device", "cpu", "--max-steps", LAST)
        expected[name] = {"epochs": epochs(copy), "sha256": digest(copy / "checkpoint.safetensors")}
        shutil.copy(copy / "checkpoint.safetensors", HERE / f"{name}.after.safetensors")
        shutil.rmtree(copy)
    (HERE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
