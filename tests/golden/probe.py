"""Writes probe.json: what scikit-learn finds with logistic regression and nearest neighbours, and how well scores tell.

    python probe.py                 # needs scikit-learn and numpy
    python probe.py OTHER_FOLDER    # writes elsewhere, to compare

Made with scikit-learn 1.9.1, SciPy 1.17.1, NumPy 2.4.6 and Python 3.11. No input is stored: feature j of row i
of case `seed` is

    x[i, j] = value(seed, i * columns + j) * scale[j] + 0.6 * scale[j] * value(seed + 1, label[i] * columns + j)

in float64, rounded to f32, where `value` is that of README.md (in [-1, 1)) and label[i] = (7 i + i // 5) % classes.
Half of the rows are to learn from, the others to be judged. The solver is run to a gradient of 1e-10, since the
coefficients are compared; the default stops at 1e-4.
"""

import json
import pathlib
import sys

import numpy as np
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from sklearn.neighbors import KNeighborsClassifier

from values import value

# Name, seed, rows, columns, classes, C, and the scale of each column.
CASES = [
    ("three", 100, 240, 4, 3, 1.0, [1, 1, 1, 1]),
    ("two", 200, 160, 3, 2, 1.0, [1, 1, 1]),
    ("ten", 300, 800, 8, 10, 1.0, [1] * 8),
    ("scaled", 400, 240, 4, 3, 1.0, [1, 1000, 0, 0.01]),
    ("weak", 500, 240, 4, 4, 0.01, [1, 2, 1, 0.5]),
]


def inputs(seed, rows, columns, classes, scale):
    labels = np.array([(7 * i + i // 5) % classes for i in range(rows)])
    own = value(seed, rows * columns).reshape(rows, columns)
    shared = value(seed + 1, classes * columns).reshape(classes, columns)[labels]
    x = (own * scale + 0.6 * np.array(scale) * shared).astype(np.float32)
    return x, labels


def vote(order, labels):
    """The commonest class of the neighbours; among those as common, the one with the nearest neighbour."""
    near = labels[order]
    counts = np.bincount(near)
    return int(next(label for label in near if counts[label] == counts.max()))


def margin(positive, others):
    """Half of the AUROC's 95 % interval by its components, pair by pair (DeLong et al. 1988, equation 5)."""
    wins = (positive[:, None] > others) + 0.5 * (positive[:, None] == others)
    variances = [wins.mean(axis).var(ddof=1) / wins.shape[1 - axis] for axis in [0, 1]]
    return norm.ppf(0.975) * sum(variances) ** 0.5


def case(name, seed, rows, columns, classes, c, scale):
    x, labels = inputs(seed, rows, columns, classes, scale)
    half = rows // 2
    model = LogisticRegression(C=c, tol=1e-10, max_iter=100_000).fit(x[:half].astype(np.float64), labels[:half])
    found = {
        "name": name, "seed": seed, "rows": rows, "columns": columns, "classes": classes, "c": c, "scale": scale,
        "coefficients": model.coef_.ravel().tolist(),
        "intercepts": model.intercept_.tolist(),
        "predicted": model.predict(x[half:].astype(np.float64)).tolist(),
        "accuracy": model.score(x[half:].astype(np.float64), labels[half:]),
        "neighbours": {},
    }
    for k in [1, 4, 5]:
        order = KNeighborsClassifier(k, algorithm="brute").fit(x[:half], labels[:half]).kneighbors(x[half:])[1]
        found["neighbours"][str(k)] = [vote(row, labels[:half]) for row in order]
    # Whether an image is of the last class, by the first feature, and by the same in steps, which ties.
    positive = labels == classes - 1
    scores = x[:, 0].astype(np.float64)
    for name, scores in [("detection", scores), ("detection_tied", np.round(scores * 4))]:
        fpr, tpr, _ = roc_curve(positive, scores, drop_intermediate=False)
        found[name] = {
            "auroc": roc_auc_score(positive, scores),
            "auroc_margin": margin(scores[positive], scores[~positive]),
            "average_precision": average_precision_score(positive, scores),
            "fpr_at_95": fpr[tpr >= 0.95].min(),
        }
    return found


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    lines = ",\n".join(json.dumps(case(*given)) for given in CASES)
    (folder / "probe.json").write_text(f"[\n{lines}\n]\n")
