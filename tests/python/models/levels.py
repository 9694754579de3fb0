"""A variational autoencoder (Kingma and Welling 2014) for images of 6 × 4, after 0 training steps.

Written by elbo 0.1.0. Save it as model.py, and its weights with

    elbo export RUN --out weights.safetensors

Then, with the packages torch and safetensors:

    import torch, safetensors.torch
    from model import Vae

    vae = Vae()
    vae.load_state_dict(safetensors.torch.load_file("weights.safetensors"))
    vae.eval()
    mean, log_var = vae.encode(images.flatten(1))
    new = vae.decode(vae.sample(16))

A row is an image (height, width, channels) that was flattened.
"""

import torch
from torch import nn
from torch.nn import functional as F


class Vae(nn.Module):
    height, width, channels = 6, 4, 1
    latent = 4
    # How values of the training images became the numbers that `encode` takes.
    reading = "each file by its own content, as older runs read"

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(24, 400)
        self.fc21 = nn.Linear(400, 4)
        self.fc22 = nn.Linear(400, 4)
        self.fc3 = nn.Linear(4, 400)
        self.fc4 = nn.Linear(400, 24)
        self.above = nn.ModuleDict()
        self.above["0"] = nn.ModuleDict()
        self.above["0"]["encoder"] = nn.ModuleDict()
        self.above["0"]["encoder"]["0"] = nn.Linear(4, 6)
        self.above["0"]["encoder"]["1"] = nn.Linear(6, 5)
        self.above["0"]["posterior"] = nn.ModuleDict()
        self.above["0"]["posterior"]["mean"] = nn.Linear(5, 3)
        self.above["0"]["posterior"]["log_var"] = nn.Linear(5, 3)
        self.above["0"]["decoder"] = nn.ModuleDict()
        self.above["0"]["decoder"]["0"] = nn.Linear(3, 5)
        self.above["0"]["prior"] = nn.ModuleDict()
        self.above["0"]["prior"]["mean"] = nn.Linear(5, 4)
        self.above["0"]["prior"]["log_var"] = nn.Linear(5, 4)
        self.above["1"] = nn.ModuleDict()
        self.above["1"]["posterior"] = nn.ModuleDict()
        self.above["1"]["posterior"]["mean"] = nn.Linear(3, 2)
        self.above["1"]["posterior"]["log_var"] = nn.Linear(3, 2)
        self.above["1"]["decoder"] = nn.ModuleDict()
        self.above["1"]["decoder"]["0"] = nn.Linear(2, 4)
        self.above["1"]["prior"] = nn.ModuleDict()
        self.above["1"]["prior"]["mean"] = nn.Linear(4, 3)
        self.above["1"]["prior"]["log_var"] = nn.Linear(4, 3)

    def encode(self, x):
        """From images (n, 24) to the mean and the log-variance of q(z | x), (n, 4) each."""
        x = F.relu(self.fc1(x))
        return self.fc21(x), self.fc22(x).clamp(-30.0, 20.0)

    def outputs(self, z):
        """From z (n, 4) to logits (n, 24)."""
        z = F.relu(self.fc3(z))
        return self.fc4(z)

    def decode(self, z):
        """From z (n, 4) to the probabilities of white (n, 24)."""
        return torch.sigmoid(self.outputs(z))

    def forward(self, x):
        """From images to the means of pixels by a z that is drawn, and what `encode` makes."""
        mean, log_var = self.encode(x)
        z = mean + torch.randn_like(mean) * (0.5 * log_var).exp()
        return self.decode(z), mean, log_var

    def encode_2(self, z):
        """From z of level 1 (n, 4) to the mean and the log-variance of q(z | z below) of level 2, (n, 3) each."""
        z = F.relu(self.above["0"]["encoder"]["0"](z))
        z = F.relu(self.above["0"]["encoder"]["1"](z))
        return self.above["0"]["posterior"]["mean"](z), self.above["0"]["posterior"]["log_var"](z).clamp(-30.0, 20.0)

    def prior_1(self, z):
        """From z of level 2 (n, 3) to the mean and the log-variance of p(z | z above) of level 1, (n, 4) each."""
        z = F.relu(self.above["0"]["decoder"]["0"](z))
        return self.above["0"]["prior"]["mean"](z), self.above["0"]["prior"]["log_var"](z).clamp(-30.0, 20.0)

    def encode_3(self, z):
        """From z of level 2 (n, 3) to the mean and the log-variance of q(z | z below) of level 3, (n, 2) each."""
        return self.above["1"]["posterior"]["mean"](z), self.above["1"]["posterior"]["log_var"](z).clamp(-30.0, 20.0)

    def prior_2(self, z):
        """From z of level 3 (n, 2) to the mean and the log-variance of p(z | z above) of level 2, (n, 3) each."""
        z = torch.tanh(self.above["1"]["decoder"]["0"](z))
        return self.above["1"]["prior"]["mean"](z), self.above["1"]["prior"]["log_var"](z).clamp(-30.0, 20.0)

    def sample(self, count):
        """z (count, 4) drawn from the prior."""
        z = torch.randn(count, 2)
        mean, log_var = self.prior_2(z)
        z = mean + torch.randn_like(mean) * (0.5 * log_var).exp()
        mean, log_var = self.prior_1(z)
        z = mean + torch.randn_like(mean) * (0.5 * log_var).exp()
        return z
