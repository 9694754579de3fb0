"""The inputs of all scripts here: functions of a seed and an index, by NumPy, with nothing stored."""

import numpy as np


def splitmix64(x):
    """The splitmix64 mixing function on an array of uint64; numpy wraps modulo 2^64."""
    z = x + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def value(seed, count):
    """value(seed, i) for i in 0..count, in [-1, 1).

    Only the top 24 bits are kept, so that each value is exact in float32 too: both sides of a
    comparison start from the very same numbers.
    """
    x = np.uint64(seed << 32) + np.arange(count, dtype=np.uint64)
    top = (splitmix64(x) >> np.uint64(40)).astype(np.float64)
    return top / 2.0**24 * 2.0 - 1.0
