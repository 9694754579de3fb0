"""Writes the NumPy files that tests/host/formats/ reads, and what is in them.

    python3 tests/data/arrays.py

Every array holds the same three images of 2 x 4, in another type, order or shape; the expected
values are the same for all that can hold them.
"""

import pathlib

import numpy as np

HERE = pathlib.Path(__file__).parent
IMAGES = (np.arange(24) * 11 % 256).reshape(3, 2, 4)


def write(name, array):
    np.save(HERE / f"{name}.npy", array)


for kind in ["u1", "<u2", ">u2", "<u4", ">u4", "<u8", ">u8", "<i2", ">i2", "<i4", ">i4", "<i8", ">i8"]:
    write(("be_" if kind[0] == ">" else "") + kind.strip("<>"), IMAGES.astype(kind))
write("i1", (IMAGES // 2).astype("i1"))
for kind in ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"]:
    write(("be_" if kind[0] == ">" else "") + kind.strip("<>"), (IMAGES / 4 - 10.25).astype(kind))
write("bool", IMAGES % 2 == 1)
write("binary", (IMAGES % 2).astype("u1"))

write("fortran", np.asfortranarray(IMAGES.astype("u1")))
write("fortran_floats", np.asfortranarray((IMAGES / 4 - 10.25).astype("f4")))
write("fortran_pixels", np.asfortranarray(IMAGES.astype("u1").reshape(3, 8)))
write("fortran_square", np.asfortranarray(np.arange(18, dtype="u1").reshape(2, 9)))
write("fortran_channel", np.asfortranarray(IMAGES.astype("u1").reshape(3, 1, 2, 4)))
write("channel_first", IMAGES.astype("u1").reshape(3, 1, 2, 4))
write("channel_last", IMAGES.astype("u1").reshape(3, 2, 4, 1))
write("pixels", IMAGES.astype("u1").reshape(3, 8))
write("square", np.arange(18, dtype="u1").reshape(2, 9))

write("refused_range", IMAGES.astype("<i4") * 2 - 7)
write("refused_complex", IMAGES.astype("<c8"))
write("refused_text", IMAGES.astype("<U3"))
write("refused_record", np.zeros(3, dtype=[("pixels", "u1", (2, 4)), ("label", "u1")]))
np.save(HERE / "refused_object.npy", np.array([[None]]), allow_pickle=True)
write("refused_nan", np.where(IMAGES == 0, np.nan, IMAGES).astype("<f4"))
write("refused_flat", IMAGES.astype("u1").ravel())
write("refused_scalar", np.float32(1))
write("refused_colour", np.zeros((3, 4, 4, 3), "u1"))
write("refused_empty", np.zeros((0, 2, 4), "u1"))

LABELS = np.arange(3)
TRAIN, TEST = IMAGES.astype("u1"), (255 - IMAGES[:2]).astype("u1")
np.savez(HERE / "keras.npz", x_train=TRAIN, y_train=LABELS, x_test=TEST, y_test=LABELS[:2])
np.savez_compressed(HERE / "packed.npz", x_train=TRAIN, y_train=LABELS, x_test=TEST, y_test=LABELS[:2])
np.savez(HERE / "pair.npz", train=TRAIN, test=TEST, valid=TEST)
np.savez(HERE / "one.npz", TRAIN)
np.savez(HERE / "named.npz", imgs=TRAIN, labels=LABELS)
np.savez(HERE / "refused_names.npz", a=TRAIN, b=TEST)
np.savez(HERE / "refused_none.npz")
