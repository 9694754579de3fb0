"""One short schedule on MNIST for every kind of model: test loss and NLL, beside PyTorch's for some of them.

    python3 run.py --elbo target/release/elbo --torch torch/bin/python --out family.jsonl [--only 'vae;iwae-5'] [--device cpu]

Every configuration is the one-layer network of Burda et al. 2016 (784-200-200-50, tanh, Glorot, output bias from the data), Adam 1e-3
on batches of 100, EPOCHS epochs, one seed, but for what CONFIGS says. elbo trains it, then `elbo evaluate --samples 1000` says what
became of it on the 10,000 test images; for those in WITNESSED, pytorch.py does the same by itself. Prints a table in Markdown, and
writes one JSON object a line. Needs Python 3.11 alone, and torch where --torch says.
"""
import argparse
import json
import pathlib
import subprocess
import time

HERE = pathlib.Path(__file__).parent
EPOCHS = 5
BASE = {
    "model": {
        "encoder": [200, 200], "latent": 50, "decoder": [200, 200], "activation": "tanh", "init": "glorot",
        "output-bias": "data-mean",
    },
    "objective": {},
    "optimizer": {"lr": 1e-3},
    "train": {"pixels": "binarised", "batch-size": 100, "epochs": EPOCHS},
}
CONFIGS = {
    "vae": {},
    "vae, L = 5": {"objective": {"samples": 5}},
    "vae, sampled KL": {"objective": {"kl": "sampled"}},
    "vae, STL": {"objective": {"kl": "sampled", "gradient": "stl"}},
    "iwae-5": {"objective": {"importance": 5}},
    "iwae-50": {"objective": {"importance": 50}},
    "miwae 5 × 5": {"objective": {"samples": 5, "importance": 5}},
    "dreg-5": {"objective": {"importance": 5, "gradient": "dreg"}},
    "conditional": {"model": {"classes": 10}},
    "β = 4": {"objective": {"beta": 4.0}},
    "warm-up": {"objective": {"warmup-steps": 1500}},
    "free bits": {"objective": {"free-bits": 0.2}},
    "β-TC 4": {"objective": {"total-correlation": 4.0}},
    "MMD": {"objective": {"mmd": 100.0}},
    "norm and dropout": {"model": {"layer-norm": True, "dropout": 0.1}},
    "Adamax, cosine, averaged": {"optimizer": {"rule": "adamax", "lr": 2e-3, "schedule": "cosine", "average": 0.999}},
    "grey, Bernoulli": {"train": {"pixels": "grey"}},
    "grey, continuous Bernoulli": {"train": {"pixels": "grey"}, "model": {"likelihood": "continuous-bernoulli"}},
    "grey, logistic": {"train": {"pixels": "grey"}, "model": {"likelihood": "logistic", "scale": "shared", "output-bias": "init"}},
}
WITNESSED = ["vae", "iwae-5", "iwae-50", "dreg-5", "conditional", "free bits"]


def merged(change):
    return {table: keys | change.get(table, {}) for table, keys in BASE.items()}


def toml(config):
    return "\n".join(
        f"[{table}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
        for table, keys in config.items()
    )


def last_line(command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr[-2000:]}"
    return json.loads(done.stdout.strip().splitlines()[-1])


def ours(arguments, name, folder):
    run, start = folder / "run", time.time()
    device = ["--device", arguments.device, "--quiet", "--json"]
    last_line([arguments.elbo, "train", "--config", folder / "config.toml", "--out", run, *device])
    trained = time.time() - start
    said = last_line([arguments.elbo, "evaluate", run, "--samples", str(arguments.nll), *device])
    keys = ["loss", "loss_margin", "recon", "kl", "nll", "nll_margin", "samples", "active_units"]
    return {"program": "elbo", "name": name, "train_seconds": trained, "seconds": time.time() - start} | {k: said[k] for k in keys}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--elbo", default="target/release/elbo")
    arguments.add_argument("--torch")
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument("--nll", type=int, default=1000)
    arguments.add_argument("--only", type=lambda names: names.split(";"))
    arguments.add_argument("--work", type=pathlib.Path, default=pathlib.Path("target/family"))
    arguments.add_argument("--out", type=pathlib.Path, required=True)
    arguments = arguments.parse_args()
    table = ["| | loss (−ELBO) | NLL | of 50 active | seconds | PyTorch: loss | NLL | seconds |", "| --- |" + " ---: |" * 7]
    for number, (name, change) in enumerate(CONFIGS.items()):
        if arguments.only and name not in arguments.only:
            continue
        folder = arguments.work / f"{int(time.time())}-{number:02}"
        folder.mkdir(parents=True)
        (folder / "config.toml").write_text(toml(merged(change)))
        results = [ours(arguments, name, folder)]
        if arguments.torch and name in WITNESSED:
            command = [arguments.torch, HERE / "pytorch.py", folder / "config.toml", "--nll", str(arguments.nll)]
            results.append({"name": name} | last_line(command))
        with arguments.out.open("a") as file:
            file.writelines(json.dumps(result, ensure_ascii=False) + "\n" for result in results)
        show = lambda r: f"{r['loss']:.2f} | {r['nll']:.2f}"
        first = f"| {name} | {show(results[0])} | {results[0]['active_units']} | {results[0]['train_seconds']:.0f} |"
        other = f" {show(results[1])} | {results[1]['train_seconds']:.0f} |" if len(results) > 1 else " | | |"
        table.append(first + other)
        print(table[-1], flush=True)
    print("\n".join(table))


if __name__ == "__main__":
    main()
