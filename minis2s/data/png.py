"""PNG files: one picture each, 8-bit grey, black-and-white or RGB; and the folders in which they come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from minis2s.errors import DataError

CONVERT = (
    "save it as 8-bit grey, for example: magick in.png -background black -flatten -colorspace gray -depth 8 out.png"
)
OTHER_PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".ppm", ".tif", ".tiff", ".webp")
LEVELS = 4  # folders in a folder: one more than can be read, so that the message can tell where the pictures are


def read_png(path: Path | str) -> np.ndarray:
    """One picture file as float32 (C, H, W) in [0, 1].

    Raises
    ------
    DataError
        If it is no picture, or would have to be guessed at: only 8-bit grey, black-and-white and RGB are read.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            _require_plain(path, picture)
            array = np.asarray(picture.convert("L") if picture.mode == "1" else picture)
    except UnidentifiedImageError:
        raise DataError(f"{path} is not an image that can be read: give a PNG file") from None
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: check the name") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder, not a picture: name a PNG file") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read ({error}): it may be truncated, make it again") from None
    array = array[None] if array.ndim == 2 else np.moveaxis(array, 2, 0)
    return array.astype(np.float32) / np.float32(255)


def _require_plain(path: Path | str, picture: Any) -> None:
    """Refuse what Pillow would hand over, but not as it is meant; `picture` is open, not loaded yet."""
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        what = "has transparency"
    elif picture.mode in ("I", "F") or ";16" in str(picture.tile):  # the mode of 16-bit RGB is RGB: Pillow cuts it to 8
        what = "has 16 or more bits a channel"
    elif picture.mode == "P":
        what = "has a palette"
    elif picture.mode not in ("L", "1", "RGB"):
        what = f"is {picture.mode}, neither grey nor RGB"
    else:
        return
    raise DataError(f"{path} {what}: {CONVERT}")


def fitted(picture: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """A picture (C, H, W), made (H, W) = `size` large; None leaves it."""
    from PIL import Image

    if size is None or picture.shape[1:] == size:
        return picture
    channels = [Image.fromarray(channel).resize(size[::-1], Image.Resampling.LANCZOS) for channel in picture]
    return np.clip(np.stack([np.asarray(channel) for channel in channels]), 0, 1)  # Lanczos overshoots at edges


def png_places(folder: Path) -> dict[tuple[str, ...], list[Path]]:
    """The PNG files of a folder and its subfolders, by the names of the folders that lead to them, in order.

    Raises
    ------
    DataError
        If there are none.
    """
    places: dict[tuple[str, ...], list[Path]] = {}
    for path in _below(folder, "*.[pP][nN][gG]"):
        places.setdefault(path.relative_to(folder).parts[:-1], []).append(path)
    if places:
        return places
    others = {path.suffix for path in _below(folder, "*.*") if path.suffix.lower() in OTHER_PICTURES}
    if others:
        kind = min(others)
        raise DataError(f"{folder} holds {kind} files, PNG is needed: convert them: magick mogrify -format png *{kind}")
    raise DataError(f"{folder} holds neither IDX nor PNG files: name another folder, or an IDX, NPZ or PNG file")


def _below(folder: Path, pattern: str) -> list[Path]:
    """What fits the pattern in a folder and below it, but nothing hidden, as file managers and editors leave it."""
    found = [path for level in range(LEVELS) for path in sorted(folder.glob("*/" * level + pattern))]
    return [path for path in found if not any(name.startswith(".") for name in path.relative_to(folder).parts)]
