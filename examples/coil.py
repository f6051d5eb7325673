"""Draws site/coil.png, a coil of wire seen from above.

    python3 examples/coil.py > examples/site/coil.png

Nothing but the standard library: the picture is grey with transparency,
written by hand as PNG chunks.
"""

import math
import struct
import sys
import zlib

SIZE = 240
RINGS = [(104 - 9 * n, 3.5 * math.sin(2.1 * n), 3.5 * math.cos(1.7 * n)) for n in range(6)]
WIRE = 4.5  # half the thickness, in pixels


def shade(x, y):
    """Grey and alpha of one pixel, the rings laid over one another."""
    grey = alpha = 0.0
    for radius, dx, dy in RINGS:
        across = math.hypot(x - SIZE / 2 - dx, y - SIZE / 2 - dy) - radius
        cover = max(0.0, min(1.0, WIRE + 0.5 - abs(across)))
        # Light falls from the upper left onto a round wire.
        height = math.sqrt(max(0.0, 1 - (across / (WIRE + 0.5)) ** 2))
        facing = math.cos(math.atan2(y - SIZE / 2, x - SIZE / 2) - math.pi / 4)
        ring = 60 + 115 * height - 45 * facing * across / WIRE
        grey += (max(0, min(255, ring)) - grey) * (cover if alpha else 1)
        alpha += (1 - alpha) * cover
    # Steps of 4 cannot be seen and compress far better.
    return int(grey) // 4 * 4, int(31 * alpha) * 255 // 31


def chunk(kind, data):
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def main():
    rows = bytearray()
    for y in range(SIZE):
        rows.append(0)  # no filter
        for x in range(SIZE):
            rows.extend(shade(x, y))
    grey_alpha_8_bit = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 4, 0, 0, 0)
    sys.stdout.buffer.write(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", grey_alpha_8_bit)
        + chunk(b"IDAT", zlib.compress(bytes(rows), 9))
        + chunk(b"IEND", b"")
    )


if __name__ == "__main__":
    main()
