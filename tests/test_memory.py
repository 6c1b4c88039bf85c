"""Memory while images are decoded: by bytes, over all threads."""

import os
import subprocess
import sys
import textwrap
import threading
import zlib

import numpy as np
import pytest
from PIL import Image
from pixels.cell import pillow, ramp
from pixels.png import png_chunk
from pixels.tiff import tiff

from medcls.formats.budget import Room
from medcls.formats.decode import UnreadableImage, decode


def test_those_inside_a_room_never_exceed_it_and_the_largest_is_let_in_alone():
    room, lock, inside, seen = Room(100), threading.Lock(), [], []

    def work(size):
        with room.of(size):
            with lock:
                inside.append(size)
                seen.append(tuple(inside))
            threading.Event().wait(0.005)
            with lock:
                inside.remove(size)

    threads = [threading.Thread(target=work, args=(size,)) for size in (30, 30, 30, 250, 60, 40, 100, 1) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(seen) == len(threads)
    assert all(sum(sizes) <= 100 or sizes == (250,) for sizes in seen)
    assert max(len(sizes) for sizes in seen) > 1


def test_room_is_given_back_after_an_error():
    room = Room(10)
    for _ in range(3):
        with pytest.raises(KeyError), room.of(10):
            raise KeyError


def test_sixteen_bytes_a_pixel_are_refused_where_four_are_allowed():
    content = tiff(ramp("f8"))
    with pytest.raises(UnreadableImage, match="too large, 4,608 bytes decoded"):
        decode(content, image_size=8, channels=1, max_pixels=600)
    decode(content, image_size=8, channels=1, max_pixels=1200)
    decode(tiff(ramp("f4")), image_size=8, channels=1, max_pixels=600)


def deep_png(side):
    """RGBA of 16 bits, nearly nothing in the file."""
    row, deflate = bytes(1 + 8 * side), zlib.compressobj(9)
    pixels = b"".join(deflate.compress(row) for _ in range(side)) + deflate.flush()
    header = png_chunk(b"IHDR", side.to_bytes(4, "big") * 2 + bytes([16, 6, 0, 0, 0]))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["deep PNG", "float TIFF", "colour JPEG", "palette GIF"])
def test_eight_threads_take_no_more_than_one_large_image_does(kind, tmp_path):
    pytest.importorskip("resource", reason="memory is read as Unix gives it")
    side = 5000
    zeros = np.zeros((side, side), np.uint8)
    content = {
        "deep PNG": lambda: deep_png(side),
        "float TIFF": lambda: tiff(zeros.astype(np.float32), compression="zlib"),
        "colour JPEG": lambda: pillow(Image.fromarray(np.stack([zeros] * 3, 2)), "JPEG"),
        "palette GIF": lambda: pillow(Image.fromarray(zeros, "P"), "GIF"),
    }[kind]()
    (tmp_path / "file").write_bytes(content)
    code = """
        import resource, sys
        from concurrent.futures import ThreadPoolExecutor
        from medcls.formats.decode import decode
        import medcls.formats.tiff
        content = open(sys.argv[1], "rb").read()
        peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        before = peak()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: decode(content, image_size=32, channels=3), range(16)))
        print(peak() - before)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "file")]
    environment = os.environ | {"MALLOC_ARENA_MAX": "1"}  # else glibc keeps, for each thread, some of what was freed
    taken = int(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)
    assert taken < 1.1 * 2**30
