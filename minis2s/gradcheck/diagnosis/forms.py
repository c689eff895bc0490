"""The library's functions as the textbook writes them, for the record: every value with its name.

A form belongs to a function if it gives the same numbers, whatever the function is called and however it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from minis2s.gradcheck.diagnosis.tape.entries import Tape, Untraceable
from minis2s.gradcheck.diagnosis.tape.operations import carry, log_sum_exp, name, normal_cdf, relu, sigmoid, softmax
from minis2s.gradcheck.diagnosis.tape.record import record

Form = Callable[..., tuple[Any, None]]

# ------------------------------------------------------------------------------------------ recurrent networks


def rnn_cell(x, h, weight_ih, weight_hh, bias_ih, bias_hh):  # noqa: D103
    z = x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh
    h_next = np.tanh(z)
    name(z=z, **{"h'": h_next})
    return (h_next,)


def gru_cell(x, h, weight_ih, weight_hh, bias_ih, bias_hh):  # noqa: D103
    a, u = x @ weight_ih.T + bias_ih, h @ weight_hh.T + bias_hh
    a_r, a_z, a_n = np.split(a, 3, axis=1)
    u_r, u_z, u_n = np.split(u, 3, axis=1)
    r = sigmoid(a_r + u_r)
    z = sigmoid(a_z + u_z)
    n = np.tanh(a_n + r * u_n)
    h_next = (1 - z) * n + z * h
    name(a_n=a_n, u_n=u_n, r=r, z=z, n=n, **{"h'": h_next})
    return (h_next,)


def lstm_cell(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):  # noqa: D103
    z = x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh
    z_i, z_f, z_g, z_o = np.split(z, 4, axis=1)
    i = sigmoid(z_i)
    f = sigmoid(z_f)
    g = np.tanh(z_g)
    o = sigmoid(z_o)
    c_next = f * c + i * g
    tanh_c = np.tanh(c_next)
    h_next = o * tanh_c
    name(
        z=z, z_i=z_i, z_f=z_f, z_g=z_g, z_o=z_o, i=i, f=f, g=g, o=o, **{"c'": c_next, "tanh(c')": tanh_c, "h'": h_next}
    )
    return h_next, c_next


def step(cell: Callable[..., tuple], states: int) -> Form:
    """One step."""

    def form(x: Any, *rest: Any) -> tuple[Any, None]:
        held, weights = rest[:states], rest[states:]
        if np.ndim(x.value) != 2 or len(weights) != 4:
            raise Untraceable("shape")
        name(x=x, **dict(zip(("h", "c"), held, strict=False)))
        held = tuple(carry(s, "branch-missing" if k == 0 else "missing-dc-carry", "hc"[k]) for k, s in enumerate(held))
        return cell(x, *held, *weights), None

    return form


def sequence(cell: Callable[..., tuple], states: int, reverse: bool) -> Form:
    """A step at each real token."""

    def form(x: Any, *rest: Any) -> tuple[Any, None]:
        held, weights, mask = list(rest[:states]), rest[states : states + 4], (*rest[states + 4 :], None)[0]
        if np.ndim(x.value) != 3 or len(weights) != 4:
            raise Untraceable("shape")
        steps = range(len(x))[::-1] if reverse else range(len(x))
        ys: list[Any] = [None] * len(x)
        for count, t in enumerate(steps):
            if count:
                held = [carry(s, ("missing-dh-carry", "missing-dc-carry")[k], "hc"[k]) for k, s in enumerate(held)]
            else:
                held = [carry(s, "branch-missing", "hc"[k]) for k, s in enumerate(held)]
            x_t = x[t]
            new = cell(x_t, *held, *weights)
            if mask is not None:
                real = mask[t][:, None]
                kept = []
                for a, b in zip(new, held, strict=True):
                    kept.append(np.where(real, a, b))
                ys[t], held = np.where(real, kept[0], 0), kept
            else:
                ys[t], held = new[0], list(new)
        return (np.stack(ys), *held), None

    return form


# ----------------------------------------------------------------------------------------------- attention


def softmax_form(x, mask=None):  # noqa: D103
    return softmax(x, mask), None


def log_softmax_form(x, mask=None):  # noqa: D103
    p = softmax(x, mask)
    name(p=p)
    y = np.log(p if mask is None else np.where(mask, p, 1.0))
    return (y if mask is None else np.where(mask, y, 0.0)), None


def dot_form(query, memory):  # noqa: D103
    name(q=query, m=memory)
    return np.matmul(query.swapaxes(0, 1), memory.transpose(1, 2, 0)), None


def scaled_dot_form(query, memory):  # noqa: D103
    name(q=query, m=memory)
    return np.matmul(query.swapaxes(0, 1), memory.transpose(1, 2, 0)) * (1 / np.sqrt(query.shape[-1])), None


def general_form(query, memory, weight):  # noqa: D103
    name(q=query, m=memory, W=weight)
    projected = query @ weight
    name(**{"W^T q": projected})
    return np.matmul(projected.swapaxes(0, 1), memory.transpose(1, 2, 0)), None


def additive_form(query, keys, vector):  # noqa: D103
    name(q=query, k=keys, v=vector)
    z = query.swapaxes(0, 1)[:, :, None] + keys.swapaxes(0, 1)[:, None]
    a = np.tanh(z)
    name(a=a)
    return (a * vector).sum(axis=-1), None


def attend_form(scores, memory, mask=None):  # noqa: D103
    m = memory if mask is None else np.where(mask[..., None], memory, 0.0)
    w = softmax(scores, None if mask is None else mask.T[:, None])
    name(w=w, m=memory)
    context = np.matmul(w, m.swapaxes(0, 1)).swapaxes(0, 1)
    return (context, w), None


def masked_mean_form(memory, mask=None):  # noqa: D103
    real = np.ones(memory.shape[:2]) if mask is None else mask * 1.0
    share = 1 / np.maximum(real.sum(axis=0), 1)[:, None]
    return (memory * real[..., None]).sum(axis=0) * share, None


def scaled_dot_attention_form(q, k, v, mask=None):  # noqa: D103
    scores = np.matmul(q, k.mT) * (1 / np.sqrt(q.shape[-1]))
    w = softmax(scores, mask)
    name(w=w, q=q, k=k, v=v)
    return np.matmul(w, v), None


# -------------------------------------------------------------------------------------------------- losses


def cross_entropy_form(smoothing: float, divide: bool) -> Form:
    """The mean, or the sum, over real tokens of -log p, by way of the softmax."""

    def form(logits: Any, target: Any, mask: Any = None) -> tuple[Any, None]:
        if not isinstance(target, np.ndarray) or target.dtype.kind not in "iu":
            raise Untraceable("target")
        V = logits.shape[-1]
        q = (1 - smoothing) * np.eye(V)[target] + smoothing / V
        p = softmax(logits)
        name(p=p)
        nll = -(np.log(p) * q).sum(axis=-1)
        name(nll=nll)
        count = nll.size if mask is None else max(float(mask.sum()), 1.0)
        if mask is not None:
            nll = nll * (mask * 1.0)
        total = nll.sum()
        return (total * (1 / count) if divide else total, np.array(float(count))), None

    return form


def cross_entropy_at_once_form(logits, target, mask=None):  # noqa: D103
    if not isinstance(target, np.ndarray) or target.dtype.kind not in "iu":
        raise Untraceable("target")
    q = np.eye(logits.shape[-1])[target]
    total = log_sum_exp(logits)
    chosen = (logits * q).sum(axis=-1)
    name(**{"log sum exp": total, "the target's score": chosen})
    nll = total - chosen
    count = nll.size if mask is None else max(float(mask.sum()), 1.0)
    if mask is not None:
        nll = nll * (mask * 1.0)
    return (nll.sum() * (1 / count), np.array(float(count))), None


def log_softmax_at_once_form(x, mask=None):  # noqa: D103
    if mask is not None:
        raise Untraceable("mask")
    return x - log_sum_exp(x)[..., None], None


def gaussian_kl_form(divide: bool) -> Form:
    """Summed over the dimensions, the mean over the items."""

    def form(mean: Any, logvar: Any) -> tuple[Any, None]:
        square = mean**2
        variance = np.exp(logvar)
        terms = (square + variance - logvar - 1) * 0.5
        name(**{"exp(logvar)": variance, "KL": terms})
        total = terms.sum()
        return (total * (1 / len(mean)) if divide else total), None

    return form


def kl_terms_form(mean, logvar):  # noqa: D103
    return (mean**2 + np.exp(logvar) - logvar - 1) * 0.5, None


def mse_form(x, target):  # noqa: D103
    difference = x - target
    return (difference**2).sum() * (1 / len(difference)), None


# --------------------------------------------------------------------------------------------- everything else


def linear_form(x, weight, bias=None):  # noqa: D103
    y = x @ weight.T
    return (y if bias is None else y + bias), None


def embedding_form(ids, weight):  # noqa: D103
    return weight[ids], None


def norm_form(over: Callable[[int], tuple[int, ...]], channel: int, eps: float = 1e-5) -> Form:
    """Mean 0 and variance 1 over some axes, then scale and shift."""

    def form(x: Any, weight: Any, bias: Any) -> tuple[Any, None]:
        shape = [1] * x.ndim
        shape[channel] = x.shape[channel]
        return affine(normalised(x, over(x.ndim), eps), weight, bias, tuple(shape)), None

    return form


def normalised(x: Any, axes: tuple[int, ...], eps: float) -> Any:
    """(x - mean) / s."""
    mean = x.mean(axis=axes, keepdims=True)
    centred = x - mean
    variance = (centred * centred).mean(axis=axes, keepdims=True)
    s = np.sqrt(variance + eps)
    n = centred / s
    name(mean=mean, variance=variance, s=s, n=n)
    return n


def affine(n: Any, weight: Any, bias: Any, shape: tuple[int, ...]) -> Any:
    """Scale and shift."""
    name(w=weight, b=bias)
    if len(shape) == n.ndim and shape[-1] == weight.size and n.shape[-1] == weight.size:
        return n * weight + bias
    return n * weight.reshape(shape) + bias.reshape(shape)


def group_norm_form(groups: int, eps: float = 1e-5) -> Form:
    """Over the places and channels of a group."""

    def form(x: Any, weight: Any, bias: Any) -> tuple[Any, None]:
        N, C, *places = x.shape
        if C % groups:
            raise Untraceable("groups")
        grouped = x.reshape(N, groups, -1)
        n = normalised(grouped, (2,), eps).reshape(x.shape)
        return affine(n, weight, bias, (1, C, *(1 for _ in places))), None

    return form


def conv_form(stride: tuple[int, int], padding: tuple[int, int]) -> Form:
    """Gather what each window sees, and multiply."""

    def form(x: Any, weight: Any, bias: Any = None) -> tuple[Any, None]:
        O, C, kh, kw = weight.shape
        if x.ndim != 4 or x.shape[1] != C:
            raise Untraceable("shape")
        seen, (OH, OW) = windows(x, (kh, kw), stride, padding)  # (N, C, kh, kw, OH, OW)
        N = x.shape[0]
        columns = seen.transpose(0, 4, 5, 1, 2, 3).reshape(N * OH * OW, C * kh * kw)
        name(**{"the windows": columns})
        y = columns @ weight.reshape(O, -1).T
        y = y if bias is None else y + bias
        return y.reshape(N, OH, OW, O).transpose(0, 3, 1, 2), None

    return form


def windows(x: Any, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], fill: float = 0) -> Any:
    """(N, C, H, W) -> (N, C, kh, kw, OH, OW)."""
    H, W = x.shape[2:]
    OH, OW = ((n + 2 * p - k) // s + 1 for n, p, k, s in zip((H, W), padding, kernel, stride, strict=True))
    if min(OH, OW) < 1:
        raise Untraceable("no window fits")
    padded = np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2)) if any(padding) else x
    if fill and any(padding):
        inside = np.pad(np.ones((H, W), bool), ((padding[0],) * 2, (padding[1],) * 2))
        padded = np.where(inside, padded, fill)
    rows = np.arange(kernel[0])[:, None, None, None] + stride[0] * np.arange(OH)[None, None, :, None]
    columns = np.arange(kernel[1])[None, :, None, None] + stride[1] * np.arange(OW)[None, None, None, :]
    return padded[:, :, rows, columns], (OH, OW)


def pool_form(kind: str, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]) -> Form:
    """The largest of each window, or the mean."""

    def form(x: Any) -> tuple[Any, None]:
        if x.ndim != 4:
            raise Untraceable("shape")
        seen, _ = windows(x, kernel, stride, padding, -1e300 if kind == "max" else 0)
        return (seen.max(axis=(2, 3)) if kind == "max" else seen.mean(axis=(2, 3))), None

    return form


def activation_form(make: Callable[[Any], Any]) -> Form:
    """An elementwise function."""

    def form(x: Any) -> tuple[Any, None]:
        return make(x), None

    return form


def _gelu(x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


ACTIVATION_FORMS = [
    activation_form(make)
    for make in (
        sigmoid,
        np.tanh,
        relu,
        lambda x: x * sigmoid(x),
        lambda x: np.log1p(np.exp(x)),
        _gelu,
        lambda x: x * normal_cdf(x),
        lambda x: np.where(x.value > 0, x, 0.01 * x),
        lambda x: np.where(x.value > 0, x, np.exp(x) - 1),
        np.exp,
        np.square,
    )
]


def mask_form(outputs: Sequence[np.ndarray]) -> Form:
    """Dropout: each entry is kept and scaled, or zero; the mask is read off the output."""

    def form(x: Any) -> tuple[Any, None]:
        y = outputs[0]
        if y.shape != x.shape or not np.all(x.value):
            raise Untraceable("shape")
        ratio = y / x.value
        top = ratio.max()
        if top <= 0 or not np.any(ratio == 0) or not np.all((ratio == 0) | (abs(ratio - top) < 1e-9)):
            raise Untraceable("no mask")
        return x * np.where(ratio == 0, 0.0, top), None

    return form


def draw_form(outputs: Sequence[np.ndarray]) -> Form:
    """Reparameterised draw; the noise is read off the output."""

    def form(mean: Any, logvar: Any) -> tuple[Any, None]:
        if outputs[0].shape != mean.shape or mean.shape != logvar.shape:
            raise Untraceable("shape")
        noise = (outputs[0] - mean.value) / np.exp(logvar.value / 2)
        if abs(noise.mean()) > 2 or not 0.2 < noise.std() < 3:
            raise Untraceable("no noise")
        half = logvar * 0.5
        sigma = np.exp(half)
        name(**{"logvar / 2": half, "sigma": sigma})
        return mean + sigma * noise, None

    return form


def forms(inputs: Sequence[Any], outputs: Sequence[np.ndarray]) -> Iterator[Form]:
    """Those with as many inputs."""
    arrays = [x for x in inputs if isinstance(x, np.ndarray)]
    shapes = [x.shape for x in arrays]
    if len(inputs) in (6, 7, 8):
        for cell, states in ((rnn_cell, 1), (gru_cell, 1), (lstm_cell, 2)):
            yield step(cell, states)
            yield sequence(cell, states, False)
            yield sequence(cell, states, True)
    if len(inputs) == 1:
        yield from ACTIVATION_FORMS
        yield mask_form(outputs)
        yield softmax_form
        yield log_softmax_form
        yield log_softmax_at_once_form
        if arrays and arrays[0].ndim == 4 and outputs[0].ndim == 4:
            yield from pool_forms(shapes[0][2:], outputs[0].shape[2:])
            yield from map(channels_last, pool_forms(shapes[0][1:3], outputs[0].shape[1:3]))
    if len(inputs) == 2:
        yield from (
            softmax_form,
            log_softmax_form,
            log_softmax_at_once_form,
            dot_form,
            scaled_dot_form,
            attend_form,
            masked_mean_form,
        )
        yield from (linear_form, embedding_form, mse_form, kl_terms_form)
        yield from (gaussian_kl_form(True), gaussian_kl_form(False), draw_form(outputs))
        yield cross_entropy_at_once_form
        yield from (cross_entropy_form(0.0, True), cross_entropy_form(0.0, False), cross_entropy_form(0.1, True))
    if len(inputs) == 3:
        yield from (linear_form, general_form, additive_form, attend_form, scaled_dot_attention_form)
        yield norm_form(lambda n: (n - 1,), -1)
        yield norm_form(lambda n: (0, *range(2, n)), 1)
        for groups in (1, 2, 3, 4):
            yield group_norm_form(groups)
        yield cross_entropy_at_once_form
        for smoothing, divide in ((0.0, True), (0.1, True), (0.0, False)):
            yield cross_entropy_form(smoothing, divide)
    if len(inputs) == 4:
        yield scaled_dot_attention_form
    if len(inputs) in (2, 3) and shapes and len(shapes[0]) == 4 and len(shapes[1]) == 4 and outputs[0].ndim == 4:
        yield from conv_forms(shapes[0][2:], shapes[1][2:], outputs[0].shape[2:])
        yield from map(channels_last, conv_forms(shapes[0][1:3], shapes[1][:2], outputs[0].shape[1:3]))


def conv_forms(large: tuple[int, ...], kernel: tuple[int, ...], small: tuple[int, ...]) -> Iterator[Form]:
    """Convolutions with the strides and paddings that lead from the one size to the other."""
    for stride, padding in product(product((1, 2, 3), (1, 2, 3)), product((0, 1, 2), (0, 1, 2))):
        if fits_on(large, kernel, stride, padding) == small:
            yield conv_form(stride, padding)


def pool_forms(large: tuple[int, ...], small: tuple[int, ...]) -> Iterator[Form]:
    """Maxima and means with the kernels, strides and paddings that lead from the one size to the other."""
    pairs = [(1, 1), (2, 2), (3, 3), (1, 2), (2, 1), (3, 2), (2, 3)]
    for kernel, stride, padding in product(pairs, pairs, ((0, 0), (1, 1))):
        if fits_on(large, kernel, stride, padding) == small:
            yield pool_form("max", kernel, stride, padding)
            yield pool_form("mean", kernel, stride, padding)


def fits_on(large: tuple[int, ...], kernel: tuple[int, ...], stride: tuple, padding: tuple) -> tuple[int, ...]:
    """How many windows fit on each side."""
    sides = zip(large, kernel, stride, padding, strict=True)
    return tuple((n + 2 * p - k) // s + 1 for n, k, s, p in sides)


def channels_last(form: Form) -> Form:
    """The same on pictures (N, H, W, C), with weights (kh, kw, C, O) and a bias of any shape."""

    def turned(x: Any, weight: Any = None, bias: Any = None) -> tuple[Any, None]:
        arrays = [x.transpose(0, 3, 1, 2)]
        arrays += [] if weight is None else [weight.transpose(3, 2, 0, 1)]
        arrays += [] if bias is None else [bias.reshape(-1)]
        y, _ = form(*arrays)
        return y.transpose(0, 2, 3, 1), None

    return turned


def references(inputs: Sequence[Any], outputs: Sequence[np.ndarray]) -> list[Tape]:
    """The records of the first forms, two at most, that give these outputs."""
    found: list[Tape] = []
    for form in forms(inputs, outputs):
        try:
            tape = record(form, inputs)
        except Untraceable:
            continue
        if matched(tape, outputs):
            tape.form = form.__qualname__
            tape.again = again(form, order_of(tape, form, inputs))
            found.append(tape)
            if len(found) == 2:
                break
    return found


def order_of(tape: Tape, form: Form, inputs: Sequence[Any]) -> list[int]:
    """Which outputs of the form are those that were asked for."""
    places = [entry.number if entry is not None else -1 for entry, _ in record(form, inputs).outputs]
    return [places.index(entry.number) if entry is not None else -1 for entry, _ in tape.outputs]


def again(form: Form, order: list[int]) -> Callable[[Sequence[Any]], Tape]:
    """How to record a form at other inputs."""
    return lambda inputs: _ordered(record(form, inputs), order)


def _ordered(tape: Tape, order: list[int]) -> Tape:
    tape.outputs = [tape.outputs[n] if n >= 0 else (None, None) for n in order]
    return tape


def matched(tape: Tape, outputs: Sequence[np.ndarray]) -> bool:
    """Put the outputs of a record in the order of those that were asked for, if all are among them."""
    found: list[tuple[Any, Any]] = []
    for y in outputs:
        if not isinstance(y, np.ndarray | np.floating) or y.dtype.kind != "f":
            found.append((None, y))
            continue
        hit = next(
            (o for o in tape.outputs if np.shape(o[1]) == np.shape(y) and np.allclose(o[1], y, 1e-8, 1e-10)), None
        )
        if hit is None:
            return False
        found.append(hit)
    tape.outputs = found
    return any(entry is not None for entry, _ in found)
