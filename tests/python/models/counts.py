"""A variational autoencoder (Kingma and Welling 2014) for images of 1 × 9, after 0 training steps.

Written by elbo 0.1.0. Save it as model.py, and its weights with

    elbo export RUN --out weights.safetensors

Then, with the packages torch and safetensors:

    import torch, safetensors.torch
    from model import Vae

    vae = Vae()
    vae.load_state_dict(safetensors.torch.load_file("weights.safetensors"))
    vae.eval()
    mean, log_var = vae.encode(images.flatten(1), y)
    new = vae.decode(torch.randn(16, vae.latent), y)

A row is an image (height, width, channels) that was flattened.
Classes y (n, 3) have a 1 in the column of the class, as `F.one_hot(labels, 3).float()`.
"""

import torch
from torch import nn
from torch.nn import functional as F


class Vae(nn.Module):
    height, width, channels = 1, 9, 1
    latent = 20
    classes = 3
    # The mean total of the training images, which the means of counts share.
    total = 120.5
    # How values of the training images became the numbers that `encode` takes.
    reading = "each file by its own content, as older runs read"

    def __init__(self):
        super().__init__()
        self.encoder = nn.ModuleDict()
        self.encoder["0"] = nn.Linear(12, 8)
        self.encoder["0"].norm = nn.LayerNorm(8)
        self.encoder["0"].dropout = nn.Dropout(0.1)
        self.encoder["1"] = nn.Linear(8, 6)
        self.encoder["1"].norm = nn.LayerNorm(6)
        self.encoder["1"].dropout = nn.Dropout(0.1)
        self.posterior = nn.ModuleDict()
        self.posterior["mean"] = nn.Linear(6, 20)
        self.posterior["log_var"] = nn.Linear(6, 20)
        self.decoder = nn.ModuleDict()
        self.decoder["0"] = nn.Linear(23, 400)
        self.decoder["0"].norm = nn.LayerNorm(400)
        self.decoder["0"].dropout = nn.Dropout(0.1)
        self.decoder["1"] = nn.Linear(400, 9)
        self.likelihood = nn.ParameterDict({"log_scale": torch.zeros(1)})

    def encode(self, x, y):
        """From counts as they are (n, 9) to the mean and the log-variance of q(z | x, y), (n, 20) each."""
        x = torch.log1p(x)
        x = torch.cat([x, y], 1)
        x = self.encoder["0"](x)
        x = F.relu(self.encoder["0"].norm(x))
        x = self.encoder["0"].dropout(x)
        x = self.encoder["1"](x)
        x = F.relu(self.encoder["1"].norm(x))
        x = self.encoder["1"].dropout(x)
        return self.posterior["mean"](x), self.posterior["log_var"](x).clamp(-30.0, 20.0)

    def outputs(self, z, y):
        """From z (n, 20) to logits of shares (n, 9)."""
        z = torch.cat([z, y], 1)
        z = self.decoder["0"](z)
        z = F.relu(self.decoder["0"].norm(z))
        z = self.decoder["0"].dropout(z)
        return self.decoder["1"](z)

    def decode(self, z, y, total=total):
        """From z (n, 20) to the means of counts, which share a total, (n, 9)."""
        return total * self.outputs(z, y).softmax(1)

    def forward(self, x, y):
        """From images to the means of pixels by a z that is drawn, and what `encode` makes."""
        mean, log_var = self.encode(x, y)
        z = mean + torch.randn_like(mean) * (0.5 * log_var).exp()
        return self.decode(z, y), mean, log_var
