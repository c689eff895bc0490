"""What can be wrong with a backward pass: a stable identifier, a title, and a paragraph and the line of maths for each.

In the formulas L is the loss, dy = dL/dy the gradient that comes in, dx = dL/dx the one that goes out.
"""

from __future__ import annotations

from typing import NamedTuple


class Cause(NamedTuple):
    """One kind of mistake."""

    id: str
    title: str
    explanation: str


_WRONG = """
zero-gradient: The gradient is zero
The gradient is zero where it should not be. Every input that the output depends on has a gradient, dx = sum_j dy_j
dy_j/dx. Zeros mean that the result was never written into the array that is returned, that a path back to this input
was left out, or that a factor of the product is zero, as (y > 0) for the wrong y.

wrong-sign: The sign is wrong
The gradient has the right size and points the wrong way: training climbs instead of descending. A minus sign was lost
or won on the way back: y = a - b gives da = dy and db = -dy; y = 1 - z gives dz = -dy; y = 1/x gives dx = -dy / x^2;
the loss -log p gives dp = -dloss / p.

constant-factor: A constant factor is missing or too many
All entries are off by the same simple number. The usual sources: y = x^2 gives 2 x dy, y = x^2/2 gives x dy,
y = exp(x/2) gives y dy / 2, y = a x gives a dy. A gradient that is doubled was often added up twice.

wrong-count: Divided by a wrong count, or not divided
All entries are off by a factor made of sizes: the batch N, the time steps T, the features D, the real tokens M. The
backward pass divides by what the forward divides by, and by nothing else: loss = 1/M sum_n l_n gives dl_n = dloss / M,
a sum gives dl_n = dloss, a variance over D - 1 gives 2 (x - mean) dvar / (D - 1). A mean over real tokens divides by
their number, not by T N.

transposed: The transpose was returned
The numbers are right but stand in the transposed matrix. y = x W^T gives dW = dy^T x and dx = dy W; y = x W gives
dW = x^T dy and dx = dy W^T. A square matrix hides it, because both shapes fit: test with sides that differ.

permuted-axes: Axes are in another order
The numbers are right but their axes are permuted, or a `reshape` was used where a `transpose` is due. Reshape keeps the
numbers in the order of memory; only transpose moves an axis. What the forward does as transpose(p), the backward undoes
with transpose(argsort(p)); what it reshapes, the backward reshapes to x.shape.

permuted-gates: Gates are in another order
The blocks of rows are right but stand in another order. The gradient of z = (z_1, ..., z_k) is put together in the
order in which z was split: dz = concatenate(dz_1, ..., dz_k). Here that is i f g o for the LSTM and r z n for the GRU.

permuted-heads: Heads are in another order
The blocks that belong to the attention heads are right but are swapped or interleaved. If the forward splits D into
(heads, D / heads), the backward must join (heads, D / heads) into D, not (D / heads, heads).

sum-missing: A sum is incomplete
An input that is used by every item, time step or place receives the sum of all their gradients: y_n = x_n W gives
dW = sum_n x_n^T dy_n, a bias gives db = sum_n dy_n. Here only a part of the sum arrived: one item, one place, a running
value that is overwritten in a loop (`=` where `+=` is due).

wrong-sum-axis: The sum runs over the wrong axis
A sum was taken, but over another axis than the one that was broadcast. y_nd = x_nd + b_d gives db_d = sum_n dy_nd:
what the forward pass repeats along an axis, the backward pass adds up along that same axis, and along no other.

broadcast-not-summed: What was broadcast was not summed
The input was stretched over an axis by broadcasting, and the backward pass did not add up along it. y_nd = x_nd s_n
gives ds_n = sum_d dy_nd x_nd: one number that is used D times receives the sum of D gradients.

one-step-only: Only one time step contributes
A weight or an input that all time steps share receives the sum over them: dW = sum_t dz_t^T h_(t-1). Here only the last
or the first step is in it: `=` instead of `+=` in the loop, or the gradient of only the last output was used,
where dy_t comes in at every step.

missing-dh-carry: The gradient of the hidden state is not carried back
In a recurrent network h_t reaches the loss twice: as output y_t, and through the next step. So
dh_t = dy_t + dz_(t+1) W_hh. Without the second term every step learns by itself, and nothing is learnt over time.

missing-dc-carry: The gradient of the cell state is not carried back
The LSTM's cell state reaches the loss twice: through h_t = o tanh(c_t), and through c_(t+1) = f c_t + i g. So
dc_t = dh_t o (1 - tanh(c_t)^2) + dc_(t+1) f_(t+1). The second term is what lets an LSTM remember.

forget-gate-not-in-carry: The carry lacks its gate
c' = f c + i g gives dc = dc' f: the forget gate decides how much of the gradient goes back, as it decided how much of
the state went on. In the GRU h' = (1 - z) n + z h gives dh = dh' z + ... in the same way.

activation-derivative-missing: The derivative of an activation is missing
The gradient passed an activation as if it were the identity. y = tanh(x) gives dx = dy (1 - y^2), y = sigma(x) gives
dx = dy y (1 - y), y = max(x, 0) gives dx = dy where x > 0 and 0 elsewhere.

activation-derivative-doubled: The derivative of an activation is applied twice
The factor of an activation is there twice: dy (1 - y^2)^2 where dy (1 - y^2) is right. It is often
applied once in the backward of the activation and once more in that of the layer or the loss around it.

derivative-at-preactivation: The derivative is taken at the wrong value
The formula of the derivative is right but is fed with another value: 1 - y^2 wants the output y = tanh(x), not x;
y (1 - y) wants y = sigma(x), not x; max(x, 0) wants the sign of its own input. In terms of the input,
tanh'(x) = 1 - tanh(x)^2 and sigma'(x) = sigma(x) (1 - sigma(x)).

wrong-gate: One gate is taken for another
A value, weight or bias of one gate stands where another's belongs. c' = f c + i g gives di = dc' g, dg = dc' i,
df = dc' c; h' = (1 - z) n + z h gives dz = dh' (h - n), dn = dh' (1 - z). Write each pair of partners down once.

missing-factor: A factor of the product rule is left out
y = a b gives da = dy b and db = dy a: each factor is multiplied by all the others. Here one is left out, or another
value stands in its place: a gate, an input, a weight, the temperature, the size of a step.

softmax-second-term-missing: The softmax's second term is missing
Every output of a softmax depends on every input, as they share their sum: dy_j/dx_k = y_j ([j = k] - y_k), so
dx_j = y_j (dy_j - sum_k y_k dy_k). With y dy alone, or y (1 - y) dy, the softmax is treated as if its outputs were
independent.

softmax-applied-twice: The softmax is differentiated twice
The gradient of the softmax with cross-entropy together is p - q: it contains the softmax's own derivative already, and
must not pass its backward once more. The same goes for a softmax taken again of what is already a distribution.

mask-not-applied: The mask is not applied on the way back
What the forward pass hides must receive no gradient: y = x m gives dx = dy m. Gradient flows from or into entries that
the mask excludes, such as padding.

mask-inverted: The mask has the wrong polarity
The gradient goes exactly where the mask excludes. Here True is a real token; in PyTorch's key_padding_mask True is
padding. y = x m gives dx = dy m, not dy (1 - m).

mask-only-in-loss: The mask is applied at the loss only
The loss ignores padding, but within the network gradient passes through padding steps as if they were real: h' = h at
padding gives dh = dh', without touching the weights. Each step needs the mask, not just the last.

repeated-ids-assigned: Repeated ids overwrite each other
An id that occurs twice receives the sum of both gradients: dW[v] = sum of dy_n over all n with ids_n = v. Both
`dW[ids] = dy` and `dW[ids] += dy` keep the last only; `np.add.at(dW, ids, dy)` adds up.

padding-id-gradient: The row of the padding id is wrong
The row of the padding id receives a gradient although its output is set to zero, or receives none although it is used.
y_n = W[ids_n] m_n gives dW[v] = sum_n m_n dy_n [ids_n = v].

dropout-scale-missing: Dropout's scale is missing
Dropout that keeps with probability 1 - p divides by it, so that the mean stays: y = x m / (1 - p) gives
dx = dy m / (1 - p). The backward pass needs the same scale as the forward.

dropout-new-mask: Dropout drew a new mask
The backward pass must use the mask that was drawn in the forward: y = x m gives dx = dy m with the same m. A new draw
lets gradient into units that were off and keeps it from those that were on.

kernel-not-flipped: The kernel is not flipped
The gradient of a convolution's input is a full convolution of dy with the kernel turned by 180 degrees:
y_o = sum_i w_i x_(o+i) gives dx_j = sum_i w_i dy_(j-i). The index of w runs against that of dy.

off-by-one: Shifted by one
The numbers belong one place further: h_t stands where h_(t-1) belongs, or stride, padding or an edge is counted off by
one. z_t = W h_(t-1) gives dW = sum_t dz_t^T h_(t-1); y_o = sum_i w_i x_(o s + i - p) gives dx_j to the places
j = o s + i - p.

pool-gradient-to-all: Pooling hands the gradient to all
y = max(x_1, ..., x_k) depends on the largest alone: dx_j = dy where x_j is the maximum, 0 elsewhere. A share for every
entry of the window is the gradient of the mean.

norm-mean-term-missing: The path through the mean is missing
In a norm every x changes the mean, and with it all outputs: n = (x - mean) / s gives
dx = (dn - mean(dn) - n mean(dn n)) / s. The term mean(dn) is missing.

norm-variance-term-missing: The path through the variance is missing
In a norm every x changes the standard deviation, and with it all outputs: n = (x - mean) / s gives
dx = (dn - mean(dn) - n mean(dn n)) / s. The term n mean(dn n) is missing: s was taken for a constant.

logvar-as-sigma: The log-variance is taken for another measure of spread
With v = log sigma^2 the standard deviation is sigma = exp(v / 2) and the variance exp(v). z = mean + sigma e gives
dv = dz sigma e / 2; KL = (mean^2 + exp(v) - v - 1) / 2 gives dv = (exp(v) - 1) / 2. Here the derivative is that with
respect to sigma, or treats v as the logarithm of sigma, or as sigma.

tied-counted-once: A tied weight receives only one of its gradients
A weight that is used in two places, as embedding and as output layer, receives the sum of both gradients:
dW = dW_embedding + dW_output. Only one arrived: the second overwrote the first, or was forgotten.

branch-missing: A path back to the input is missing
An input that is used twice receives the sum over both uses: y = f(x, g(x)) gives dx = df/dx + df/dg dg/dx. One of
the paths is left out, such as a residual connection, or c' reaching the loss through h'.

float32-inside: Something inside is computed in float32
The gradient is right to about seven digits and not further: an intermediate value was stored in single precision, as
np.zeros(..., dtype=np.float32), or a constant array has that dtype. The gradient must be computed in the dtype of the
inputs.

swapped-gradients: Gradients are returned in the wrong order
Each gradient is right but is returned for another input: one gradient per input, in the order of the inputs. Two inputs
of equal shape hide it.

one-entry: A few entries are wrong
Almost all entries are right, and a few are not: an edge, a corner, a boundary, a tie, a special value is not handled.
Look at the worst entry that the report names, and compute its gradient by hand: dx_i = sum_j dy_j dy_j/dx_i.

unknown: No known cause explains the numbers
None of the known mistakes gives these numbers. Split the function in two, check each half, and go on with the one that
is wrong: dx = J^T dy holds for each of them by itself.
"""

_CONTRACT = """
gradient-count: The number of gradients is wrong
`backward` returns one gradient for each input, in the order of the inputs: y = f(x_1, ..., x_k) gives
(dx_1, ..., dx_k), with None for ids and masks.

gradient-shape: The shape of a gradient is wrong
A gradient holds dL/dx_i for each entry x_i, so it has the shape of its input. If it is larger, something that was
broadcast has not been summed, y_nd = x_nd + b_d gives db_d = sum_n dy_nd; if its sides are swapped, it is transposed.

gradient-dtype: The dtype of a gradient is wrong
A gradient has the dtype of its input: float64 in, float64 out. Another one shows that something inside was computed in
another precision, such as float32, with seven digits, eps = 6e-8.

gradient-missing: A gradient is missing
An array of floats has a gradient, dx = sum_j dy_j dy_j/dx, even if it is zero. None is for ids, masks and inputs that
were not given.

gradient-for-integers: An integer input has a gradient
Token ids, lengths and masks cannot be moved by a small step h, so (L(x + h) - L(x)) / h has no meaning for them. Their
gradient is None.

dy-changed: backward changes its argument
The caller may still need dy, for another branch that the same gradient flows into: dx_1 = dy J_1, dx_2 = dy J_2. Copy
before writing: `dx = dy * m` instead of `dy *= m`.

input-changed: An input is changed
Forward or backward wrote into an array that belongs to the caller, and everything that uses x afterwards sees another
value: x += 1 changes the caller's x, x = x + 1 does not.

view-returned: A gradient shares its memory with another array
Two results are views of the same memory, so whoever adds to one, dx += ..., changes the other too. Return a copy.

second-call-differs: The second call of backward answers differently
`backward` is a function: dx = J(x)^T dy, the same for the same dy. Here it changes what it remembers: it empties a
cache, adds to an array that was not set to zero, or writes into a saved value.

grad-overwritten: A parameter's gradient is overwritten
A parameter that is used twice receives both gradients: p.grad += dp. With p.grad = dp only the last use counts, and
gradients cannot be accumulated over batches.

forward-not-deterministic: The forward pass answers differently each time
A numeric derivative compares two calls, (f(x + h) - f(x - h)) / 2h: both must draw the same random numbers. Pass in a
generator that starts anew in every call.

not-finite: NaN or infinity
A value is not finite. The usual sources are log(0), 0/0, exp of a large number, inf - inf at masked entries, and
sqrt'(0) = 1/(2 sqrt(0)). What is NaN once stays NaN: 0 * NaN = NaN.

raises: The function fails
Forward or backward raised an error, so there is nothing to compare: y, backward = f(x) and dx = backward(dy) must both
return. The message says where.
"""


def _read(text: str) -> dict[str, Cause]:
    found = {}
    for block in text.strip().split("\n\n"):
        head, _, body = block.partition("\n")
        cause, _, title = head.partition(": ")
        found[cause] = Cause(cause, title, body.replace("\n", " "))
    return found


WRONG_CAUSES = _read(_WRONG)
"""Of a gradient that is wrong, by identifier."""

CONTRACT_CAUSES = _read(_CONTRACT)
"""Of a contract that is broken, by identifier."""

CAUSES = WRONG_CAUSES | CONTRACT_CAUSES


def explain(cause: str) -> str:
    """Title and paragraph of a cause.

    Raises
    ------
    KeyError
        If there is no such cause.
    """
    found = CAUSES[cause]
    return f"{found.title}. {found.explanation}"
