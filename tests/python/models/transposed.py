"""A variational autoencoder (Kingma and Welling 2014) for images of 6 × 4 × 3, after 0 training steps.

Written by elbo 0.1.0. Save it as model.py, and its weights with

    elbo export RUN --out weights.safetensors

Then, with the packages torch and safetensors:

    import torch, safetensors.torch
    from model import Vae

    vae = Vae()
    vae.load_state_dict(safetensors.torch.load_file("weights.safetensors"))
    vae.eval()
    mean, log_var = vae.encode(images.flatten(1))
    new = vae.decode(torch.randn(16, vae.latent))

A row is an image (height, width, channels) that was flattened.
"""

import torch
from torch import nn
from torch.nn import functional as F


class Vae(nn.Module):
    height, width, channels = 6, 4, 3
    latent = 20
    # How values of the training images became the numbers that `encode` takes.
    reading = "each file by its own content, as older runs read"

    def __init__(self):
        super().__init__()
        self.encoder = nn.ModuleDict()
        self.encoder["0"] = nn.Conv2d(3, 4, (2, 2), stride=2)
        self.encoder["2"] = nn.ConvTranspose2d(4, 3, (3, 2))
        self.encoder["3"] = nn.Linear(45, 9)
        self.posterior = nn.ModuleDict()
        self.posterior["mean"] = nn.Linear(9, 20)
        self.posterior["log_var"] = nn.Linear(9, 20)
        self.decoder = nn.ModuleDict()
        self.decoder["0"] = nn.ConvTranspose2d(20, 5, (3, 2))
        self.decoder["2"] = nn.ModuleDict()
        self.decoder["2"]["residual"] = nn.ModuleDict()
        self.decoder["2"]["residual"]["0"] = nn.ConvTranspose2d(5, 5, (3, 3), padding=1)
        self.decoder["3"] = nn.ConvTranspose2d(5, 4, (4, 4), stride=2, padding=1)
        self.decoder["5"] = nn.Conv2d(4, 3, (3, 3), padding=1)

    def encode(self, x):
        """From images (n, 72) to the mean and the log-variance of q(z | x), (n, 20) each."""
        x = x.unflatten(1, (6, 4, 3)).permute(0, 3, 1, 2)
        x = F.relu(self.encoder["0"](x))
        x = self.encoder["2"](x)
        x = x.permute(0, 2, 3, 1).flatten(1)
        x = F.relu(self.encoder["3"](x))
        return self.posterior["mean"](x), self.posterior["log_var"](x).clamp(-30.0, 20.0)

    def outputs(self, z):
        """From z (n, 20) to logits (n, 72)."""
        z = z.unflatten(1, (1, 1, 20)).permute(0, 3, 1, 2)
        z = F.gelu(self.decoder["0"](z))
        past = z
        z = self.decoder["2"]["residual"]["0"](z)
        z = past + z
        z = F.silu(self.decoder["3"](z))
        z = self.decoder["5"](z)
        return z.permute(0, 2, 3, 1).flatten(1)

    def decode(self, z):
        """From z (n, 20) to the probabilities of white (n, 72)."""
        return torch.sigmoid(self.outputs(z))

    def forward(self, x):
        """From images to the means of pixels by a z that is drawn, and what `encode` makes."""
        mean, log_var = self.encode(x)
        z = mean + torch.randn_like(mean) * (0.5 * log_var).exp()
        return self.decode(z), mean, log_var
