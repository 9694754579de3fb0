"""Writes the pictures that tests/host/formats/pictures.rs reads, and what Pillow reads from them.

    python3 tests/data/pictures.py

`pictures/expected.txt` has a line for each: name, height, width, channels, bits and the SHA-256 of the
samples (of 16 bits: low byte first), upright, without alpha that is opaque and colours that are grey, and
with colours on black, (value * alpha + white // 2) // white. Of JPEG and lossy WebP, whose decoders round
differently, the samples themselves lie beside the picture, as `.raw`.
"""

import hashlib
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps, features

HERE = pathlib.Path(__file__).parent / "pictures"
H, W = 19, 26
Y, X = np.mgrid[:H, :W]
RED = X * 255 // (W - 1)
GREEN = Y * 255 // (H - 1)
BLUE = (((X - 12) ** 2 + (Y - 8) ** 2) < 40) * 200 + 20
RGB = np.stack([RED, GREEN, BLUE], -1).astype("u1")
GREY = ((X * 7 + Y * 11) % 256).astype("u1")
ALPHA = (255 - Y * 14).clip(0, 255).astype("u1")
# As in photographs, no colour is at its end: decoders part where they must cut off.
SOFT = np.stack([40 + RED * 0.6, 30 + GREEN * 0.7, 120 + 60 * np.sin(X / 5) * np.cos(Y / 4)], -1).astype("u1")
RGBA = np.concatenate([RGB, ALPHA[..., None]], -1)
LA = np.stack([GREY, ALPHA], -1)
DEEP = (GREY.astype("u2") * 257 + X).astype("u2")
DEEP_RGB = (RGB.astype("u2") * 256 + np.stack([X, Y, X + Y], -1)).astype("u2")
LINES = []


def reduced(array):
    white = 65535 if array.dtype == "u2" else 255
    array = array[..., None] if array.ndim == 2 else array
    alpha = array.shape[-1] in (2, 4)
    colors, last = (array[..., :-1], array[..., -1:]) if alpha else (array, None)
    if alpha and (last == white).all():
        alpha = False
    if alpha:
        colors = ((colors.astype("u8") * last + white // 2) // white).astype(array.dtype)
    if colors.shape[-1] == 3 and (colors == colors[..., :1]).all():
        colors = colors[..., :1]
    return np.concatenate([colors, last], -1) if alpha else colors


def expect(name, array, lossy=False):
    array = reduced(array)
    bits = 16 if array.dtype == "u2" else 8
    samples = array.astype("<u2" if bits == 16 else "u1").tobytes()
    digest = hashlib.sha256(samples).hexdigest()
    if lossy:
        (HERE / f"{name}.raw").write_bytes(samples)
        digest = "lossy"
    LINES.append(f"{name} {' '.join(map(str, array.shape))} {bits} {digest}\n")


def read(name):
    image = Image.open(HERE / name)
    image.seek(0)
    if image.mode in ("I", "I;16", "I;16B"):
        return np.asarray(image).astype("u2")
    image = ImageOps.exif_transpose(image)
    transparent = "A" in image.mode or "transparency" in image.info
    grey = image.mode in ("1", "L", "LA") and not transparent
    return np.asarray(image.convert("RGBA" if transparent else "L" if grey else "RGB"))


def save(name, image, lossy=False, **how):
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(HERE / name, **how)
    expect(name, read(name), lossy)


def exif(orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    return exif


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(name, array, color, bits, interlaced=False, extra=b""):
    """A PNG that Pillow does not write: of 16 bits, interlaced, or with other chunks."""
    height, width = array.shape[:2]
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = b""
    for top, left, down, right in passes:
        for row in array[top::down, left::right]:
            rows += b"\0" + row.astype(">u2" if bits == 16 else "u1").tobytes()
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, int(interlaced))
    parts = [chunk(b"IHDR", header), extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    (HERE / name).write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


HERE.mkdir(exist_ok=True)
for old in HERE.iterdir():
    old.unlink()

palette = Image.fromarray(RGB).quantize(13)
save("l8.png", GREY)
save("l1.png", Image.fromarray(GREY).convert("1"))
save("p4.png", palette, bits=4)
save("p8.png", Image.fromarray(RGB).quantize(200))
save("p_alpha.png", palette, bits=4, transparency=3)
save("la.png", LA)
save("rgb.png", RGB)
save("rgba.png", RGBA)
save("rgba_opaque_grey.png", np.dstack([GREY, GREY, GREY, np.full_like(GREY, 255)]))
save("l16.png", Image.fromarray(DEEP))
save("named.jpg", GREY, format="PNG")
save("turned6.png", GREY, exif=exif(6))
save("animated.png", GREY, save_all=True, append_images=[Image.fromarray(255 - GREY)])
png("rgb16.png", DEEP_RGB, 2, 16)
expect("rgb16.png", DEEP_RGB)
png("interlaced.png", RGB, 2, 8, interlaced=True)
expect("interlaced.png", RGB)
png("la16.png", np.stack([DEEP, 65535 - DEEP], -1), 4, 16)
expect("la16.png", np.stack([DEEP, 65535 - DEEP], -1))
png("l8_trns.png", GREY, 0, 8, extra=chunk(b"tRNS", b"\0\x2b"))
expect("l8_trns.png", np.stack([GREY, np.where(GREY == 0x2B, 0, 255).astype("u1")], -1))

save("grey.jpg", GREY, True, quality=90)
for chroma, sampling in enumerate(["444", "422", "420"]):
    save(f"rgb{sampling}.jpg", SOFT, True, quality=85, subsampling=chroma)
save("progressive.jpg", SOFT, True, quality=85, progressive=True)
save("restarts.jpg", SOFT, True, quality=85, restart_marker_blocks=2)
save("rough.jpg", SOFT, True, quality=25)
save("keep_rgb.jpg", SOFT, True, quality=90, keep_rgb=True)
save("cmyk.jpg", Image.fromarray(SOFT).convert("CMYK"), True, quality=95)
save("JPEG.png", SOFT, True, format="JPEG", quality=85)
for orientation in range(1, 9):
    save(f"turned{orientation}.jpg", SOFT, True, quality=90, exif=exif(orientation))

save("lossy.webp", RGB, True, quality=80)
save("lossy_alpha.webp", RGBA, True, quality=90, exact=True)
save("lossless.webp", RGB, lossless=True)
save("lossless_alpha.webp", RGBA, lossless=True, exact=True)
save("turned.webp", RGB, lossless=True, exif=exif(8))
save("animated.webp", RGB, save_all=True, append_images=[Image.fromarray(255 - RGB)], lossless=True)

save("l8.bmp", GREY)
save("l1.bmp", Image.fromarray(GREY).convert("1"))
save("p8.bmp", palette)
save("rgb.bmp", RGB)

for method in [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"]:
    save(f"rgb_{method}.tif", RGB, compression=method)
save("l8.tif", GREY)
save("l16.tif", Image.fromarray(DEEP))
save("l16_big.tif", Image.fromarray(DEEP.astype(">u2")))
save("l1.tif", Image.fromarray(GREY).convert("1"))
save("l1_fax.tif", Image.fromarray(GREY).convert("1"), compression="group4")
save("rgba.tif", RGBA)
save("cmyk.tif", Image.fromarray(RGB).convert("CMYK"))
save("pages.tif", GREY, save_all=True, append_images=[Image.fromarray(255 - GREY)])
save("turned3.tif", GREY, tiffinfo={274: 3})
save("white_is_zero.tif", GREY, tiffinfo={262: 0})

save("l8.pgm", GREY)
save("rgb.ppm", RGB)
save("l1.pbm", Image.fromarray(GREY).convert("1"))
save("l16.pgm", Image.fromarray(DEEP))
(HERE / "maxval15.pgm").write_bytes(f"P5\n# fifteen\n{W} {H}\n15\n".encode() + (GREY // 16).tobytes())
expect("maxval15.pgm", read("maxval15.pgm"))
text = "\n".join(" ".join(map(str, row)) for row in RGB.reshape(H, -1))
(HERE / "text.ppm").write_text(f"P3 {W} {H} 255\n{text}\n")
expect("text.ppm", RGB)
bits = "\n".join("".join(map(str, row)) for row in (GREY > 99).astype(int))
(HERE / "text.pbm").write_text(f"P1\n{W} {H}\n{bits}\n")
expect("text.pbm", np.where(GREY > 99, 0, 255).astype("u1"))

save("l8.gif", GREY)
save("p4.gif", palette)
save("transparent.gif", palette, transparency=3)
save("animated.gif", palette, save_all=True, append_images=[palette.rotate(180)])

(HERE / "expected.txt").write_text("".join(LINES))
print(len(LINES), "pictures by Pillow", Image.__version__, features.version("libjpeg_turbo"))
