"""Reference numbers for what is minimised beside the ELBO, computed by PyTorch in float64.

Writes divergence.safetensors beside this script, or into the folder that is named. Made with PyTorch
2.15.0, numpy 2.4.6 and safetensors 0.8.0, on CPU. README.md lists the keys. The inputs z, h and y are
stored; the objectives are written with torch.distributions where it has them.
"""

import math
import pathlib
import sys

import numpy as np
import torch
from safetensors.numpy import save_file
from torch.distributions import Normal, kl_divergence

torch.set_num_threads(1)
M, N, LATENT = 6, 500, 3
LOSS_SCALE, KL_WEIGHT = 0.25, 1.5


def inputs():
    generator = torch.Generator().manual_seed(5)
    draw = lambda columns: torch.randn(M, columns, generator=generator, dtype=torch.float64)
    h = draw(2 * LATENT)
    # Dimensions of different KL divergences.
    h[:, 1] *= 0.1
    h[:, LATENT + 1] *= 0.1
    z = h[:, :LATENT] + draw(LATENT) * torch.exp(h[:, LATENT:] / 2)
    return z.requires_grad_(), h.requires_grad_(), draw(LATENT)


def posterior(h):
    return Normal(h[:, :LATENT], torch.exp(h[:, LATENT:] / 2))


def kl_by_dimension(h):
    return kl_divergence(posterior(h), Normal(torch.zeros((), dtype=torch.float64), 1.0)).mean(0)


# Each gives what is minimised of each image beside reconstruction + KL_WEIGHT · KL, in the mean.

def free_bits(h, nats):
    kl = kl_by_dimension(h)
    return KL_WEIGHT * (torch.clamp(kl, min=nats).sum() - kl.sum()).expand(M)


def capacity(h, nats):
    kl = kl_by_dimension(h).sum()
    return KL_WEIGHT * (torch.abs(kl - nats) - kl).expand(M)


def total_correlation(z, h, weight):
    # log_density[i, j, d] = log q(z_id | x_j)
    log_density = posterior(h).log_prob(z[:, None, :])
    log_q = torch.logsumexp(log_density.sum(2), 1) - math.log(N * M)
    log_each = torch.logsumexp(log_density, 1) - math.log(N * M)
    return weight * (log_q - log_each.sum(1))


def mmd(z, y, weight, divisor):
    def kernel(a, b):
        return torch.exp(-(a[:, None] - b[None]).square().sum(2) / divisor)
    return weight * (kernel(z, z).mean() + kernel(y, y).mean() - 2 * kernel(z, y).mean()).expand(M)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    z, h, y = inputs()
    out = {"z": z, "h": h, "y": y}
    terms = {
        "free_bits": lambda: free_bits(h, 0.5),
        "many_free_bits": lambda: free_bits(h, 8.0),
        "low_capacity": lambda: capacity(h, 0.25),
        "high_capacity": lambda: capacity(h, 25.0),
        "total_correlation": lambda: total_correlation(z, h, 5.0),
        "mmd": lambda: mmd(z, y, 100.0, 8.0),
        "narrow_mmd": lambda: mmd(z, y, 100.0, 2.0),
    }
    print("mean KL by dimension", kl_by_dimension(h).tolist())
    for name, term in terms.items():
        z.grad = h.grad = None
        extra = term()
        (LOSS_SCALE * extra.sum()).backward()
        out[f"{name}.extra"] = extra
        print(name, extra.sum().item())
        for grad, of in [("dz", z), ("dh", h)]:
            if of.grad is not None:
                out[f"{name}.{grad}"] = of.grad
    arrays = {key: np.ascontiguousarray(value.detach().numpy()) for key, value in out.items()}
    save_file(arrays, folder / "divergence.safetensors")


main()
