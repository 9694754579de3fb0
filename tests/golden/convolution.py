"""Reference numbers for convolutions, computed by PyTorch in float64; writes convolution.safetensors beside itself.

    python convolution.py

For each shape y = conv2d(interpolate(x), w, b) and the gradients of sum(g * y), stored as `K.y`, `K.dx`, `K.dw`, `K.db` for shape K, all in
this crate's order: maps [images, height, width, channels], weights [outputs, kernel height, kernel width, channels]. Inputs
are those of README.md in that order: x = value(4 K + 1, i), w = value(4 K + 2, i), b = value(4 K + 3, i), g = value(4 K + 4, i).
Made with PyTorch 2.15.0, numpy 2.4.6 and safetensors 0.8.0, on CPU.
"""

import pathlib

import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

from golden import fill

# Images, height, width, channels, outputs, kernel height and width, stride, padding, and how often a place is repeated in both
# directions before that; as in tests/adapter/convolution.rs.
SHAPES = [
    (2, 5, 4, 3, 5, 3, 3, 1, 1, 1),
    (2, 8, 7, 16, 17, 4, 4, 2, 1, 1),
    (3, 9, 5, 1, 2, 5, 3, 3, 2, 1),
    (1, 3, 3, 17, 3, 7, 7, 1, 3, 1),
    (2, 6, 7, 3, 4, 1, 1, 2, 0, 1),
    (2, 3, 4, 5, 3, 3, 3, 1, 1, 2),
    (1, 2, 3, 3, 2, 5, 4, 1, 2, 3),
]


def main():
    made = {}
    for k, (images, height, width, channels, outputs, down, right, stride, padding, zoom) in enumerate(SHAPES):
        x = fill(4 * k + 1, (images, height, width, channels), 1.0).requires_grad_(True)
        w = fill(4 * k + 2, (outputs, down, right, channels), 1.0).requires_grad_(True)
        b = fill(4 * k + 3, (outputs,), 1.0).requires_grad_(True)
        nchw = x.permute(0, 3, 1, 2), w.permute(0, 3, 1, 2)
        nchw = F.interpolate(nchw[0], scale_factor=zoom, mode="nearest"), nchw[1]
        y = F.conv2d(*nchw, b, stride=stride, padding=padding).permute(0, 2, 3, 1)
        (y * fill(4 * k + 4, tuple(y.shape), 1.0)).sum().backward()
        for name, tensor in (("y", y), ("dx", x.grad), ("dw", w.grad), ("db", b.grad)):
            made[f"{k}.{name}"] = tensor.detach().contiguous().numpy()
    save_file(made, pathlib.Path(__file__).with_name("convolution.safetensors"))


main()
