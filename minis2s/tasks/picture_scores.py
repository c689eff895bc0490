"""How good pictures are, and the table that says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from minis2s.backend import Array, to_numpy
from minis2s.metrics import psnr, ssim

EVALUATION_BATCH = 500
"""Pictures at a time: enough to be fast, few enough for any memory."""


def in_batches(pixels: np.ndarray) -> Iterator[np.ndarray]:
    """All pictures, some at a time."""
    return (pixels[k : k + EVALUATION_BATCH] for k in range(0, len(pixels), EVALUATION_BATCH))


def mapped(function: Callable[[np.ndarray], Array], pixels: np.ndarray) -> np.ndarray:
    """`function` of all pictures, on the host."""
    return np.concatenate([to_numpy(function(x)) for x in in_batches(pixels)])


def fidelity(pixels: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """MSE, and the means over all pictures of PSNR and SSIM."""
    return {
        "mse": float(np.mean((pixels - reference) ** 2)),
        "psnr": float(np.mean(psnr(pixels, reference))),
        "ssim": float(np.mean(ssim(pixels, reference))),
    }


def fit_pca(train: np.ndarray, components: int) -> Any:
    """The principal components of the training pictures."""
    from sklearn.decomposition import PCA

    flat = train.reshape(len(train), -1)
    return PCA(min(components, *flat.shape), svd_solver="covariance_eigh").fit(flat)


def format_table(scores: Mapping[str, Any]) -> str:
    """A row for the model and one for each baseline; a column for each number that any of them has."""
    rows = {"this model": scores, **scores.get("baselines", {})}
    columns = [k for k in COLUMNS if any(isinstance(row.get(k), (int, float)) for row in rows.values())]
    lines = [[f"{scores['examples']} pictures", *(COLUMNS[k][0] for k in columns)]]
    for name, row in rows.items():
        lines.append([name, *(COLUMNS[k][1].format(row[k]) if k in row else "-" for k in columns)])
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))])
        for line in lines
    )


COLUMNS: dict[str, tuple[str, str]] = {
    "mse": ("MSE", "{:.5f}"),
    "psnr": ("PSNR (dB)", "{:.2f}"),
    "ssim": ("SSIM", "{:.4f}"),
    "bytes": ("bytes", "{:.0f}"),
    "bits_per_pixel": ("bits/pixel", "{:.3f}"),
    "linear_probe": ("linear probe", "{:.4f}"),
    "linear_probe_100": ("with 100 labels", "{:.4f}"),
    "knn5": ("5-NN", "{:.4f}"),
    "kmeans_purity": ("k-means purity", "{:.4f}"),
    "fine_tuned": ("fine-tuned", "{:.4f}"),
    "elbo": ("ELBO (nats)", "{:.2f}"),
    "reconstruction": ("reconstruction", "{:.2f}"),
    "kl": ("KL", "{:.2f}"),
    "importance_weighted": ("weighted bound", "{:.2f}"),
    "active": ("active dimensions", "{:.0f}"),
}
"""What a table calls the scores, and how it writes them."""
