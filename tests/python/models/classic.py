"""A variational autoencoder (Kingma and Welling 2014) for images of 28 × 28, after 4690 training steps.

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
    height, width, channels = 28, 28, 1
    latent = 20
    # How values of the training images became the numbers that `encode` takes.
    reading = "each file by its own content, as older runs read"

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 400)
        self.fc21 = nn.Linear(400, 20)
        self.fc22 = nn.Linear(400, 20)
        self.fc3 = nn.Linear(20, 400)
        self.fc4 = nn.Linear(400, 784)

    def encode(self, x):
        """From images (n, 784) to the mean and the log-variance of q(z | x), (n, 20) each."""
        x = F.relu(self.fc1(x))
        return self.fc21(x), self.fc22(x).clamp(-30.0, 20.0)

    def outputs(self, z):
        """From z (n, 20) to logits (n, 784)."""
        z = F.relu(self.fc3(z))
        return self.fc4(z)

    def decode(self, z):
        """From z (n, 20) to the probabilities of white (n, 784)."""
        return torch.sigmoid(self.outputs(z))

    def forward(self, x):
        """From images to the means of pixels by a z that is drawn, and what `encode` makes."""
        mean, log_var = self.encode(x)
        z = mean + torch.randn_like(mean) * (0.5 * log_var).exp()
        return self.decode(z), mean, log_var
