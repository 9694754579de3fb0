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
        self.encoder["0"] = nn.Conv2d(3, 4, (4, 4), stride=2, padding=1)
        self.encoder["2"] = nn.LayerNorm(24)
        self.encoder["3"] = nn.Dropout(0.2)
        self.encoder["5"] = nn.Conv2d(4, 5, (1, 2))
        self.encoder["6"] = nn.Linear(20, 7)
        self.posterior = nn.ModuleDict()
        self.posterior["mean"] = nn.Linear(7, 20)
        self.posterior["log_var"] = nn.Linear(7, 20)
        self.decoder = nn.ModuleDict()
        self.decoder["0"] = nn.Linear(20, 24)
        self.decoder["3"] = nn.Conv2d(4, 8, (3, 3), padding=1)
        self.decoder["5"] = nn.Conv2d(8, 18, (3, 3), padding=1)

    def encode(self, x):
        """From images (n, 72) to the mean and the log-variance of q(z | x), (n, 20) each."""
        x = x.unflatten(1, (6, 4, 3)).permute(0, 3, 1, 2)
        x = F.silu(self.encoder["0"](x))
        x = x.permute(0, 2, 3, 1).flatten(1)
        x = self.encoder["2"](x)
        x = self.encoder["3"](x)
        x = x.unflatten(1, (2, 3, 4)).permute(0, 3, 1, 2)
        x = self.encoder["5"](x)
        x = x.permute(0, 2, 3, 1).flatten(1)
        x = F.relu(self.encoder["6"](x))
        return self.posterior["mean"](x), self.posterior["log_var"](x).clamp(-30.0, 20.0)

    def outputs(self, z):
        """From z (n, 20) to 6 blocks of 72 numbers behind one another: logits of 2 components, their locations, their log-scales."""
        z = self.decoder["0"](z)
        z = F.relu(z)
        z = z.unflatten(1, (3, 2, 4)).permute(0, 3, 1, 2)
        z = F.leaky_relu(self.decoder["3"](F.interpolate(z, scale_factor=2, mode="nearest")), 0.01)
        z = self.decoder["5"](z)
        return z.unflatten(1, (6, 3)).permute(0, 1, 3, 4, 2).flatten(1)

    def decode(self, z):
        """From z (n, 20) to the means of pixels (n, 72)."""
        logits, locations, _ = self.outputs(z).unflatten(1, (3, 2, 72)).unbind(1)
        return (logits.softmax(1) * locations.clamp(0, 1)).sum(1)

    def forward(self, x):
        """From images to the means of pixels by a z that is drawn, and what `encode` makes."""
        mean, log_var = self.encode(x)
        z = mean + torch.randn_like(mean) * (0.5 * log_var).exp()
        return self.decode(z), mean, log_var
