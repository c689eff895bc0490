import numpy as np

from minis2s.lessons import right, wrong


@wrong("constant-factor")
def half(x):
    return x * x, lambda dy: x * dy


@right
def power(x):
    return np.power(x, 2), lambda dy: dy * x + x * dy
