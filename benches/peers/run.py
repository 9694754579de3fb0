"""Runs elbo and its peers in turn, on the same adapter, and prints what each reaches and the ratios.

    python benches/peers/run.py --build --device llvmpipe --out FILE
    python benches/peers/run.py --device gpu --peers burn,pytorch --models big --torch VENV/bin/python

Machines drift, so every round runs each contestant once, and ratios are taken within a round. Each contestant has a
folder of its own for what drivers and frameworks cache between runs, empty in the first round: that round's first
step is the cold one, the later rounds' the warm one. Python's standard library is all that this file needs (on a
Unix); a peer that is not installed is named and left out. CONTRIBUTING.md says how to install them.
"""

import argparse
import datetime
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DATA = ROOT / "assets/mnist"
BATCH = {"classic": 128, "big": 512, "conv-28": 64}

# As peer.py has it.
IMAGES = 40_000

# What each calls the device. On llvmpipe the Python peers run on the same cores without an adapter between.
DEVICES = {
    "llvmpipe": {"elbo": "llvmpipe", "burn": "software", "pytorch": "cpu", "jax": "cpu"},
    "cpu": {"elbo": "cpu", "pytorch": "cpu", "jax": "cpu"},
    "gpu": {"elbo": "gpu", "burn": "gpu", "pytorch": "cuda", "jax": "gpu"},
}

# Steps of a repetition: a few seconds each.
STEPS = {
    "software": {"classic": 60, "big": 3, "conv-28": 5}, "llvmpipe": {"classic": 60, "big": 3, "conv-28": 5},
    "cpu": {"classic": 400, "big": 10, "conv-28": 50}, "gpu": {"classic": 4000, "big": 400, "conv-28": 1000},
    "cuda": {"classic": 4000, "big": 400, "conv-28": 1000},
}


class Missing(Exception):
    """Why a contestant cannot run."""


class Failed(Exception):
    """How a run ended that gave no figures."""


def launch(command, caches, limit):
    """Runs a command to its end: its JSON lines, the seconds from start to end, and its peak memory in MiB."""
    env = {
        **os.environ, "PEER_START": repr(time.time()), "RUST_BACKTRACE": "0",
        # Mesa, cubecl; NVIDIA's driver; CUDA.
        "XDG_CACHE_HOME": str(caches), "__GL_SHADER_DISK_CACHE_PATH": str(caches), "CUDA_CACHE_PATH": str(caches),
    }
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as errors:
        # In the caches' folder: cubecl keeps its cache in a project's folder if it is started in one.
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=env, cwd=caches)
        timer = threading.Timer(limit, child.kill)
        timer.start()
        lines = child.stdout.read().splitlines()
        # Not `wait`: this one tells what the process used.
        _, status, used = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        timer.cancel()
        if child.returncode != 0:
            errors.seek(0)
            last = errors.read().strip()[-1500:] or "nothing on stderr"
            end = f"killed after {limit} s" if child.returncode == -9 else f"exit code {child.returncode}"
            raise Failed(f"{end}: {last}")
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return [json.loads(line) for line in lines if line.startswith("{")], seconds, used.ru_maxrss / unit


def ours(args, device, model, steps, caches):
    """Our figures in the form of a peer's line. This is the only function that knows our command.

    `elbo bench` gives the rate of steps that are queued as training queues them, and the first step's time since its
    process began. Its images are made, eight minibatches of them: a smaller upload than the peers' 40,000 images, and
    no file is read; their time in the peers' first step is under a second. `elbo train`, as many steps as a peer takes,
    gives the loss, which is the test images', and the peak memory, which the bench's probes would exceed; with
    the evaluation and the pictures it is too much rather than too little.
    """
    batch = args.batch or BATCH[model]
    bench = [
        args.elbo, "bench", "--device", device, "--model", model, "--batch-size", batch, "--json", "--quiet",
        "--repetitions", args.repetitions, "--seconds", args.seconds,
    ]
    lines, _, _ = launch([str(word) for word in bench], caches, args.limit)
    start = next(line for line in lines if line["event"] == "start")
    samples = {line["figure"]: line["samples"] for line in lines if line["event"] == "figure"}
    counts = [len(line["step_us"]) for line in lines if line["event"] == "samples"]
    taken = 1 + warmup(steps) + args.repetitions * steps
    with tempfile.TemporaryDirectory(dir=caches) as runs:
        train = [
            args.elbo, "train", "--preset", model, "--lr", "1e-3", "--batch-size", batch, "--device", device,
            "--data", DATA, "--json", "--quiet", "--out", Path(runs) / "run", "--limit", IMAGES,
            "--max-steps", taken, "--epochs", taken // (IMAGES // batch) + 1,
        ]
        lines, _, rss = launch([str(word) for word in train], caches, args.limit)
    return {
        "event": "peer", "framework": "elbo", "version": args.versions["elbo"], "device": start["adapter"],
        "variant": "bench", "model": model, "batch": batch, "first_step_s": samples["first step since start"][0],
        "steps": counts[0], "samples": samples["steps"], "steps_per_s": statistics.median(samples["steps"]),
        "peak_rss_mb": rss, "loss": lines[-1]["test_loss"],
    }


def warmup(steps):
    """Steps that a peer takes before its first repetition."""
    return max(2, steps // 4)


def theirs(command):
    """A function as `ours`, of a peer that takes the flags that all peers take."""
    def run(args, device, model, steps, caches):
        words = [
            *command, "--model", model, "--batch", args.batch or BATCH[model], "--steps", steps,
            "--repetitions", args.repetitions, "--warmup", warmup(steps), "--device", device, "--data", DATA,
        ]
        lines, _, _ = launch([str(word) for word in words], caches, args.limit)
        return next(line for line in lines if line.get("event") == "peer")

    return run


def python_version(python, package):
    """The version of a package in an interpreter's environment."""
    code = f"import importlib.metadata as m; print(m.version('{package}'))"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True)
    except OSError as error:
        raise Missing(f"{python}: {error.strerror}") from None
    if done.returncode != 0:
        raise Missing(f"{python} has no {package}")
    return done.stdout.strip()


def contestants(args):
    """Names, with the function that runs each; ours first. What is missing is named."""
    found = {"elbo": ours}
    args.versions["elbo"] = output([args.elbo, "--version"]).removeprefix("elbo ")
    words = DEVICES[args.device]
    for peer in args.peers:
        try:
            if peer not in words:
                raise Missing(f"it does not run on {args.device}")
            if peer == "burn":
                if not args.burn.exists():
                    raise Missing(f"{args.burn} is not built; `--build` builds it")
                lock = (HERE / "burn/Cargo.lock").read_text()
                args.versions["burn"] = re.search(r'name = "burn"\nversion = "(.*)"', lock)[1]
                found["burn"] = theirs([args.burn])
                continue
            python = args.torch if peer == "pytorch" else args.jax
            args.versions[peer] = python_version(python, "torch" if peer == "pytorch" else "jax")
            variants = ["step", "scan"] if peer == "jax" else ["eager"]
            if words[peer] == "cuda":
                variants.append("graph")
            file = HERE / ("jax_step.py" if peer == "jax" else "pytorch.py")
            for variant in variants:
                found[f"{peer} {variant}"] = theirs([python, file, "--variant", variant])
        except Missing as why:
            print(f"{peer} is left out: {why}")
    return found


def output(command):
    """What a command prints, or nothing if it fails."""
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=ROOT)
    except OSError:
        return ""
    return done.stdout.strip()


def header(args):
    """What the figures were measured on."""
    return {
        "event": "machine", "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "commit": output(["git", "describe", "--always", "--dirty"]), "device": args.device,
        "adapters": output([args.elbo, "devices"]).splitlines(), "versions": args.versions,
        "nvidia": output(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]) or None,
        "cores": os.cpu_count(), "system": platform.platform(), "rounds": args.rounds,
        "repetitions": args.repetitions, "load": os.getloadavg()[0],
    }


def spread(values, digits=3):
    """Median, with the least and the most."""
    low, middle, high = (f"{x:.{digits}g}" for x in (min(values), statistics.median(values), max(values)))
    return f"{middle} ({low} to {high})"


def table(model, results):
    """Prints what each reached on a model; `results` is of name, round and line."""
    print(f"\n{model}: steps per second, median (least to most) of all repetitions; ours / theirs by round")
    head = ("", "steps/s", "first step s, cold", "warm", "peak MiB", "loss", "ratio", "of each round")
    rows = [head]
    base = {r: line["steps_per_s"] for name, r, line in results if name == "elbo"}
    for name in dict.fromkeys(name for name, _, _ in results):
        mine = {r: line for other, r, line in results if other == name}
        first = {r: line["first_step_s"] for r, line in mine.items()}
        warm = [seconds for r, seconds in first.items() if r > 0]
        ratios = [base[r] / line["steps_per_s"] for r, line in mine.items() if r in base]
        rows.append((
            name, spread([sample for line in mine.values() for sample in line["samples"]]),
            f"{first[0]:.1f}" if 0 in first else "-", f"{statistics.median(warm):.1f}" if warm else "-",
            f"{max(line['peak_rss_mb'] or 0 for line in mine.values()):.0f}",
            f"{[*mine.values()][-1]['loss']:.1f}",
            f"{statistics.median(ratios):.2f}" if ratios else "-", "  ".join(f"{x:.2f}" for x in ratios),
        ))
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    words = lambda text: text.split(",")
    parser.add_argument("--device", choices=DEVICES, default="cpu")
    parser.add_argument("--models", type=words, default="classic,big")
    parser.add_argument("--peers", type=words, default="burn,pytorch,jax")
    parser.add_argument("--rounds", type=int, default=3, help="how often each contestant is run")
    parser.add_argument("--repetitions", type=int, default=3, help="samples of each run")
    parser.add_argument("--steps", type=int, help="steps of a peer's repetition; else by device and model")
    parser.add_argument("--seconds", type=float, default=4, help="of a repetition of ours, half of it queued steps")
    parser.add_argument("--batch", type=int, help="images in a minibatch; else the model's")
    parser.add_argument("--limit", type=float, default=1800, help="seconds after which a run is killed")
    parser.add_argument("--out", type=Path, help="a file for all lines as they are measured")
    parser.add_argument("--build", action="store_true", help="build elbo and the burn peer first")
    parser.add_argument("--elbo", type=Path, default=ROOT / "target/release/elbo")
    parser.add_argument("--burn", type=Path, default=ROOT / "target/peers/release/elbo-peer-burn")
    parser.add_argument("--torch", default=sys.executable, metavar="PYTHON", help="a Python that has torch")
    parser.add_argument("--jax", default=sys.executable, metavar="PYTHON", help="a Python that has jax")
    args = parser.parse_args()
    for given, known in ((args.models, [*BATCH]), (args.peers, ["burn", "pytorch", "jax"])):
        for word in given:
            if word not in known:
                parser.error(f"`{word}` is none of {', '.join(known)}")
    # Commands run in other folders. A symbolic link to an interpreter names its environment, so it is kept.
    for name in ("elbo", "burn"):
        setattr(args, name, getattr(args, name).absolute())
    for name in ("torch", "jax"):
        setattr(args, name, os.path.abspath(shutil.which(getattr(args, name)) or getattr(args, name)))
    args.versions = {}
    return args


def main():
    args = parse()
    if args.build:
        subprocess.run(["cargo", "build", "--release"], cwd=ROOT, check=True)
        # Its own configuration, found from there, says where the program goes.
        subprocess.run(["cargo", "build", "--release", "--locked"], cwd=HERE / "burn", check=True)
    if not args.elbo.exists():
        raise SystemExit(f"{args.elbo} is not built; `--build` builds it")
    runners = contestants(args)
    out = open(args.out, "w") if args.out else open(os.devnull, "w")
    results = []
    with out, tempfile.TemporaryDirectory() as folder:
        def record(line):
            out.write(json.dumps(line) + "\n")
            out.flush()

        machine = header(args)
        record(machine)
        print(json.dumps(machine))
        if machine["load"] > 0.5:
            # Threads that wait by spinning, as PyTorch's do, lose far more to others than ours do.
            print("other programs are running: these figures and ratios say little")
        if args.device == "gpu" and all("software" in line for line in machine["adapters"] if line[0].isdigit()):
            raise SystemExit("there is no hardware GPU; `--device llvmpipe` takes the software adapter")
        for number in range(args.rounds):
            for model in args.models:
                for name, run in runners.items():
                    device = DEVICES[args.device][name.split()[0]]
                    caches = Path(folder) / f"{name} {model}".replace(" ", "_")
                    caches.mkdir(exist_ok=True)
                    load = os.getloadavg()[0]
                    try:
                        line = run(args, device, model, args.steps or STEPS[device][model], caches)
                    except Failed as why:
                        record({"event": "failed", "round": number, "name": name, "model": model, "why": str(why)})
                        print(f"round {number + 1}: {name}, {model} failed: {why}", flush=True)
                        continue
                    line = {**line, "round": number, "name": name, "load": load}
                    record(line)
                    results.append(line)
                    print(f"round {number + 1}: {name}, {model}: {spread(line['samples'])} steps/s on "
                          f"{line['device']}, load {load:.1f}", flush=True)
    for model in args.models:
        table(model, [(line["name"], line["round"], line) for line in results if line["model"] == model])


if __name__ == "__main__":
    main()
