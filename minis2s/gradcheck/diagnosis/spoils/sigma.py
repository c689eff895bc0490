"""The standard deviation of a latent variable, its logarithm and that of the variance, taken for one another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from minis2s.gradcheck.diagnosis.spoils.spoil import Group, Spoil, named, rule_for
from minis2s.gradcheck.diagnosis.tape.entries import Entry, Jump, Rule, Tape

Changed = tuple[Sequence[np.ndarray], dict[int, Rule]]
Part = Callable[[Sequence[np.ndarray]], Changed]

HINT = "sigma = exp(logvar / 2): dlogvar = dsigma sigma / 2."


def of_sigma(tape: Tape) -> Iterator[Spoil]:
    """The derivative of sigma = exp(logvar / 2): of another exponential, in all of the loss or in a part of it."""
    for sigma in tape.entries:
        inner = sigma.edges[0].parent if sigma.op == "exp" and sigma.value.ndim > 1 else None
        if inner is None:
            continue
        halved = inner.op in ("multiply", "divide") and len(inner.edges) == 1
        logvar, half = (inner.edges[0].parent, inner.edges[0].parts["factor"]) if halved else (inner, 1.0)
        if logvar.value.shape == sigma.value.shape:
            yield from _of_exponential(sigma, logvar)
            yield from _of_divergence(tape, logvar, 1 / (half * sigma.value))


def _of_exponential(sigma: Entry, logvar: Entry) -> Iterator[Spoil]:
    for factor, whose in (
        (sigma.value**2, "as if exp(logvar) were sigma"),
        (np.ones_like(sigma.value), "that of sigma"),
    ):
        for half in (1.0, 0.5):
            jumps: dict[int, tuple[int, Jump | None]] = {
                sigma.number: (logvar.number, partial(np.multiply, half * factor))
            }
            yield Spoil("logvar-as-sigma", 1.3, f"the gradient of {named(logvar)} is {whose}", HINT, jumps=jumps)


def _of_divergence(tape: Tape, logvar: Entry, inverse_slope: np.ndarray) -> Iterator[Spoil]:
    """Of one part of the loss, such as the divergence, the derivative for sigma is handed to logvar."""
    for others, alone in summands(tape):

        def gradients(upstream: Sequence[np.ndarray], others: Part = others, alone: Part = alone) -> list:
            pairs = zip(
                tape.backward(*others(upstream)),
                tape.backward(*alone(upstream), scales={logvar.number: inverse_slope}),
                strict=True,
            )
            return [a if b is None else b if a is None else a + b for a, b in pairs]

        finding = f"in one part of the loss the derivative for sigma is taken for that for {named(logvar)}"
        yield Spoil("logvar-as-sigma", 1.4, finding, HINT, gradients=gradients)


def summands(tape: Tape) -> Iterator[tuple[Part, Part]]:
    """What to hand to `Tape.backward` for all outputs, or summands of the loss, but one; and for that one alone."""
    for k in range(len(tape.outputs)) if len(tape.outputs) > 1 else ():
        yield partial(_of_outputs, k=k, alone=False), partial(_of_outputs, k=k, alone=True)
    for loss, _ in tape.outputs:
        for edge in loss.edges if loss is not None and loss.op in ("add", "subtract") else ():
            rest = [e for e in edge.child.edges if e is not edge]
            yield partial(_without, edges=[edge]), partial(_without, edges=rest)


def _of_outputs(upstream: Sequence[np.ndarray], k: int, alone: bool) -> Changed:
    return [dy * float((n == k) == alone) for n, dy in enumerate(upstream)], {}


def _without(upstream: Sequence[np.ndarray], edges: Group) -> Changed:
    return upstream, rule_for(edges, None)
