# %% [markdown]
# # 2. Memory
#
# **The question.** A network reads 40 letters, one after the other. Then we ask: which letter came first? Three lines
# of Python could tell. Why can a network not learn it, and what does it take until it can?
#
# **The answer, in one picture.** Figure 1 shows four networks before any training. The question is asked at step 40,
# at the right. From there a gradient travels back through time to step 1, where the answer is. The curves show how
# much of it is left. Two vanish: at step 1 less than a ten-millionth has arrived. One grows. One arrives at a quarter
# of its size, and that network will learn the task in seconds. (What the four names mean is told below.)

# %% tags=["hide-input"]
import inspect

import numpy as np
from matplotlib.figure import Figure

from minis2s import functional as F
from minis2s import nn, optim
from minis2s.gradcheck import check
from minis2s.lessons import load_exercises, show

exercise = load_exercises("02_lstm")
BLUE, ORANGE, GREEN, GREY = "#1f5fa8", "#d9730d", "#2e8b57", "#8a8a8a"
np.set_printoptions(precision=3, suppress=True)

LETTERS, T, HIDDEN = 4, 40, 32


def draw_letters(count, rng, length=T):
    """Sequences (T, N, D) of random letters, and the first letter (N,) of each: the right answer.

    D = LETTERS + 1 numbers for each letter: a 1 at its own place, and a last number that marks the first step.
    """
    letters = rng.integers(0, LETTERS, (length, count))
    x = np.zeros((length, count, LETTERS + 1), dtype=np.float32)
    x[..., :LETTERS] = np.eye(LETTERS)[letters]
    x[0, :, LETTERS] = 1
    return x, letters[0]


class Reader(nn.Module):
    """A recurrent layer, and a linear one that answers from its last state."""

    def __init__(self, cell, seed, scale=1.0, forget_bias=0.0):
        rng = np.random.default_rng(seed)
        self.rnn = cell(LETTERS + 1, HIDDEN, rng=rng)
        self.answer = nn.Linear(HIDDEN, LETTERS, rng=rng)
        _ = self.buffer  # all weights in one array
        self.rnn.weight_hh_l0.data *= scale
        if forget_bias:
            self.rnn.bias_ih_l0.data[HIDDEN : 2 * HIDDEN] += forget_bias

    def weights(self):
        """The four arrays that a step function takes."""
        return [getattr(self.rnn, name).data for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")]


STEPS = {nn.RNN: (F.rnn_step, 1), nn.GRU: (F.gru_step, 1), nn.LSTM: (F.lstm_step, 2)}


def gradient_by_time(model, x, target):
    """The norm of dL/d(state) after each of the T steps, from the last to the first, by one backward pass."""
    step, states = STEPS[type(model.rnn)]
    state = tuple(np.zeros((x.shape[1], HIDDEN), dtype=x.dtype) for _ in range(states))
    backwards = []
    for x_t in x:
        state, backward = step(x_t, *state, *model.weights())
        state = state if isinstance(state, tuple) else (state,)
        backwards.append(backward)
    scores, answer_backward = F.linear(state[0], model.answer.weight.data, model.answer.bias.data)
    _, loss_backward = F.cross_entropy(scores, target)
    dh, _, _ = answer_backward(loss_backward()[0])
    dstate = (dh, *(np.zeros_like(dh) for _ in state[1:]))
    norms = []
    for backward in reversed(backwards):
        norms.append(np.sqrt(sum((d.astype(np.float64) ** 2).sum() for d in dstate)))
        _, *rest = backward(*dstate)
        dstate = rest[:states]
    return np.array(norms[::-1])


def draw_gradients(curves):
    """Norms over time, relative to the last step's, on a logarithmic axis."""
    figure = Figure(figsize=(4.4, 3.9), dpi=110, layout="constrained")
    ax = figure.subplots()
    for (name, norms), color, style in zip(
        curves.items(), (GREY, ORANGE, GREEN, BLUE), ("-", "-", "--", "-"), strict=False
    ):
        ax.semilogy(np.arange(1, len(norms) + 1), norms / norms[-1], style, color=color, lw=2, label=name)
    ax.set(xlabel="time step", ylabel="gradient that arrives here\n(1 = at the last step)")
    ax.grid(color="0.9")
    ax.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=10)
    return figure


starts = {
    "Elman": Reader(nn.RNN, 1),
    "Elman, weights x 2.5": Reader(nn.RNN, 1, scale=2.5),
    "LSTM": Reader(nn.LSTM, 1),
    "LSTM, gate open": Reader(nn.LSTM, 1, forget_bias=3),
}
x, target = draw_letters(64, np.random.default_rng(0))
curves = {name: gradient_by_time(model, x, target) for name, model in starts.items()}
show(
    draw_gradients(curves), "Figure 1. What is left of the gradient on its way back through 40 steps, before training."
)
for name, norms in curves.items():
    print(f"{name:22} at step 1: {norms[0] / norms[-1]:.1e} of what was at step 40")

# %% [markdown]
# You need lesson 1: what `dx` and `dy` mean, and that a function returns its output and its own backward. Everything
# else is explained here.
#
# ## 2.1 One letter at a time
#
# A sentence has no fixed length, so no linear layer can take it as a whole. A *recurrent* network takes one letter a
# step. What it wants to remember goes into an array `h`, its *state*. Each step makes a new state of the letter and
# the old state. The simplest such network is Elman's of 1990:
#
# $$h' = \tanh(z), \qquad z = W_{ih} x + b_{ih} + W_{hh} h + b_{hh}. \tag{rnn_step 1}$$
#
# Here $x$ is the letter, $h$ the old state and $h'$ the new one. The index *ih* means from input to hidden state,
# *hh* from hidden state to hidden state. These names are PyTorch's. PyTorch also has two biases where one would do,
# and so have we, so that weights can go from one library to the other.
#
# A letter must become an array first. Of four letters, the second one is `[0, 1, 0, 0]`: a 1 at its place. (This is
# called *one-hot*.) We add a fifth number, which is 1 at the first step only, so that the network can tell the letter
# that matters. A batch of $N$ sequences of $T$ letters is an array $(T, N, D)$, **time first**: `x[t]` is what all
# sequences feed in at step $t$.

# %%
x, target = draw_letters(2, np.random.default_rng(3), length=3)
print("x", x.shape, "\n", x)
print("target", target.shape, target)

# %% [markdown]
# Here is the step of the library. It is two `linear`s and a `tanh`; its backward is what you built in lesson 1.
# (`get_xp(x)` is NumPy; if `x` lies on a graphics card, it is CuPy, which has functions of the same names.)

# %%
print(inspect.getsource(F.rnn_step))

# %% [markdown]
# ## 2.2 Back through time
#
# The forward pass is a loop over the steps. Every step has its own backward, a closure that remembers its own $x$ and
# $h$. The backward pass is the same loop, from the last step to the first. Two things are new.
#
# - **The state's gradient is handed on.** Step $t$ returns `dh`, how the loss depends on the state that the step was
#   given. That state is the output of step $t - 1$, so this `dh` is *its* upstream gradient.
# - **The weights' gradients are added up.** All steps share one set of weights. The weights reach the loss by as many
#   ways as there are steps, and all ways are added.


# %%
def elman(x, h0, weight_ih, weight_hh, bias_ih, bias_hh):
    """Run `rnn_step` over x (T, N, D); the last state (N, H)."""
    weights = (weight_ih, weight_hh, bias_ih, bias_hh)
    h, backwards = h0, []
    for x_t in x:
        h, step_backward = F.rnn_step(x_t, h, *weights)
        backwards.append(step_backward)

    def backward(dh):
        dx = np.zeros_like(x)
        dweights = [np.zeros_like(w) for w in weights]
        for t in reversed(range(len(x))):
            dx[t], dh, *dweights_t = backwards[t](dh)  # dh is handed on
            for total, dweight in zip(dweights, dweights_t, strict=True):
                total += dweight  # the weights' gradients are added up
        return dx, dh, *dweights

    return h, backward


rng = np.random.default_rng(0)
small = [rng.standard_normal(shape) for shape in ((4, 2, 3), (2, 5), (5, 3), (5, 5), (5,), (5,))]
print(check(elman, *small))

# %% [markdown]
# This is *back-propagation through time*. Note that the check starts from a state that is not zero, has biases that
# are not zero, and more than one step. With $h_0 = 0$ and $T = 1$ the gradient of $W_{hh}$ is zero, whatever you
# write.
#
# ## 2.3 Multiplied forty times
#
# What happens to `dh` on its way? Look at the backward of one step:
#
# $$dz = dh' (1 - h'^2), \qquad dh = dz\, W_{hh}. \tag{rnn_step 1'}$$
#
# In each step the gradient is multiplied by a slope, which is at most 1, and by the matrix $W_{hh}$. Forty steps,
# forty multiplications. A number that is multiplied by 0.65 forty times is nearly nothing; multiplied by 1.3, it is
# thousands:

# %%
for factor in (0.65, 1.0, 1.3):
    print(f"{factor} to the power of 40 is {factor**40:.1e}")

# %% [markdown]
# These are the *vanishing* and the *exploding* gradient. For a matrix, what counts is how much it stretches what it
# is multiplied with. Freshly made weights shrink it: that is the grey curve of Figure 1, measured on a fresh Elman
# network. For the orange one we multiplied $W_{hh}$ by 2.5. The measuring was done by the function below. It is the
# loop that you have just seen, and notes the *norm* of the gradient on its way: the root of the sum of its squares,
# its length.

# %%
print(inspect.getsource(gradient_by_time))

# %% [markdown]
# **Predict.** We shall train seven networks to name the first of 40 letters: Elman's with its recurrent weights as
# they are, times 2 and times 2.5; and the two networks with gates of 2.5 and 2.7, each as it is and with a gate held
# open. Who guesses scores 25 %. Look at Figure 1 and write down which will learn. Section 2.8 has the answer.
#
# ## 2.4 Clipping
#
# An exploding gradient is not a wrong gradient. The loss has a cliff there, and at a cliff the slope is huge. But a
# step of that size throws the weights far away, and all that was learnt is gone. The remedy is short: compute the
# norm of *all* gradients together; if it is more than a limit, scale all of them down until it is the limit. The
# direction stays.

# %%
print(inspect.getsource(optim.clip_global_norm))

# %% [markdown]
# Here `buffer.data` is one long array with all weights of a model, and `buffer.grad` another with their gradients. A
# *layer* of the library, such as `nn.RNN` or `nn.Linear`, is a function together with its weights. It calls the
# function, and its backward adds the weights' gradients to `buffer.grad`.
#
# Now we train the Elman network whose weights are large, with clipping and without. The rule for a step is the
# plainest one: subtract the learning rate times the gradient. (The field calls it SGD.)


# %%
def loss_and_backward(model, x, target, mask=None):
    """Loss and scores of a batch; the gradients are added to model.buffer.grad."""
    (y, state), rnn_backward = model.rnn(x, None, mask)
    h = state[0] if isinstance(state, tuple) else state  # (1, N, H): an LSTM's state is a pair (h, c)
    scores, answer_backward = model.answer(h[0])
    (loss, _), loss_backward = F.cross_entropy(scores, target)

    dh = answer_backward(loss_backward()[0])[None]
    dstate = (dh, np.zeros_like(dh)) if isinstance(state, tuple) else dh
    rnn_backward(np.zeros_like(y), dstate)
    return float(loss), scores


def train(model, optimizer, steps, max_norm, draw=draw_letters, seed=0):
    """Train on fresh sequences in every step. The losses, the norms before clipping, the share of right answers."""
    rng = np.random.default_rng(seed)
    losses, norms = [], []
    for _ in range(steps):
        model.zero_grad()
        loss, _ = loss_and_backward(model, *draw(64, rng))
        norms.append(float(optim.clip_global_norm(model.buffer, max_norm)))
        optimizer.step()
        losses.append(loss)
    test = draw(1000, rng)
    _, scores = loss_and_backward(model, *test)
    return losses, norms, (scores.argmax(axis=1) == test[1]).mean()


clipping = {}
for seed in (1, 2, 3):
    for max_norm in (np.inf, 1.0):
        model = Reader(nn.RNN, seed, scale=2.5)
        losses, norms, accuracy = train(model, optim.SGD(model.buffer, lr=0.03), 600, max_norm, seed=seed)
        clipping[seed, max_norm] = losses, norms
        print(f"seed {seed}, norm at most {max_norm:4}: largest norm {max(norms):5.1f}, {100 * accuracy:5.1f} % right")

# %% tags=["hide-input"]
figure = Figure(figsize=(4.4, 4.6), dpi=110, layout="constrained")
top, bottom = figure.subplots(2, 1, sharex=True)
for max_norm, color, label in ((np.inf, ORANGE, "not clipped"), (1.0, BLUE, "clipped to 1")):
    losses, norms = clipping[2, max_norm]
    top.semilogy(np.minimum(norms, max_norm), color=color, lw=1, label=label)
    bottom.plot(losses, color=color, lw=1)
bottom.axhline(np.log(LETTERS), color=GREY, lw=1, ls="--")
bottom.text(600, np.log(LETTERS) + 0.12, "guessing", ha="right", color="0.4")
top.set(ylabel="norm of the gradient\nthat the step uses")
bottom.set(xlabel="training step", ylabel="loss", ylim=(0, 2.6))
for ax in (top, bottom):
    ax.grid(color="0.9")
    ax.spines[["top", "right"]].set_visible(False)
top.legend(frameon=False, fontsize=10, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))
show(figure, "Figure 2. One Elman network (seed 2), trained twice from equal weights: without clipping and with.")

# %% [markdown]
# Without clipping none of the three learns: 25 % is guessing. With it all three do, though not equally well. In the
# upper half of Figure 2 the orange line has spikes. In the lower half the spikes throw the loss back, and in the end
# it stays at guessing.
#
# What does clipping do to the curve of Figure 1? It multiplies all gradients of a step by one factor. So the whole
# curve moves down, and keeps its form:

# %%
model = Reader(nn.RNN, 2, scale=2.5)
probe = draw_letters(64, np.random.default_rng(0))
norms = gradient_by_time(model, *probe)
model.zero_grad()
loss_and_backward(model, *probe)
factor = min(1.0, 1.0 / float(optim.clip_global_norm(model.buffer, 1.0)))
print("time step                        " + "".join(f"{t:8}" for t in (1, 10, 20, 30, 40)))
for name, scale in (("norm of dL/dh_t, before clipping", 1), ("norm of dL/dh_t, after clipping", factor)):
    print(f"{name:33}" + "".join(f"{scale * norms[t - 1]:8.3f}" for t in (1, 10, 20, 30, 40)))

# %% [markdown]
# Clipping only stops the explosion. It cannot give back what has vanished. An Elman network remembers if its weights
# happen to stretch neither too little nor too much. The next idea does not leave it to luck.
#
# ## 2.5 A state that is added to: the LSTM
#
# The trouble is the multiplication by $W_{hh}$ at each step. So give the network a second state $c$, the *cell*,
# which no matrix multiplies. It is kept, and added to. How much is kept and how much is added is decided by the
# network itself, at every step and for every number of the state, by *gates*: numbers between 0 (shut) and 1 (open).
# A gate is a linear map of letter and state, squashed by the *sigmoid* $\sigma(a) = 1 / (1 + e^{-a})$. This network
# is the *long short-term memory*, or LSTM:
#
# $$z = W_{ih} x + b_{ih} + W_{hh} h + b_{hh}$$
#
# $$i = \sigma(z_i), \quad f = \sigma(z_f), \quad o = \sigma(z_o), \quad g = \tanh(z_g) \tag{lstm_step 1}$$
#
# $$c' = f * c + i * g \tag{lstm_step 2}$$
#
# $$h' = o * \tanh(c') \tag{lstm_step 3}$$
#
# The star multiplies number by number. In words: the *forget gate* $f$ says what to keep of the old cell. The
# *proposal* $g$ is what could be written, and the *input gate* $i$ says how much of it is. The *output gate* $o$ says
# what to show of the cell. One product makes all four: with a state of $H$ numbers, $z$ has $4H$, in the order i, f,
# g, o.
#
# Here is one step in numbers, with $H = 2$:

# %%
rng = np.random.default_rng(5)
H, D = 2, 3
x, h, c = rng.standard_normal((1, D)), rng.standard_normal((1, H)), rng.standard_normal((1, H))
weights = [rng.standard_normal(shape) for shape in ((4 * H, D), (4 * H, H), (4 * H,), (4 * H,))]
z = x @ weights[0].T + weights[2] + h @ weights[1].T + weights[3]
i, f, g, o = np.split(z, 4, axis=1)
i, f, g, o = 1 / (1 + np.exp(-i)), 1 / (1 + np.exp(-f)), np.tanh(g), 1 / (1 + np.exp(-o))
for name, array in (("z", z), ("i", i), ("f", f), ("g", g), ("o", o), ("c", c), ("c' = f c + i g", f * c + i * g)):
    print(f"{name:15} {array.shape!s:7} {array}")
(h_next, c_next), _ = F.lstm_step(x, h, c, *weights)
print("the library: h' =", h_next, "c' =", c_next)

# %% [markdown]
# Now the backward pass, from the last equation to the first. By (3), $h'$ depends on $o$ and on $c'$:
#
# $$do = dh' * \tanh(c'), \qquad dc' \mathrel{+}= dh' * o * (1 - \tanh^2 c'). \tag{lstm_step 3'}$$
#
# Mind the `+=`. The cell $c'$ reaches the loss in two ways: through $h'$, and directly, because the next step gets it
# too. The next step has already sent its part, the upstream gradient $dc'$. To forget one of the two is easily done.
# Then, by (2), a sum of two products:
#
# $$di = dc' * g, \qquad df = dc' * c, \qquad dg = dc' * i, \qquad dc = dc' * f. \tag{lstm_step 2'}$$
#
# And by (1), each with the slope of its own squashing function, which is $y (1 - y)$ for a sigmoid's output $y$, and
# $1 - y^2$ for a tanh's:
#
# $$dz = \big(di * i (1 - i),\; df * f (1 - f),\; dg * (1 - g^2),\; do * o (1 - o)\big). \tag{lstm_step 1'}$$
#
# The rest is `linear`, which you know. The four parts of $dz$ are joined in the order i, f, g, o.
#
# Now look at the way back through the cell: $dc = dc' * f$. **No matrix, no slope: one gate.** If $f$ is near 1, the
# gradient arrives as it set out. But what is $f$ before training? The weights are small, so $z_f$ is near 0, and
# $\sigma(0) = 0.5$:

# %%
for bias in (0, 1, 2, 3, 5):
    f = 1 / (1 + np.exp(-bias))
    print(f"forget bias {bias}: f = {f:.3f}, and f to the power of 40 is {f**40:.1e}")

# %% [markdown]
# A fresh LSTM forgets half of its cell at every step. That is why the green curve of Figure 1 vanishes even faster
# than Elman's. The blue one is the same network, with 3 added to the biases of its forget gates. The gate starts
# open; but it is still a gate, and can learn to shut.
#
# ### Exercise 1: the backward of the LSTM step
#
# The forward pass stands. Write the gradients by (3'), (2') and (1'), in this order.


# %% exercise="lstm_step"
def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def lstm_step(x, h, c, weight_ih, weight_hh, bias):
    """One step of an LSTM with a single bias, gates in the order i f g o.

    x (N, D), h and c (N, H), weight_ih (4H, D), weight_hh (4H, H), bias (4H,) -> (h_next, c_next), each (N, H).
    backward(dh_next, dc_next) returns dx, dh, dc, dweight_ih, dweight_hh, dbias.
    """
    z = x @ weight_ih.T + h @ weight_hh.T + bias  # (N, 4H)
    i, f, g, o = np.split(z, 4, axis=1)  # (N, H) each
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    c_next = f * c + i * g
    h_next = o * np.tanh(c_next)

    def backward(dh_next, dc_next):
        ### BEGIN SOLUTION
        tanh_c = np.tanh(c_next)
        do = dh_next * tanh_c
        dc_next = dc_next + dh_next * o * (1 - tanh_c**2)
        di, df, dg = dc_next * g, dc_next * c, dc_next * i
        dz = np.concatenate([di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)], axis=1)
        return dz @ weight_ih, dz @ weight_hh, dc_next * f, dz.T @ x, dz.T @ h, dz.sum(axis=0)
        ### END SOLUTION

    return (h_next, c_next), backward


# %% check="lstm_step"
exercise.check(lstm_step)

# %% [markdown]
# ## 2.6 The LSTM over a whole sequence
#
# Section 2.2 had the loop for Elman's network. An LSTM hands on *two* states, and so its backward hands back two
# gradients. And often the state of *every* step is wanted, for example by the attention of lesson 3. So the output
# `y` holds them all, and the `h` of a step gets its gradient from two sides: from `dy[t]`, and from the step after
# it.
#
# ### Exercise 2: back through time
#
# The library's step has two biases, and so its backward returns seven gradients: dx, dh, dc, dweight_ih, dweight_hh,
# dbias_ih, dbias_hh.

# %%
library_step = F.lstm_step


# %% exercise="lstm_sequence"
def lstm_sequence(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh):
    """Run the library's step over a sequence.

    x (T, N, D), h0 and c0 (N, H), weights and biases as the step's
    -> y (T, N, H), the h of every step, and the last h and c, (N, H) each.
    backward(dy, dh, dc) returns dx, dh0, dc0, dweight_ih, dweight_hh, dbias_ih, dbias_hh.
    """
    weights = (weight_ih, weight_hh, bias_ih, bias_hh)
    h, c, y, backwards = h0, c0, [], []
    for x_t in x:
        (h, c), step_backward = library_step(x_t, h, c, *weights)
        y.append(h)
        backwards.append(step_backward)

    def backward(dy, dh, dc):
        ### BEGIN SOLUTION
        dx = np.zeros_like(x)
        dweights = [np.zeros_like(w) for w in weights]
        for t in reversed(range(len(x))):
            dx[t], dh, dc, *dweights_t = backwards[t](dh + dy[t], dc)
            for total, dweight in zip(dweights, dweights_t, strict=True):
                total += dweight
        return dx, dh, dc, *dweights
        ### END SOLUTION

    return (np.stack(y), h, c), backward


# %% check="lstm_sequence"
exercise.check(lstm_sequence)

# %% [markdown]
# ## 2.7 The GRU: one gate less, one state less
#
# The *gated recurrent unit*, or GRU, does with one state. Its *update gate*, here called $z$, both keeps and writes:
# the new state is a mixture of the old one and a proposal $n$, in the parts $z$ and $1 - z$. The *reset gate* $r$
# says how much of the old state the proposal may see.
#
# $$a = W_{ih} x + b_{ih}, \qquad u = W_{hh} h + b_{hh} \tag{gru_step 1}$$
#
# $$r = \sigma(a_r + u_r), \quad z = \sigma(a_z + u_z), \quad n = \tanh(a_n + r * u_n) \tag{gru_step 2}$$
#
# $$h' = (1 - z) * n + z * h \tag{gru_step 3}$$
#
# Again there is a way back through one gate and no matrix: $dh = dh' * z$, and more that comes through (2) and (1).
# The code:

# %%
print(inspect.getsource(F.gru_step))

# %% [markdown]
# ## 2.8 The answer to the prediction, measured
#
# All seven are trained alike: 400 batches of 64 fresh sequences, gradients clipped to 1. The rule for a step is
# *Adam*, which divides the step of each weight by the usual size of its gradient.

# %%
candidates = {
    "Elman": (nn.RNN, {}),
    "Elman, weights x 2": (nn.RNN, {"scale": 2}),
    "Elman, weights x 2.5": (nn.RNN, {"scale": 2.5}),
    "GRU": (nn.GRU, {}),
    "GRU, gate open": (nn.GRU, {"forget_bias": 3}),
    "LSTM": (nn.LSTM, {}),
    "LSTM, gate open": (nn.LSTM, {"forget_bias": 3}),
}
probe = draw_letters(64, np.random.default_rng(7))
before, after = {}, {}
print(f"{'guessing':22} {100 / LETTERS:5.1f} % right")
for name, (cell, options) in candidates.items():
    shares = []
    for seed in (1, 2):
        model = Reader(cell, seed, **options)
        before[name] = gradient_by_time(model, *probe)
        losses, _, accuracy = train(model, optim.Adam(model.buffer, lr=5e-3), 400, max_norm=1.0, seed=seed)
        shares.append(f"{100 * accuracy:5.1f}")
        after[name] = gradient_by_time(model, *probe)
    print(f"{name:22} {' / '.join(shares)} % right (two seeds)")

# %% tags=["hide-input"]
figure = Figure(figsize=(4.4, 4.2), dpi=110, layout="constrained")
ax = figure.subplots()
for name, color in (("Elman", GREY), ("Elman, weights x 2", ORANGE), ("LSTM, gate open", BLUE)):
    ax.semilogy(np.arange(1, T + 1), before[name] / before[name][-1], ":", color=color, lw=1.8)
    ax.semilogy(np.arange(1, T + 1), after[name] / after[name][-1], color=color, lw=2, label=name)
ax.plot([], [], ":", color="0.3", lw=1.8, label="the same before training")
ax.set(xlabel="time step", ylabel="gradient that arrives here\n(1 = at the last step)")
ax.grid(color="0.9")
ax.spines[["top", "right"]].set_visible(False)
figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=10)
show(figure, "Figure 3. The gradient on its way back, before training (dotted) and after (solid).")

# %% [markdown]
# Those learn to whom the gradient arrives; Figure 3 has three of them, before and after. And mind what did *not*
# help: an LSTM, just because it is an LSTM. With its gates half shut it guesses, like Elman's network. A good start
# helps Elman's, too, once somebody has found the factor by trying. For a gate nothing has to be tried: the table of
# 2.5 says how large a bias a memory of 40 steps needs.
#
# ## 2.9 Ragged batches and masks
#
# What is read in one step, a letter or a word, is called a *token*. Real sentences differ in their number. An array
# cannot, so the shorter ones are filled up with a token that means nothing, *padding*. The network must not read it.
# A *mask* tells where it is: an array $(T, N)$ of truth values, **true at real tokens**. (PyTorch's
# `key_padding_mask` is the other way round.) At padding the state is kept as it was:
#
# $$h_t = \begin{cases} h' & \text{where the mask is true} \\ h_{t-1} & \text{at padding,} \end{cases}$$
#
# where $h'$ is what the step makes of $h_{t-1}$.
#
# The same holds for $c$. So after the last step of the batch the state of each sequence is that of its own last
# token. **Predict:** two sequences of lengths 3 and 6 in one batch. We read the short one three times: alone, in the
# batch with a mask, and in the batch without. Which of the three final states are equal?

# %%
rng = np.random.default_rng(1)
model = Reader(nn.LSTM, 1)
short, long = draw_letters(1, rng, length=3)[0], draw_letters(1, rng, length=6)[0]
padded = np.concatenate([short, np.zeros((3, 1, LETTERS + 1), dtype=np.float32)])
batch = np.concatenate([padded, long], axis=1)
mask = np.array([[True, True], [True, True], [True, True], [False, True], [False, True], [False, True]])
print("batch", batch.shape, "mask", mask.shape, "\n", mask.astype(int))

(_, (alone, _)), _ = model.rnn(short)
(_, (with_mask, _)), _ = model.rnn(batch, None, mask)
(_, (without, _)), _ = model.rnn(batch)
print("alone       ", alone[0, 0, :5], alone.shape)
print("with mask   ", with_mask[0, 0, :5])
print("without mask", without[0, 0, :5])

# %% [markdown]
# Without a mask the answer about a sequence depends on which others happen to be in its batch. Nothing crashes. The
# network learns to live with it as well as it can. How well is that? The task is now the easiest of all: which letter
# came *last*? The lengths vary from 3 to 40. Elman's network needs no memory at all for it, if it stops at the right
# place.


# %%
def draw_ragged(count, rng, masked=True):
    """Sequences of 3 to T letters with zeros behind them, and the last letter of each."""
    x, _ = draw_letters(count, rng)
    lengths = rng.integers(3, T + 1, count)
    mask = np.arange(T)[:, None] < lengths  # (T, N)
    target = x[lengths - 1, np.arange(count), :LETTERS].argmax(axis=1)
    return x * mask[..., None], target, mask if masked else None


print(f"guessing     {100 / LETTERS:5.1f} % right")
for masked in (True, False):
    model = Reader(nn.RNN, 1)

    def draw(count, rng, masked=masked):
        return draw_ragged(count, rng, masked)

    _, _, accuracy = train(model, optim.Adam(model.buffer, lr=5e-3), 300, 1.0, draw)
    print(f"{'with mask' if masked else 'without mask':12} {100 * accuracy:5.1f} % right")

# %% [markdown]
# What does keeping the state mean for the backward pass? Where the mask is true, $h_t$ is $h'$, so the gradient goes
# to $h'$, and nothing goes to $h_{t-1}$ directly. At padding it is the other way round. The mask itself has no
# gradient: `None`.
#
# ### Exercise 3: the masked state
#
# This time the forward pass is yours, too.


# %% exercise="keep_state"
def keep_state(h_next, h, mask):
    """Take the new state of real tokens, keep the old one at padding.

    h_next and h (N, H), mask (N,) of truth values, True = a real token -> the state (N, H).
    backward(dy (N, H)) returns dh_next, dh (N, H each), and None for the mask.
    """
    ### BEGIN SOLUTION
    real = mask[:, None]  # (N, 1)
    y = np.where(real, h_next, h)

    def backward(dy):
        return np.where(real, dy, 0), np.where(real, 0, dy), None

    return y, backward
    ### END SOLUTION


# %% check="keep_state"
exercise.check(keep_state)

# %% [markdown]
# With this added to the loop of exercise 2 the LSTM is complete. The library's `F.lstm` does the same with
# fewer and larger products: it multiplies all letters with $W_{ih}$ at once before the loop, and makes the weights'
# gradients at once after it. Its gradients, with a ragged mask, against numeric ones:

# %%
rng = np.random.default_rng(2)
steps, N, D, H = 5, 3, 4, 3
ragged = np.arange(steps)[:, None] < np.array([5, 2, 3])
shapes = ((steps, N, D), (N, H), (N, H), (4 * H, D), (4 * H, H), (4 * H,), (4 * H,))
inputs = [rng.standard_normal(shape) for shape in shapes]
print(check(F.lstm, *inputs, ragged))

# %% [markdown]
# ## 2.10 What goes wrong
#
# Four wrong answers to exercise 1, from the museum of this lesson. They differ from a right one in a single line
# each. **Find the line, and predict which of the gradients will be wrong, before you read the report.** (The function
# `forward` computes the gates and both new states by (1) to (3). The report counts lines in the museum's file,
# `answers/lstm_step.py`.)

# %%
museum = exercise.museum("lstm_step")
names = ("dc_not_handed_on", "no_slope_for_g", "pytorch_order_forgotten", "f_not_in_dc")
for name in names:
    print(inspect.getsource(museum[name]).partition("\n")[2])  # without its label, which says what is wrong

# %%
inputs = [rng.standard_normal(shape) for shape in ((3, 4), (3, 2), (3, 2), (8, 4), (8, 2), (8,))]
print("\n\n".join(str(check(museum[name], *inputs)) for name in names))

# %% [markdown]
# And the symptom? Here is each mistake in an LSTM with an open gate, trained on the task of 2.8 with 20 letters:


# %%
def right_step(x, h, c, weight_ih, weight_hh, bias):
    """The library's step, with one bias."""
    states, backward = F.lstm_step(x, h, c, weight_ih, weight_hh, bias, np.zeros_like(bias))
    return states, lambda dh, dc: backward(dh, dc)[:6]


def train_with(step, steps=250, length=20):
    """Train with this step, forward and backward; the share of right answers."""
    rng = np.random.default_rng(1)
    model = Reader(nn.LSTM, 1, forget_bias=3)
    rnn, answer = model.rnn, model.answer
    optimizer = optim.Adam(model.buffer, lr=5e-3)
    for k in range(steps + 1):
        x, target = draw_letters(64 if k < steps else 1000, rng, length)
        weight_ih, weight_hh, bias_ih, bias_hh = model.weights()
        h = c = np.zeros((x.shape[1], HIDDEN), dtype=np.float32)
        backwards = []
        for x_t in x:
            (h, c), backward = step(x_t, h, c, weight_ih, weight_hh, bias_ih + bias_hh)
            backwards.append(backward)
        scores, answer_backward = answer(h)
        _, loss_backward = F.cross_entropy(scores, target)
        model.zero_grad()
        dh, dc = answer_backward(loss_backward()[0]), np.zeros_like(c)
        for backward in reversed(backwards):
            _, dh, dc, dweight_ih, dweight_hh, dbias = backward(dh, dc)
            rnn.weight_ih_l0.grad += dweight_ih
            rnn.weight_hh_l0.grad += dweight_hh
            rnn.bias_ih_l0.grad += dbias
        if k < steps:
            optim.clip_global_norm(model.buffer, 1.0)
            optimizer.step()
    return (scores.argmax(axis=1) == target).mean()


for name, step in [("no mistake", right_step), *((name, museum[name]) for name in names)]:
    print(f"{name:24} {100 * train_with(step):5.1f} % right")

# %% [markdown]
# Look again at the last table. Two of the four mistakes do harm that one can see. **The other two cannot be seen at
# all**: this task is easy enough to be learnt with a gradient that is wrong. Nothing in the table tells that
# something is amiss. The check above does.
#
# ## 2.11 Five questions
#
# **1.** Why are the weights' gradients added over the time steps, while `dh` is replaced?
#
# <details><summary>Answer</summary>
#
# All steps share the weights, so the weights reach the loss by many ways, and the ways are added. Each state belongs
# to one step; `dh` before a step and `dh` after it are gradients of different arrays.
#
# </details>
#
# **2.** Each step of a network multiplies the gradient by about 0.9. How much is left after 40 steps? After 200?
#
# <details><summary>Answer</summary>
#
# $0.9^{40} = 0.015$, and $0.9^{200} = 7 \cdot 10^{-10}$. "Near 1" depends on the length.
#
# </details>
#
# **3.** Clipping scales all gradients by one number. Why not cut off each entry at the limit?
#
# <details><summary>Answer</summary>
#
# Cutting off entries changes the direction of the step: large entries shrink, small ones stay. One common factor
# keeps it.
#
# </details>
#
# **4.** In the backward of the LSTM step, `dc_next` comes in as an argument. Why is something added to it at once?
#
# <details><summary>Answer</summary>
#
# The argument is what the *next step* knows of the cell. The cell also reaches the loss through $h' = o * \tanh(c')$,
# and that way is known only here: (lstm_step 3').
#
# </details>
#
# **5.** You check an LSTM with $h_0 = c_0 = 0$ and $T = 1$. Which gradients can be wrong without being seen?
#
# <details><summary>Answer</summary>
#
# $dW_{hh} = dz^T h_0$ is zero, whatever $dz$ is. The forget gate's part of $dz$ is multiplied by $c_0 = 0$, so a
# wrong slope of that gate is unseen everywhere. And with one step nothing is ever handed on.
#
# </details>
#
# ## 2.12 Further reading
#
# - J. Elman, *Finding structure in time*, Cognitive Science 14 (1990). The network, and what it found in letters and
#   words.
# - P. Werbos, *Backpropagation through time: what it does and how to do it*, Proceedings of the IEEE 78 (1990).
# - R. Pascanu, T. Mikolov and Y. Bengio, *On the difficulty of training recurrent neural networks*, ICML (2013).
#   Section 2 has the vanishing and the exploding gradient, section 3.2 the clipping.
# - S. Hochreiter and J. Schmidhuber, *Long short-term memory*, Neural Computation 9 (1997). Section 3 has the
#   problem, section 4 the cell. It had no forget gate yet:
# - F. Gers, J. Schmidhuber and F. Cummins, *Learning to forget: continual prediction with LSTM*, Neural Computation
#   12 (2000).
# - K. Cho and others, *Learning phrase representations using RNN encoder-decoder for statistical machine
#   translation*, EMNLP (2014). Section 2.3 has the GRU.
# - R. Jozefowicz, W. Zaremba and I. Sutskever, *An empirical exploration of recurrent network architectures*, ICML
#   (2015): of thousands of variants tried, few beat an LSTM whose forget bias starts at 1.
#
# Next: lesson 3, where one network reads a sentence and a second one writes another, and looks back while it writes.
