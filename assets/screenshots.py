"""Draws the pictures of the report and of the dashboard that lie beside this file.

It needs Chromium, DejaVu's monospaced font, `pip install pillow pyte`, the program, and the folder of a run with
images and an evaluation, which it copies and trains on for a minute:

    python3 assets/screenshots.py target/release/elbo runs/0001
"""

import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

import pyte
from PIL import Image, ImageDraw, ImageFont

ASSETS = Path(__file__).resolve().parent
FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSansMono{}.ttf"
# The ground, the ink and the only colour of the dashboard, as usual terminals have them.
THEMES = {"light": ("#ffffff", "#1f1f1f", "#bc05bc"), "dark": ("#1e1e1e", "#d4d4d4", "#d670d6")}
COLUMNS, ROWS, CELL, SECONDS = 80, 24, (9, 18), 90


def save(image, name):
    """Few colours keep a file small; the pictures are mostly grey."""
    image.quantize(128).save(ASSETS / f"{name}.png", optimize=True)


def report(page, folder):
    for name, width, height in [("desktop", 1280, 1500), ("phone", 390, 1500)]:
        for theme in THEMES:
            shot = folder / "shot.png"
            flags = ["--headless=new", "--no-sandbox", "--hide-scrollbars", "--disable-gpu"]
            flags += [f"--window-size={width},{height}", f"--screenshot={shot}"]
            flags += ["--blink-settings=preferredColorScheme=0"] if theme == "dark" else []
            subprocess.run(["chromium", *flags, page.as_uri()], check=True, stderr=subprocess.DEVNULL)
            save(Image.open(shot).convert("RGB"), f"report-{name}-{theme}")


def typed(command, folder):
    """What a program in a folder writes to a terminal for a while."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.environ["TERM"] = "xterm-256color"
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    raw, end = b"", time.time() + SECONDS
    while time.time() < end:
        if select.select([terminal], [], [], 0.05)[0]:
            raw += os.read(terminal, 65536)
    os.write(terminal, b"q")
    while True:
        try:
            if not os.read(terminal, 65536):
                break
        except OSError:
            break
    os.waitpid(child, 0)
    # The dashboard has a screen of its own, which begins empty.
    return raw.replace(b"\x1b[?1049h", b"\x1b[2J\x1b[H")


def faint_as_blinking(match):
    """pyte knows no faint text."""
    parts, new = match.group(1).split(b";"), []
    while parts:
        if parts[0] in (b"38", b"48") and len(parts) > 1:
            count = 5 if parts[1] == b"2" else 3
            new, parts = new + parts[:count], parts[count:]
        else:
            new += {b"2": [b"5"], b"22": [b"22", b"25"]}.get(parts[0], parts[:1])
            parts = parts[1:]
    return b"\x1b[" + b";".join(new) + b"m"


def rgb(text):
    return tuple(int(text.lstrip("#")[at : at + 2], 16) for at in (0, 2, 4))


def draw_cell(draw, cell, x, y, colors, fonts):
    (width, height), (ink, ground) = CELL, colors
    draw.rectangle([x, y, x + width - 1, y + height - 1], fill=ground)
    code = ord(cell.data[0]) if cell.data else 32
    if cell.data == "▀":
        draw.rectangle([x, y, x + width - 1, y + height // 2 - 1], fill=ink)
    elif 0x2581 <= code <= 0x2588:
        top = y + height - height * (code - 0x2580) // 8
        draw.rectangle([x, top, x + width - 1, y + height - 1], fill=ink)
    elif 0x2800 <= code <= 0x28FF:
        places = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]
        for bit, (across, down) in enumerate(places):
            if (code - 0x2800) >> bit & 1:
                left, top = x + 1 + across * 4, y + 2 + down * 4
                draw.rectangle([left, top, left + 2, top + 2], fill=ink)
    elif cell.data.strip():
        draw.text((x, y), cell.data, font=fonts[cell.bold], fill=ink)


def dashboard(raw):
    screen = pyte.Screen(COLUMNS, ROWS)
    pyte.ByteStream(screen).feed(re.sub(rb"\x1b\[([0-9;]*)m", faint_as_blinking, raw))
    fonts = [ImageFont.truetype(FONT.format(kind), 15) for kind in ("", "-Bold")]
    for theme, (ground, ink, magenta) in THEMES.items():
        named = {"magenta": magenta}
        color = lambda name, usual: rgb(named.get(name, usual if name == "default" else name))
        image = Image.new("RGB", (COLUMNS * CELL[0] + 16, ROWS * CELL[1] + 16), ground)
        draw = ImageDraw.Draw(image)
        for row in range(ROWS):
            for column in range(COLUMNS):
                cell = screen.buffer[row][column]
                front, back = color(cell.fg, ink), color(cell.bg, ground)
                if cell.blink:
                    front = tuple((a + b) // 2 for a, b in zip(front, back))
                colors = (back, front) if cell.reverse else (front, back)
                draw_cell(draw, cell, 8 + column * CELL[0], 8 + row * CELL[1], colors, fonts)
        save(image, f"dashboard-{theme}")


def main():
    program, run = (Path(argument).resolve() for argument in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / run.name
        shutil.copytree(run, copy)
        subprocess.run([program, "report", copy], check=True, stdout=subprocess.DEVNULL)
        report(copy / "report.html", Path(folder))
        # The run may name its images as seen from here.
        (Path(folder) / "assets").symlink_to(ASSETS)
        more = ["--epochs", "30", "--tui", "--device", "cpu"]
        dashboard(typed([str(program), "train", "--resume", run.name, *more], folder))


if __name__ == "__main__":
    main()
