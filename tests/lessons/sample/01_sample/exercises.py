"""What the exercises of the sample are checked with."""

from minis2s.lessons import Exercise


def right_scale(x, w):
    return x * w, lambda dy: (dy * w, (dy * x).sum(axis=0))


def scale_inputs(rng):
    n, d = rng.integers(2, 5), rng.integers(5, 7)
    return rng.standard_normal((n, d)), rng.standard_normal(d)


def right_square(x):
    return x * x, lambda dy: 2 * x * dy


def square_inputs(rng):
    return (rng.standard_normal(rng.integers(2, 5, 2)),)


EXERCISES = (
    Exercise("scale", right_scale, scale_inputs, points=2),
    Exercise("square", right_square, square_inputs),
)
