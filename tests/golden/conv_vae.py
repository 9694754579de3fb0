"""Reference numbers for VAEs with convolutions, computed by PyTorch in float64; writes conv_vae.safetensors,
block_vae.safetensors and transposed_vae.safetensors beside itself.

    python conv_vae.py

Images of 6 x 7 places of 2 channels, batch 7, Bernoulli; a hundred steps of Adam over three minibatches in turn. The
networks are written as elbo's lists of layers in NETS. An image's row is line by line, place by place, channel by channel,
and so is whatever goes between a map and a linear layer; weights are as `torch.nn.Conv2d` and
`torch.nn.ConvTranspose2d` have them, attention is that of
`torch.nn.functional.scaled_dot_product_attention`. The rest is as in golden.py, and so is what inputs are made of: parameter
k of the names in their alphabetical order, k = 1, 2, ..., is value(k, i) / 2.
Made with PyTorch 2.15.0, numpy 2.4.6 and safetensors 0.8.0, on CPU.
"""

import pathlib

import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

from golden import fill, images, noise

BATCH, HEIGHT, WIDTH, CHANNELS, LATENT, TURNS = 7, 6, 7, 2, 3, 3
KEPT = (1, 10, 100)


class Net:
    """The layers of a model, which are functions of the parameters by their names."""

    def __init__(self):
        self.shapes, self.p = {}, {}

    def make(self, name, *shape):
        self.shapes[f"{name}.weight"], self.shapes[f"{name}.bias"] = shape, shape[:1]
        return lambda: (self.p[f"{name}.weight"], self.p[f"{name}.bias"])

    def conv(self, name, inputs, outputs, kernel, **windows):
        learned = self.make(name, outputs, inputs, *kernel)
        return lambda top: F.conv2d(top, *learned(), **windows)

    def transposed(self, name, inputs, outputs, kernel, **windows):
        learned = self.make(name, inputs, outputs, *kernel)
        self.shapes[f"{name}.bias"] = (outputs,)
        return lambda top: F.conv_transpose2d(top, *learned(), **windows)

    def linear(self, name, inputs, outputs):
        learned = self.make(name, outputs, inputs)
        return lambda top: F.linear(top, *learned())

    def group_norm(self, name, channels, groups):
        learned = self.make(name, channels)
        return lambda top: F.group_norm(top, groups, *learned())

    def attention(self, name, channels, heads):
        into, out = (self.conv(f"{name}.{of}", channels, n * channels, (1, 1)) for of, n in (("in_proj", 3), ("out_proj", 1)))

        def attend(top):
            # (images, heads, places, channels of a head).
            parts = into(top).unflatten(1, (3, heads, -1)).flatten(4).transpose(3, 4).unbind(1)
            return out(F.scaled_dot_product_attention(*parts).transpose(2, 3).reshape(top.shape))

        return attend


def rows(top):
    return top.permute(0, 2, 3, 1).flatten(1)


def maps(top, height, width, channels):
    return top.reshape(BATCH, height, width, channels).permute(0, 3, 1, 2)


def through(*layers):
    def run(top):
        for layer in layers:
            top = layer(top)
        return top

    return run


def block(*residual, shortcut=lambda top: top):
    return lambda top: shortcut(top) + through(*residual)(top)


def conv_vae(net):
    """conv 4 3x3 stride 2, relu, conv 5 3x2 pad 0, relu; linear 126, relu, map 6x7x3, conv 3x3."""
    encoder = through(
        net.conv("encoder.0", CHANNELS, 4, (3, 3), stride=2, padding=1), torch.relu,
        net.conv("encoder.2", 4, 5, (3, 2)), torch.relu, rows,
    )
    decoder = through(
        net.linear("decoder.0", LATENT, 126), torch.relu, lambda top: maps(top, 6, 7, 3),
        net.conv("decoder.3", 3, CHANNELS, (3, 3), padding=1), rows,
    )
    return encoder, 15, decoder


def block_vae(net):
    """Residual blocks with group normalisation and a bottleneck, a mean of places, attention, and a shortcut."""
    encoder = through(
        net.conv("encoder.0", CHANNELS, 8, (3, 3), padding=1),
        block(
            net.group_norm("encoder.1.residual.0", 8, 2), torch.relu,
            net.conv("encoder.1.residual.2", 8, 4, (1, 1)), F.gelu,
            net.conv("encoder.1.residual.4", 4, 8, (3, 3), padding=1),
        ),
        torch.tanh,
        lambda top: F.avg_pool2d(top, 2),
        block(net.group_norm("encoder.4.residual.0", 8, 4), net.attention("encoder.4.residual.1", 8, 2)),
        block(
            net.conv("encoder.5.residual.0", 8, 6, (3, 3), stride=2, padding=1),
            shortcut=net.conv("encoder.5.shortcut.0", 8, 6, (1, 1), stride=2),
        ),
        F.silu, rows,
    )
    decoder = through(
        net.linear("decoder.0", LATENT, 126), torch.relu, lambda top: maps(top, 6, 7, 3),
        block(net.group_norm("decoder.3.residual.0", 3, 1), torch.relu, net.conv("decoder.3.residual.2", 3, 3, (3, 3), padding=1)),
        net.conv("decoder.4", 3, CHANNELS, (3, 3), padding=1), rows,
    )
    return encoder, 24, decoder


def transposed_vae(net):
    """Transposed convolutions: of a map with a stride beyond the kernel, of z, and to the sides of the images."""
    encoder = through(
        net.conv("encoder.0", CHANNELS, 4, (3, 3), stride=3), torch.relu,
        net.transposed("encoder.2", 4, 5, (2, 1), stride=3), F.silu,
        net.conv("encoder.4", 5, 4, (3, 3), stride=2, padding=1), torch.tanh, rows,
    )
    decoder = through(
        lambda top: maps(top, 1, 1, LATENT),
        net.transposed("decoder.0", LATENT, 6, (3, 4)), F.gelu,
        net.transposed("decoder.2", 6, 3, (4, 3), stride=2, padding=1), torch.relu,
        net.conv("decoder.4", 3, CHANNELS, (3, 3), padding=1), rows,
    )
    return encoder, 24, decoder


def losses(encoder, heads, decoder, x, eps):
    """The reconstruction and the KL divergence of each image."""
    top = encoder(maps(x, HEIGHT, WIDTH, CHANNELS))
    mu, rho = (head(top) for head in heads)
    assert rho.abs().max() < 20
    logits = decoder(mu + eps * torch.exp(rho / 2))
    recon = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
    kl = -0.5 * (1 + rho - mu**2 - rho.exp()).sum(1)
    return recon, kl


def write(make):
    net = Net()
    encoder, top, decoder = make(net)
    heads = [net.linear(f"posterior.{part}", top, LATENT) for part in ("mean", "log_var")]
    for k, name in enumerate(sorted(net.shapes), 1):
        net.p[name] = fill(k, net.shapes[name], 0.5).requires_grad_(True)
    found = {f"start.{name}": t.detach().clone() for name, t in net.p.items()}
    optimizer = torch.optim.Adam(net.p.values(), lr=1e-3)
    for step in range(1, max(KEPT) + 1):
        turn = (step - 1) % TURNS + 1
        x, eps = images(turn, BATCH, HEIGHT * WIDTH * CHANNELS), noise(turn, BATCH, LATENT)
        found[f"images{turn}"], found[f"eps{turn}"] = (x * 255).round().to(torch.uint8), eps
        recon, kl = losses(encoder, heads, decoder, x, eps)
        optimizer.zero_grad()
        (recon + kl).sum().backward()
        if step in KEPT:
            found[f"recon{step}"], found[f"kl{step}"] = recon, kl
        if step == 1:
            found |= {f"grad.{name}": t.grad.clone() for name, t in net.p.items()}
        optimizer.step()
        if step in KEPT:
            found |= {f"after{step}.{name}": t.detach().clone() for name, t in net.p.items()}
    path = pathlib.Path(__file__).with_name(f"{make.__name__}.safetensors")
    save_file({key: value.detach().numpy().copy() for key, value in found.items()}, path)
    print(make.__name__, {f"recon{step}": found[f"recon{step}"].sum().item() for step in KEPT})


write(conv_vae)
write(block_vae)
write(transposed_vae)
