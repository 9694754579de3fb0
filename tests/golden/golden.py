"""Reference numbers for a small VAE, computed by PyTorch in float64.

Writes, beside this script:
    classic.safetensors   the 784-400-20 VAE on MNIST, batch 128, 100 Adam steps (norms and samples)
    small.safetensors     a ragged 37-19-3 VAE, batch 7, in many variants (whole tensors)

Made with PyTorch 2.15.0, numpy 2.4.6 and safetensors 0.8.0, on CPU.

Run:
    python golden.py                 writes the two files
    python golden.py OTHER_FOLDER    writes them there, to compare with the stored ones

Nothing here is drawn at random: the weights, the noise and the small net's images are functions of
a seed and an index (see `value`), and the classic net's images are MNIST's in the file's order, so
another program can make the same inputs without storing them. Images of pure noise would not do
for the classic net: Adam magnifies the rounding of gradients that are nearly zero.
Everything is computed in float64, so that the rounding of this witness is far below the rounding
of any float32 program that is held against it.

README.md lists the keys.
"""

import gzip
import math
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

from values import value

DTYPE = torch.float64

# One thread: the order of the sums, and with it the last bit, then does not depend on the cores.
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)

NAMES = [
    "fc1.weight", "fc1.bias",
    "fc21.weight", "fc21.bias",
    "fc22.weight", "fc22.bias",
    "fc3.weight", "fc3.bias",
    "fc4.weight", "fc4.bias",
]


# --- inputs ---------------------------------------------------------------------------------

def fill(seed, shape, scale):
    """A tensor of `shape`, filled row-major; `scale` is a power of two, so nothing is rounded."""
    return torch.from_numpy(value(seed, math.prod(shape)).reshape(shape) * scale).to(DTYPE)


def mnist():
    """The training images of `assets/mnist`, one a row, as bytes."""
    path = pathlib.Path(__file__).resolve().parents[2] / "assets/mnist/train-images-idx3-ubyte.gz"
    return np.frombuffer(gzip.decompress(path.read_bytes())[16:], dtype=np.uint8).reshape(-1, 784)


def images(step, batch, pixels):
    """Grey images of step 1, 2, ...: bytes 0..255, divided by 255 in float64."""
    byte = np.floor((value(1000 + step, batch * pixels) + 1.0) / 2.0 * 256.0)
    return torch.from_numpy(np.clip(byte / 255.0, 0.0, 1.0).reshape(batch, pixels)).to(DTYPE)


def noise(step, batch, latent):
    """The given noise of step 1, 2, ...: uniform in [-2, 2)."""
    return fill(5000 + step, (batch, latent), 2.0)


# --- network --------------------------------------------------------------------------------

ACTIVATIONS = {
    "identity": lambda a: a,
    "relu": torch.relu,
    "leaky_relu": lambda a: F.leaky_relu(a, 0.01),
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softplus": F.softplus,
    "silu": F.silu,
    "gelu": lambda a: F.gelu(a, approximate="none"),  # the exact one, with erf
}


def make_weights(pixels, hidden, latent, scale):
    """The ten parameters, [out, in] as in torch.nn.Linear, with seeds 1..10 in the order of NAMES."""
    shapes = {
        "fc1.weight": (hidden, pixels), "fc1.bias": (hidden,),
        "fc21.weight": (latent, hidden), "fc21.bias": (latent,),
        "fc22.weight": (latent, hidden), "fc22.bias": (latent,),
        "fc3.weight": (hidden, latent), "fc3.bias": (hidden,),
        "fc4.weight": (pixels, hidden), "fc4.bias": (pixels,),
    }
    return {
        name: fill(seed, shapes[name], scale).requires_grad_(True)
        for seed, name in enumerate(NAMES, start=1)
    }


def losses(w, x, eps, activation, sigma):
    """The two terms of each image, in nats: (recon [batch], kl [batch]).

    `sigma` None means a Bernoulli likelihood of logits, a number means a normal one of that
    standard deviation around the decoder's output.
    """
    act = ACTIVATIONS[activation]
    h = act(F.linear(x, w["fc1.weight"], w["fc1.bias"]))
    mu = F.linear(h, w["fc21.weight"], w["fc21.bias"])
    raw_log_var = F.linear(h, w["fc22.weight"], w["fc22.bias"])
    log_var = raw_log_var.clamp(-30.0, 20.0)
    # These files must not depend on what a program does outside the clamp.
    assert torch.equal(log_var, raw_log_var)
    z = mu + eps * torch.exp(0.5 * log_var)
    out = F.linear(act(F.linear(z, w["fc3.weight"], w["fc3.bias"])), w["fc4.weight"], w["fc4.bias"])

    if sigma is None:
        recon = F.binary_cross_entropy_with_logits(out, x, reduction="none").sum(1)
    else:
        recon = (0.5 * ((x - out) / sigma) ** 2 + 0.5 * math.log(2.0 * math.pi * sigma**2)).sum(1)
    kl = -0.5 * (1.0 + log_var - mu**2 - log_var.exp()).sum(1)
    return recon, kl


class Run:
    """One training run; each `step` takes a new batch and new noise."""

    def __init__(self, pixels, hidden, latent, batch, scale, activation="relu", sigma=None,
                 optimizer=lambda p: torch.optim.Adam(p, lr=1e-3), beta=1.0, mean=False, clip=None,
                 data=None):
        self.pixels, self.latent, self.batch = pixels, latent, batch
        self.activation, self.sigma = activation, sigma
        self.beta, self.mean, self.clip, self.data = beta, mean, clip, data
        self.weights = make_weights(pixels, hidden, latent, scale)
        self.optimizer = optimizer(list(self.weights.values()))
        self.done = 0
        self.grad_norms = []

    def backward(self):
        """The losses and gradients of the next step's batch; leaves the weights alone."""
        step = self.done + 1
        if self.data is None:
            x = images(step, self.batch, self.pixels)
        else:
            rows = self.data[(step - 1) * self.batch : step * self.batch]
            x = torch.from_numpy(rows / 255.0).to(DTYPE)
        eps = noise(step, self.batch, self.latent)
        recon, kl = losses(self.weights, x, eps, self.activation, self.sigma)
        loss = (recon + self.beta * kl).sum()
        if self.mean:
            loss = loss / self.batch
        self.optimizer.zero_grad()
        loss.backward()
        return recon.detach(), kl.detach()

    def grads(self):
        return {name: p.grad.detach().clone() for name, p in self.weights.items()}

    def update(self):
        """Clips, if this run clips, and takes the optimiser's step."""
        if self.clip is not None:
            norm = torch.nn.utils.clip_grad_norm_(list(self.weights.values()), max_norm=self.clip)
            self.grad_norms.append(norm.item())
        self.optimizer.step()
        self.done += 1

    def values(self):
        return {name: p.detach().clone() for name, p in self.weights.items()}


# --- what is stored -------------------------------------------------------------------------

def array(t):
    return np.ascontiguousarray(t.detach().numpy() if isinstance(t, torch.Tensor) else t)


def put_sampled(out, prefix, tensors):
    """For each tensor its L2 norm and up to 256 entries, spread evenly over the flat tensor.

    The norm covers what the sample misses, the sample covers what a norm cannot tell apart.
    """
    for name, t in tensors.items():
        flat = t.reshape(-1)
        stride = max(1, flat.numel() // 256)
        while math.gcd(stride, t.shape[-1]) > 1:  # so that every column has its turn
            stride -= 1
        index = np.arange(min(256, flat.numel()), dtype=np.int64) * stride
        out[f"{prefix}.{name}.norm"] = array(flat.norm().reshape(1))
        out[f"{prefix}.{name}.sample"] = array(flat[torch.from_numpy(index)])
        out[f"{prefix}.{name}.index"] = index


def put_whole(out, prefix, tensors):
    for name, t in tensors.items():
        out[f"{prefix}.{name}"] = array(t)


CHECKPOINTS = (1, 10, 100)


def classic():
    out = {}
    run = Run(784, 400, 20, batch=128, scale=2.0**-5, data=mnist())

    # A few inputs, so that a program can tell a wrong input from a wrong result.
    out["check.value"] = value(1, 8)
    out["check.x"] = array(images(1, 7, 37).reshape(-1)[:8])
    out["check.eps"] = array(noise(1, 128, 20).reshape(-1)[:8])

    recons, kls = [], []
    for step in range(1, 101):
        recon, kl = run.backward()
        recons.append(recon.mean().item())
        kls.append(kl.mean().item())
        if step == 1:
            put_sampled(out, "grad", run.grads())
        run.update()
        if step in CHECKPOINTS:
            put_sampled(out, f"after{step}", run.values())
    out["loss_recon"] = np.array(recons)
    out["loss_kl"] = np.array(kls)

    # Once more without an update, at weights that have been trained.
    recon, kl = run.backward()
    out["loss_recon101"] = array(recon.mean().reshape(1))
    out["loss_kl101"] = array(kl.mean().reshape(1))
    put_sampled(out, "grad101", run.grads())
    return out


# Each variant: what differs from relu, Bernoulli, Adam 1e-3, beta 1, sum over the batch; and
# whether it is trained on for 100 steps or ends with its first gradients.
def variants():
    for name in ACTIVATIONS:
        yield f"act_{name}", name == "relu", dict(activation=name)
    yield "likelihood_normal", False, dict(sigma=1.0)
    yield "likelihood_normal_half", False, dict(sigma=0.5)
    optim = torch.optim
    yield "opt_adamw", True, dict(optimizer=lambda p: optim.AdamW(p, lr=1e-3, weight_decay=0.01))
    yield "opt_adam_l2", True, dict(optimizer=lambda p: optim.Adam(p, lr=1e-3, weight_decay=0.01))
    yield "opt_sgd", True, dict(optimizer=lambda p: optim.SGD(p, lr=1e-3))
    yield "opt_momentum", True, dict(
        optimizer=lambda p: optim.SGD(p, lr=1e-3, momentum=0.9, weight_decay=0.01))
    yield "opt_nesterov", True, dict(
        optimizer=lambda p: optim.SGD(p, lr=1e-3, momentum=0.9, weight_decay=0.01, nesterov=True))
    yield "clip", True, dict(clip=1.0)
    yield "beta4", False, dict(beta=4.0)
    yield "mean_reduction", False, dict(mean=True)


def small():
    out = {}
    for variant, trained, options in variants():
        run = Run(37, 19, 3, batch=7, scale=2.0**-1, **options)
        recons, kls = [], []
        for step in range(1, 101 if trained else 2):
            recon, kl = run.backward()
            recons.append(recon.mean().item())
            kls.append(kl.mean().item())
            if step == 1:
                out[f"{variant}/recon"] = array(recon)
                out[f"{variant}/kl"] = array(kl)
                # Before clipping and without weight decay, both of which belong to the update.
                put_whole(out, f"{variant}/grad", run.grads())
            run.update()
            if trained and step in CHECKPOINTS:
                put_whole(out, f"{variant}/after{step}", run.values())
        if trained:
            out[f"{variant}/loss_recon"] = np.array(recons)
            out[f"{variant}/loss_kl"] = np.array(kls)
        if variant == "act_relu":
            # The next batch at the trained weights: a program can load after100 itself, so this
            # tests gradients at trained weights without 100 steps of drift in between.
            recon, kl = run.backward()
            out[f"{variant}/recon101"] = array(recon)
            out[f"{variant}/kl101"] = array(kl)
            put_whole(out, f"{variant}/grad101", run.grads())
        if run.grad_norms:
            out[f"{variant}/grad_norm"] = np.array(run.grad_norms)
    return out


def write(path, tensors):
    for key, t in tensors.items():
        assert np.isfinite(t).all(), key
    # Sorted keys and a single metadata entry: the same numbers always give the same bytes.
    version = torch.__version__.split("+")[0]
    save_file({key: tensors[key] for key in sorted(tensors)}, path, metadata={"pytorch": version})
    path.chmod(0o644)
    print(f"{path.name}: {len(tensors)} tensors, {path.stat().st_size} bytes")


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
    if folder.is_file():
        folder = folder.parent
    # The well-known first output of splitmix64 from state 0.
    assert splitmix64(np.zeros(1, dtype=np.uint64))[0] == 0xE220A8397B1DCDAF

    c = classic()
    write(folder / "classic.safetensors", c)
    write(folder / "small.safetensors", small())
    for key in ("loss_recon", "loss_kl"):
        print(f"{key}: step 1 {c[key][0]:.6f}, step 100 {c[key][99]:.6f}, step 101 {c[key + '101'][0]:.6f}")


if __name__ == "__main__":
    main()
