"""Training steps of a small convolutional VAE by eager PyTorch on the CPU: the same net as `elbo bench --config` with

    [model]
    encoder = ["conv 32 4x4 stride 2", "relu", "conv 64 4x4 stride 2", "relu", 256]
    decoder = [256, 3136, "map 7x7x64", "conv 32 3x3 upsample 2", "relu", "conv 16 3x3 upsample 2", "relu"]
    latent = 32

on 28 × 28 grey images, batch 128, Adam. Prints the median of 40 steps with either layout of memory.

    python conv_step.py        # needs torch; takes all cores
"""

import statistics
import time

import torch
from torch import nn


class Vae(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 4, 2, 1), nn.ReLU(),
            nn.Flatten(), nn.Linear(3136, 256), nn.ReLU(), nn.Linear(256, 64))
        self.decoder = nn.Sequential(
            nn.Linear(32, 256), nn.ReLU(), nn.Linear(256, 3136), nn.ReLU(), nn.Unflatten(1, (64, 7, 7)),
            nn.Upsample(scale_factor=2), nn.Conv2d(64, 32, 3, 1, 1), nn.ReLU(),
            nn.Upsample(scale_factor=2), nn.Conv2d(32, 16, 3, 1, 1), nn.ReLU(), nn.Conv2d(16, 1, 3, 1, 1))

    def forward(self, x):
        mean, log_var = self.encoder(x).chunk(2, 1)
        z = mean + torch.randn_like(mean) * (log_var / 2).exp()
        recon = nn.functional.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        return recon - 0.5 * (1 + log_var - mean * mean - log_var.exp()).sum()


def main():
    for layout in (torch.contiguous_format, torch.channels_last):
        model = Vae().to(memory_format=layout)
        x = torch.rand(128, 1, 28, 28).to(memory_format=layout)
        optimiser = torch.optim.Adam(model.parameters(), 1e-3)
        times = []
        for _ in range(45):
            start = time.perf_counter()
            optimiser.zero_grad()
            model(x).backward()
            optimiser.step()
            times.append(time.perf_counter() - start)
        median = statistics.median(times[5:])
        print(f"{layout}: {1e3 * median:.1f} ms a step, {128 / median:.0f} images/s")


main()
