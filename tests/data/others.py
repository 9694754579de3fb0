"""Writes the pickles, MATLAB and Parquet files beside it into `others/`, as their users have them.

    python3 tests/data/others.py        # NumPy 2.4, SciPy 1.17, PyArrow 26, Pillow 13

The images are those of `arrays.py`: three of 2 x 4 bytes, i * 11 % 256; of CIFAR's shape two of 3 x 4 x 4.
"""

import gzip
import io
import os
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.io
from PIL import Image

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "others")
os.makedirs(here, exist_ok=True)
images = (np.arange(24) * 11 % 256).astype(np.uint8).reshape(3, 2, 4)
planes = (np.arange(96) * 7 % 256).astype(np.uint8).reshape(2, 48)
labels = np.array([7, 0, 9])


def put(name, content):
    with open(os.path.join(here, name), "wb") as file:
        file.write(content)


# Pickles: a batch of CIFAR's kind, and the pairs of Theano's MNIST, by every protocol.
batch = {b"batch_label": b"one", b"labels": [3, 5], b"data": planes, b"filenames": [b"a.png", b"b.png"]}
floats = images.astype(np.float32) / 256
pairs = ((floats, labels), (floats[:1], labels[:1]), (floats[1:], labels[1:]))
for protocol in range(6):
    put(f"batch_{protocol}.pkl", pickle.dumps(batch, protocol))
    put(f"pairs_{protocol}.pkl", pickle.dumps(pairs, protocol))
put("pairs.pkl.gz", gzip.compress(pickle.dumps(pairs, 2), mtime=0))
put("array.pkl", pickle.dumps(np.asfortranarray(images), 4))
put("named.pkl", pickle.dumps({"x_train": images, "y_train": labels, "x_test": images[:1]}, 4))
put("refused_set.pkl", pickle.dumps({1, 2}, 4))
put("refused_object.pkl", pickle.dumps(np.array(["a", None], dtype=object), 4))
put("refused_record.pkl", pickle.dumps(np.zeros(2, dtype=[("a", "u1")]), 4))
put("refused_function.pkl", pickle.dumps([os.path.join], 4))


# MATLAB: plain and packed, along either axis.
def mat(name, packed, **variables):
    path = os.path.join(here, name + ".mat")
    scipy.io.savemat(path, variables, do_compression=packed)
    with open(path, "r+b") as file:
        # The date is left out.
        file.write(b"MATLAB 5.0 MAT-file, by tests/data/others.py".ljust(116))


faces = (np.arange(560 * 3) % 251).astype(np.uint8).reshape(560, 3)
digits = (np.arange(2 * 2 * 3 * 5) * 3 % 256).astype(np.uint8).reshape(2, 2, 3, 5)
mat("faces", False, ff=faces)
mat("last", True, X=digits, y=np.array([[1], [2], [10], [4], [5]], dtype=float))
mat("flat", True, train_data=np.arange(18).reshape(2, 9).astype(np.uint8), test_data=np.full((3, 9), 7, np.uint8),
    val_data=np.zeros((1, 9), np.uint8), train_labels=np.array([[4], [6]], dtype=np.uint8))
mat("numbers", False, data=images.transpose(1, 2, 0) * 0.5, label=labels.reshape(1, 3))
mat("refused_which", False, data=np.zeros((4, 9)))
mat("refused_cell", False, data=np.array(["a", 1], dtype=object), x=1j * np.ones((2, 2)))


# Parquet: pictures and numbers, in every way of writing that is read.
def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "png")
    return file.getvalue()


pictures = pa.table({
    "image": [{"bytes": png(image), "path": f"{i}.png"} for i, image in enumerate(images)],
    "label": pa.array(labels),
})
bare = pa.table({"id": ["a", "b", "c"], "png": [png(image) for image in images], "class": ["dog", "cat", "dog"]})
flat = pa.table({"label": pa.array(labels), **{f"p{i}": images.reshape(3, 8)[:, i] for i in range(8)}})
halves = pa.table({f"p{i}": images.reshape(3, 8)[:, i] * 0.5 for i in range(4)} | {"b": [True, False, True]})
for name, table, options in [
    ("pictures", pictures, {}),
    ("gzip", pictures, {"compression": "gzip", "data_page_version": "2.0"}),
    ("none", pictures, {"compression": "none", "use_dictionary": False, "row_group_size": 2}),
    ("bare", bare, {}),
    ("flat", flat, {}),
    ("flat_2", flat, {"data_page_version": "2.0", "use_dictionary": False, "row_group_size": 2}),
    ("halves", halves, {}),
    ("zstd", flat, {"compression": "zstd"}),
    ("delta", flat, {"use_dictionary": False, "column_encoding": "DELTA_BINARY_PACKED"}),
    ("lists", pa.table({"x": [[1, 2], [3]]}), {}),
    ("missing", pa.table({"x": [1, None, 3]}), {}),
]:
    refused = name in ("zstd", "delta", "lists", "missing")
    path = os.path.join(here, ("refused_" if refused else "") + name + ".parquet")
    pq.write_table(table.replace_schema_metadata(None), path, store_schema=False, write_statistics=False, **options)
