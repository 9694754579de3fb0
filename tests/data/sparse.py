"""Writes the sparse matrices that tests/host/formats/sparse.rs reads, and what is in them.

    python3 tests/data/sparse.py

All hold the same three rows of four counts.
"""

import pathlib

import numpy as np
import scipy.io
import scipy.sparse

HERE = pathlib.Path(__file__).parent
COUNTS = np.array([[0, 3, 0, 7], [0, 0, 0, 0], [300, 0, 1, 0]])

scipy.sparse.save_npz(HERE / "csr.npz", scipy.sparse.csr_matrix(COUNTS))
scipy.sparse.save_npz(HERE / "csc.npz", scipy.sparse.csc_array(COUNTS.astype("f4")), compressed=False)
scipy.sparse.save_npz(HERE / "refused_coo.npz", scipy.sparse.coo_matrix(COUNTS))
scipy.sparse.save_npz(HERE / "refused_bsr.npz", scipy.sparse.bsr_matrix(COUNTS))
scipy.io.mmwrite(HERE / "counts.mtx", scipy.sparse.coo_matrix(COUNTS), comment="counts")
scipy.io.mmwrite(HERE / "dense.mtx", COUNTS)
scipy.io.mmwrite(HERE / "pattern.mtx", scipy.sparse.coo_matrix(COUNTS), field="pattern")
