"""The functions against PyTorch: equal inputs in float64 give equal outputs and equal gradients."""

import numpy as np
import pytest
from function_cases import SOURCE_MASK, TARGET_MASK, D, H, N, S, T, V, as_tuple

from minis2s import functional as F

pytestmark = pytest.mark.parity

R = np.random.default_rng(12)
EXACT = {"rtol": 1e-10, "atol": 1e-12}


def normal(*shape):
    return R.normal(size=shape)


def compare(torch, ours, theirs, inputs, seed=0):
    """Outputs and gradients of `ours(*arrays)` and `theirs(*tensors)`; each gives one output or a tuple."""
    outputs, backward = ours(*inputs)
    outputs = as_tuple(outputs)
    tensors = [torch.tensor(x) for x in inputs]
    for x in tensors:
        x.requires_grad_(x.dtype == torch.float64)
    expected = as_tuple(theirs(*tensors))
    rng = np.random.default_rng(seed)
    upstream = [np.asarray(rng.normal(size=y.shape)) for y in outputs]
    for y, z in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(y, z.detach().numpy(), **EXACT)
    sum((z * torch.tensor(dy)).sum() for z, dy in zip(expected, upstream, strict=True)).backward()
    for dx, x in zip(as_tuple(backward(*upstream)), tensors, strict=False):
        if x.requires_grad:
            np.testing.assert_allclose(dx, x.grad.numpy(), **EXACT)


# ------------------------------------------------------------------------------------------------- without time


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu", "gelu"])
def test_activation(torch, name):
    theirs = getattr(torch.nn.functional, name)
    options = {"approximate": "tanh"} if name == "gelu" else {}
    compare(torch, getattr(F, name), lambda x: theirs(x, **options), (3 * normal(4, 5),))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax(torch, name):
    theirs = getattr(torch.nn.functional, name)
    compare(torch, getattr(F, name), lambda x: theirs(x, dim=-1), (3 * normal(2, 4, 5),))


def test_masked_softmax(torch):
    mask = np.array([[True, True, False], [False, True, False]])

    def theirs(x):
        return torch.softmax(x.masked_fill(~torch.tensor(mask), -torch.inf), dim=-1)

    compare(torch, lambda x: F.softmax(x, mask), theirs, (normal(2, 3),))


def test_linear(torch):
    compare(torch, F.linear, torch.nn.functional.linear, (normal(T, N, D), normal(H, D), normal(H)))
    compare(torch, F.linear, torch.nn.functional.linear, (normal(N, D), normal(H, D)))


@pytest.mark.parametrize("padding", [None, 0, 3])
def test_embedding(torch, padding):
    ids = np.array([[1, 3, 1], [0, 3, 3]])
    compare(
        torch,
        lambda w: (lambda y, backward: (y, lambda dy: backward(dy)[1]))(*F.embedding(ids, w, padding_id=padding)),
        lambda w: torch.nn.functional.embedding(torch.tensor(ids), w, padding_idx=padding),
        (normal(5, D),),
    )


@pytest.mark.parametrize("eps", [1e-5, 1e-3])
def test_layer_norm(torch, eps):
    compare(
        torch,
        lambda x, w, b: F.layer_norm(x, w, b, eps=eps),
        lambda x, w, b: torch.nn.functional.layer_norm(x, (D,), w, b, eps=eps),
        (normal(T, N, D) + 1, normal(D), normal(D)),
    )


@pytest.mark.parametrize("eps", [0.0, 0.1])
@pytest.mark.parametrize("masked", [False, True])
def test_cross_entropy(torch, masked, eps):
    """PyTorch marks padding by a target of -100, we by a mask."""
    mask = TARGET_MASK if masked else np.ones((T, N), dtype=bool)
    target = R.integers(0, V, size=(T, N))
    ignored = torch.tensor(np.where(mask, target, -100).reshape(-1))

    def ours(logits):
        (loss, count), backward = F.cross_entropy(logits, target, mask if masked else None, label_smoothing=eps)
        assert count == mask.sum()
        return loss, lambda dloss: backward(dloss)[0]

    def theirs(logits):
        return torch.nn.functional.cross_entropy(logits.reshape(-1, V), ignored, label_smoothing=eps)

    compare(torch, ours, theirs, (3 * normal(T, N, V),))


# ------------------------------------------------------------------------------------------------- with time


CELLS = {"rnn": (1, 1), "gru": (3, 1), "lstm": (4, 2)}  # gates, states


@pytest.mark.parametrize("cell", CELLS)
def test_step(torch, cell):
    gates, states = CELLS[cell]
    theirs = {"rnn": "rnn_tanh_cell", "gru": "gru_cell", "lstm": "lstm_cell"}[cell]

    def call(x, *rest):
        hidden = rest[:states] if states > 1 else rest[0]
        return getattr(torch, theirs)(x, hidden, *rest[states:])

    weights = [normal(gates * H, D), normal(gates * H, H), normal(gates * H), normal(gates * H)]
    inputs = (normal(N, D), *(normal(N, H) for _ in range(states)), *weights)
    compare(torch, getattr(F, f"{cell}_step"), call, inputs)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [[S, S, S], [S, 2, 3], [1, S, 4]], ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_sequence(torch, cell, lengths, reverse):
    """One direction of PyTorch's packed bidirectional net; the other gets weights of its own and no gradient."""
    gates, states = CELLS[cell]
    mask = np.arange(S)[:, None] < np.array(lengths)
    net = getattr(torch.nn, cell.upper())(D, H, bidirectional=True).double()
    suffix = "_l0_reverse" if reverse else "_l0"
    names = [f"{kind}{suffix}" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    k = int(reverse)

    def theirs(x, *rest):
        initial = [torch.zeros(2, N, H, dtype=torch.float64) for _ in range(states)]
        initial = tuple(torch.stack([*s[:k], own, *s[k + 1 :]]) for s, own in zip(initial, rest[:states], strict=True))
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
        parameters = dict(net.named_parameters()) | dict(zip(names, rest[states:], strict=True))
        hidden = initial if states > 1 else initial[0]
        y, final = torch.func.functional_call(net, parameters, (packed, hidden))
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, total_length=S)
        return (y[:, :, k * H : (k + 1) * H], *(s[k] for s in (final if states > 1 else (final,))))

    weights = [normal(gates * H, D), normal(gates * H, H), normal(gates * H), normal(gates * H)]
    inputs = (normal(S, N, D), *(normal(N, H) for _ in range(states)), *weights)
    compare(torch, lambda *inputs: getattr(F, cell)(*inputs, mask, reverse=reverse), theirs, inputs)


# ------------------------------------------------------------------------------------------------- attention


@pytest.mark.parametrize("masked", [False, True])
def test_scaled_dot_product_attention(torch, masked):
    mask = SOURCE_MASK.copy() if masked else np.ones((S, N), dtype=bool)
    mask[0] = True  # PyTorch gives NaN for a sentence without a token

    def ours(query, keys, values):
        scores, scores_backward = F.scaled_dot_scores(query, keys)
        (context, _), attend_backward = F.attend(scores, values, mask)

        def backward(dcontext):
            dscores, dvalues, _ = attend_backward(dcontext)
            return *scores_backward(dscores), dvalues

        return context, backward

    def theirs(query, keys, values):
        q, k, v = (x.transpose(0, 1) for x in (query, keys, values))  # theirs is batch first
        attn_mask = torch.tensor(mask.T[:, None])
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask).transpose(0, 1)

    compare(torch, ours, theirs, (normal(T, N, H), normal(S, N, H), normal(S, N, D)))


def test_general_and_additive_scores(torch):
    compare(
        torch,
        F.general_scores,
        lambda q, m, w: torch.einsum("tnq,qm,snm->nts", q, w, m),
        (normal(T, N, H), normal(S, N, D), normal(H, D)),
    )
    compare(
        torch,
        F.additive_scores,
        lambda q, k, v: (torch.tanh(q[:, None] + k[None]) @ v).permute(2, 0, 1),
        (normal(T, N, H), normal(S, N, H), normal(H)),
    )


def test_masked_mean(torch):
    weights = SOURCE_MASK / np.maximum(SOURCE_MASK.sum(axis=0), 1)
    compare(
        torch,
        lambda m: F.masked_mean(m, SOURCE_MASK),
        lambda m: (m * torch.tensor(weights)[..., None]).sum(dim=0),
        (normal(S, N, H),),
    )
