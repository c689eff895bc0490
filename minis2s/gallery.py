"""Pictures of pictures, as Matplotlib figures: strips, sheets, rate and distortion, maps of codes."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minis2s.plots import BLUE, GREY, ORANGE
from minis2s.training import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def encode_png(pixels: np.ndarray) -> bytes:
    """(C, H, W) with values in [0, 1] as an 8-bit PNG file."""
    from PIL import Image

    array = np.rint(255 * np.clip(pixels, 0, 1)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(array[0] if len(array) == 1 else np.moveaxis(array, 0, 2)).save(buffer, "PNG")
    return buffer.getvalue()


def save_image(pixels: np.ndarray, path: Path | str) -> None:
    """Write (C, H, W) with values in [0, 1] as an 8-bit PNG, whole or not at all."""
    write_atomic(Path(path), encode_png(pixels))


def tile(pixels: np.ndarray, columns: int, gap: int = 1, shade: float = 0.25) -> np.ndarray:
    """(N, C, H, W) as one picture (C, ...), row by row, with grey lines between."""
    N, C, H, W = pixels.shape
    rows = -(-N // columns)
    sheet = np.full((C, rows * (H + gap) + gap, columns * (W + gap) + gap), shade, dtype=np.float32)
    for n, picture in enumerate(pixels):
        top, left = gap + n // columns * (H + gap), gap + n % columns * (W + gap)
        sheet[:, top : top + H, left : left + W] = picture
    return sheet


def enlarged(sheet: np.ndarray, factor: int) -> np.ndarray:
    """(C, H, W) with each pixel `factor` times as large."""
    return sheet.repeat(factor, axis=1).repeat(factor, axis=2)


def show(ax: Axes, sheet: np.ndarray) -> None:
    """Draw (C, H, W) without axes, pixel by pixel."""
    picture = sheet[0] if len(sheet) == 1 else np.moveaxis(sheet, 0, 2)
    ax.imshow(np.clip(picture, 0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set_axis_off()


def strip(rows: Mapping[str, np.ndarray], notes: Mapping[str, str] | None = None, title: str = "") -> Figure:
    """Rows of the same pictures, each with its name at the left and, perhaps, a note (its scores) below the name.

    Parameters
    ----------
    rows : arrays (N, C, H, W) by name, all of one shape
    notes : texts by the same names
    """
    from matplotlib.figure import Figure

    first = next(iter(rows.values()))
    height = 0.72
    width = height * len(first) * first.shape[3] / first.shape[2]
    margin = 1.75
    figure = Figure(figsize=(width + margin + 0.1, height * len(rows) * 1.06 + (0.4 if title else 0.1)), dpi=120)
    top = 1 - 0.34 / figure.get_figheight() if title else 1 - 0.05 / figure.get_figheight()
    each = top / len(rows)
    for k, (name, pixels) in enumerate(rows.items()):
        left = margin / figure.get_figwidth()
        bottom = top - (k + 1) * each
        ax = figure.add_axes((left, bottom + 0.02 * each, 0.995 - left, 0.96 * each))
        show(ax, tile(pixels, len(pixels), gap=1))
        ax.set_anchor("W")
        middle = bottom + each / 2
        note = (notes or {}).get(name, "")
        figure.text(left - 0.012, middle + (0.17 * each if note else 0), name, ha="right", va="center", fontsize=10)
        if note:
            place: dict[str, Any] = {"ha": "right", "va": "center", "fontsize": 8, "color": GREY}
            figure.text(left - 0.012, middle - 0.22 * each, note, **place)
    if title:
        figure.text(0.5, 1 - 0.17 / figure.get_figheight(), title, ha="center", va="center", fontsize=11)
    return figure


def sheet(pixels: np.ndarray, columns: int, title: str = "", size: float = 6.0) -> Figure:
    """Many pictures in rows."""
    from matplotlib.figure import Figure

    tiled = tile(pixels, columns)
    height = size * tiled.shape[1] / tiled.shape[2]
    figure = Figure(figsize=(size, height + (0.4 if title else 0)), dpi=120, layout="constrained")
    ax = figure.subplots()
    show(ax, tiled)
    if title:
        ax.set_title(title, fontsize=11)
    return figure


CURVES = [(BLUE, "o", "-"), ("#7da7d9", "o", "--"), (ORANGE, "s", "-"), ("#e8b080", "s", "--"), (GREY, "^", ":")]
"""Color, marker and line of each way to compress."""


def rate_distortion(curves: Mapping[str, Sequence[tuple[float, float, str]]], title: str = "") -> Figure:
    """PSNR over bits per pixel: a curve for each way to compress, a point (bits, PSNR, label) for each size."""
    from matplotlib.figure import Figure
    from matplotlib.patheffects import withStroke
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure = Figure(figsize=(7.2, 4.6), dpi=120, layout="constrained")
    ax = figure.subplots()
    for k, (name, points) in enumerate(curves.items()):
        color, marker, line = CURVES[k % len(CURVES)]
        x, y, labels = zip(*sorted(points), strict=True)
        ax.plot(x, y, color=color, marker=marker, linestyle=line, markersize=5, label=name)
        ax.plot(x, y, color=color, marker=marker, linestyle="none", markersize=5, zorder=4)  # no label hides a point
        above = k < 2  # the first two are expected to be the best: the room over them is free
        place: dict[str, Any] = {"xytext": (-4, 6) if above else (4, -11), "textcoords": "offset points"}
        for n, label in enumerate(labels):
            text = ax.annotate(label, (x[n], y[n]), ha="right" if above else "left", fontsize=7, color=color, **place)
            text.set_path_effects([withStroke(linewidth=2, foreground="white")])  # legible across a line
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set(xlabel="bits per pixel", ylabel="PSNR (dB)", title=title)
    ax.margins(x=0.12, y=0.12)
    ax.legend(frameon=False, loc="upper left")
    ax.grid(color="0.9")
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def bars_by_level(table: Mapping[str, Mapping[str, Sequence[float]]], levels: Mapping[str, Sequence[float]]) -> Figure:
    """PSNR of each method (`table[noise][method]`, one value a level), a panel for each kind of noise."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.5 * len(table) + 0.4, 3.4), dpi=120, layout="constrained")
    axes = figure.subplots(1, len(table), sharey=True, squeeze=False)[0]
    colors = ["0.8", GREY, "#7da7d9", "#3a8f4d", ORANGE]
    for ax, (noise, methods) in zip(axes, table.items(), strict=True):
        for k, (method, values) in enumerate(methods.items()):
            places = np.arange(len(values)) + (k - (len(methods) - 1) / 2) * 0.16
            ax.bar(places, values, width=0.15, color=colors[k % len(colors)], label=method)
        ax.set_xticks(range(len(levels[noise])), [f"{level:g}" for level in levels[noise]])
        ax.set_title(noise.replace("_", " and "), fontsize=10)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", color="0.9")
        ax.set_axisbelow(True)
    axes[0].set_ylabel("PSNR (dB)")
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False, fontsize=9)
    return figure


def scatter(places: np.ndarray, labels: np.ndarray, title: str = "") -> Figure:
    """Points (N, 2) in a colour for each label, with each label written where most of its points are."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 6.0), dpi=120, layout="constrained")
    ax = figure.subplots()
    classes = np.unique(labels)
    for k, label in enumerate(classes):
        chosen = places[labels == label]
        color = colormaps["tab10"](k % 10)
        ax.scatter(chosen[:, 0], chosen[:, 1], s=5, color=color, alpha=0.6, linewidths=0)
        middle = np.median(chosen, axis=0)
        box = {"boxstyle": "circle,pad=0.2", "facecolor": "white", "edgecolor": color, "alpha": 0.9}
        ax.annotate(str(label), middle, ha="center", va="center", fontsize=11, color=color, bbox=box)
    ax.set(title=title, xticks=[], yticks=[])
    ax.spines[:].set_color("0.8")
    return figure


def kl_by_dimension(kl: Sequence[float] | np.ndarray, threshold: float, title: str = "") -> Figure:
    """The nats that each dimension of a code carries, the most first; those below the threshold have collapsed."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    values = np.sort(np.asarray(kl))[::-1]
    figure = Figure(figsize=(max(4.6, 1.6 + 0.22 * len(values)), 3.4), dpi=120, layout="constrained")
    ax = figure.subplots()
    ax.bar(range(1, len(values) + 1), values, color=[BLUE if v > threshold else GREY for v in values])
    active = int((values > threshold).sum())
    note = f"{active} of {len(values)} dimensions carry more than {threshold:g} nats"
    ax.annotate(note, (1, 1.02), xycoords="axes fraction", ha="right", color=BLUE, fontsize=9)  # above all bars
    ax.set(xlabel="dimension of the code, sorted", ylabel="KL (nats per picture)")
    ax.set_title(title, pad=20)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(axis="y", color="0.9")
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def square(count: int) -> int:
    """Columns of a sheet of `count` pictures that is about square."""
    return math.ceil(math.sqrt(count))
