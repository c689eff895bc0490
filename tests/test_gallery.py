import io

import numpy as np
import pytest
from PIL import Image

from minis2s import gallery
from minis2s.plots import save_figure

PICTURES = np.random.default_rng(0).random((7, 1, 6, 5))


def test_a_tile_holds_every_picture_in_its_place():
    sheet = gallery.tile(PICTURES, columns=3, gap=1)
    assert sheet.shape == (1, 3 * 7 + 1, 3 * 6 + 1)
    for n, picture in enumerate(PICTURES):
        top, left = 1 + n // 3 * 7, 1 + n % 3 * 6
        np.testing.assert_allclose(sheet[:, top : top + 6, left : left + 5], picture, rtol=1e-6)
    assert (sheet[0, 15:21, 7:18] == 0.25).all(), "what is left over is as grey as the lines"
    assert gallery.enlarged(sheet, 3).shape == (1, 66, 57)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_written_as_it_is(tmp_path, channels):
    pixels = np.arange(channels * 20, dtype=np.float32).reshape(channels, 4, 5) / 255
    gallery.save_image(pixels, tmp_path / "x.png")
    with Image.open(tmp_path / "x.png") as picture:
        array = np.asarray(picture)
    expected = np.rint(255 * pixels).astype(np.uint8)
    np.testing.assert_array_equal(
        array if channels == 1 else np.moveaxis(array, 2, 0), expected[0] if channels == 1 else expected
    )


def test_values_outside_the_range_are_clipped():
    with Image.open(io.BytesIO(gallery.encode_png(np.array([[[-1.0, 2.0]]])))) as picture:
        assert np.asarray(picture).tolist() == [[0, 255]]


def figures():
    colour = np.random.default_rng(0).random((4, 3, 6, 5))
    yield "strip", gallery.strip({"one": PICTURES, "two": PICTURES}, {"two": "1.0 dB"}, "title")
    yield "colour", gallery.strip({"one": colour})
    yield "sheet", gallery.sheet(PICTURES, 4, "title")
    curves = {name: [(0.5, 20.0 + k, "a"), (0.1, 15.0, "b")] for k, name in enumerate(("net", "PCA", "JPEG"))}
    yield "curves", gallery.rate_distortion(curves, "title")
    table = {noise: {"median": [1.0, 2.0], "model": [2.0, 3.0]} for noise in ("gaussian", "salt_pepper")}
    yield "bars", gallery.bars_by_level(table, {"gaussian": [0.1, 0.5], "salt_pepper": [0.1, 0.3]})
    places, labels = np.random.default_rng(0).normal(size=(50, 2)), np.arange(50) % 10
    yield "scatter", gallery.scatter(places, labels, "title")
    yield "kl", gallery.kl_by_dimension([0.001, 2.0, 1.0], 0.01, "title")


@pytest.mark.parametrize(("name", "figure"), list(figures()), ids=lambda x: x if isinstance(x, str) else "")
def test_every_figure_is_drawn(tmp_path, name, figure):
    save_figure(figure, tmp_path / "x.png")
    with Image.open(tmp_path / "x.png") as picture:
        assert min(picture.size) > 100
        assert np.asarray(picture.convert("L")).std() > 5


def test_the_note_counts_dimensions_in_use():
    figure = gallery.kl_by_dimension([0.001, 2.0, 1.0], 0.01)
    assert "2 of 3 dimensions" in figure.axes[0].texts[0].get_text()


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (4, 2), (5, 3), (64, 8)])
def test_about_square(count, columns):
    assert gallery.square(count) == columns
