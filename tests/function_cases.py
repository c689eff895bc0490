"""A hard case for every function of the course: ragged masks, repeated ids, non-zero states and biases, T >= 3.

Shared by the tests that put the same questions to all functions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minis2s import functional as F
from minis2s.gradcheck.cases import picture_cases

T, S, N, D, H, V = 4, 5, 3, 4, 3, 7  # target and source of different lengths; the last sentence is all padding
SOURCE_MASK = np.arange(S)[:, None] < np.array([S, 2, 0])
TARGET_MASK = np.arange(T)[:, None] < np.array([3, T, 0])


ACTIVATIONS = (F.sigmoid, F.tanh, F.relu, F.leaky_relu, F.elu, F.silu, F.softplus, F.gelu)


@dataclass(frozen=True)
class Case:
    """A call of `function`, with float64 inputs.

    Attributes
    ----------
    function
        Takes the inputs; its options are bound. Draws the same random numbers in every call.
    constants
        Places of the outputs that have no gradient: their upstream is None.
    """

    name: str
    function: Callable[..., Any]
    inputs: tuple
    constants: tuple[int, ...] = ()

    @property
    def of(self) -> str:
        """Name of the function of the library."""
        return self.name.split("-")[0]


def as_tuple(x: Any) -> tuple:
    """Several results as they are, a single one as a tuple of one."""
    return x if isinstance(x, tuple) else (x,)


def cast(x: Any, dtype: Any) -> Any:
    """Float arrays in another type, all else as it is."""
    return x.astype(dtype) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x


def upstream_of(case: Case, outputs: tuple, seed: int = 5) -> tuple:
    """A random gradient for each output, None for those without one."""
    rng = np.random.default_rng(seed)
    return tuple(
        None if k in case.constants else np.asarray(rng.normal(size=y.shape)).astype(y.dtype)
        for k, y in enumerate(outputs)
    )


def run(case: Case, inputs: tuple, upstream: tuple | None = None) -> tuple[tuple, tuple]:
    """Outputs and gradients of a case on the host."""
    outputs, backward = case.function(*inputs)
    outputs = as_tuple(outputs)
    if backward is None:
        return outputs, ()
    return outputs, as_tuple(backward(*(upstream or upstream_of(case, outputs))))


def _recurrent(rng: np.random.Generator, gates: int, states: int, *, sequence: bool) -> tuple:
    x = rng.normal(size=(S, N, D) if sequence else (N, D))
    weights = [rng.normal(size=shape) * 0.7 for shape in ((gates * H, D), (gates * H, H), (gates * H,), (gates * H,))]
    return (x, *(rng.normal(size=(N, H)) for _ in range(states)), *weights)


def _cases() -> list[Case]:
    rng = np.random.default_rng(20)
    r = lambda *shape: rng.normal(size=shape)  # noqa: E731
    query, memory = r(T, N, H), r(S, N, H)
    logits, target = 3 * r(T, N, V), rng.integers(0, V, size=(T, N))
    cases = [
        *(Case(f.__name__, f, (2 * r(N, D),)) for f in ACTIVATIONS),
        *(Case(f.__name__, f, (2 * r(N, D), None)) for f in (F.softmax, F.log_softmax)),
        Case("softmax-masked", F.softmax, (2 * r(N, T, S), SOURCE_MASK.T[:, None])),
        Case("log_softmax-masked", F.log_softmax, (2 * r(N, S), np.arange(S) < np.array([[S], [2], [1]]))),
        Case("linear", F.linear, (r(T, N, D), r(H, D), r(H))),
        Case("linear-no_bias", F.linear, (r(N, D), r(H, D), None)),
        Case("embedding", F.embedding, (np.array([[1, 4, 1], [0, 1, 6]]), r(V, D))),
        Case(
            "embedding-padding", lambda ids, w: F.embedding(ids, w, padding_id=0), (np.array([[1, 0], [1, 0]]), r(V, D))
        ),
        Case("layer_norm", F.layer_norm, (r(T, N, D) + 2, r(D), r(D))),
        Case("dropout", lambda x: F.dropout(x, rate=0.4, rng=np.random.default_rng(3)), (r(T, N, D),)),
        Case("cross_entropy", F.cross_entropy, (logits, target, TARGET_MASK), constants=(1,)),
        Case("cross_entropy-no_mask", F.cross_entropy, (logits, target, None), constants=(1,)),
        Case(
            "cross_entropy-smoothed",
            lambda x, t, m: F.cross_entropy(x, t, m, label_smoothing=0.1),
            (logits, target, TARGET_MASK),
            constants=(1,),
        ),
        Case("token_losses", lambda x, t: (F.token_losses(x, t), None), (logits, target)),
        Case("reinforce", F.reinforce, (r(N, T), r(N, T), TARGET_MASK.T)),
        Case("dot_scores", F.dot_scores, (query, memory)),
        Case("scaled_dot_scores", F.scaled_dot_scores, (query, memory)),
        Case("general_scores", F.general_scores, (query, r(S, N, D), r(H, D))),
        Case("additive_scores", F.additive_scores, (query, memory, r(H))),
        Case("location_scores", lambda q, w: F.location_scores(q, w, length=S), (query, r(S + 2, H))),
        Case("attend", F.attend, (2 * r(N, T, S), memory, SOURCE_MASK)),
        Case("attend-no_mask", F.attend, (2 * r(N, T, S), memory, None)),
        Case(
            "hard_attend",
            lambda s, m, mask: F.hard_attend(s, m, mask, rng=np.random.default_rng(3)),
            (2 * r(N, T, S), memory, SOURCE_MASK),
            constants=(2,),
        ),
        Case(
            "hard_attend-greedy",
            lambda s, m, mask: F.hard_attend(s, m, mask, rng=None),
            (2 * r(N, T, S), memory, SOURCE_MASK),
            constants=(2,),
        ),
        Case("masked_mean", F.masked_mean, (memory, SOURCE_MASK)),
    ]
    for cell, gates, states in (("rnn", 1, 1), ("gru", 3, 1), ("lstm", 4, 2)):
        step, sequence = getattr(F, f"{cell}_step"), getattr(F, cell)
        cases.append(Case(f"{cell}_step", step, _recurrent(rng, gates, states, sequence=False)))
        for kind, mask, reverse in (
            ("no_mask", None, False),
            ("masked", SOURCE_MASK, False),
            ("reverse", SOURCE_MASK, True),
        ):
            function = lambda *inputs, f=sequence, reverse=reverse: f(*inputs, reverse=reverse)  # noqa: E731
            inputs = (*_recurrent(rng, gates, states, sequence=True), mask)
            cases.append(Case(f"{cell}-{kind}", function, inputs))
    cases += [Case(case.name.replace(", ", "-"), case.function, case.inputs) for case in picture_cases(rng)]
    x, target = 2 * r(3, 1, 2, 4), rng.random((3, 1, 2, 4))
    cases += [
        *(Case(f.__name__, f, (x, target)) for f in (F.mse, F.mae, F.binary_cross_entropy_with_logits)),
        Case("gaussian_kl", F.gaussian_kl, (r(3, 4), r(3, 4))),
        Case("gaussian_kl-free bits", lambda m, v: F.gaussian_kl(m, v, free_bits=0.5), (r(3, 4), r(3, 4))),
        Case("gaussian_kl_terms", F.gaussian_kl_terms, (r(3, 4), r(3, 4))),
        Case("reparameterise", lambda m, v: F.reparameterise(m, v, rng=np.random.default_rng(3)), (r(3, 4), r(3, 4))),
        Case("batch_norm_running", _running, (r(2, 4, 3, 5), r(4), r(4), r(4), 0.5 + rng.random(4))),
    ]
    return cases


def _running(x: Any, weight: Any, bias: Any, mean: Any, var: Any) -> tuple[Any, Callable[..., Any]]:
    y, backward = F.batch_norm_running(x, weight, bias, mean=mean, var=var)
    return y, lambda dy: (*backward(dy), None, None)


CASES = _cases()
