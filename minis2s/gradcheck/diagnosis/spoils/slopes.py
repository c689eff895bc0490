"""Wrong derivatives of elementwise functions, and of the logarithm of a sum of exponentials."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from minis2s.gradcheck.diagnosis.spoils.spoil import Group, Spoil, named, rule_for
from minis2s.gradcheck.diagnosis.tape.entries import Edge, Rule

ACTIVATIONS = ("tanh", "sigmoid", "relu")

SLOPE_BY_VALUE: dict[str, Callable] = {
    "tanh": lambda y: 1 - y * y,
    "sigmoid": lambda y: y * (1 - y),
    "relu": lambda y: y > 0,
}

FORMULA = {"tanh": "1 - {y}^2", "sigmoid": "{y} (1 - {y})", "relu": "({y} > 0)"}


def of_slope(group: Group, words: str) -> Iterator[Spoil]:
    """The derivative of an elementwise function: missing, twice, or of another value."""
    edge = group[0]
    op, name = edge.child.op, named(edge.child)
    extra = 1.0 if words else 0.0
    if op in ACTIVATIONS:
        formula = FORMULA[op].format(y=name if edge.child.label else "y")
        missing, doubled = "activation-derivative-missing", "activation-derivative-doubled"
        yield Spoil(
            missing, 0.8 + extra, f"what flows back through {name} is off by the factor 1/({formula}){words}",
            f"Was {op}'s derivative applied?", rule_for(group, lambda e, dy: dy), label=name,
        )  # fmt: skip
        yield Spoil(
            doubled, 0.9 + extra, f"what flows back through {name} is off by the factor {formula}{words}",
            f"Was {op}'s derivative applied twice?", rule_for(group, lambda e, dy: dy * e.parts["slope"] ** 2),
        )  # fmt: skip
        for cost, spelt, value in wrong_slopes(op):
            yield Spoil(
                "derivative-at-preactivation", cost + extra,
                f"{op}'s derivative at {name} is computed as {spelt}{words}",
                f"With y the output of {op} the derivative is {FORMULA[op].format(y='y')}: what was it fed with?",
                rule_for(group, lambda e, dy, v=value: dy * v(e.parent.value, e.child.value, dy)), label=name,
            )  # fmt: skip
        for spelt, value in of_another(op):
            yield Spoil(
                "missing-factor", 1.6 + extra, f"the derivative at {name} is {spelt}, of another function{words}",
                f"{name} is a {op}.", rule_for(group, lambda e, dy, v=value: dy * v(e.child.value)), label=name,
            )  # fmt: skip
        if op == "sigmoid":
            for spelt, value in (("y", lambda y: y), ("1 - y", lambda y: 1 - y)):
                yield Spoil(
                    "missing-factor", 1.2 + extra, f"sigmoid's derivative at {name} is only {spelt}{words}",
                    "It is y (1 - y).", rule_for(group, lambda e, dy, v=value: dy * v(e.child.value)), label=name,
                )  # fmt: skip
    else:
        cause = {"exp": "logvar-as-sigma", "absolute": "wrong-sign"}.get(op, "missing-factor")
        yield Spoil(
            cause, 1.3 + extra, f"the derivative of {name} is missing{words}",
            "Which function was it, and what is its derivative?", rule_for(group, lambda e, dy: dy),
            also=() if cause == "missing-factor" else (("missing-factor", 1.4 + extra),),
        )  # fmt: skip
        if op == "sqrt":
            yield Spoil(
                "missing-factor", 1.3 + extra, f"the root is missing in the derivative of {name}{words}",
                "The root of x gives dy / (2 sqrt(x)).", rule_for(group, lambda e, dy: dy / 2),
            )  # fmt: skip
        if op in ("square", "power"):
            yield Spoil(
                "constant-factor", 1.2 + extra, f"the exponent is missing in the derivative of {name}{words}",
                "x^n gives n x^(n - 1) dy.",
                rule_for(group, lambda e, dy: dy * e.parts["slope"] / e.parts.get("exponent", 2.0)),
            )  # fmt: skip
            yield Spoil(
                "missing-factor", 1.4 + extra, f"the exponent in the derivative of {name} is 1 too large{words}",
                "x^n gives n x^(n - 1) dy.", rule_for(group, lambda e, dy: dy * e.parts["slope"] * e.parent.value),
            )  # fmt: skip
            yield from _of_power_of_difference(group, words)


def _of_power_of_difference(group: Group, words: str) -> Iterator[Spoil]:
    """(a - b)^n with the derivative of a^n, of b^n, or of (a + b)^n."""
    inner = group[0].parent
    if inner.op not in ("add", "subtract") or len(inner.edges) != 2:
        return
    extra = 1.0 if words else 0.0
    for cause, sign, used in (("missing-factor", 1, (0,)), ("missing-factor", 1, (1,)), ("wrong-sign", -1, (0, 1))):

        def rule(e: Edge, dy: np.ndarray, sign: int = sign, used: tuple = used) -> np.ndarray:
            n = e.parts.get("exponent", 2.0)
            parts = [edge.parent.value * edge.parts["factor"] for edge in e.parent.edges]
            base = sum(sign**slot * parts[slot] for slot in used)
            return dy * n * base ** (n - 1)

        whom = " and ".join(named(inner.edges[slot].parent) for slot in used)
        finding = f"the derivative of {named(group[0].child)} is that of {whom} with another sign between them"
        if len(used) == 1:
            finding = f"the derivative of {named(group[0].child)} is that of the power of {whom} alone"
        yield Spoil(cause, 1.5 + extra, finding + words, "(a - b)^2 gives 2 (a - b).", rule_for(group, rule))


def of_another(op: str) -> list[tuple[str, Callable]]:
    """Derivatives of the other activations, of the value y."""
    return [(FORMULA[other].format(y="y"), slope) for other, slope in SLOPE_BY_VALUE.items() if other != op]


def wrong_slopes(op: str) -> list[tuple[float, str, Callable]]:
    """Formulas that students write for a derivative, of the argument x, the value y and the gradient dy."""
    if op == "tanh":
        return [
            (1.0, "1 - x^2 of its argument x", lambda x, y, dy: 1 - x * x),
            (1.1, "1 - tanh(y)^2 of its output y", lambda x, y, dy: 1 - np.tanh(y) ** 2),
            (1.6, "1 - y", lambda x, y, dy: 1 - y),
            (1.6, "1 + y^2", lambda x, y, dy: 1 + y * y),
            (1.5, "sigmoid's y (1 - y)", lambda x, y, dy: y * (1 - y)),
            (1.5, "1 - sigmoid(x)^2", lambda x, y, dy: 1 - (0.5 + 0.5 * np.tanh(x / 2)) ** 2),
        ]
    if op == "sigmoid":
        return [
            (1.0, "x (1 - x) of its argument x", lambda x, y, dy: x * (1 - x)),
            (1.1, "s(y) (1 - s(y)) of its output y", lambda x, y, dy: np.exp(-y) / (1 + np.exp(-y)) ** 2),
            (1.6, "1 - y^2, tanh's", lambda x, y, dy: 1 - y * y),
            (1.6, "y (1 + y)", lambda x, y, dy: y * (1 + y)),
        ]  # fmt: skip
    return [
        (1.0, "(dy > 0)", lambda x, y, dy: dy > 0),
        (1.3, "(x < 0)", lambda x, y, dy: x < 0),
        (1.2, "x, its argument", lambda x, y, dy: x),
        (1.2, "y, its output", lambda x, y, dy: y),
        (1.4, "(x > 1)", lambda x, y, dy: x > 1),
    ]


def _exp_share(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def of_log_sum_exp(group: Group, words: str) -> Iterator[Spoil]:
    """p = softmax(x) in another's place: of p, of x, of log p."""
    for cause, cost, finding, value in (
        ("softmax-applied-twice", 0.9, "the softmax is taken once more, of what is already a distribution", _exp_share),
        ("derivative-at-preactivation", 1.2, "log p stands where p belongs", np.log),
        ("softmax-second-term-missing", 1.3, "the gradient is p - p^2: only the diagonal", lambda p: p * p),
    ):
        rule: Rule = lambda e, dy, v=value: dy[..., None] * v(e.parts["share"])  # noqa: E731
        yield Spoil(cause, cost, finding + words, "The gradient is p - q.", rule_for(group, rule))
    scores: Rule = lambda e, dy: dy[..., None] * e.parent.value  # noqa: E731
    finding = "the scores stand where their softmax belongs"
    yield Spoil("derivative-at-preactivation", 1.2, finding, "The gradient is p - q.", rule_for(group, scores))
    missing = "softmax-second-term-missing"
    yield Spoil(
        missing,
        0.9,
        "the path through the softmax's sum is missing",
        "The gradient is dy - p sum(dy).",
        rule_for(group, None),
    )
