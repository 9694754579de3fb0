"""Training steps per second of PyTorch, to stand beside ours: eager, or on CUDA as a captured graph.

    python pytorch.py --model classic --device cpu
    python pytorch.py --model big --device cuda --variant graph

Needs torch and numpy (measured with torch 2.15.0, numpy 2.4.6). `run.py` runs it beside ours.
"""

import torch
from torch import nn
from torch.nn import functional as F

import peer


class Vae(nn.Module):
    """784, hidden layers, latent, and mirrored; logits of pixels."""

    def __init__(self, hidden, latent):
        super().__init__()
        sizes = [784, *hidden]
        self.encoder = self.chain(sizes)
        self.mu = nn.Linear(sizes[-1], latent)
        self.log_var = nn.Linear(sizes[-1], latent)
        self.decoder = self.chain([latent, *reversed(hidden)])
        self.logits = nn.Linear(hidden[0], 784)

    @staticmethod
    def chain(sizes):
        layers = []
        for before, after in zip(sizes, sizes[1:]):
            layers += [nn.Linear(before, after), nn.ReLU()]
        return nn.Sequential(*layers)

    def loss(self, x):
        """The negative ELBO, summed over the batch."""
        h = self.encoder(x)
        mu, log_var = self.mu(h), self.log_var(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * log_var)
        logits = self.logits(self.decoder(z))
        recon = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        return recon - 0.5 * torch.sum(1 + log_var - mu.pow(2) - log_var.exp())


class Eager:
    """Each operation is launched by Python, as most programs do."""

    def __init__(self, model, images, rows):
        self.model, self.images, self.rows = model, images, rows
        self.optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        self.taken = 0

    def step(self):
        # The rows are gathered by an index, as ours are; a data loader would be slower.
        x = self.images[self.rows[self.taken % len(self.rows)]]
        self.taken += 1
        self.optimizer.zero_grad()
        self.loss = self.model.loss(x)
        self.loss.backward()
        self.optimizer.step()


class Graph:
    """The whole step is captured once and replayed, with the fused Adam: the least that the host can do."""

    def __init__(self, model, images, rows):
        self.model, self.images, self.rows = model, images, rows
        self.optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True, capturable=True)
        # A graph has no arguments: which minibatch is next is counted on the device.
        self.taken = torch.zeros(1, dtype=torch.int64, device=images.device)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            # Libraries and the optimizer's state are made before the capture, which forbids it.
            for _ in range(3):
                self.record()
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(self.graph):
            self.record()

    def record(self):
        rows = self.rows.index_select(0, self.taken % len(self.rows)).flatten()
        x = self.images.index_select(0, rows)
        self.taken += 1
        self.optimizer.zero_grad(set_to_none=True)
        self.loss = self.model.loss(x)
        self.loss.backward()
        self.optimizer.step()

    def step(self):
        self.graph.replay()


def main():
    args = peer.parse("PyTorch", ["eager", "graph"])
    cuda = args.device.startswith("cuda")
    if cuda and not torch.cuda.is_available():
        raise SystemExit("this PyTorch finds no CUDA device")
    if args.variant == "graph" and not cuda:
        raise SystemExit("`--variant graph` needs `--device cuda`")
    # Whole f32 products, as ours are, not TF32.
    torch.set_float32_matmul_precision("highest")
    torch.manual_seed(1)
    device = torch.device(args.device)
    images, rows = (torch.from_numpy(array).to(device) for array in peer.images(args))
    model = Vae(args.hidden, args.latent).to(device)
    # The capture and the steps before it are part of the time to the first step.
    way = {"eager": Eager, "graph": Graph}[args.variant](model, images, rows)

    def advance(steps):
        for _ in range(steps):
            way.step()
        if cuda:
            torch.cuda.synchronize()

    name = torch.cuda.get_device_name(device) if cuda else peer.processor()
    peer.measure(
        args, advance, lambda: way.loss.detach(), framework="pytorch", version=torch.__version__,
        device=f"{name}, CUDA" if cuda else f"{name}, {torch.get_num_threads()} threads",
        variant=args.variant,
    )


if __name__ == "__main__":
    main()
