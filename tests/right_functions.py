"""Every function of the library on inputs of random shapes, sizes, masks and dtypes: all of them are right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import hypothesis.strategies as st
import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings

from minis2s import functional as F
from minis2s.gradcheck import Report, check
from minis2s.gradcheck.cases import first_output


@dataclass(frozen=True)
class Draw:
    """Sizes, and a stream of numbers of a certain size and dtype."""

    seed: int
    T: int
    S: int
    N: int
    D: int
    H: int
    size: float
    dtype: Any
    is_masked: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "rng", np.random.default_rng(self.seed))

    def r(self, *shape: int) -> np.ndarray:
        """Normal numbers."""
        return (self.size * self.rng.standard_normal(shape)).astype(self.dtype)

    def mask(self, *shape: int) -> np.ndarray | None:
        """Ragged, time first; at times a whole sentence is padding."""
        if not self.is_masked:
            return None
        return np.arange(shape[0])[:, None] < self.rng.integers(0, shape[0] + 1, shape[1])

    def ids(self, largest: int, *shape: int) -> np.ndarray:
        return self.rng.integers(0, largest, shape)

    def one_of(self, *choices: Any) -> Any:
        return choices[self.rng.integers(len(choices))]

    def stream(self, function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        return partial(function, rng=np.random.default_rng(self.seed), **options)


draws = st.builds(
    Draw,
    seed=st.integers(0, 2**32 - 1),
    T=st.integers(1, 4),
    S=st.integers(1, 4),
    N=st.integers(1, 3),
    D=st.integers(1, 4),
    H=st.integers(1, 3),
    size=st.sampled_from([0.01, 0.3, 1.0, 3.0]),
    dtype=st.sampled_from([np.float64, np.float32]),
    is_masked=st.booleans(),
)

Case = tuple[Callable[..., Any], tuple]
BUILDERS: dict[str, Callable[[Draw], Case]] = {}


def builder(*names: str) -> Callable[[Any], Any]:
    """Register what makes a function and its inputs out of a draw."""

    def register(make: Any) -> Any:
        for name in names:
            BUILDERS[name] = partial(make, getattr(F, name))
        return make

    return register


@builder("sigmoid", "tanh", "relu", "leaky_relu", "elu", "silu", "softplus", "gelu")
def activation(f: Any, d: Draw) -> Case:
    return f, (d.r(d.T, d.N, d.D),)


@builder("softmax", "log_softmax")
def softmax(f: Any, d: Draw) -> Case:
    mask = d.mask(d.S, d.N)
    if mask is not None and f is F.log_softmax:
        mask[0] = True
    return f, (d.r(d.N, d.S), None if mask is None else mask.T)


@builder("linear")
def linear(f: Any, d: Draw) -> Case:
    return f, (d.r(d.T, d.N, d.D), d.r(d.H, d.D), d.one_of(None, d.r(d.H)))


@builder("embedding")
def embedding(f: Any, d: Draw) -> Case:
    return f, (d.ids(5, d.T, d.N), d.r(5, d.D))


@builder("layer_norm")
def layer_norm(f: Any, d: Draw) -> Case:
    return f, (d.r(d.T, d.N, d.D) + d.one_of(0, 2), d.r(d.D), d.r(d.D))


@builder("batch_norm")
def batch_norm(f: Any, d: Draw) -> Case:
    return first_output(f), (d.one_of(d.r(d.N + 1, d.D), d.r(d.N, d.D, 2, 3)), d.r(d.D), d.r(d.D))


@builder("batch_norm_running")
def batch_norm_running(f: Any, d: Draw) -> Case:
    return partial(f, mean=d.r(d.D), var=0.1 + d.rng.random(d.D)), (d.r(d.N, d.D, 2, 3), d.r(d.D), d.r(d.D))


@builder("group_norm")
def group_norm(f: Any, d: Draw) -> Case:
    return partial(f, num_groups=d.H), (d.r(d.N, 2 * d.H, 2, 2), d.r(2 * d.H), d.r(2 * d.H))


@builder("dropout")
def dropout(f: Any, d: Draw) -> Case:
    return d.stream(f, rate=d.one_of(0.0, 0.2, 0.7)), (d.r(d.T, d.N, d.D),)


@builder("reparameterise")
def reparameterise(f: Any, d: Draw) -> Case:
    return d.stream(f), (d.r(d.N, d.D), d.r(d.N, d.D))


@builder("cross_entropy")
def cross_entropy(f: Any, d: Draw) -> Case:
    V = d.D + 1
    return partial(f, label_smoothing=d.one_of(0.0, 0.1)), (d.r(d.T, d.N, V), d.ids(V, d.T, d.N), d.mask(d.T, d.N))


@builder("reinforce")
def reinforce(f: Any, d: Draw) -> Case:
    reward = d.r(d.T, d.N)

    def with_reward(log_prob: Any, mask: Any) -> Any:
        loss, backward = f(log_prob, reward.astype(np.float64), mask)
        return loss, lambda dloss: backward(dloss)[::2]

    return with_reward, (d.r(d.T, d.N), d.mask(d.T, d.N))


@builder("mse", "mae", "binary_cross_entropy_with_logits")
def picture_loss(f: Any, d: Draw) -> Case:
    target = d.rng.random((d.N, 1, d.D, d.H))

    def with_target(x: Any) -> Any:
        loss, backward = f(x, target)
        return loss, lambda dloss: backward(dloss)[0]

    return with_target, (d.r(d.N, 1, d.D, d.H),)


@builder("gaussian_kl")
def gaussian_kl(f: Any, d: Draw) -> Case:
    return partial(f, free_bits=d.one_of(0.0, 0.5)), (d.r(d.N, d.D), d.r(d.N, d.D))


@builder("gaussian_kl_terms")
def gaussian_kl_terms(f: Any, d: Draw) -> Case:
    return f, (d.r(d.N, d.D), d.r(d.N, d.D))


@builder("dot_scores", "scaled_dot_scores")
def scores(f: Any, d: Draw) -> Case:
    return f, (d.r(d.T, d.N, d.H), d.r(d.S, d.N, d.H))


@builder("general_scores")
def general_scores(f: Any, d: Draw) -> Case:
    return f, (d.r(d.T, d.N, d.H), d.r(d.S, d.N, d.D), d.r(d.H, d.D))


@builder("additive_scores")
def additive_scores(f: Any, d: Draw) -> Case:
    return f, (d.r(d.T, d.N, d.H), d.r(d.S, d.N, d.H), d.r(d.H))


@builder("location_scores")
def location_scores(f: Any, d: Draw) -> Case:
    return partial(f, length=d.S), (d.r(d.T, d.N, d.H), d.r(d.S + d.one_of(0, 2), d.H))


@builder("attend", "hard_attend")
def attend(f: Any, d: Draw) -> Case:
    function = f if f is F.attend else d.one_of(d.stream(f), partial(f, rng=None))
    return function, (d.r(d.N, d.T, d.S), d.r(d.S, d.N, d.H), d.mask(d.S, d.N))


@builder("masked_mean")
def masked_mean(f: Any, d: Draw) -> Case:
    return f, (d.r(d.S, d.N, d.H), d.mask(d.S, d.N))


def weights(d: Draw, gates: int) -> tuple:
    rows = gates * d.H
    return d.r(rows, d.D), d.r(rows, d.H), d.r(rows), d.r(rows)


GATES = {"rnn": 1, "gru": 3, "lstm": 4}


@builder("rnn_step", "gru_step", "lstm_step")
def step(f: Any, d: Draw) -> Case:
    cell = f.__name__.removesuffix("_step")
    states = (d.r(d.N, d.H) for _ in range(2 if cell == "lstm" else 1))
    return f, (d.r(d.N, d.D), *states, *weights(d, GATES[cell]))


@builder("rnn", "gru", "lstm")
def sequence(f: Any, d: Draw) -> Case:
    states = (d.r(d.N, d.H) for _ in range(2 if f is F.lstm else 1))
    inputs = (d.r(d.T, d.N, d.D), *states, *weights(d, GATES[f.__name__]), d.mask(d.T, d.N))
    return partial(f, reverse=d.one_of(False, True)), inputs


@builder("conv2d", "conv_transpose2d")
def convolution(f: Any, d: Draw) -> Case:
    kernel, groups = (d.one_of(1, 2, 3), d.one_of(1, 2)), d.one_of(1, 2)
    options = {"stride": (d.one_of(1, 2), d.one_of(1, 3)), "padding": (d.one_of(0, 1), 0), "groups": groups}
    options["dilation"] = (d.one_of(1, 2), 1)
    channels, others = groups * d.one_of(1, 2), d.H
    shape = (groups * others, channels // groups, *kernel) if f is F.conv2d else (channels, others, *kernel)
    return partial(f, **options), (d.r(d.N, channels, 5, 4), d.r(*shape), d.one_of(None, d.r(groups * others)))


@builder("max_pool2d", "max_pool2d_with_indices", "avg_pool2d")
def pooling(f: Any, d: Draw) -> Case:
    options = {"kernel_size": (2, d.one_of(2, 3)), "stride": d.one_of(None, 1, 2), "padding": d.one_of(0, 1)}
    return first_output(f, **options), (d.r(d.N, d.H, 4, 5),)


@builder("max_unpool2d")
def max_unpool2d(f: Any, d: Draw) -> Case:
    maxima, places = F.max_pool2d_with_indices(d.r(d.N, d.H, 4, 5), kernel_size=2)[0]
    return partial(f, output_size=(4, 5)), (maxima, places)


@builder("interpolate")
def interpolate(f: Any, d: Draw) -> Case:
    smooth = {"mode": "bilinear", "align_corners": d.one_of(False, True)}
    return partial(f, size=(d.T + 1, d.S + 2), **d.one_of({}, smooth)), (d.r(d.N, d.H, 3, 4),)


@builder("flatten")
def flatten(f: Any, d: Draw) -> Case:
    return f, (d.r(d.N, d.D, d.H, 2),)


@builder("unflatten")
def unflatten(f: Any, d: Draw) -> Case:
    return partial(f, shape=(d.D, d.H, 2)), (d.r(d.N, d.D * d.H * 2),)


def check_draw(name: str, draw: Draw) -> Report:
    """Check one function on one draw."""
    function, inputs = BUILDERS[name](draw)
    return check(function, *inputs, seed=draw.seed)


def count_verdicts(examples: int, start: int = 0) -> tuple[Counter[str], list[tuple[str, Draw, str]]]:
    """Check so many right functions; how often each verdict came, and what was not called right, in words."""
    counts: Counter[str] = Counter()
    others: list[tuple[str, Draw, str]] = []

    @seed(start)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(sorted(BUILDERS)), draws)
    def run(name: str, draw: Draw) -> None:
        report = check_draw(name, draw)
        counts[report.verdict] += 1
        if not report.passed:
            others.append((name, draw, str(report)))

    run()
    return counts, others
