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


def attend(x, heads):
    """What the places of a map attend to, of its queries, keys and values (n, 3 · channels, height, width)."""
    q, k, v = x.unflatten(1, (3, heads, -1)).flatten(4).transpose(3, 4).unbind(1)
    made = F.scaled_dot_product_attention(q, k, v)
    return made.transpose(2, 3).flatten(1, 2).unflatten(2, x.shape[2:])


class Vae(nn.Module):
    height, width, channels = 6, 4, 3
    latent = 20
    # How values of the training images became the numbers that `encode` takes.
    reading = "each file by its own content, as older runs read"

    def __init__(self):
        super().__init__()
        self.encoder = nn.ModuleDict()
        self.encoder["0"] = nn.Conv2d(3, 4, (3, 3), padding=1)
        self.encoder["1"] = nn.ModuleDict()
        self.encoder["1"]["residual"] = nn.ModuleDict()
        self.encoder["1"]["residual"]["0"] = nn.GroupNorm(2, 4)
        self.encoder["1"]["residual"]["2"] = nn.Conv2d(4, 4, (3, 3), padding=1)
        self.encoder["3"] = nn.ModuleDict()
        self.encoder["3"]["shortcut"] = nn.ModuleDict()
        self.encoder["3"]["shortcut"]["1"] = nn.Conv2d(4, 6, (1, 1))
        self.encoder["3"]["residual"] = nn.ModuleDict()
        self.encoder["3"]["residual"]["0"] = nn.ModuleDict()
        self.encoder["3"]["residual"]["0"]["residual"] = nn.ModuleDict()
        self.encoder["3"]["residual"]["0"]["residual"]["0"] = nn.ModuleDict()
        self.encoder["3"]["residual"]["0"]["residual"]["0"]["in_proj"] = nn.Conv2d(4, 12, 1)
        self.encoder["3"]["residual"]["0"]["residual"]["0"]["out_proj"] = nn.Conv2d(4, 4, 1)
        self.encoder["3"]["residual"]["1"] = nn.Conv2d(4, 6, (3, 3), stride=2, padding=1)
        self.posterior = nn.ModuleDict()
        self.posterior["mean"] = nn.Linear(36, 20)
        self.posterior["log_var"] = nn.Linear(36, 20)
        self.decoder = nn.ModuleDict()
        self.decoder["0"] = nn.Linear(20, 9)
        self.decoder["1"] = nn.ModuleDict()
        self.decoder["1"]["residual"] = nn.ModuleDict()
        self.decoder["1"]["residual"]["0"] = nn.Linear(9, 7)
        self.decoder["1"]["residual"]["1"] = nn.Linear(7, 9)
        self.decoder["3"] = nn.Linear(9, 72)

    def encode(self, x):
        """From images (n, 72) to the mean and the log-variance of q(z | x), (n, 20) each."""
        x = x.unflatten(1, (6, 4, 3)).permute(0, 3, 1, 2)
        x = self.encoder["0"](x)
        past = x
        x = F.relu(self.encoder["1"]["residual"]["0"](x))
        x = self.encoder["1"]["residual"]["2"](x)
        x = F.relu(past + x)
        past = x
        past = F.avg_pool2d(past, 2)
        past = self.encoder["3"]["shortcut"]["1"](past)
        past1 = x
        x = self.encoder["3"]["residual"]["0"]["residual"]["0"]["in_proj"](x)
        x = self.encoder["3"]["residual"]["0"]["residual"]["0"]["out_proj"](attend(x, 2))
        x = past1 + x
        x = self.encoder["3"]["residual"]["1"](x)
        x = past + x
        x = x.permute(0, 2, 3, 1).flatten(1)
        return self.posterior["mean"](x), self.posterior["log_var"](x).clamp(-30.0, 20.0)

    def outputs(self, z):
        """From z (n, 20) to logits (n, 72)."""
        z = F.relu(self.decoder["0"](z))
        past = z
        z = F.relu(self.decoder["1"]["residual"]["0"](z))
        z = self.decoder["1"]["residual"]["1"](z)
        z = torch.tanh(past + z)
        return self.decoder["3"](z)

    def decode(self, z):
        """From z (n, 20) to the probabilities of white (n, 72)."""
        return torch.sigmoid(self.outputs(z))

    def forward(self, x):
        """From images to the means of pixels by a z that is drawn, and what `encode` makes."""
        mean, log_var = self.encode(x)
        z = mean + torch.randn_like(mean) * (0.5 * log_var).exp()
        return self.decode(z), mean, log_var
