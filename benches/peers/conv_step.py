"""Training steps of convolutional presets by elbo and by eager PyTorch with the channels last, in turn on the same cores.

    python conv_step.py --elbo target/release/elbo conv-28=assets/mnist conv-32=tiles-32.npz resnet-64=emoji-64.npz

PyTorch has the network that `elbo export --out model.py` writes, the loss of conv_twin.py and Adam. A round is `elbo bench` of a
repetition, then as many seconds of PyTorch's steps; prints images a second of each round, and the median of the ratios. Needs
torch (measured with 2.15.0); takes all cores.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile
import time
import tomllib

import torch

from conv_twin import loss_of, model_of


def ours(elbo, preset, seconds):
    words = [elbo, "bench", "--device", "cpu", "--model", preset, "--repetitions", "1", "--seconds", str(seconds), "--json"]
    lines = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    figures = [json.loads(line) for line in lines]
    return next(figure["median"] for figure in figures if figure.get("figure") == "images")


def theirs(step, batch, seconds):
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return batch / statistics.median(times)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--elbo", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("presets", nargs="+", metavar="PRESET=DATA")
    args = parser.parse_args()
    for preset, data in (pair.split("=") for pair in args.presets):
        with tempfile.TemporaryDirectory() as folder:
            run = pathlib.Path(folder, "run")
            words = ["train", "--device", "cpu", "--preset", preset, "--data", data, "--max-steps", "1", "--out", run]
            for words in (words, ["export", run, "--out", run / "model.py"]):
                subprocess.run([args.elbo, *map(str, words)], check=True, capture_output=True)
            config, model = tomllib.loads((run / "config.toml").read_text()), model_of(run / "model.py")
        batch = config["train"]["batch-size"]
        optimiser = torch.optim.Adam(model.parameters(), config["optimizer"]["lr"])
        x = torch.rand(batch, model.height * model.width * model.channels)

        def step():
            optimiser.zero_grad()
            loss_of(model, x, config).backward()
            optimiser.step()

        theirs(step, batch, 1)
        ratios = []
        for _ in range(args.rounds):
            pair = ours(args.elbo, preset, args.seconds), theirs(step, batch, args.seconds)
            ratios.append(pair[0] / pair[1])
            print(f"{preset}: elbo {pair[0]:.0f} images/s, PyTorch {pair[1]:.0f}, ratio {ratios[-1]:.3f}", flush=True)
        print(f"{preset}, batches of {batch}: ratio {statistics.median(ratios):.3f}")


main()
