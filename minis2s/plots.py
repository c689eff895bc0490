"""Every picture: learning curves, attention maps, accuracy by length. Each function returns a Matplotlib figure.

Only figure objects are used, never `pyplot`: no window opens, no backend changes, nothing is global.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minis2s.metrics import LengthAccuracy
from minis2s.training import write_atomic
from minis2s.training.log import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#1f5fa8", "#d9730d", "#8a8a8a"
MOST_CHARACTERS = 24
"""Of a token in a picture; the rest of a longer one is left out."""
_NOT_METRICS = {"event", "epoch", "step", "train_loss", "best", "seconds"}
_IN_LOSS = {"perplexity", "perplexity_free", "loss", "spread"}
"""Drawn beside the training loss, or not at all."""
_UNITS = {
    "exact": "exact match (share)",
    "bleu": "BLEU",
    "chrf": "chrF",
    "psnr": "PSNR (dB)",
    "mse": "MSE",
    "elbo": "ELBO (nats)",
    "kl": "KL (nats)",
}


def save_figure(figure: Figure, path: Path | str) -> None:
    """Write a figure as PNG, whole or not at all."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    write_atomic(Path(path), buffer.getvalue())


# --------------------------------------------------------------------------------------------------- learning curves


def learning_curves(records: Iterable[Record], title: str = "", unit: str = "token") -> Figure:
    """Draw a run's log: the loss in training and validation, and every other metric of the validation, by epoch.

    Parameters
    ----------
    records : records of :class:`minis2s.training.Log`
    title : str
    unit : str
        What the loss is per: a token, a picture.
    """
    from matplotlib.figure import Figure

    records = list(records)
    losses = [r for r in records if r["event"] == "loss" and r["loss"] is not None]
    validations = [r for r in records if r["event"] == "validation"]
    names = [name for name in (validations[-1] if validations else {}) if name not in _NOT_METRICS | _IN_LOSS]
    figure = Figure(figsize=(4.6 * (1 + len(names)), 3.8), dpi=110, layout="constrained")
    axes = figure.subplots(1, 1 + len(names), squeeze=False)[0]
    _draw_losses(axes[0], losses, validations, unit)
    for ax, name in zip(axes[1:], names, strict=True):
        _draw_metric(ax, name, validations)
    _set_title(figure, title)
    return figure


def _draw_losses(ax: Axes, losses: list[Record], validations: list[Record], unit: str) -> None:
    """Draw the training loss, averaged over the steps since the last point, and the validation's."""
    x = _epochs_of([r["step"] for r in losses], validations)
    ax.plot(x, [r["loss"] for r in losses], color=BLUE, label="training", marker="." if len(losses) < 3 else None)
    for key, style, label in (("perplexity", "-", "validation"), ("perplexity_free", "--", "validation, free-running")):
        points = [(r["epoch"], math.log(r[key])) for r in validations if r.get(key)]
        if points:
            ax.plot(*zip(*points, strict=True), style, color=ORANGE, marker="o", markersize=4, label=label)
    points = [(r["epoch"], r["loss"]) for r in validations if r.get("loss") is not None]
    if points:
        ax.plot(*zip(*points, strict=True), color=ORANGE, marker="o", markersize=4, label="validation")
    ax.set(title="loss", xlabel="epoch", ylabel=f"loss (per {unit})" if points else f"loss (nats per {unit})")
    if losses and all(r["loss"] > 0 for r in losses):
        ax.set_yscale("log")
        _plain_log_ticks(ax)
    if ax.lines:
        ax.legend(frameon=False)
    _finish(ax, validations)


def _draw_metric(ax: Axes, name: str, validations: list[Record]) -> None:
    points = [(r["epoch"], r[name]) for r in validations if r.get(name) is not None]
    if points:
        ax.plot(*zip(*points, strict=True), color=ORANGE, marker="o", markersize=4, clip_on=False)
    best = [r for r in validations if r["best"] and r.get(name) is not None]
    if best:
        epoch, value = best[-1]["epoch"], best[-1][name]
        ax.plot([epoch], [value], "o", color=BLUE, markersize=8, fillstyle="none", clip_on=False)
        label = f"{value:.3g} in the epoch that is kept ({epoch})"
        ax.annotate(label, (0.97, 0.05), xycoords="axes fraction", ha="right", color=BLUE, fontsize=9)
        ax.margins(y=0.15)
    if points and min(value for _, value in points) >= 0:
        ax.set_ylim(bottom=max(ax.get_ylim()[0], 0))  # no share is below 0
    label = _UNITS.get(name, name.replace("_", " "))
    ax.set(title=f"validation: {label.split(' (')[0]}", xlabel="epoch", ylabel=label)
    _finish(ax, validations)


def _epochs_of(steps: Sequence[int], validations: list[Record]) -> np.ndarray:
    """Where steps lie on the axis of epochs: each validation tells at which step its epoch ended."""
    if not validations:
        return np.asarray(steps, dtype=float) / max(max(steps, default=1), 1)
    ends = {r["epoch"]: r["step"] for r in validations}
    return np.interp(steps, [0, *ends.values()], [0, *ends])


def _plain_log_ticks(ax: Axes) -> None:
    """Label a logarithmic axis with numbers as people write them, also when it spans less than a decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = ax.get_ylim()
    subs = (1.0,) if high / low > 300 else (1.0, 2.0, 5.0) if high / low > 6 else tuple(np.arange(1.0, 10.0, 0.5))
    ax.yaxis.set_major_locator(LogLocator(subs=subs))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def _finish(ax: Axes, validations: list[Record]) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.set_xlim(0, max((r["epoch"] for r in validations), default=1) * 1.04)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(color="0.9")
    ax.spines[["top", "right"]].set_visible(False)


# ---------------------------------------------------------------------------------------------------- attention maps


def attention_map(weights: np.ndarray, source: Sequence[str], target: Sequence[str], title: str = "") -> Figure:
    """Draw where a decoder looked: a row for each token that was written, a column for each that was read.

    Parameters
    ----------
    weights : array (T, S)
        Each row sums to 1.
    source, target : S and T tokens
        A token that no installed font can draw is labelled by its place: see :func:`axis_labels`.
    title : str
    """
    return attention_maps([(weights, source, target)], title)


def attention_maps(examples: Sequence[tuple[np.ndarray, Sequence[str], Sequence[str]]], title: str = "") -> Figure:
    """Draw several attention maps side by side; each example is (weights, source, target), as :func:`attention_map`."""
    from matplotlib.figure import Figure

    for weights, source, target in examples:
        if weights.shape != (len(target), len(source)):
            raise ValueError(
                f"attention_map: weights have shape {weights.shape}, expected {(len(target), len(source))}, "
                "(target tokens, source tokens)"
            )
    widths = [_margin(target) + 0.36 * len(source) + 0.3 for _, source, target in examples]
    height = max(_margin(source) + 0.36 * len(target) for _, source, target in examples) + 0.2
    square = round(math.sqrt(len(examples) * height / max(widths)))
    rows = math.ceil(len(examples) / max(14 // max(widths), square))
    columns = math.ceil(len(examples) / rows)
    width = max(columns * max(widths) + 0.6, 4.6)
    # The other layout, "constrained", cuts labels off where maps of one column differ in shape.
    figure = Figure(figsize=(width, rows * height + 0.3), dpi=120, layout="compressed")
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    images = [_draw_attention(ax, *example) for ax, example in zip(axes, examples, strict=False)]
    for ax in axes[len(examples) :]:
        ax.set_axis_off()
    figure.colorbar(images[0], ax=axes, label="attention weight", shrink=0.8, aspect=30)
    _set_title(figure, title)
    return figure


def _draw_attention(ax: Axes, weights: np.ndarray, source: Sequence[str], target: Sequence[str]) -> Any:
    image = ax.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    families = font_families("".join([*source, *target]))
    for axis, name, tokens in ((ax.xaxis, "source", source), (ax.yaxis, "target", target)):
        labels, numbered = axis_labels(tokens)
        axis.set_ticks(range(len(tokens)), labels, family=families)
        axis.set_label_text(f"{name} tokens, numbered" if numbered else f"{name} tokens")
        if numbered:
            ax.figure.supxlabel("numbered: no font here has these characters", fontsize=8, color=GREY)
    ax.tick_params(length=0, labelsize=10)
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    long = max((len(token) for token in source if token != "</s>"), default=0) > 2
    for label in ax.get_xticklabels():
        label.set(rotation=60 if long else 0, ha="left" if long else "center", rotation_mode="anchor" if long else None)
    ax.set_xticks(np.arange(len(source) + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(len(target) + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="0.9", linewidth=0.6)
    ax.tick_params(which="minor", length=0)
    ax.spines[:].set_visible(False)
    return image


def _margin(tokens: Sequence[str]) -> float:
    """Inches that the labels of an axis need beside it."""
    return 0.5 + 0.08 * min(max(map(len, tokens), default=0), MOST_CHARACTERS)


def axis_labels(tokens: Sequence[str]) -> tuple[list[str], bool]:
    """The tokens as axis labels, and whether some had to be replaced.

    Matplotlib brings a font with Latin, Greek and Cyrillic letters. For others a font of the system is used; where
    there is none, an empty box would say less than the place of the token, counted from 1, which stands instead.
    """
    drawable = [bool(font_families(token)) for token in tokens]
    labels = [
        (_visible(token) if fits else str(place))
        for place, (token, fits) in enumerate(zip(tokens, drawable, strict=True), start=1)
    ]
    return labels, not all(drawable)


def _visible(token: str) -> str:
    """A token as a label: cut if long, a space shown as an open box, and nothing taken for a formula."""
    if len(token) > MOST_CHARACTERS:
        token = token[: MOST_CHARACTERS - 1] + "…"
    return token.replace(" ", "␣").replace("$", r"\$")


def _set_title(figure: Figure, title: str) -> None:
    if title:
        figure.suptitle(_drawable(title), family=font_families(_drawable(title)))


def _drawable(title: str) -> str:
    """A title as it is, or, where no font has all of it, with question marks for what the default font lacks."""
    if not font_families(title):
        title = "".join(character if font_families(character) == ["DejaVu Sans"] else "?" for character in title)
    return title.replace("$", r"\$")


def font_families(text: str) -> list[str]:
    """Fonts that together have every character of `text`, to be tried in this order; empty if there are none."""
    missing = frozenset(text.replace(" ", "␣")) - _characters_of_default()
    if not missing:
        return ["DejaVu Sans"]
    family = _family_with(missing)
    return ["DejaVu Sans", family] if family else []


@lru_cache(maxsize=1)
def _characters_of_default() -> frozenset[str]:
    from matplotlib.font_manager import findfont

    return _characters(findfont("DejaVu Sans"))


@lru_cache(maxsize=1024)
def _family_with(characters: frozenset[str]) -> str | None:
    """An installed upright font that has these characters; those made for Chinese, Japanese and Korean come first."""
    from matplotlib.font_manager import fontManager

    fonts = [font for font in fontManager.ttflist if font.style == "normal" and not font.name.startswith("Last Resort")]
    hints = ("CJK SC", "Han Sans", "WenQuanYi", "PingFang", "YaHei", "SimHei", "Hiragino", "CJK", "Droid Sans Fallback")
    fonts.sort(key=lambda font: (not any(hint in font.name for hint in hints), abs(int(font.weight) - 400), font.name))
    return next((font.name for font in fonts if characters <= _characters(font.fname)), None)


@lru_cache(maxsize=1024)
def _characters(path: str) -> frozenset[str]:
    """The characters that a font file has."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(map(chr, FT2Font(path).get_charmap()))
    except (OSError, RuntimeError):
        return frozenset()


# --------------------------------------------------------------------------------------------------- by length


def length_accuracy(scores: Sequence[LengthAccuracy], trained_up_to: int | None = None, title: str = "") -> Figure:
    """Draw the share of exact answers by source length.

    Parameters
    ----------
    scores : from :func:`minis2s.metrics.accuracy_by_length`
    trained_up_to : int, optional
        The longest source in training: what is longer is drawn in another colour.
    title : str
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(min(max(4.8, 1.8 + 0.32 * len(scores)), 14), 3.8), dpi=110, layout="constrained")
    ax = figure.subplots()
    known = [s for s in scores if trained_up_to is None or s.length <= trained_up_to]
    beyond = scores[len(known) :]
    for part, color, label in (
        (known, BLUE, "lengths seen in training"),
        (beyond, ORANGE, "longer than any in training"),
    ):
        if part:
            ax.bar([s.length for s in part], [100 * s.accuracy for s in part], color=color, label=label, width=0.8)
    for s in scores:
        place: dict[str, Any] = {
            "xy": (s.length, 100 * s.accuracy),
            "xytext": (0, 2),
            "textcoords": "offset points",
            "ha": "center",
        }
        ax.annotate(f"{s.examples}", **place, color=GREY, fontsize=7)
    ax.set(xlabel="source length (tokens); above the bars: examples", ylabel="exact answers (%)", ylim=(0, 107))
    ax.set_title(_drawable(title) or "accuracy by length", pad=22 if beyond else None)
    if beyond:
        ax.legend(frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 0.98), fontsize=9)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(axis="y", color="0.9")
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    return figure
