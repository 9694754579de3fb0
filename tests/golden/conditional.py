"""Reference numbers for a small conditional VAE, computed by PyTorch in float64.

    python conditional.py                 writes conditional.safetensors beside this script
    python conditional.py OTHER_FOLDER    writes it there, to compare

p(x | y) as in Kingma et al. 2014 (section 2.2, every y observed) and Sohn et al. 2015: the one-hot class goes behind
x before the encoder and behind z before the decoder, by torch.cat([..., y], 1); the prior of z is independent of y.
The net is 37-19-3 with 4 classes, relu, Bernoulli, batch 7, Adam 1e-3 on the sum over the batch, 10 steps. Images,
labels, noise and first weights are made by `value` of golden.py, and stored. Made with PyTorch 2.15.0.
"""

import pathlib
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from golden import value

PIXELS, HIDDEN, LATENT, CLASSES, BATCH, STEPS = 37, 19, 3, 4, 7, 10


def values(seed, *shape):
    count = torch.Size(shape).numel()
    return torch.as_tensor(value(seed, count), dtype=torch.float64).reshape(shape)


class ConditionalVae(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(PIXELS + CLASSES, HIDDEN)
        self.fc21 = nn.Linear(HIDDEN, LATENT)
        self.fc22 = nn.Linear(HIDDEN, LATENT)
        self.fc3 = nn.Linear(LATENT + CLASSES, HIDDEN)
        self.fc4 = nn.Linear(HIDDEN, PIXELS)

    def forward(self, x, label, eps):
        y = F.one_hot(label, CLASSES).to(x.dtype)
        h = torch.relu(self.fc1(torch.cat([x, y], 1)))
        mean, log_var = self.fc21(h), self.fc22(h)
        z = mean + eps * torch.exp(log_var / 2)
        logits = self.fc4(torch.relu(self.fc3(torch.cat([z, y], 1))))
        recon = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
        kl = torch.distributions.kl_divergence(
            torch.distributions.Normal(mean, torch.exp(log_var / 2)), torch.distributions.Normal(0.0, 1.0)
        ).sum(1)
        return recon, kl


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent
    model = ConditionalVae().double()
    tensors = {}
    with torch.no_grad():
        for k, (name, parameter) in enumerate(model.named_parameters(), start=1):
            parameter.copy_(values(k, *parameter.shape) / 2)
            tensors[f"start.{name}"] = parameter.detach().clone()
    images = torch.floor((values(1000, STEPS * BATCH, PIXELS) + 1) / 2 * 256).to(torch.uint8)
    labels = torch.floor((values(2000, STEPS * BATCH) + 1) / 2 * CLASSES).to(torch.uint8)
    noise = values(5000, STEPS * BATCH, LATENT) * 2
    tensors |= {"images": images, "labels": labels, "eps": noise}
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for step in range(STEPS):
        rows = slice(step * BATCH, (step + 1) * BATCH)
        recon, kl = model(images[rows].double() / 255, labels[rows].long(), noise[rows])
        optimizer.zero_grad()
        (recon + kl).sum().backward()
        if step == 0:
            tensors |= {"recon": recon.detach(), "kl": kl.detach()}
            tensors |= {f"grad.{name}": p.grad.clone() for name, p in model.named_parameters()}
        optimizer.step()
    tensors |= {f"after{STEPS}.{name}": p.detach().clone() for name, p in model.named_parameters()}
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / "conditional.safetensors")
    print(f"recon {recon.mean():.6f}, KL {kl.mean():.6f} at step {STEPS}; labels {labels.bincount().tolist()}")


if __name__ == "__main__":
    main()
