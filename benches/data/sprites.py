"""Makes a set of the shape of dSprites (Matthey et al. 2017): 737,280 images of 64x64, zeros and ones, one
for each combination of 3 shapes, 6 scales, 40 orientations and 32 x 32 places, in that order, so that the
factors of an image follow from its number. The shapes are formulas of our own, not the published pixels.

    python3 benches/data/sprites.py sprites.npy     # 3.0 GB; .npz packs them as dSprites comes, `imgs`
"""

import sys

import numpy as np

SIDE, SCALES, TURNS, PLACES = 64, 6, 40, 32
LARGEST = 9.0  # Half the side of the largest shape, in pixels.


def inside(shape, x, y):
    """Whether places in a frame of -1 to 1 belong to a square, an ellipse or a heart."""
    if shape == 0:
        return np.maximum(abs(x), abs(y)) <= 0.75
    if shape == 1:
        return x**2 + (y / 0.55) ** 2 <= 1
    x, y = 1.25 * x, -1.25 * y + 0.1
    return (x**2 + y**2 - 1) ** 3 - x**2 * y**3 <= 0


def images():
    """1024 images at a time: all places of one shape, scale and orientation."""
    first, last = 1.5 * LARGEST, SIDE - 1 - 1.5 * LARGEST
    centres = np.linspace(first, last, PLACES)
    down = np.arange(SIDE)[None, None, :, None] - centres[:, None, None, None]
    across = np.arange(SIDE)[None, None, None, :] - centres[None, :, None, None]
    for shape in range(3):
        for scale in np.linspace(0.5, 1, SCALES):
            for turn in np.linspace(0, 2 * np.pi, TURNS, endpoint=False):
                x = (np.cos(turn) * across + np.sin(turn) * down) / (scale * LARGEST)
                y = (np.cos(turn) * down - np.sin(turn) * across) / (scale * LARGEST)
                yield inside(shape, x, y).astype(np.uint8).reshape(-1, SIDE, SIDE)


def main(path):
    count = 3 * SCALES * TURNS * PLACES * PLACES
    plain = path if path.endswith(".npy") else path + ".tmp.npy"
    made = np.lib.format.open_memmap(plain, "w+", np.uint8, (count, SIDE, SIDE))
    for i, some in enumerate(images()):
        made[i * len(some) : (i + 1) * len(some)] = some
    made.flush()
    if plain != path:
        np.savez_compressed(path, imgs=made)


if __name__ == "__main__":
    main(sys.argv[1])
