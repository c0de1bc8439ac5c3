"""Writes MNIST as PNG files with a table of three labels for each: digit, parity, and ink, the mean
grey value. Needs Python alone.

    python3 make.py IDX_FOLDER OUT_FOLDER
"""

import struct
import sys
import zlib
from pathlib import Path


def idx(path):
    """The dimensions and the bytes of an IDX file."""
    data = path.read_bytes()
    count = data[3]
    return struct.unpack(f">{count}I", data[4 : 4 + 4 * count]), data[4 + 4 * count :]


def chunk(kind, data):
    crc = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def png(pixels, height, width):
    """Grey values as a PNG file; each line has the filter 0."""
    lines = b"".join(b"\0" + pixels[y * width : (y + 1) * width] for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(data)


def main(source, target):
    for part, name in [("train", "train"), ("t10k", "test")]:
        (rows, height, width), pixels = idx(source / f"{part}-images-idx3-ubyte")
        _, labels = idx(source / f"{part}-labels-idx1-ubyte")
        (target / name).mkdir(parents=True, exist_ok=True)
        with open(target / f"{name}.csv", "w") as table:
            table.write("file,digit,parity,ink\n")
            for row in range(rows):
                image = pixels[row * height * width : (row + 1) * height * width]
                (target / name / f"{row:05}.png").write_bytes(png(image, height, width))
                parity = "odd" if labels[row] % 2 else "even"
                ink = sum(image) / len(image)
                table.write(f"{row:05}.png,{labels[row]},{parity},{ink:.4f}\n")


main(Path(sys.argv[1]), Path(sys.argv[2]))
