"""What PyTorch makes of the small net of `golden.py` by normalised gradients, in float64; writes normalise.safetensors
beside itself, or into the folder that is given.

    python normalise.py

Before each update the gradient g of every parameter is g / (||g|| + 1e-7), with the norm of that parameter alone, as
`AdamNormGrad` in the code of Tomczak and Welling (2018) has it. README.md lists the keys.
"""

import pathlib
import sys

import numpy as np
import torch

import golden

optim = torch.optim

VARIANTS = {
    "adam": lambda p: optim.Adam(p, lr=1e-3),
    "adam_decay": lambda p: optim.Adam(p, lr=1e-3, weight_decay=0.01),
    "adamw": lambda p: optim.AdamW(p, lr=1e-3, weight_decay=0.01),
    "momentum": lambda p: optim.SGD(p, lr=1e-3, momentum=0.9, weight_decay=0.01),
}


class Run(golden.Run):
    """A run whose gradients are normalised before weight decay, which is the optimiser's, is added."""

    def update(self):
        norms = [p.grad.norm() for p in self.weights.values()]
        self.grad_norms.append(torch.stack(norms).norm().item())
        for p, norm in zip(self.weights.values(), norms):
            p.grad /= norm + 1e-7
        super().update()


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
    folder = folder.parent if folder.is_file() else folder
    out = {}
    for name, optimizer in VARIANTS.items():
        run = Run(37, 19, 3, batch=7, scale=2.0**-1, optimizer=optimizer)
        for step in range(1, 101):
            run.backward()
            run.update()
            if step in golden.CHECKPOINTS:
                golden.put_whole(out, f"{name}/after{step}", run.values())
        out[f"{name}/grad_norm"] = np.array(run.grad_norms)
    golden.write(folder / "normalise.safetensors", out)


if __name__ == "__main__":
    main()
