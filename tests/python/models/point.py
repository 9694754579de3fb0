"""A plain autoencoder for images of 2 × 2, after 0 training steps.

Written by elbo 0.1.0. Save it as model.py, and its weights with

    elbo export RUN --out weights.safetensors

Then, with the packages torch and safetensors:

    import torch, safetensors.torch
    from model import Autoencoder

    autoencoder = Autoencoder()
    autoencoder.load_state_dict(safetensors.torch.load_file("weights.safetensors"))
    autoencoder.eval()
    z = autoencoder.encode(images.flatten(1))

A row is an image (height, width, channels) that was flattened.
"""

import torch
from torch import nn
from torch.nn import functional as F


class Autoencoder(nn.Module):
    height, width, channels = 2, 2, 1
    latent = 20
    # How values of the training images became the numbers that `encode` takes.
    reading = "each file by its own content, as older runs read"

    def __init__(self):
        super().__init__()
        self.code = nn.Linear(4, 20)
        self.decoder = nn.ModuleDict()
        self.decoder["0"] = nn.Linear(20, 3)
        self.decoder["2"] = nn.Linear(3, 4)

    def encode(self, x):
        """From images (n, 4) to the codes z (n, 20)."""
        return self.code(x)

    def outputs(self, z):
        """From z (n, 20) to logits (n, 4)."""
        z = F.gelu(self.decoder["0"](z))
        return self.decoder["2"](z)

    def decode(self, z):
        """From z (n, 20) to the probabilities of white (n, 4)."""
        return torch.sigmoid(self.outputs(z))

    def forward(self, x):
        """From images to the means of pixels, and z."""
        z = self.encode(x)
        return self.decode(z), z
