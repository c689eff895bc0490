"""Put a figure or a report where the reader sees it: in a notebook as it looks, in a terminal as text."""

from __future__ import annotations

import base64
import html
import io
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARP = 2
"""So many pixels of the picture to one of the page: for the screens of phones."""


def show(figure: Figure, caption: str) -> None:
    """Show a figure with its caption, which is also its text for those who cannot see it."""
    if not _in_notebook():
        write(f"[{caption}]")
        return
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=SHARP * figure.dpi)
    picture = base64.b64encode(data.getvalue()).decode("ascii")
    width = round(figure.get_figwidth() * figure.dpi)
    text = html.escape(caption)
    _publish(
        f'<figure style="margin: 1em 0"><img src="data:image/png;base64,{picture}" alt="{text}" width="{width}" '
        f'style="max-width: 100%; height: auto"><figcaption>{text}</figcaption></figure>',
        f"[{caption}]",
    )


def display(thing: Any) -> None:
    """Show an object by its `_repr_html_` where that can be seen, else as text."""
    if _in_notebook() and hasattr(thing, "_repr_html_"):
        _publish(thing._repr_html_(), str(thing))
    else:
        write(str(thing))


def write(text: str) -> None:
    """A line to standard output, which is where the reader of a lesson looks."""
    sys.stdout.write(f"{text}\n")


def _in_notebook() -> bool:
    """Is this a kernel of Jupyter, here or in a browser? (IPython's terminal shows no HTML.)"""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and type(shell).__name__ != "TerminalInteractiveShell"


def _publish(markup: str, text: str) -> None:
    from IPython.display import display as publish

    publish({"text/html": markup, "text/plain": text}, raw=True)
