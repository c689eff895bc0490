# %% [markdown]
# # 1. A sample
#
# **The question.** What does a lesson look like? Its answer is $y = 3x$, times a weight:
#
# $$y = x * w \tag{scale_it 1}$$

# %%
import numpy as np
from matplotlib.figure import Figure

from minis2s.lessons import load_exercises, show

exercise = load_exercises("01_sample")

# %% tags=["hide-input"]
figure = Figure(figsize=(4, 2))
figure.subplots().plot([0, 1], [0, 3])
show(figure, "Figure 1. Three times x.")


# %% exercise="scale"
def scale(x, w):
    """Each column times its weight: x (N, D), w (D,) -> y (N, D).

    backward(dy (N, D)) returns dx (N, D) and dw (D,).
    """
    y = x * w

    def backward(dy):
        ### BEGIN SOLUTION
        dx = dy * w
        dw = (dy * x).sum(axis=0)
        return dx, dw
        ### END SOLUTION

    return y, backward


# %% check="scale"
exercise.check(scale)

# %%
print("a line after the exercise", np.arange(3))


# %% [markdown]
# ## A second exercise
#
# <details><summary>Answer</summary>
#
# Folded.
#
# </details>


# %% exercise="square"
def square(x):
    """Square: x (N, D) -> y (N, D). backward(dy) returns dx."""
    ### BEGIN SOLUTION
    return x * x, lambda dy: 2 * x * dy
    ### END SOLUTION


# %% check="square"
exercise.check(square)
