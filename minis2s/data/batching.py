"""Batches of similar length: what is padding costs time and teaches nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from minis2s.data.vocabulary import BOS, EOS, PAD


@dataclass(frozen=True)
class Batch:
    """Token ids, time first, padded; masks are True at real tokens.

    Attributes
    ----------
    source, source_mask : (S, N)
        Each source ends with </s>, so that none is empty.
    target_in, target_out, target_mask : (T, N)
        What the decoder is fed, from <s> on; what it is to say, up to </s>; where either is real.
    indices : (N,)
        Places of the examples in their data set.
    """

    source: np.ndarray
    source_mask: np.ndarray
    target_in: np.ndarray
    target_out: np.ndarray
    target_mask: np.ndarray
    indices: np.ndarray


def pad(sequences: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Lists of ids -> ids (T, N), padded at the end, and mask (T, N)."""
    lengths = np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
    mask = np.arange(lengths.max(initial=0)) < lengths[:, None]  # (N, T)
    ids = np.full(mask.shape, PAD, dtype=np.int64)
    ids[mask] = np.fromiter(chain.from_iterable(sequences), dtype=np.int64, count=lengths.sum())
    return np.ascontiguousarray(ids.T), np.ascontiguousarray(mask.T)


def collate(
    sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]], indices: Sequence[int] | np.ndarray
) -> Batch:
    """Make a batch of ids without special tokens.

    Raises
    ------
    ValueError
        If there are not as many sources as targets and indices.
    """
    if not len(sources) == len(targets) == len(indices):
        raise ValueError(
            f"collate: {len(sources)} sources, {len(targets)} targets, {len(indices)} indices, expected as many of each"
        )
    source, source_mask = pad([[*ids, EOS] for ids in sources])
    target_out, target_mask = pad([[*ids, EOS] for ids in targets])
    target_in = np.full_like(target_out, BOS)
    target_in[1:] = np.where(target_mask[1:], target_out[:-1], PAD)  # what was to say a step ago
    return Batch(source, source_mask, target_in, target_out, target_mask, np.asarray(indices, dtype=np.int64))


def bucket_batches(lengths: np.ndarray, batch_size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Choose batches of similar source and target length, in random order; each example comes once.

    Sorted by target length and, inside one, by source length; ties are in random order, and so are the batches.

    Parameters
    ----------
    lengths : integer array (n, 2)
        Source and target length of each example.

    Returns
    -------
    list of index arrays, all of `batch_size` but perhaps one

    Raises
    ------
    ValueError
        If `lengths` has another shape, or `batch_size` is not positive.
    """
    if lengths.ndim != 2 or lengths.shape[1] != 2:
        raise ValueError(f"bucket_batches: lengths has shape {lengths.shape}, expected (n, 2)")
    if batch_size < 1:
        raise ValueError(f"bucket_batches: batch_size is {batch_size}, expected at least 1")
    order = rng.permutation(len(lengths))
    source, target = lengths[order].T
    order = order[np.lexsort((source, target))]
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return [batches[n] for n in rng.permutation(len(batches))]


def padding_waste(batches: Iterable[np.ndarray]) -> float:
    """Share of padding in the arrays of an epoch, 0 to 1; each item holds a batch's source and target lengths (N, 2).

    Source and target count together: a batch has N (max source + max target) places.
    """
    real = total = 0
    for lengths in batches:
        real += int(lengths.sum())
        total += int(lengths.max(axis=0).sum()) * len(lengths)
    return 1 - real / total if total else 0.0
