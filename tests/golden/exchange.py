"""Weights that PyTorch wrote, and weights that PyTorch reads, with the loss it computes of them.

    python exchange.py                 writes exchange.safetensors beside this script, and prints its loss
    python exchange.py FILE            loads a file that `elbo export` wrote, and prints its loss

The model is PyTorch's example, 30-9-3; its images are twelve of 5 x 6 made as README.md says, of step 1.
The loss is that at z = mu, in nats per image: the negative ELBO's parts, in float64. Made with PyTorch 2.15.0
and safetensors 0.8.0. The names, shapes and types of the file are whatever `state_dict` gives.
"""

import pathlib
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from golden import value

IMAGES, PIXELS = 12, 30


class Vae(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(PIXELS, 9)
        self.fc21 = nn.Linear(9, 3)
        self.fc22 = nn.Linear(9, 3)
        self.fc3 = nn.Linear(3, 9)
        self.fc4 = nn.Linear(9, PIXELS)

    def losses(self, x):
        h = F.relu(self.fc1(x))
        mu, log_var = self.fc21(h), self.fc22(h)
        logits = self.fc4(F.relu(self.fc3(mu)))
        recon = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        kl = -0.5 * torch.sum(1 + log_var - mu.pow(2) - log_var.exp())
        return recon.item() / len(x), kl.item() / len(x)


def main():
    torch.manual_seed(3)
    model = Vae()
    if len(sys.argv) > 1:
        model.load_state_dict(load_file(sys.argv[1]))
    else:
        # Larger than PyTorch's first values, so that the KL divergence counts.
        for parameter in model.parameters():
            parameter.data *= 2
        save_file(model.state_dict(), pathlib.Path(__file__).with_name("exchange.safetensors"))
    bytes_ = ((value(1001, IMAGES * PIXELS) + 1) / 2 * 256).astype("uint8")
    x = torch.from_numpy(bytes_.reshape(IMAGES, PIXELS) / 255.0)
    print("recon %.12f, KL %.12f" % model.double().losses(x))


main()
