"""What the Python peers share: the command line, the images, the repetitions, and the line that they print.

Every peer trains the same two models as ours: the forward and the backward pass and the update, on images that
lie on the device, with another minibatch and new noise each step. Nothing is read back between steps; the device
is waited for at the end of a repetition.
"""

import argparse
import gzip
import json
import os
import platform
import resource
import statistics
import sys
import time
from pathlib import Path

import numpy as np

# Units of the encoder's hidden layers (the decoder's are mirrored), latent dimensions, images in a batch.
MODELS = {"classic": ([400], 20, 128), "big": ([2048, 2048], 64, 512)}

# As f32 they fit into 128 MiB, the most that some adapters bind at once.
IMAGES = 40_000

# Who starts the process says when, so that the first step's time has the interpreter's start in it.
START = float(os.environ.get("PEER_START", time.time()))


def parse(description, variants):
    """The flags of a peer; the first variant is the default."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", choices=MODELS, default="classic")
    parser.add_argument("--batch", type=int, help="images in a minibatch [the model's]")
    parser.add_argument("--steps", type=int, default=200, help="steps of a repetition")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--warmup", type=int, default=20, help="steps before the first repetition")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--variant", choices=variants, default=variants[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "assets/mnist")
    args = parser.parse_args()
    args.hidden, args.latent, usual = MODELS[args.model]
    args.batch = args.batch or usual
    return args


def images(args):
    """The training images as float32 in 0 to 1, (n, 784), and the minibatches' rows, (batches, batch)."""
    with gzip.open(args.data / "train-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)[:IMAGES]
    count = len(pixels)
    # The same order in every peer: a multiplier without a common factor with their number visits each once.
    order = np.arange(count, dtype=np.int64) * 48_271 % count
    batches = count // args.batch
    return pixels.astype(np.float32) / 255, order[: batches * args.batch].reshape(batches, args.batch)


def processor():
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def measure(args, advance, loss, **what):
    """Runs `advance(steps)`, which returns when the steps are done, and prints the line.

    `loss()` is the last minibatch's loss, summed over its images.
    """
    advance(1)
    first = time.time() - START
    if args.warmup:
        advance(args.warmup)
    samples = []
    for _ in range(args.repetitions):
        start = time.perf_counter()
        advance(args.steps)
        samples.append(args.steps / (time.perf_counter() - start))
    # Kilobytes, but bytes on macOS.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    print(json.dumps({
        "event": "peer", **what, "model": args.model, "batch": args.batch, "first_step_s": first,
        "steps": args.steps, "samples": samples, "steps_per_s": statistics.median(samples),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit,
        "loss": float(loss()) / args.batch,
    }), flush=True)
