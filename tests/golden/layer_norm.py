"""Reference numbers for layer normalisation, computed by PyTorch in float64; writes layer_norm.safetensors beside itself.

    python layer_norm.py

Two networks of batch 7 whose hidden layers are linear, then `torch.nn.functional.layer_norm` with its own
epsilon, then the activation; the rest is as in golden.py, and so is what inputs are made of:

    wide    37-19-3, relu, the names of PyTorch's example; 10 steps of Adam
    deep    37-11-9-3 and back through 8, sigmoid; one step

Parameter k of the names in their alphabetical order, k = 1, 2, ..., is value(k, i) / 2.
Made with PyTorch 2.15.0, numpy 2.4.6 and safetensors 0.8.0, on CPU.
"""

import pathlib

import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

from golden import fill, images, noise

BATCH, PIXELS, LATENT = 7, 37, 3

NETWORKS = {
    "wide": (torch.relu, [19], [19], (["fc1"], ["fc21", "fc22"], ["fc3", "fc4"]), 10),
    "deep": (
        torch.sigmoid, [11, 9], [8],
        (["encoder.0", "encoder.1"], ["posterior.mean", "posterior.log_var"], ["decoder.0", "decoder.1"]), 1,
    ),
}


def make_parameters(encoder, decoder, names):
    hidden, halves, back = names
    shapes = {}

    def layer(name, inputs, outputs, norm):
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (outputs, inputs), (outputs,)
        if norm:
            shapes[f"{name}.norm.weight"] = shapes[f"{name}.norm.bias"] = (outputs,)

    for name, inputs, outputs in zip(hidden, [PIXELS, *encoder], encoder):
        layer(name, inputs, outputs, True)
    for name in halves:
        layer(name, encoder[-1], LATENT, False)
    for name, inputs, outputs in zip(back, [LATENT, *decoder], [*decoder, PIXELS]):
        layer(name, inputs, outputs, name != back[-1])
    return {
        name: fill(k, shapes[name], 0.5).requires_grad_(True) for k, name in enumerate(sorted(shapes), 1)
    }


def losses(p, activation, names, x, eps):
    """The reconstruction and the KL divergence of each image."""
    (hidden, (mean, log_var), back) = names

    def linear(name, top):
        return F.linear(top, p[f"{name}.weight"], p[f"{name}.bias"])

    def block(name, top):
        made = linear(name, top)
        return activation(F.layer_norm(made, made.shape[1:], p[f"{name}.norm.weight"], p[f"{name}.norm.bias"]))

    top = x
    for name in hidden:
        top = block(name, top)
    mu, rho = linear(mean, top), linear(log_var, top)
    assert rho.abs().max() < 20
    top = mu + eps * torch.exp(rho / 2)
    for name in back[:-1]:
        top = block(name, top)
    recon = F.binary_cross_entropy_with_logits(linear(back[-1], top), x, reduction="none").sum(1)
    kl = -0.5 * (1 + rho - mu**2 - rho.exp()).sum(1)
    return recon, kl


def main():
    found = {}
    for network, (activation, encoder, decoder, names, steps) in NETWORKS.items():
        p = make_parameters(encoder, decoder, names)
        found |= {f"{network}/start.{name}": t.detach().clone() for name, t in p.items()}
        optimizer = torch.optim.Adam(p.values(), lr=1e-3)
        for step in range(1, steps + 1):
            x, eps = images(step, BATCH, PIXELS), noise(step, BATCH, LATENT)
            found[f"{network}/images{step}"], found[f"{network}/eps{step}"] = (x * 255).round().to(torch.uint8), eps
            recon, kl = losses(p, activation, names, x, eps)
            optimizer.zero_grad()
            (recon + kl).sum().backward()
            if step == 1:
                found[f"{network}/recon"], found[f"{network}/kl"] = recon, kl
                found |= {f"{network}/grad.{name}": t.grad.clone() for name, t in p.items()}
            optimizer.step()
        if steps > 1:
            found |= {f"{network}/after{steps}.{name}": t for name, t in p.items()}
    path = pathlib.Path(__file__).with_name("layer_norm.safetensors")
    save_file({key: value.detach().numpy().copy() for key, value in found.items()}, path)


main()
