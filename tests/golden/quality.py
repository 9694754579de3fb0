"""Writes quality.json: what NumPy, SciPy, scikit-learn and scikit-image find where elbo measures quality.

    python quality.py                 # needs numpy, scipy, scikit-learn and scikit-image
    python quality.py OTHER_FOLDER    # writes elsewhere, to compare

Made with NumPy 2.4.6, SciPy 1.17.1, scikit-learn 1.9.1, scikit-image 0.26.0 and Python 3.11. No input is stored: element i of
the input `seed` is made of value(seed, i) in README.md, which is in [-1, 1), in float64 and rounded to f32:

    features   value(seed, i) + value(seed, i - 1 - i % columns + columns), so that columns of a row have a common part
    images     (value(seed, i) + 1) / 2
    made       image + 0.2 value(seed + 1, i)
    factors    floor((value(seed, i) + 1) / 2 * steps[column])
    codes      sum over factors f of factor f * mix[f][column] + 0.3 value(seed + 1, i)
"""

import json
import pathlib
import sys

import numpy as np
from scipy.linalg import sqrtm
from scipy.stats import entropy
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from sklearn.linear_model import Lasso
from sklearn.metrics import mutual_info_score
from sklearn.mixture import GaussianMixture

from values import value


def values(seed, *shape):
    return value(seed, int(np.prod(shape))).reshape(shape)


def features(seed, rows, columns):
    own = values(seed, rows, columns)
    return (own + own[:, -1:]).astype(np.float32)


def frechet(a, b):
    """As the FID is computed (Heusel et al. 2017)."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    one, other = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    root = sqrtm(one @ other)
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(one + other - 2 * root.real))


def held(rows, queries, k):
    """Kynkaanniemi et al. 2019, eq. 1, in float64."""
    rows, queries = rows.astype(np.float64), queries.astype(np.float64)
    apart = lambda a, b: ((a[:, None] - b[None]) ** 2).sum(2)
    radii = np.sort(apart(rows, rows), axis=1)[:, k]
    return (apart(queries, rows) <= radii).any(1).tolist()


def distances():
    cases = []
    for name, seed, rows, columns, factor, shift in [
        ("near", 10, 200, 5, 1.0, 0.1),
        ("far", 20, 300, 8, 2.0, 1.0),
        ("one", 30, 50, 1, 0.5, 0.0),
    ]:
        a = features(seed, rows, columns)
        b = (features(seed + 1, rows, columns) * np.float32(factor) + np.float32(shift)).astype(np.float32)
        cases.append({
            "name": name, "seed": seed, "rows": rows, "columns": columns, "factor": factor, "shift": shift,
            "frechet": frechet(a, b),
            "precision": {str(k): held(a, b, k) for k in [1, 3]},
            "recall": {str(k): held(b, a, k) for k in [1, 3]},
        })
    return cases


def pictures():
    cases = []
    for seed, height, width, channels in [(40, 16, 13, 1), (50, 11, 12, 3)]:
        x = ((values(seed, height, width, channels) + 1) / 2).astype(np.float32)
        y = (x + 0.2 * values(seed + 1, height, width, channels)).astype(np.float32)
        x, y = x.astype(np.float64), y.astype(np.float64)
        cases.append({
            "seed": seed, "size": [height, width, channels],
            "psnr": float(peak_signal_noise_ratio(x, y, data_range=1)),
            "ssim": float(structural_similarity(
                x, y, data_range=1, channel_axis=2, gaussian_weights=True, use_sample_covariance=False, sigma=1.5)),
        })
    return cases


def factors():
    seed, images, steps = 60, 500, [3, 5, 4]
    mix = np.array([[1, 0, 0, 0.2], [0, 0.6, 0, 0.3], [0.1, 0, -0.8, 0]])
    v = np.floor((values(seed, images, 3) + 1) / 2 * np.array(steps))
    codes = (v @ mix + 0.3 * values(seed + 1, images, 4)).astype(np.float32).astype(np.float64)
    binned = [np.digitize(c, np.histogram(c, 20)[1][:-1]) for c in codes.T]
    gaps = []
    for factor in v.T:
        told = sorted((mutual_info_score(b, factor) for b in binned), reverse=True)
        gaps.append(float((told[0] - told[1]) / mutual_info_score(factor, factor)))
    # Lassos of all images, by a penalty of a hundredth of the largest that has an effect.
    x = (codes - codes.mean(0)) / codes.std(0)
    y = (v - v.mean(0)) / v.std(0)
    weights = []
    for factor in y.T:
        alpha = 0.01 * np.abs(x.T @ factor / images).max()
        model = Lasso(alpha=alpha, fit_intercept=False, tol=1e-14, max_iter=100_000).fit(x, factor)
        weights.append(model.coef_.tolist())
    importance = np.abs(np.array(weights)).T
    shares = importance.sum(1) / importance.sum()
    return {
        "seed": seed, "images": images, "steps": steps, "mix": mix.tolist(), "mig": gaps, "lasso": weights,
        "disentanglement": float((shares * (1 - entropy(importance, base=3, axis=1))).sum()),
        "completeness": (1 - entropy(importance, base=4, axis=0)).tolist(),
    }


def mixtures():
    """Turns of expectation and maximisation from given components, with the floor added to each variance."""
    cases = []
    for name, seed, rows, columns, components, turns, floor in [
        ("three", 70, 300, 2, 3, 7, 1e-6),
        ("wide", 80, 400, 6, 4, 20, 1e-3),
        ("one", 90, 100, 3, 1, 1, 0.0),
    ]:
        x = features(seed, rows, columns).astype(np.float64)
        x[: rows // 3] += 1.5
        x = x.astype(np.float32).astype(np.float64)
        means = x[:: rows // components][:components]
        model = GaussianMixture(
            components, covariance_type="full", tol=0, reg_covar=floor, max_iter=turns, means_init=means,
            weights_init=np.full(components, 1 / components),
            precisions_init=np.tile(np.eye(columns), (components, 1, 1)))
        model.fit(x)
        cases.append({
            "name": name, "seed": seed, "rows": rows, "columns": columns, "components": components,
            "turns": turns, "floor": floor, "weights": model.weights_.tolist(),
            "means": model.means_.ravel().tolist(), "covariances": model.covariances_.ravel().tolist(),
            "likelihood": model.score(x),
        })
    return cases


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    found = {"distances": distances(), "pictures": pictures(), "factors": factors(), "mixtures": mixtures()}
    parts = ",\n".join(f'"{key}": {json.dumps(part)}' for key, part in found.items())
    (folder / "quality.json").write_text(f"{{\n{parts}\n}}\n")
