import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from minis2s.data.png import read_png
from minis2s.errors import DataError


def png(pixels, colour_type):
    """A PNG file of 16 bits a channel, which Pillow cannot write in colour."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*parts) for parts in chunks)


def test_grey_black_and_white_and_colour_are_read(tmp_path):
    Image.new("L", (5, 4), 51).save(tmp_path / "l.png")
    Image.new("1", (5, 4), 1).save(tmp_path / "b.png")
    Image.new("RGB", (5, 4), (255, 0, 51)).save(tmp_path / "c.png")
    np.testing.assert_allclose(read_png(tmp_path / "l.png"), np.full((1, 4, 5), 0.2), rtol=1e-6)
    assert read_png(tmp_path / "b.png").max() == 1
    np.testing.assert_allclose(read_png(tmp_path / "c.png")[:, 0, 0], [1, 0, 0.2], rtol=1e-6)


@pytest.mark.parametrize(
    ("mode", "words"),
    [("RGBA", "transparency"), ("LA", "transparency"), ("P", "palette"), ("I;16", "16 or more bits")],
)
def test_kinds_of_png_that_would_be_guessed_at(tmp_path, mode, words):
    Image.new(mode, (4, 4)).save(tmp_path / "x.png")
    with pytest.raises(DataError, match=f"x.png.*{words}.*save it as 8-bit grey"):
        read_png(tmp_path / "x.png")


@pytest.mark.parametrize(("shape", "colour_type"), [((4, 5), 0), ((4, 5, 3), 2)])
def test_sixteen_bits_a_channel_are_refused_in_grey_and_in_colour(tmp_path, shape, colour_type):
    (tmp_path / "x.png").write_bytes(png(np.full(shape, 1000), colour_type))
    with pytest.raises(DataError, match="x.png has 16 or more bits a channel: save it as 8-bit grey"):
        read_png(tmp_path / "x.png")


@pytest.mark.parametrize(("mode", "colour"), [("L", 7), ("RGB", (1, 2, 3)), ("1", 0)])
def test_one_colour_that_stands_for_transparency(tmp_path, mode, colour):
    Image.new(mode, (4, 4), colour).save(tmp_path / "x.png", transparency=colour)
    with pytest.raises(DataError, match="x.png has transparency: save it as 8-bit grey"):
        read_png(tmp_path / "x.png")


def test_colours_for_print(tmp_path):
    Image.new("CMYK", (4, 4)).save(tmp_path / "x.jpg")
    with pytest.raises(DataError, match="x.jpg is CMYK, neither grey nor RGB: save it as 8-bit grey"):
        read_png(tmp_path / "x.jpg")


def test_files_that_are_no_pictures(tmp_path):
    (tmp_path / "text.png").write_text("hello", encoding="utf-8")
    with pytest.raises(DataError, match="text.png is not an image"):
        read_png(tmp_path / "text.png")
    with pytest.raises(DataError, match="none.png does not exist"):
        read_png(tmp_path / "none.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(DataError, match="folder.png is a folder, not a picture"):
        read_png(tmp_path / "folder.png")
    noise = np.random.default_rng(0).integers(0, 256, (12, 12), np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.png")
    data = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="cut.png cannot be read"):
        read_png(tmp_path / "cut.png")
