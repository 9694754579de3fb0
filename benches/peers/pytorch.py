"""Training steps per second of the classic VAE in eager PyTorch on the CPU, to stand beside ours.

Needs torch. Run, by turns with `elbo train --device cpu --quiet` since machines drift:
    python pytorch.py [STEPS]
It prints one JSON object: images and steps per second after 50 steps of warm-up, as elbo counts them.
"""

import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class Vae(nn.Module):
    """784-400-20, as the PyTorch example has it, from logits."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 400)
        self.fc21 = nn.Linear(400, 20)
        self.fc22 = nn.Linear(400, 20)
        self.fc3 = nn.Linear(20, 400)
        self.fc4 = nn.Linear(400, 784)

    def forward(self, x):
        h = F.relu(self.fc1(x))
        mu, log_var = self.fc21(h), self.fc22(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * log_var)
        return self.fc4(F.relu(self.fc3(z))), mu, log_var


def main():
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 469
    torch.manual_seed(1)
    images = torch.rand(60_000, 784)
    model = Vae()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    order = torch.randperm(len(images))

    def step(i):
        # The rows are gathered by an index, as ours are; a data loader would be slower.
        x = images[order[128 * i % 59_904 :][:128]]
        logits, mu, log_var = model(x)
        recon = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        kl = -0.5 * torch.sum(1 + log_var - mu.pow(2) - log_var.exp())
        optimizer.zero_grad()
        (recon + kl).backward()
        optimizer.step()

    for i in range(50):
        step(i)
    start = time.perf_counter()
    for i in range(steps):
        step(i)
    rate = steps / (time.perf_counter() - start)
    print(json.dumps({
        "peer": "pytorch", "version": torch.__version__, "threads": torch.get_num_threads(),
        "steps_per_s": rate, "images_per_s": 128 * rate,
    }))


if __name__ == "__main__":
    main()
