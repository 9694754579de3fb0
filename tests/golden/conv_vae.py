"""Reference numbers for a VAE with convolutions, computed by PyTorch in float64; writes conv_vae.safetensors beside itself.

    python conv_vae.py

Images of 6 x 7 places of 2 channels, batch 7, Bernoulli; three steps of Adam. The encoder is

    conv 4 3x3 stride 2, relu, conv 5 3x2 pad 0, relu, linear

and the decoder linear 126, relu, a map of 6 x 7 x 3, conv 3x3. An image's row is line by line, place by place, channel by
channel, and so is whatever goes between a map and a linear layer; weights are as `torch.nn.Conv2d` has them. The rest is as
in golden.py, and so is what inputs are made of: parameter k of the names in their alphabetical order, k = 1, 2, ..., is
value(k, i) / 2.
Made with PyTorch 2.15.0, numpy 2.4.6 and safetensors 0.8.0, on CPU.
"""

import pathlib

import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

from golden import fill, images, noise

BATCH, HEIGHT, WIDTH, CHANNELS, LATENT, STEPS = 7, 6, 7, 2, 3, 3

SHAPES = {
    "encoder.0": (4, CHANNELS, 3, 3),
    "encoder.2": (5, 4, 3, 2),
    "posterior.mean": (LATENT, 15),
    "posterior.log_var": (LATENT, 15),
    "decoder.0": (126, LATENT),
    "decoder.3": (CHANNELS, 3, 3, 3),
}


def losses(p, x, eps):
    """The reconstruction and the KL divergence of each image."""

    def conv(name, top, **windows):
        return F.conv2d(top, p[f"{name}.weight"], p[f"{name}.bias"], **windows)

    def linear(name, top):
        return F.linear(top, p[f"{name}.weight"], p[f"{name}.bias"])

    def rows(top):
        return top.permute(0, 2, 3, 1).flatten(1)

    def maps(top, channels):
        return top.reshape(BATCH, HEIGHT, WIDTH, channels).permute(0, 3, 1, 2)

    top = torch.relu(conv("encoder.0", maps(x, CHANNELS), stride=2, padding=1))
    top = rows(torch.relu(conv("encoder.2", top)))
    mu, rho = linear("posterior.mean", top), linear("posterior.log_var", top)
    assert rho.abs().max() < 20
    z = mu + eps * torch.exp(rho / 2)
    top = torch.relu(linear("decoder.0", z))
    logits = rows(conv("decoder.3", maps(top, 3), padding=1))
    recon = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
    kl = -0.5 * (1 + rho - mu**2 - rho.exp()).sum(1)
    return recon, kl


def main():
    shapes = {f"{name}.weight": shape for name, shape in SHAPES.items()}
    shapes |= {f"{name}.bias": shape[:1] for name, shape in SHAPES.items()}
    p = {name: fill(k, shapes[name], 0.5).requires_grad_(True) for k, name in enumerate(sorted(shapes), 1)}
    found = {f"start.{name}": t.detach().clone() for name, t in p.items()}
    optimizer = torch.optim.Adam(p.values(), lr=1e-3)
    for step in range(1, STEPS + 1):
        x, eps = images(step, BATCH, HEIGHT * WIDTH * CHANNELS), noise(step, BATCH, LATENT)
        found[f"images{step}"], found[f"eps{step}"] = (x * 255).round().to(torch.uint8), eps
        recon, kl = losses(p, x, eps)
        optimizer.zero_grad()
        (recon + kl).sum().backward()
        if step == 1:
            found["recon"], found["kl"] = recon, kl
            found |= {f"grad.{name}": t.grad.clone() for name, t in p.items()}
        optimizer.step()
    found |= {f"after{STEPS}.{name}": t for name, t in p.items()}
    path = pathlib.Path(__file__).with_name("conv_vae.safetensors")
    save_file({key: value.detach().numpy().copy() for key, value in found.items()}, path)


main()
