"""A report for a notebook: a table, and for each wrong gradient a small map of where it is wrong."""

from __future__ import annotations

from html import escape

import numpy as np

from minis2s.gradcheck.report import RIGHT, Gradient, Report

MOST_ROWS, MOST_COLUMNS = 32, 64
"""Cells of a map. A larger gradient is pooled: a cell is as dark as the share of its entries that is wrong."""

CELL = 7
COLOURS = {RIGHT: "#2a7a2a", "wrong": "#b3261e"}
OTHER_COLOUR = "#8a6100"


def to_html(report: Report) -> str:
    """The report as HTML, without scripts or files of its own."""
    rows = "".join(_row(report, gradient) for gradient in report.gradients)
    parts = [f"<p><b>{escape(report.function)}</b>: {_verdict(report.verdict)}</p>"]
    if rows:
        head = "".join(f"<th style='text-align:left'>{h}</th>" for h in ("gradient", "verdict", "worst entry", "where"))
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")
    parts.append(_list("The contract", [str(problem) for problem in report.problems]))
    parts.append(_list("Diagnosis", [f"{d.gradient}: {d.text}" for d in report.diagnoses]))
    parts.append(_list("This test is weak", [weakness.text for weakness in report.weaknesses]))
    return f"<div>{''.join(parts)}</div>"


def _row(report: Report, gradient: Gradient) -> str:
    told = gradient.worst if gradient.verdict != RIGHT else f"relative error {gradient.error:.0e}"
    told = "; ".join(text for text in (told, gradient.share, gradient.reason) if text)
    cells = [
        f"<code>{escape(gradient.name)}</code>",
        _verdict(gradient.verdict),
        escape(told),
        _heat_map(gradient.where),
    ]
    return "<tr>" + "".join(f"<td style='text-align:left'>{cell}</td>" for cell in cells) + "</tr>"


def _verdict(verdict: str) -> str:
    return f"<span style='color:{COLOURS.get(verdict, OTHER_COLOUR)}'>{escape(verdict)}</span>"


def _list(title: str, texts: list[str]) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<p>{title}</p><ul>{items}</ul>" if items else ""


def _heat_map(where: np.ndarray | None) -> str:
    """An SVG of the wrong entries; nothing if there are none."""
    if where is None or not where.any():
        return ""
    shares = pool(where.reshape(-1, where.shape[-1]) if where.ndim else where.reshape(1, 1))
    rows, columns = shares.shape
    cells = "".join(
        f"<rect x='{CELL * c}' y='{CELL * r}' width='{CELL - 1}' height='{CELL - 1}' fill='{_colour(share)}'/>"
        for (r, c), share in np.ndenumerate(shares)
    )
    title = f"<title>{int(where.sum())} of {where.size} entries are wrong</title>"
    return f"<svg width='{CELL * columns}' height='{CELL * rows}' role='img'>{title}{cells}</svg>"


def pool(where: np.ndarray) -> np.ndarray:
    """The share of wrong entries in each cell of a grid that fits: (R, C) bool -> floats, at most 32 rows by 64."""
    rows, columns = (
        np.unique(np.arange(n) * min(n, most) // n, return_index=True)[1]
        for n, most in zip(where.shape, (MOST_ROWS, MOST_COLUMNS), strict=True)
    )
    wrong, total = (
        np.add.reduceat(np.add.reduceat(a.astype(float), rows, axis=0), columns, axis=1)
        for a in (where, np.ones_like(where))
    )
    return wrong / total


def _colour(share: float) -> str:
    """Grey where all is right, red where it is not: the lightest red for a single entry of many can still be seen."""
    if share == 0:
        return "#dddddd"
    other = int(170 * (1 - share))
    return f"#d0{other:02x}{other:02x}"
