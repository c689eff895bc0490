# %% [markdown]
# # 1. What a backward pass is
#
# **The question.** A network is a function with many numbers in it that can be changed: its *weights*. One more
# number, the *loss*, says how bad the network's answers are. How does each weight move the loss?
#
# **The answer, in one picture.** In Figure 1 numbers run down the left side, from the input to the loss: the *forward
# pass*. Then a single number, 1, starts at the bottom, and others run up the right side: the *backward pass*. Each
# box does the same small job there. It is told how its output moves the loss, and answers how its input does.

# %% tags=["hide-input"]
import inspect

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from minis2s import functional as F
from minis2s.gradcheck import check
from minis2s.lessons import load_exercises, show

exercise = load_exercises("01_backward")
BLUE, ORANGE, GREY = "#1f5fa8", "#d9730d", "#8a8a8a"
np.set_printoptions(precision=3, suppress=True)


def draw_chain(names, values, gradients):
    """Draw boxes under each other: values run down on the left, gradients up on the right."""
    figure = Figure(figsize=(4.4, 5.4), dpi=110, layout="constrained")
    ax = figure.subplots()
    top = 2 * len(names)
    ax.set(xlim=(0, 10), ylim=(-0.6, top + 1.1))
    ax.axis("off")
    for k, name in enumerate(names):
        box = {"boxstyle": "round,pad=0.5", "fc": "0.95", "ec": "0.6"}
        ax.text(5, top - 1 - 2 * k, name, ha="center", va="center", fontsize=12, bbox=box)
        if name == "linear":
            ax.text(6.2, top - 1 - 2 * k, "and dW, db", va="center", fontsize=11, color=ORANGE)
    for k, (value, gradient) in enumerate(zip(values, gradients, strict=True)):
        y = top - 2 * k
        for x, ends, color in ((4.5, (0.45, -0.45), BLUE), (5.5, (-0.45, 0.45), ORANGE)):
            arrow = {"arrowstyle": "-|>", "color": color, "lw": 2}
            ax.annotate("", (x, y + ends[1]), (x, y + ends[0]), arrowprops=arrow)
        ax.text(4.2, y, value, ha="right", va="center", fontsize=11, color=BLUE)
        ax.text(5.8, y, gradient, ha="left", va="center", fontsize=11, color=ORANGE)
    ax.text(2.6, top + 0.8, "forward", ha="center", fontsize=13, color=BLUE)
    ax.text(7.4, top + 0.8, "backward", ha="center", fontsize=13, color=ORANGE)
    return figure


def first_picture():
    """Run a small network, forward and backward, and draw what passes between its boxes."""
    x, target = np.array([[0.5, -1.0]]), np.array([1])
    z, linear_backward = F.linear(x, np.array([[1.0, 0.5], [-0.6, 0.2]]), np.array([0.3, 0.1]))
    h, tanh_backward = F.tanh(z)
    scores, output_backward = F.linear(h, np.array([[1.5, 0.5], [-0.5, 1.0]]), np.array([0.2, -0.1]))
    (loss, _), loss_backward = F.cross_entropy(scores, target)
    ds = loss_backward()[0]
    dh = output_backward(ds)[0]
    dz = tanh_backward(dh)
    dx = linear_backward(dz)[0]
    values = [f"{name} = {a:.2f}, {b:.2f}" for name, ((a, b),) in (("x", x), ("z", z), ("h", h), ("s", scores))]
    gradients = [f"{name} = {a:.2f}, {b:.2f}" for name, ((a, b),) in (("dx", dx), ("dz", dz), ("dh", dh), ("ds", ds))]
    names = ["linear", "tanh", "linear", "softmax, cross-entropy"]
    return draw_chain(names, [*values, f"loss = {loss:.2f}"], [*gradients, "dloss = 1"])


show(first_picture(), "Figure 1. One example on its way through a small network, and its gradients on their way back.")

# %% [markdown]
# You need Python, the chain rule and matrix products; every other word is explained where it first appears. By the
# end you have built each box of Figure 1, you can prove that a backward pass is right, and you have trained a network
# with four different ones, of which only one is right.
#
# ## 1.1 A slope answers a nudge
#
# Begin with one weight. The model multiplies: its answer is $y = w x$. The right answer for $x = 3$ would be 5, and
# the loss is the squared distance from it, $L = (w x - 5)^2$. Now nudge $w$ a little and watch $L$.

# %%
x, w = 3.0, 2.0


def loss_of(w):
    return (w * x - 5) ** 2


for nudge in (0.1, 0.01, 0.001):
    change = loss_of(w + nudge) - loss_of(w)
    print(f"nudge w by {nudge:5}: the loss changes by {change:.6f}, that is {change / nudge:.4f} times the nudge")

# %% [markdown]
# The last number settles at 6. It is the *slope* of the loss, the derivative $dL/dw$. The chain rule gives it without
# any nudging: $dL/dw = 2 (w x - 5) \cdot x = 2 \cdot 1 \cdot 3 = 6$.
#
# All the text and code of this course writes **`dw` for $dL/dw$**, `dx` for $dL/dx$, and so on: *how much the loss
# changes for each unit by which this number changes*. When `w` is an array, `dw` is an array of the same shape, with
# one slope for each number. It is called the *gradient* of `w`.
#
# What is a gradient good for? It tells where to step. If the slope is positive, a smaller weight gives a smaller
# loss. So subtract a small multiple of the gradient. The multiple is called the *learning rate*.

# %%
for step in range(5):
    dw = 2 * (w * x - 5) * x
    print(f"step {step}: w = {w:.4f}, loss = {loss_of(w):.4f}, dw = {dw:.4f}")
    w = w - 0.03 * dw  # 0.03 is the learning rate

# %% [markdown]
# The loss falls at each step. To train a network is to do this with all its weights at once, many times. The only
# hard part is `dw`, and that is what the rest of this lesson is about.
#
# ## 1.2 Predict
#
# Further down we train the network of Figure 1 on points of the plane, four times. The four programs are equal but
# for one line, in the backward pass of the box called `tanh`. There `h` is the box's output, and `dh` what it is
# told:
#
# | program | its line |
# |---|---|
# | A | `dz = dh * (1 - h * h)` |
# | B | `dz = dh * (1 - h)` |
# | C | `dz = dh` |
# | D | `dz = 0 * dh` |
#
# Exactly one is the true derivative. All four run without an error message. **Which of them will learn? Write your
# answer down before you read on.** Section 1.8 has the measured one.
#
# ## 1.3 The first box: $y = x W^T + b$
#
# A linear layer takes $N$ examples with $D$ numbers each, and makes $E$ numbers of each example. Here are small
# arrays with their shapes. The three sizes differ on purpose: an array that lies the wrong way round will not fit.
# (`rng` makes random numbers. The number it starts from, here 0, is its *seed*: the same seed, the same numbers.)

# %%
rng = np.random.default_rng(0)
N, D, E = 2, 3, 4
x, weight, bias = rng.standard_normal((N, D)), rng.standard_normal((E, D)), rng.standard_normal(E)
y = x @ weight.T + bias
for name, array in (("x", x), ("weight", weight), ("bias", bias), ("y", y)):
    print(f"{name} {array.shape}\n{array}\n")

# %% [markdown]
# Number $e$ of example $n$ is
#
# $$y_{ne} = \sum_d x_{nd} W_{ed} + b_e, \qquad\text{for all of them at once: } y = x W^T + b. \tag{linear 1}$$
#
# Here $n$ counts examples, $d$ inputs and $e$ outputs. The tag at the right is a promise: the function `linear` of
# the library bears an equation (1) in its docstring, and it is this one.
#
# For the backward pass, suppose somebody tells us `dy`, an array of y's shape: for each output, how strongly it moves
# the loss. (Who? The next box. It is called the *upstream gradient*.) Now ask by how many ways each input reaches the
# loss, and add up all the ways. That is all the chain rule says.
#
# - $x_{nd}$ is in every output of example $n$, each time multiplied by $W_{ed}$. So
#   $dx_{nd} = \sum_e dy_{ne} W_{ed}$.
# - $W_{ed}$ is in output $e$ of every example, each time multiplied by $x_{nd}$. So
#   $dW_{ed} = \sum_n dy_{ne} x_{nd}$.
# - $b_e$ is in output $e$ of every example, multiplied by 1. So $db_e = \sum_n dy_{ne}$.
#
# Sums over a shared index are matrix products:
#
# $$dx = dy\, W, \qquad dW = dy^T x, \qquad db = \text{the sum of the rows of } dy. \tag{linear 1'}$$
#
# The tag (1') means: the backward of (1). If you forget the order, let the shapes remind you. A gradient has the
# shape of its array, and there is only one way to multiply a $(2, 4)$ and a $(2, 3)$ array into a $(4, 3)$ one.

# %%
dy = rng.standard_normal(y.shape)
dx, dweight, dbias = dy @ weight, dy.T @ x, dy.sum(axis=0)
for name, array in (("dy", dy), ("dx", dx), ("dweight", dweight), ("dbias", dbias)):
    print(f"{name} {array.shape}\n{array}\n")

# %% [markdown]
# ## 1.4 The contract: a function returns its own backward
#
# Where should the backward pass live? It needs `x` and `weight` of the forward pass. In `minis2s` every function
# makes its backward while it runs, and returns both:
#
# ```python
# y, backward = F.linear(x, weight, bias)     # forward
# dx, dweight, dbias = backward(dy)           # one gradient for each input, in the order of the inputs
# ```
#
# A function that is made inside another one still sees the variables around it. Python calls it a *closure*. So
# nothing has to be saved by hand: what `backward` needs is in sight. Here is the function as the library has it. Find
# equations (1) and (1') in the text at its top, and then the lines that compute them.

# %%
print(inspect.getsource(F.linear))

# %% [markdown]
# Three things go beyond our equations. `x.reshape(-1, D)` lets x have more than two axes: all but the last are laid
# out as one long list of rows. `matmul` is `@`, shared between two processor cores when the arrays are large. And who
# has no use for `dx` need not pay for it.
#
# In full, the contract has four clauses. Section 1.9 shows what a breach does.
#
# 1. `backward` returns one gradient for each input, in order. Where there is just one input, it returns just that
#    array.
# 2. Each gradient has its input's shape.
# 3. `backward` does not change `dy`, nor the inputs. Somebody else may still need them.
# 4. It may be called twice, and gives the same answer twice.
#
# ### Exercise 1: the backward of `linear`
#
# The forward pass stands. Write the three gradients, by (linear 1'). Then run the cell below it: the checker tells
# whether they are right, and if not, what they look like.


# %% exercise="linear"
def linear(x, weight, bias):
    """Affine map: x (N, D), weight (E, D), bias (E,) -> y (N, E).

    backward(dy (N, E)) returns dx (N, D), dweight (E, D), dbias (E,).
    """
    y = x @ weight.T + bias

    def backward(dy):
        ### BEGIN SOLUTION
        dx = dy @ weight
        dweight = dy.T @ x
        dbias = dy.sum(axis=0)
        return dx, dweight, dbias
        ### END SOLUTION

    return y, backward


# %% check="linear"
exercise.check(linear)

# %% [markdown]
# ## 1.5 How do you know that it is right?
#
# Nudge, as in 1.1. To turn the outputs into one number, weigh them with the upstream gradient and add up:
# $L = \sum y \cdot dy$. Then $dL/dy$ is exactly `dy`, so $dL/dx$ must be what `backward(dy)` claims. And $dL/dx$ can
# be measured: nudge one entry up by $h$, then down by $h$, and divide the difference by $2h$. This is the *numeric
# gradient*. It needs no derivation at all, so it cannot share a mistake with yours.


# %%
def numeric_gradient(function, x, dy, h=1e-5):
    """dL/dx for L = sum(y * dy), by nudging each entry of x up and down."""
    dx = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        dx[place] = ((function(up) - function(down)) * dy).sum() / (2 * h)
    return dx


measured = numeric_gradient(lambda weight: x @ weight.T + bias, weight, dy)
print(f"dweight by (linear 1')\n{dweight}\n\nmeasured\n{measured}\n")
print("largest difference:", np.abs(dweight - measured).max())

# %% [markdown]
# Twelve numbers agree to ten digits. So why not train with numeric gradients? Count: two forward passes for each
# weight. A model with a million weights would need two million forward passes for a single step. The backward pass
# gets all million slopes for about the price of two forward passes: (linear 1) is one matrix product, (linear 1') are
# two. Measuring is for checking.
#
# ### Why checks are done in float64
#
# How small should $h$ be? **Predict:** is the error smallest for the smallest $h$? Figure 2 measures the error of the
# slope of $\tanh$ at 0.7, whose true value we know. It does so in both kinds of numbers that computers use: *float32*
# keeps about 7 digits and is what models train in, *float64* keeps about 16.


# %% tags=["hide-input"]
def slope_errors(dtype, nudges):
    """Relative error of the numeric slope of tanh at 0.7, in one kind of number."""
    point = dtype(0.7)
    true = 1 - np.tanh(np.float64(point)) ** 2
    found = [(np.tanh(point + dtype(h)) - np.tanh(point - dtype(h))) / (dtype(2) * dtype(h)) for h in nudges]
    return np.abs(np.array(found, dtype=np.float64) / true - 1)


nudges = 10.0 ** np.arange(-12, -0.9, 0.25)
figure = Figure(figsize=(4.4, 3.4), dpi=110, layout="constrained")
ax = figure.subplots()
for dtype, color in ((np.float32, ORANGE), (np.float64, BLUE)):
    errors = slope_errors(dtype, nudges)
    errors = np.where(errors > 0, errors, np.nan)
    ax.loglog(nudges, np.minimum(errors, 1), ".-", color=color, label=dtype.__name__)
    print(f"{dtype.__name__}: the best h is {nudges[np.nanargmin(errors)]:.0e}, with error {np.nanmin(errors):.0e}")
ax.set(xlabel="nudge h", ylabel="relative error of the slope", ylim=(1e-13, 3))
ax.grid(color="0.9")
ax.legend(frameon=False, fontsize=11)
ax.spines[["top", "right"]].set_visible(False)
show(figure, "Figure 2. The error of a numeric slope, for nudges of all sizes.")

# %% [markdown]
# Each curve is a valley. On the right the nudge is too large: tanh bends on the way, and the error grows with $h^2$.
# On the left it is too small: the two outputs agree in nearly all their digits, and their difference is made of
# rounding. The bottom of the valley is what counts. In float32 it lies about a million times higher. A check in
# float32 must either be loose, and let small mistakes pass, or be strict, and call right code wrong. **So gradients
# are checked in float64, always.** The same code then trains in float32.
#
# ### Why the upstream gradient is random
#
# The simplest `dy` would be ones: then $L$ is just the sum of all outputs. Here is what that can hide. The function
# *softmax*, which we shall need soon, turns any numbers into positive numbers that sum to 1. And here is a softmax
# with the laziest backward that one can write.


# %%
def lazy_softmax(x):
    y = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)

    def backward(dy):
        return np.zeros_like(x)

    return y, backward


x = rng.standard_normal((2, 4))
y, backward = lazy_softmax(x)
for name, dy in (("ones", np.ones_like(y)), ("random numbers", rng.standard_normal(y.shape))):
    measured = numeric_gradient(lambda x: lazy_softmax(x)[0], x, dy)
    print(f"dy = {name}: the largest difference is {np.abs(backward(dy) - measured).max():.1e}")

# %% [markdown]
# With ones, zero is the right answer: the outputs sum to 1 whatever $x$ is, so no nudge moves their sum. The lazy
# backward passes. A random upstream gradient has no such blind spot.
#
# ### Why zero biases hide bugs
#
# Many people test with freshly made weights, and biases are often made zero. This layer computes its output again in
# the backward pass, to save memory, and forgets the bias there:


# %%
def forgetful_layer(x, weight, bias):
    y = np.tanh(x @ weight.T + bias)

    def backward(dy):
        again = np.tanh(x @ weight.T)  # where is the bias?
        dz = dy * (1 - again * again)
        return dz @ weight, dz.T @ x, dz.sum(axis=0)

    return y, backward


x, weight = rng.standard_normal((3, 4)), rng.standard_normal((2, 4))
print(check(forgetful_layer, x, weight, np.zeros(2)))
print()
print(check(forgetful_layer, x, weight, np.array([0.7, -1.1])))

# %% [markdown]
# With zero biases all three gradients are right; with others all three are wrong. The code is the same. The first
# report also says that the test was weak, and why. Adding zero changes nothing, so nothing can be seen. The same
# holds for a state of zeros, for a mask that masks nothing, and for a sequence of one step, all of which come in the
# next lessons.
#
# ## 1.6 The checker
#
# `check` is the same idea with care taken: float64, a random upstream gradient, a better rule for the slope, which
# knows how far it can be trusted, and all clauses of the contract. You have just seen two reports. Here is one in
# which something subtler is wrong. The author of this layer thought of the loss as a mean over the examples:


# %%
def linear_with_a_mean(x, weight, bias):
    y = x @ weight.T + bias

    def backward(dy):
        return dy @ weight, dy.T @ x, dy.mean(axis=0)

    return y, backward


report = check(linear_with_a_mean, rng.standard_normal((6, 3)), rng.standard_normal((4, 3)), rng.standard_normal(4))
print(report)

# %% [markdown]
# Read it from the top. First how many gradients are right, and which are wrong. Then a line for each wrong one: the
# worst entry, your value there and the numeric one. Last, the *diagnosis*: the checker tries explanations, and
# reports those that turn your numbers into the right ones. A diagnosis carries a short name for the cause, and
# `explain()` adds a paragraph with the right line of maths.

# %%
print(report.diagnoses[0].cause)
print(report.explain())

# %% [markdown]
# Dividing by the number of examples is somebody's job. But it is the loss's job, and the loss does it once, as 1.7
# shows. A layer that divides again is wrong by a factor of $N$.
#
# ## 1.7 The other boxes
#
# ### tanh
#
# Two linear layers in a row are just one linear layer, because a product of two matrices is a matrix. Something must
# bend in between. The classic choice is the hyperbolic tangent, applied to each number alone. It squashes everything
# into $(-1, 1)$:
#
# $$y = \tanh(x), \qquad \frac{dy}{dx} = 1 - y^2. \tag{tanh 2}$$
#
# The slope can be written with the output $y$ alone. That is handy: the forward pass has just computed $y$. Each
# output depends on its own input only, so there is nothing to add up, and the gradient is `dx = dy * slope`.
#
# ### Exercise 2: the backward of `tanh`


# %% exercise="tanh"
def tanh(x):
    """Squash each number to (-1, 1): x (N, D) -> y (N, D).

    backward(dy (N, D)) returns dx (N, D).
    """
    y = np.tanh(x)

    def backward(dy):
        ### BEGIN SOLUTION
        return dy * (1 - y * y)
        ### END SOLUTION

    return y, backward


# %% check="tanh"
exercise.check(tanh)

# %% [markdown]
# ### softmax
#
# The network's last layer gives a number for each possible answer, a *score*. (The field also says *logit*.) Scores
# can be any numbers. To make probabilities of them, make them positive and divide by their sum:
#
# $$y_j = \frac{e^{x_j}}{\sum_k e^{x_k}}. \tag{softmax 3}$$
#
# Here $j$ and $k$ count the possible answers of one example. Because of the sum below the line, *every* output
# depends on *every* input. Take one nudge of one input and look:

# %%
x = np.array([[1.0, 2.0, 0.5]])
nudged = x + np.array([[0.01, 0, 0]])
y, y_nudged = F.softmax(x)[0], F.softmax(nudged)[0]
print("y                ", y, y.shape)
print("slopes for x_0   ", (y_nudged - y) / 0.01)

# %% [markdown]
# The first output rises; the two others fall, because all three must still sum to 1. The slopes are
#
# $$\frac{dy_k}{dx_j} = y_k ([k = j] - y_j), \qquad\text{with } [k = j] = 1 \text{ if } k = j \text{, else } 0.$$
#
# Now add up all the ways by which $x_j$ reaches the loss, one through each output $k$:
#
# $$dx_j = \sum_k dy_k\, y_k ([k = j] - y_j) = y_j \Big( dy_j - \sum_k y_k\, dy_k \Big). \tag{softmax 3'}$$
#
# The first term is the direct way. The second one, the same number for all $j$ but for the factor $y_j$, is the way
# through the sum. It is also the mean of the upstream gradients, each weighed with its probability. So a softmax
# asks: by how much is this output's `dy` *better than the average*?
#
# ### Exercise 3: the backward of `softmax`
#
# Each row is an example of its own. (The forward pass subtracts each row's largest score first; the end of this
# section says why.)


# %% exercise="softmax"
def softmax(x):
    """Turn each row of scores into probabilities: x (N, K) -> y (N, K).

    backward(dy (N, K)) returns dx (N, K).
    """
    y = np.exp(x - x.max(axis=1, keepdims=True))
    y /= y.sum(axis=1, keepdims=True)

    def backward(dy):
        ### BEGIN SOLUTION
        return y * (dy - (y * dy).sum(axis=1, keepdims=True))
        ### END SOLUTION

    return y, backward


# %% check="softmax"
exercise.check(softmax)

# %% [markdown]
# ### cross-entropy
#
# At last the loss. Let $p$ be the probabilities of an example, $t$ its right answer. A good network has a large
# $p_t$. The loss is $-\log p_t$: 0 if the network was certain and right, and without limit if it was certain and
# wrong. Over the $M$ examples that go through the network together, a *batch*, take the mean:
#
# $$L = -\frac{1}{M} \sum_n \log p_{n t_n}, \qquad p_n = \mathrm{softmax}(s_n). \tag{cross_entropy 1}$$
#
# Here $s_n$ are the scores of example $n$. One could run (softmax 3') and the slope of the logarithm one after the
# other. Done together, nearly everything cancels, and what is left is short:
#
# $$ds_n = \frac{1}{M} (p_n - q_n), \qquad q_n = 1 \text{ at the right answer, 0 elsewhere}. \tag{cross_entropy 3}$$
#
# *What the network said, minus what it should have said.* Look at it in numbers:

# %%
scores, target = np.array([[2.0, 0.5, 0.1], [0.3, 0.2, 1.5]]), np.array([0, 1])
(loss, count), backward = F.cross_entropy(scores, target)
dscores, _, _ = backward()
print("scores", scores.shape, "\n", scores)
print("p     ", scores.shape, "\n", F.softmax(scores)[0])
print("ds    ", dscores.shape, "\n", dscores)
print(f"loss {loss:.4f}, mean over {count:.0f} examples")

# %% [markdown]
# In each row of `ds` exactly one number is negative: the right answer's score should grow, all others should shrink.
# The second example is wrong (its largest score is the last one, the right answer is the middle one), and so its
# numbers are larger. The two `None`s that we dropped belong to `target` and to a mask: whole numbers have no slope.
#
# The library's function does softmax and logarithm together for one more reason. The number $e^{1000}$ is larger than
# any that a float64 can hold. Written as in (softmax 3), a score of 1000 gives infinity divided by infinity, which is
# `nan`, *not a number*. Subtracting the largest score from all of them first changes no probability, and nothing
# overflows.

# %%
scores, target = np.array([[1000.0, 0.0]]), np.array([1])
with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
    print("as written: ", np.exp(scores) / np.exp(scores).sum())
print("the library:", F.softmax(scores)[0], "with loss", F.cross_entropy(scores, target)[0][0])

# %% [markdown]
# ## 1.8 The whole network, and the answer to the prediction
#
# Now put the boxes of Figure 1 together. The task: points of the plane on two spirals that wind round each other; say
# on which of the two a point lies. Read the function below twice. First downwards, the forward pass. Then its
# second half: **the backward pass is the forward pass, upside down**. Each line undoes one line.


# %%
def network(x, target, weights, tanh, cross_entropy=F.cross_entropy, linear=F.linear):
    """Loss of the network of Figure 1, its scores, and the gradients of its four weights."""
    weight1, bias1, weight2, bias2 = weights
    z, linear_backward = linear(x, weight1, bias1)  # (N, H)
    h, tanh_backward = tanh(z)  # (N, H)
    scores, output_backward = linear(h, weight2, bias2)  # (N, 2)
    (loss, _), loss_backward = cross_entropy(scores, target)

    dscores, _, _ = loss_backward()
    dh, dweight2, dbias2 = output_backward(dscores)
    dz = tanh_backward(dh)
    _, dweight1, dbias1 = linear_backward(dz)  # nobody needs dx: the points are not to change
    return loss, scores, [dweight1, dbias1, dweight2, dbias2]


def spirals(count, rng):
    """Points (count, 2) on two spirals, and which of the two each is on."""
    target = np.arange(count) % 2
    radius = np.sqrt(rng.uniform(0.02, 1, count))
    angle = 2 * np.pi * radius + np.pi * target
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return points + 0.04 * rng.standard_normal(points.shape), target


train_x, train_target = spirals(400, np.random.default_rng(0))
test_x, test_target = spirals(1000, np.random.default_rng(1))
print("points", train_x.shape, "answers", train_target.shape, "\n", train_x[:3], train_target[:3])

# %% [markdown]
# The four programs of section 1.2, each with its line. Each is trained three times, from other random weights, and
# judged by points that it has not seen. Beside them stand two *baselines*, which anything worth its weights must
# beat: to give always the same answer, and a single linear layer, which can only draw a straight border.


# %%
def tanh_with(slope):
    """A tanh whose backward multiplies by `slope(h)`."""

    def tanh(z):
        h = np.tanh(z)
        return h, lambda dh: dh * slope(h)

    return tanh


programs = {
    "A: 1 - h * h": tanh_with(lambda h: 1 - h * h),
    "B: 1 - h": tanh_with(lambda h: 1 - h),
    "C: 1": tanh_with(lambda h: 1),
    "D: 0": tanh_with(lambda h: 0),
}


def train(tanh, seed, steps=1500, learning_rate=1.0, hidden=24, loss=F.cross_entropy, linear=F.linear):
    """Train on the spirals; the losses, the share of right answers on new points, and the weights."""
    rng = np.random.default_rng(seed)
    weights = [
        1.5 * rng.standard_normal((hidden, 2)),
        0.5 * rng.standard_normal(hidden),
        rng.standard_normal((2, hidden)) / np.sqrt(hidden),
        np.zeros(2),
    ]
    losses = []
    for _ in range(steps):
        value, _, gradients = network(train_x, train_target, weights, tanh, loss, linear)
        losses.append(value)
        for weight, dweight in zip(weights, gradients, strict=True):
            weight -= learning_rate * dweight
    _, scores, _ = network(test_x, test_target, weights, tanh)
    return losses, (scores.argmax(axis=1) == test_target).mean(), weights


def train_line(steps=1500, learning_rate=1.0):
    """The baseline: one linear layer, so a straight border."""
    weight, bias = np.zeros((2, 2)), np.zeros(2)
    for _ in range(steps):
        scores, linear_backward = F.linear(train_x, weight, bias)
        _, loss_backward = F.cross_entropy(scores, train_target)
        _, dweight, dbias = linear_backward(loss_backward()[0])
        weight -= learning_rate * dweight
        bias -= learning_rate * dbias
    return ((test_x @ weight.T + bias).argmax(axis=1) == test_target).mean()


runs = {name: [train(tanh, seed) for seed in (1, 2, 3)] for name, tanh in programs.items()}
print("always the same answer   50.0 % right")
print(f"one linear layer         {100 * train_line():.1f} % right")
for name, results in runs.items():
    first, last = (np.mean([losses[k] for losses, _, _ in results]) for k in (0, -1))
    shares = [f"{100 * accuracy:.1f}" for _, accuracy, _ in results]
    print(f"{name:13} loss from {first:.2f} to {last:.3f}, {' / '.join(shares)} % right (three seeds)")

# %% [markdown]
# Compare with what you wrote down. **All four learn**: each loss falls, no program complains. Only A is right, and it
# alone solves the task. B and C have a wrong derivative, and end near the straight line, or below it, or above, as
# the seed will have it. The joke is D. It sends no gradient at all to the first layer, so that layer keeps its random
# weights. Yet it beats the two that try to train it: **a wrong gradient can be worse than none**.
#
# Without program A beside them, who would suspect B or D? "The loss falls" is no proof. That is why every backward
# pass of this course is checked. Figure 3 shows what the four have learnt.

# %% tags=["hide-input"]
side = np.linspace(-1.25, 1.25, 120)
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
between = LinearSegmentedColormap.from_list("between", [ORANGE, "white", BLUE])
figure = Figure(figsize=(4.4, 4.8), dpi=110, layout="constrained")
for ax, (name, results) in zip(figure.subplots(2, 2).ravel(), runs.items(), strict=True):
    _, accuracy, (weight1, bias1, weight2, bias2) = results[0]
    scores = np.tanh(grid @ weight1.T + bias1) @ weight2.T + bias2
    share = F.softmax(scores)[0][:, 1].reshape(len(side), -1)
    ax.contourf(side, side, share, levels=np.linspace(0, 1, 11), cmap=between, alpha=0.45)
    for k, color in ((0, ORANGE), (1, BLUE)):
        ax.plot(*test_x[test_target == k][:200].T, "o", color=color, markersize=3.2, mec="white", mew=0.4)
    ax.set_title(f"{name}\n{100 * accuracy:.1f} % right", fontsize=10.5)
    ax.set(xticks=[], yticks=[], aspect="equal")
show(
    figure,
    "Figure 3. What the four programs have learnt (seed 1). The points are new; the ground is the network's answer.",
)

# %% [markdown]
# And the network as a whole? It is a function of its weights, and follows the contract. So `check` takes it as it is:


# %%
def network_of_weights(weight1, bias1, weight2, bias2):
    loss, _, gradients = network(train_x[:50], train_target[:50], (weight1, bias1, weight2, bias2), F.tanh)
    return loss, lambda dloss: tuple(dloss * gradient for gradient in gradients)


print(check(network_of_weights, *runs["A: 1 - h * h"][0][2]))

# %% [markdown]
# ## 1.9 What goes wrong
#
# Beside each lesson lies a small *museum*: wrong answers to its exercises, as people write them. Here are five pieces
# from it. In each, find the wrong line, and **predict what the report will say** before you look at it. (The function
# `probabilities` is the forward pass of exercise 3.)

# %%
pieces = [
    exercise.museum(room)[name]
    for room, name in (
        ("tanh", "slope_of_the_input"),
        ("softmax", "like_a_sigmoid"),
        ("linear", "last_example_only"),
        ("tanh", "in_place"),
        ("tanh", "in_single_precision"),
    )
]
for piece in pieces:
    print(inspect.getsource(piece).partition("\n")[2])  # without its label, which says what is wrong

# %%
arrays = {"x": rng.standard_normal((3, 4)), "weight": rng.standard_normal((2, 4)), "bias": rng.standard_normal(2)}
reports = [check(piece, *(arrays[name] for name in inspect.signature(piece).parameters)) for piece in pieces]
print("\n\n".join(str(report) for report in reports))

# %% [markdown]
# What would you have seen without the checker? The first three of the five, built into the network of 1.8 and trained
# like program A:


# %%
slope_of_the_input, like_a_sigmoid, last_example_only, in_place, _ = pieces


def loss_with(softmax):
    """Cross-entropy, its probabilities made by this softmax, and its gradient by this softmax's backward."""

    def cross_entropy(scores, target):
        p, softmax_backward = softmax(scores)
        rows = np.arange(len(p))

        def backward():
            dp = np.zeros_like(p)
            dp[rows, target] = -1 / (p[rows, target] * len(p))  # the slope of -log p, and of the mean
            return softmax_backward(dp), None, None

        return (-np.log(p[rows, target]).mean(), len(p)), backward

    return cross_entropy


with np.errstate(all="ignore"):
    for name, changed in (
        ("no mistake", {}),
        ("the slope is fed with the input", {"tanh": slope_of_the_input}),
        ("softmax without its second term", {"loss": loss_with(like_a_sigmoid)}),
        ("only the last example counts", {"linear": last_example_only}),
    ):
        losses, accuracy, _ = train(**({"tanh": F.tanh, "seed": 1} | changed))
        print(f"{name:32} loss {losses[0]:.2f}, after 20 steps {losses[20]:.3g}, at the end {losses[-1]:.3g}", end="; ")
        print(f"{100 * accuracy:.1f} % right")

# %% [markdown]
# The first mistake shows itself, if late: `nan`. The second one looks well for 20 steps, then it ends at guessing.
# The third creeps. None says why. Perhaps the learning rate is too large? The network too small? The data bad? One
# can try all of that for days. The checker needs a second, and says what is missing.
#
# The remaining two are quieter still. Float32, also called *single precision*, does no harm in training: most models
# are trained in it. It only blinds the check to every mistake of that size. And `in_place` does no harm in this
# network, because nobody uses `dh` a second time. But build a box whose input goes two ways, through tanh and past
# it:


# %%
def with_a_bypass(x):
    """x + tanh(x): what comes from above goes back both ways."""
    y, tanh_backward = in_place(x)
    return x + y, lambda dy: tanh_backward(dy) + dy


print(check(with_a_bypass, arrays["x"]))

# %% [markdown]
# Each of its lines is right, and so is tanh's derivative. It is clause 3 of the contract that was broken, elsewhere.
#
# ## 1.10 Five questions
#
# **1.** `x` has the shape (5, 3) and `weight` (2, 3). Which shapes have `y`, `dy`, `dx`, `dweight` and `dbias`?
#
# <details><summary>Answer</summary>
#
# `y` and `dy`: (5, 2). `dx`: (5, 3). `dweight`: (2, 3). `dbias`: (2,). A gradient always has the shape of its array.
#
# </details>
#
# **2.** A friend checks her backward with a `dy` of ones and gets a difference of 1e-12. Why are you not convinced?
#
# <details><summary>Answer</summary>
#
# Ones measure only the slope of the *sum* of the outputs. Whatever leaves the sum as it is stays unseen: all of a
# softmax, and every error whose parts add up to zero. See 1.5.
#
# </details>
#
# **3.** Your backward of softmax returns `dy * y * (1 - y)`. Which part of it is right?
#
# <details><summary>Answer</summary>
#
# It has the entries with $k = j$ of the slopes, how each output moves with its own input. All entries with $k \neq j$
# are missing: an output also falls when *another* input grows.
#
# </details>
#
# **4.** Why is `db` a sum over the examples, while `dx` has a row for each?
#
# <details><summary>Answer</summary>
#
# All examples share one bias, so it reaches the loss by as many ways as there are examples, and the ways are added
# up. Each row of x reaches the loss only through its own row of y.
#
# </details>
#
# **5.** The scores of an example are equal for all of three answers. What is `ds`, if the batch has one example?
#
# <details><summary>Answer</summary>
#
# Each probability is 1/3. So `ds` is $-2/3$ at the right answer and $1/3$ at the other two. It sums to zero, as
# always: adding a number to all scores changes no probability.
#
# </details>
#
# ## 1.11 Further reading
#
# - D. Rumelhart, G. Hinton and R. Williams, *Learning representations by back-propagating errors*, Nature 323 (1986).
#   Three pages and a half; equations (4) to (7) are this lesson.
# - A. Baydin, B. Pearlmutter, A. Radul and J. Siskind, *Automatic differentiation in machine learning: a survey*,
#   Journal of Machine Learning Research 18 (2018). Section 2.1 has our Figure 2; section 3.2 is the backward pass in
#   general, which they call reverse mode.
# - I. Goodfellow, Y. Bengio and A. Courville, *Deep Learning* (2016). Section 6.2.2.3 on softmax, 6.5 on
#   back-propagation, 4.1 on overflow.
# - Y. LeCun, L. Bottou, G. Orr and K.-R. Müller, *Efficient BackProp* (1998). Section 4.3: why inputs should be near
#   zero; section 4.4: why tanh.
#
# Next: lesson 2, where a network reads one word after the other, and the backward pass has to travel back through
# time.
