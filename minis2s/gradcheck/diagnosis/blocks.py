"""Functions of many steps that have one formula for all of them: norms, lengths, a softmax over any axis.

A student writes the formula, whatever the forward pass looks like: so the mistakes are made in the formula.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from minis2s.gradcheck.diagnosis.spoils.spoil import Spoil
from minis2s.gradcheck.diagnosis.tape.entries import Entry, Tape

DEPTH = 9
"""So many operations at most lie between the value and the argument of a block."""

MOST = 400
"""Entries of a record that is searched for blocks of several operations."""

Formula = Callable[[np.ndarray, "Block", tuple[int, ...]], np.ndarray]


@dataclass(frozen=True)
class Block:
    """From the argument `bottom` to the value `top`: divided by `scale`, over `axes`, after its mean was taken off."""

    kind: str
    top: Entry
    bottom: Entry
    axes: tuple[int, ...]
    scale: np.ndarray

    @property
    def y(self) -> np.ndarray:
        """The value."""
        return self.top.value


def of_blocks(tape: Tape) -> Iterator[Spoil]:
    """Wrong formulas for all of the blocks of one place in the code together."""
    groups: dict[tuple, list[Block]] = {}
    for block in blocks(tape):
        groups.setdefault((block.kind, block.top.op, block.top.place, block.axes, block.bottom.op), []).append(block)
    for group in groups.values():
        for cause, cost, finding, hint, formula in FORMULAS[group[0].kind]:
            yield _spoil(group, cause, cost, finding, hint, formula, group[0].axes)
        gains = [gain_of(block) for block in group]
        if group[0].kind != "softmax" and all(gain is not None for gain in gains):
            yield _without_gain(group, gains)
        for axes in other_axes(group[0]):
            finding = f"the sums on the way back are taken over the axes {axes} instead of {group[0].axes}"
            hint = "Take them over the axes of the forward pass."
            yield _spoil(group, "wrong-sum-axis", 0.9, finding, hint, RIGHT[group[0].kind], axes)


def _spoil(
    group: Sequence[Block], cause: str, cost: float, finding: str, hint: str, formula: Formula, axes: tuple[int, ...]
) -> Spoil:
    jumps = {block.top.number: (block.bottom.number, lambda dy, b=block: formula(dy, b, axes)) for block in group}
    return Spoil(cause, cost, finding, hint, jumps=jumps)  # type: ignore[arg-type]


def gain_of(block: Block) -> np.ndarray | None:
    """What the value, and nothing else, is multiplied by next."""
    users = block.top.users
    factors = [u.parts["factor"] for u in users if u.kind == "factor" and u.child.op == "multiply"]
    return factors[0] if len(users) == 1 and factors and np.ndim(factors[0]) else None


def _without_gain(group: Sequence[Block], gains: Sequence[np.ndarray | None]) -> Spoil:
    """The terms with means, of the gradient as it was before it met the gain."""

    def formula(dy: np.ndarray, block: Block, gain: np.ndarray) -> np.ndarray:
        before = dy / gain
        return dy / block.scale + RIGHT[block.kind](before, block, block.axes) - before / block.scale

    jumps = {
        b.top.number: (b.bottom.number, lambda dy, b=b, gain=gain: formula(dy, b, gain))
        for b, gain in zip(group, gains, strict=True)
    }
    hint = "dn = dy gain, in all of the terms."
    return Spoil("missing-factor", 1.2, "the terms with means lack the gain", hint, jumps=jumps)  # type: ignore[arg-type]


def other_axes(block: Block) -> list[tuple[int, ...]]:
    """All others that a sum can be taken over."""
    n = block.y.ndim
    found = [axes for count in range(1, n + 1) for axes in combinations(range(n), count)]
    return [axes for axes in found if axes != block.axes and any(block.y.shape[a] > 1 for a in axes)]


# ------------------------------------------------------------------------------------------- how they are found


def blocks(tape: Tape) -> Iterator[Block]:
    """Those that are one operation, a softmax over the last axis, and those that the values tell."""
    few = len(tape.entries) <= MOST
    for top in tape.entries:
        block = None
        if top.op == "softmax":
            block = Block("softmax", top, top.edges[0].parent, (top.value.ndim - 1,), np.ones(1))
        elif few and top.op in ("divide", "multiply", "reshape") and 2 <= top.value.size <= 4096 and top.value.ndim:
            block = _by_values(top)
        if block is None:
            continue
        yield block
        if block.bottom.op == "where":  # the formula, and no mask
            below = block.bottom.edges[0].parent
            if below.value.shape == top.value.shape:
                yield replace(block, bottom=below)


def _by_values(top: Entry) -> Block | None:
    """The block that ends in a value, over the first axes that there is one for."""
    for axes in _sets_of_axes(top.value.ndim):
        kind = _kind(top.value, axes) if int(np.prod([top.value.shape[a] for a in axes])) > 1 else ""
        found = [b for e in _above(top) if (b := _block(kind, top, e, axes))] if kind else []
        if found:
            return found[-1]  # not x - mean(x), or x - max(x), but x itself
    return None


def _sets_of_axes(n: int) -> Iterator[tuple[int, ...]]:
    yield from (axes for count in range(1, n + 1) for axes in combinations(range(n), count))


def _kind(y: np.ndarray, axes: tuple[int, ...]) -> str:
    """What a value may be, by its sums."""
    square = (y * y).sum(axis=axes)
    count = y.size // square.size
    if np.allclose(square, 1, 1e-9):
        return "length"
    if np.all(y >= 0) and np.allclose(y.sum(axis=axes), 1, 1e-12) and len(axes) == 1:
        return "softmax"
    if np.all(square <= count * (1 + 1e-9)) and np.all(square > 0.5 * count):
        return "norm" if np.allclose(y.mean(axis=axes), 0, atol=1e-12) else "root mean square"
    return ""


def _above(top: Entry) -> Iterator[Entry]:
    """Values that it was made of, the nearest first."""
    level, seen = [top], {top.number}
    for _ in range(DEPTH):
        level = [edge.parent for e in level for edge in e.edges if edge.parent.number not in seen]
        for above in level:
            if above.number not in seen:
                seen.add(above.number)
                yield above


def _block(kind: str, top: Entry, bottom: Entry, axes: tuple[int, ...]) -> Block | None:
    y, x = top.value, bottom.value
    if x.shape != y.shape:
        return None
    if kind == "softmax":
        e = np.exp(x - x.max(axis=axes, keepdims=True))
        fits = np.allclose(y, e / e.sum(axis=axes, keepdims=True), 1e-11, 1e-13) and bottom.op != "softmax"
        return Block(kind, top, bottom, axes, np.ones(1)) if fits else None
    centred = x - x.mean(axis=axes, keepdims=True) if kind == "norm" else x
    scale = np.sqrt((centred * centred).sum(axis=axes, keepdims=True) / (y * y).sum(axis=axes, keepdims=True))
    if np.allclose(scale, 1, 1e-12) or not np.allclose(centred, y * scale, 1e-9, 1e-12):
        return None
    return Block(kind, top, bottom, axes, scale)


# ------------------------------------------------------------------------------------------------- formulas


def _mean(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return x.mean(axis=axes, keepdims=True)


def _sum(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return x.sum(axis=axes, keepdims=True)


def _norm(dy: np.ndarray, b: Block, axes: tuple[int, ...]) -> np.ndarray:
    return (dy - _mean(dy, axes) - b.y * _mean(dy * b.y, axes)) / b.scale


def _root(dy: np.ndarray, b: Block, axes: tuple[int, ...]) -> np.ndarray:
    return (dy - b.y * _mean(dy * b.y, axes)) / b.scale


def _length(dy: np.ndarray, b: Block, axes: tuple[int, ...]) -> np.ndarray:
    return (dy - b.y * _sum(dy * b.y, axes)) / b.scale


def _softmax(dy: np.ndarray, b: Block, axes: tuple[int, ...]) -> np.ndarray:
    return b.y * (dy - _sum(dy * b.y, axes))


def _softmax_of_softmax(dy: np.ndarray, b: Block, axes: tuple[int, ...]) -> np.ndarray:
    y = np.exp(b.y)
    y = y / _sum(y, axes)
    return y * (dy - _sum(dy * y, axes))


RIGHT: dict[str, Formula] = {"norm": _norm, "root mean square": _root, "length": _length, "softmax": _softmax}

MEAN, VARIANCE = "norm-mean-term-missing", "norm-variance-term-missing"
ALL = "Every x changes the mean and the variance, and with them all outputs."
NORM = "dx = (dn - mean(dn) - n mean(dn n)) / s."
ROOT = "dx = (dn - n mean(dn n)) / s."
LENGTH = "n = x / |x| gives dx = (dn - n sum(dn n)) / |x|."
SOFTMAX = "dx = y (dy - sum(y dy))."

Row = tuple[str, float, str, str, Formula]


def _scaled(right: Formula, words: str, factor: str, hint: str) -> list[Row]:
    """The formula without 1/s, with another power of it."""
    return [
        ("missing-factor", 1.0, f"the factor 1/{factor} is missing on the way back through the {words}", hint,
         lambda dy, b, a: right(dy, b, a) * b.scale),
        ("missing-factor", 1.1, f"the factor 1/{factor} is applied twice on the way back through the {words}", hint,
         lambda dy, b, a: right(dy, b, a) / b.scale),
        ("missing-factor", 1.1, f"{factor} stands where 1/{factor} belongs", hint,
         lambda dy, b, a: right(dy, b, a) * b.scale**2),
        (VARIANCE, 1.0, f"the {words} is taken for a constant", hint, lambda dy, b, a: dy / b.scale),
        (VARIANCE, 1.2, f"the gradient passes the {words} as it is", hint, lambda dy, b, a: dy),
    ]  # fmt: skip


FORMULAS: dict[str, list[Row]] = {
    "norm": [
        (MEAN, 0.9, "the term mean(dn) is missing", NORM, lambda dy, b, a: (dy - b.y * _mean(dy * b.y, a)) / b.scale),
        (VARIANCE, 0.9, "the term n mean(dn n) is missing", NORM, lambda dy, b, a: (dy - _mean(dy, a)) / b.scale),
        *_scaled(_norm, "norm", "s", NORM),
        (MEAN, 1.1, "mean and standard deviation are taken for constants", ALL, lambda dy, b, a: dy / b.scale),
        ("missing-factor", 1.1, "the last term lacks its factor n", NORM,
         lambda dy, b, a: (dy - _mean(dy, a) - _mean(dy * b.y, a)) / b.scale),
        ("missing-factor", 1.2, "the last term is n mean(dn), without the n within", NORM,
         lambda dy, b, a: (dy - _mean(dy, a) - b.y * _mean(dy, a)) / b.scale),
        ("missing-factor", 1.2, "x - mean stands where n belongs", NORM,
         lambda dy, b, a: (dy - _mean(dy, a) - b.y * b.scale**2 * _mean(dy * b.y, a)) / b.scale),
        ("missing-factor", 1.3, "x - mean stands where n belongs, in one of its two places", NORM,
         lambda dy, b, a: (dy - _mean(dy, a) - b.y * b.scale * _mean(dy * b.y, a)) / b.scale),
        ("missing-factor", 1.3, "the last term is divided by s once too often", NORM,
         lambda dy, b, a: (dy - _mean(dy, a) - b.y / b.scale * _mean(dy * b.y, a)) / b.scale),
        ("wrong-count", 1.1, "the two means are sums", NORM,
         lambda dy, b, a: (dy - _sum(dy, a) - b.y * _sum(dy * b.y, a)) / b.scale),
        ("wrong-count", 1.1, "mean(dn) is a sum", NORM,
         lambda dy, b, a: (dy - _sum(dy, a) - b.y * _mean(dy * b.y, a)) / b.scale),
        ("wrong-count", 1.1, "mean(dn n) is a sum", NORM,
         lambda dy, b, a: (dy - _mean(dy, a) - b.y * _sum(dy * b.y, a)) / b.scale),
        ("constant-factor", 1.4, "the term n mean(dn n) counts twice", NORM,
         lambda dy, b, a: (dy - _mean(dy, a) - 2 * b.y * _mean(dy * b.y, a)) / b.scale),
        ("constant-factor", 1.4, "the term n mean(dn n) counts half", NORM,
         lambda dy, b, a: (dy - _mean(dy, a) - b.y * _mean(dy * b.y, a) / 2) / b.scale),
        ("wrong-sign", 1.1, "the term mean(dn) has the wrong sign", NORM,
         lambda dy, b, a: (dy + _mean(dy, a) - b.y * _mean(dy * b.y, a)) / b.scale),
        ("wrong-sign", 1.1, "the term n mean(dn n) has the wrong sign", NORM,
         lambda dy, b, a: (dy - _mean(dy, a) + b.y * _mean(dy * b.y, a)) / b.scale),
    ],
    "root mean square": [
        *_scaled(_root, "norm", "s", ROOT),
        ("missing-factor", 1.1, "the last term lacks its factor n", ROOT,
         lambda dy, b, a: (dy - _mean(dy * b.y, a)) / b.scale),
        ("missing-factor", 1.2, "the last term is n mean(dn), without the n within", ROOT,
         lambda dy, b, a: (dy - b.y * _mean(dy, a)) / b.scale),
        ("missing-factor", 1.2, "x stands where n belongs", ROOT,
         lambda dy, b, a: (dy - b.y * b.scale**2 * _mean(dy * b.y, a)) / b.scale),
        ("missing-factor", 1.3, "x stands where n belongs, in one of its two places", ROOT,
         lambda dy, b, a: (dy - b.y * b.scale * _mean(dy * b.y, a)) / b.scale),
        ("missing-factor", 1.3, "the last term is divided by s once too often", ROOT,
         lambda dy, b, a: (dy - b.y / b.scale * _mean(dy * b.y, a)) / b.scale),
        ("wrong-count", 1.1, "mean(dn n) is a sum", ROOT, lambda dy, b, a: (dy - b.y * _sum(dy * b.y, a)) / b.scale),
        ("constant-factor", 1.4, "the term n mean(dn n) counts twice", ROOT,
         lambda dy, b, a: (dy - 2 * b.y * _mean(dy * b.y, a)) / b.scale),
        ("constant-factor", 1.4, "the term n mean(dn n) counts half", ROOT,
         lambda dy, b, a: (dy - b.y * _mean(dy * b.y, a) / 2) / b.scale),
        ("wrong-sign", 1.1, "the term n mean(dn n) has the wrong sign", ROOT,
         lambda dy, b, a: (dy + b.y * _mean(dy * b.y, a)) / b.scale),
    ],
    "length": [
        *_scaled(_length, "length", "|x|", LENGTH),
        ("missing-factor", 1.1, "the last term lacks its factor n", LENGTH,
         lambda dy, b, a: (dy - _sum(dy * b.y, a)) / b.scale),
        ("missing-factor", 1.2, "the last term is n sum(dn), without the n within", LENGTH,
         lambda dy, b, a: (dy - b.y * _sum(dy, a)) / b.scale),
        ("missing-factor", 1.2, "x stands where n belongs", LENGTH,
         lambda dy, b, a: (dy - b.y * b.scale**2 * _sum(dy * b.y, a)) / b.scale),
        ("missing-factor", 1.3, "x stands where n belongs, in one of its two places", LENGTH,
         lambda dy, b, a: (dy - b.y * b.scale * _sum(dy * b.y, a)) / b.scale),
        ("missing-factor", 1.3, "the last term is divided by the length once too often", LENGTH,
         lambda dy, b, a: (dy - b.y / b.scale * _sum(dy * b.y, a)) / b.scale),
        ("wrong-sign", 1.1, "the term n sum(dn n) has the wrong sign", LENGTH,
         lambda dy, b, a: (dy + b.y * _sum(dy * b.y, a)) / b.scale),
    ],
    "softmax": [
        ("softmax-second-term-missing", 0.9, "what flows back through the softmax is y dy", SOFTMAX,
         lambda dy, b, a: b.y * dy),
        ("softmax-second-term-missing", 0.9, "what flows back through the softmax is y (1 - y) dy", SOFTMAX,
         lambda dy, b, a: b.y * (1 - b.y) * dy),
        ("activation-derivative-missing", 1.2, "what flows back through the softmax is dy itself", SOFTMAX,
         lambda dy, b, a: dy),
        ("softmax-applied-twice", 0.9, "the softmax's derivative is applied twice", SOFTMAX,
         lambda dy, b, a: _softmax(_softmax(dy, b, a), b, a)),
        ("softmax-applied-twice", 1.3, "the softmax's derivative is taken at the softmax of the softmax", SOFTMAX,
         _softmax_of_softmax),
        ("missing-factor", 1.4, "the softmax's derivative lacks the factor y in front", SOFTMAX,
         lambda dy, b, a: dy - _sum(b.y * dy, a)),
        ("missing-factor", 1.5, "within the softmax's sum the factor y is missing", SOFTMAX,
         lambda dy, b, a: b.y * (dy - _sum(dy, a))),
        ("missing-factor", 1.5, "the factor y is missing in front of the softmax's sum", SOFTMAX,
         lambda dy, b, a: b.y * dy - _sum(b.y * dy, a)),
        ("wrong-sign", 1.5, "the softmax's second term has the wrong sign", SOFTMAX,
         lambda dy, b, a: b.y * (dy + _sum(b.y * dy, a))),
        ("wrong-count", 1.2, "the softmax's second term is a mean instead of a sum", SOFTMAX,
         lambda dy, b, a: b.y * (dy - _mean(b.y * dy, a))),
    ],
}  # fmt: skip
"""Wrong formulas for each kind of block: cause, cost, what was found, and a hint."""
