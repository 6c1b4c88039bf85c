"""JPEG, BMP, GIF, WebP and Netpbm files."""

import struct

import imagecodecs
import numpy as np
from PIL import Image

from pixels.cell import _RNG, SIDE, Cell, cmyk_as_rgb, pillow, ramp
from pixels.readers import opencv


def jpeg_cells():
    readers = (opencv, lambda content: imagecodecs.jpeg8_decode(content))
    gray, colour = Image.fromarray(ramp("u1")), Image.fromarray(ramp("u1", 3))
    for quality in (30, 75, 95, 100):
        for progressive in (False, True):
            options = {"quality": quality, "progressive": progressive}
            yield Cell(f"JPEG gray {options}", pillow(gray, "JPEG", **options), readers, within=1)
            for subsampling in (0, 1, 2):
                content = pillow(colour, "JPEG", subsampling=subsampling, **options)
                yield Cell(f"JPEG colour {subsampling} {options}", content, readers, within=1)
            content = pillow(colour, "JPEG", keep_rgb=True, **options)
            yield Cell(f"JPEG in RGB {options}", content, readers, within=1)
    content = pillow(Image.fromarray(ramp("u1", 4), "CMYK"), "JPEG", quality=95)

    def cmyk(content):  # as Adobe writes it, inverted
        return 255 - imagecodecs.jpeg8_decode(content, colorspace="CMYK", outcolorspace="CMYK")

    yield Cell("JPEG CMYK", content, (cmyk,), within=1, shown=cmyk_as_rgb)
    deep = imagecodecs.jpeg_encode(ramp("u2", bits=12), bitspersample=12, lossless=False)
    yield Cell("JPEG of 12 bits", deep, refused="JPEG of 12 bits")
    yield Cell("JPEG lossless", imagecodecs.ljpeg_encode(ramp("u2"), bitspersample=16), refused="lossless JPEG")
    yield Cell("JPEG-LS", imagecodecs.jpegls_encode(ramp("u1")), refused="JPEG-LS")
    for codec in ("j2k", "jp2"):
        content = imagecodecs.jpeg2k_encode(ramp("u2"), codecformat=codec, level=0)
        yield Cell(f"JPEG 2000 {codec}", content, refused="JPEG 2000")
    for subsampling in ("411", "440"):
        content = imagecodecs.jpeg8_encode(ramp("u1", 3), level=90, subsampling=subsampling)
        yield Cell(f"JPEG colour {subsampling}", content, readers, within=1)
    yield Cell("JPEG of three gray levels to one of colour", _jpeg_of_odd_sampling(), readers)
    whole = pillow(colour, "JPEG")
    pair = pillow(colour, "MPO", quality=95, save_all=True, append_images=[colour])
    yield Cell("JPEG that another follows", pair, readers, within=1)
    second = pair.index(b"\xff\xd8\xff", 100)
    yield Cell(
        "JPEG cut that another follows", pair[: second // 2].ljust(second, b"\0") + pair[second:], refused="damaged"
    )
    yield Cell("JPEG cut", whole[: len(whole) // 2], refused="truncated")
    yield Cell("JPEG cut, with an end", whole[: len(whole) // 2] + b"\xff\xd9", refused="truncated")
    yield Cell("JPEG cut and filled with zeros", whole[: len(whole) // 2].ljust(len(whole), b"\0"), refused="truncated")


def _jpeg_of_odd_sampling():
    """Gray 128 as 24 x 24 pixels of colour, with three times as many columns of brightness as of colour."""
    content = pillow(Image.new("RGB", (24, 24), (128, 128, 128)), "JPEG", subsampling=0)
    content = content.replace(b"\1\x11\0\2\x11\1\3\x11\1", b"\1\x31\0\2\x11\1\3\x11\1")
    scan = content[: content.index(b"\xff\xda") + 14]
    # Blocks that are 128 all over: three times three of brightness (no difference, end), then one of each colour.
    bits = ("001010" * 3 + "0000" * 2) * 3 + "11"
    return scan + int(bits, 2).to_bytes(10, "big") + b"\xff\xd9"


def bmp(samples, bits, compression=0, masks=b"", top_down=False, table=b""):
    """BMP of rows that take ``bits`` a pixel, written by hand."""
    rows = samples if top_down else samples[::-1]
    if compression == 1:
        data = b"".join(b"".join(b"\1" + bytes([v]) for v in row) + b"\0\0" for row in rows) + b"\0\1"
    else:
        if bits < 8:
            rows = [np.packbits(np.unpackbits(row[:, None], axis=1)[:, 8 - bits :]) for row in rows]
        data = b"".join(row.tobytes() + bytes(-row.nbytes % 4) for row in rows)
    start = 14 + 40 + len(masks) + len(table)
    height = -SIDE if top_down else SIDE
    header = struct.pack("<IiiHHIIiiII", 40, SIDE, height, 1, bits, compression, len(data), 0, 0, len(table) // 4, 0)
    return struct.pack("<2sIHHI", b"BM", start + len(data), 0, 0, start) + header + masks + table + data


def bmp_cells():
    for bits in (1, 4, 8):
        table = np.c_[_RNG.integers(0, 256, (2**bits, 3), np.uint8), np.zeros(2**bits, np.uint8)].tobytes()
        for top_down in (False, True):
            content = bmp(ramp("u1", bits=bits), bits, table=table, top_down=top_down)
            yield Cell(f"BMP palette {bits}, top down {top_down}", content, (opencv,))
    yield Cell("BMP run lengths", bmp(ramp("u1"), 8, 1, table=table), (opencv,))
    for bits, masks in ((16, (0x7C00, 0x3E0, 0x1F)), (16, (0xF800, 0x7E0, 0x1F))):
        content = bmp(ramp("u2", bits=15), bits, 3, struct.pack("<III", *masks))
        # Five bits as eight: OpenCV shifts, Pillow scales so that 31 becomes 255.
        yield Cell(f"BMP colour {bits} {masks[0]:x}", content, (opencv,), within=7)
    for channels in (3, 4):
        for top_down in (False, True):
            content = bmp(ramp("u1", channels), 8 * channels, top_down=top_down)
            yield Cell(f"BMP colour {8 * channels}, top down {top_down}", content, (lambda c: opencv(c)[..., :3],))
    yield Cell("BMP padded", content + bytes(2), (lambda c: opencv(c)[..., :3],))
    for name, longer in {"of more rows": content + bytes(4 * SIDE), "that another follows": 2 * content}.items():
        yield Cell(f"BMP {name}", longer, refused="or several images")
    yield Cell("BMP cut", content[:-300], refused="truncated")


def other_cells():
    gray, colour = Image.fromarray(ramp("u1")), Image.fromarray(ramp("u1", 3))
    for interlace in (0, 1):
        content = pillow(colour.quantize(64), "GIF", interlace=interlace)
        yield Cell(f"GIF, interlaced {interlace}", content, (lambda c: imagecodecs.gif_decode(c), opencv))
    content = pillow(gray, "GIF")
    yield Cell("GIF gray", content, (opencv,))
    yield Cell("GIF cut", content[: len(content) * 9 // 10], refused="truncated")
    for kind in ("GIF", "WEBP", "PNG"):
        frames = [Image.fromarray(ramp("u1", 3) // n) for n in (2, 3)]
        content = pillow(colour, kind, save_all=True, append_images=frames)
        yield Cell(f"{kind} animation", content, refused="an animation of 3 images")
    for options in ({"lossless": True}, {"quality": 60}, {"quality": 95}):
        for channels in (3, 4):
            content = pillow(Image.fromarray(ramp("u1", channels)), "WEBP", **options)
            yield Cell(f"WebP {channels} channels {options}", content, (imagecodecs.webp_decode, opencv))
    yield Cell("WebP cut", content[: len(content) // 2], refused="")
    for kind, most in ((5, 255), (5, 15), (5, 4095), (5, 65535), (6, 255), (6, 65535), (2, 255), (3, 255)):
        channels = 3 if kind in (3, 6) else 1
        samples = ramp("u1" if most < 256 else "u2", channels, bits=most.bit_length())
        head = b"P%d %d %d %d\n" % (kind, SIDE, SIDE, most)
        data = samples.astype(">u2" if most > 255 else "u1").tobytes()
        if kind < 4:
            data = " ".join(map(str, samples.ravel())).encode()
        top = 255 if most < 256 or channels == 3 else 65535
        scaled = np.floor(samples * (top / most) + 0.5).astype(np.uint8 if top == 255 else np.uint16)
        readers = (opencv,) if most in (255, 65535) and channels == 1 else ()
        yield Cell(f"Netpbm P{kind} up to {most}", head + data, readers, samples=scaled)
        if kind > 4:
            yield Cell(f"Netpbm P{kind} up to {most} cut", head + data[:-40], refused="truncated")
        yield Cell(f"Netpbm P{kind} up to {most}, a line end", head + data + b"\n", readers, samples=scaled)
        for name, longer in {"and more": data + (b" 1" if kind < 4 else b"1"), "twice": data + head + data}.items():
            yield Cell(f"Netpbm P{kind} up to {most} {name}", head + longer, refused="or several images")
    bits = ramp("u1", bits=1)
    digits = "".join(map(str, (1 - bits).ravel())).encode()
    yield Cell("Netpbm P1", b"P1 %d %d\n" % (SIDE, SIDE) + digits, samples=bits * np.uint8(255))
    yield Cell("Netpbm P1 and more", b"P1 %d %d\n" % (SIDE, SIDE) + digits + b"1", refused="or several images")
    content = b"P4 %d %d\n" % (SIDE, SIDE) + np.packbits(1 - bits, axis=1).tobytes()
    yield Cell("Netpbm P4", content, (opencv,))
    yield Cell("Netpbm P4 and more", content + b"\0", refused="or several images")
