"""PNG files, written chunk by chunk."""

import struct
import zlib

import imagecodecs
import numpy as np

from pixels.cell import _RNG, SIDE, Cell, ramp
from pixels.readers import opencv


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples, bits, colour, before=b"", interlace=0):
    """colour: 0 gray, 2 RGB, 3 palette, 4 gray with alpha, 6 RGBA; before: chunks before the pixels."""
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    raw = b""
    for top, left, down, right in passes if interlace else [(0, 0, 1, 1)]:
        for row in samples[top::down, left::right]:
            if bits < 8:
                each = np.unpackbits(row[:, None].astype(np.uint8), axis=1)[:, 8 - bits :]
                raw += b"\0" + np.packbits(each.ravel()).tobytes()
            else:
                raw += b"\0" + row.astype(f">u{bits // 8}").tobytes()
    height, width = samples.shape[:2]
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace))
    pixels = png_chunk(b"IDAT", zlib.compress(raw))
    return b"\x89PNG\r\n\x1a\n" + header + before + pixels + png_chunk(b"IEND", b"")


def png_cells():
    readers = (imagecodecs.png_decode, opencv)
    for interlace in (0, 1):
        name = "interlaced" if interlace else "plain"
        for bits in (1, 2, 4, 8, 16):
            gray = ramp(f"u{max(1, bits // 8)}", bits=bits)
            yield Cell(f"PNG gray {bits} {name}", png(gray, bits, 0, interlace=interlace), readers)
            if bits >= 8:
                for colour, channels in ((2, 3), (6, 4)):
                    content = png(ramp(gray.dtype, channels), bits, colour, interlace=interlace)
                    yield Cell(f"PNG colour {channels}x{bits} {name}", content, (opencv,))
                content = png(ramp(gray.dtype, 2), bits, 4, interlace=interlace)
                kind = {"readers": (opencv,)} if bits == 8 else {"refused": "gray with alpha of 16 bits"}
                yield Cell(f"PNG gray and alpha {bits} {name}", content, **kind)
            if bits <= 8:
                table = _RNG.integers(0, 256, (2**bits, 3), np.uint8)
                plte = png_chunk(b"PLTE", table.tobytes())
                content = png(gray, bits, 3, plte, interlace)
                yield Cell(f"PNG palette {bits} {name}", content, (opencv,))
                alpha = png_chunk(b"tRNS", bytes(range(255, 255 - min(2**bits, 200), -1)))
                yield Cell(f"PNG palette {bits} alpha {name}", png(gray, bits, 3, plte + alpha, interlace), (opencv,))
    content = png(ramp("u1", 3), 8, 2)
    yield Cell("PNG without its end", content[:-12], refused="truncated")
    broken = bytearray(content)
    broken[60] ^= 1
    yield Cell("PNG of a wrong checksum", bytes(broken), refused="checksum of 'IDAT'")
    short = png(ramp("u1")[:10], 8, 0).replace(struct.pack(">II", SIDE, 10), struct.pack(">II", SIDE, SIDE))
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0))
    yield Cell("PNG of too few rows", short[:8] + header + short[33:], refused="truncated")
