"""Layers and small models that own weights, and weights that are used twice: each with one mistake."""

import numpy as np

from minis2s import functional as F
from minis2s.nn import Linear, Module
from mutants import mutant
from mutants.shared import build, features, parameter, stable_softmax


def tokens(rng):
    return (np.array([[1, 4, 2], [3, 1, 1]]),)


class TiedLanguageModel(Module):
    """The table of word vectors is the matrix of the output too."""

    def __init__(self, rng):
        self.table = parameter(rng, 6, 4)
        self.hidden = parameter(rng, 4, 4)

    def forward(self, ids):
        e, embedding_backward = F.embedding(ids, self.table.data)
        h = np.tanh(e @ self.hidden.data)
        logits = h @ self.table.data.T

        def backward(dlogits):
            dh = dlogits @ self.table.data
            da = dh * (1 - h**2)
            _, dtable = embedding_backward(da @ self.hidden.data.T)
            self.table.grad += dtable
            # missing: self.table.grad += np.einsum("ntv,nth->vh", dlogits, h)
            self.hidden.grad += np.einsum("nti,ntj->ij", e, da)

        return logits, backward


mutant("tied_language_model_input_only", cause="tied-counted-once", inputs=tokens, wrong=("dtable",))(
    build(TiedLanguageModel)
)


class TwoLayers(Module):
    def __init__(self, rng):
        self.l1 = Linear(4, 6, rng=rng)
        self.l2 = Linear(6, 3, rng=rng)

    def forward(self, x):
        a, l1_backward = self.l1(x)
        y, l2_backward = self.l2(np.maximum(a, 0))

        def backward(dy):
            da = l2_backward(dy)
            # missing: da = da * (a > 0)
            return l1_backward(da)

        return y, backward


mutant(
    "two_layer_module_without_relu_backward",
    cause="activation-derivative-missing",
    inputs=features,
    wrong=("dx", "dl1.weight", "dl1.bias"),
)(build(TwoLayers))


class Dense(Module):
    def __init__(self, rng):
        self.kernel, self.bias = parameter(rng, 4, 3), parameter(rng, 3)

    def forward(self, x):
        y = np.tanh(x @ self.kernel.data + self.bias.data)

        def backward(dy):
            da = dy * (1 - y**2)
            self.kernel.grad[:] = x.T @ da  # right: self.kernel.grad[:] += x.T @ da
            self.bias.grad[:] = da.sum(axis=0)  # right: self.bias.grad[:] += da.sum(axis=0)
            return da @ self.kernel.data.T

        return y, backward


mutant("dense_module_assigns_its_gradients", cause="grad-overwritten", inputs=features)(build(Dense))


class TwoStoreys(Module):
    """Two Elman networks; the upper one reads the states of the lower one."""

    def __init__(self, rng):
        self.W0, self.U0, self.b0 = parameter(rng, 3, 4), parameter(rng, 4, 4), parameter(rng, 4)
        self.W1, self.U1, self.b1 = parameter(rng, 4, 5), parameter(rng, 5, 5), parameter(rng, 5)

    def run(self, x, W, U, b):
        states = [np.zeros((x.shape[1], len(b.data)))]
        for x_t in x:
            states.append(np.tanh(x_t @ W.data + states[-1] @ U.data + b.data))

        def backward(dstates):
            dx, dh = np.zeros_like(x), np.zeros_like(states[0])
            for t in range(len(x) - 1, -1, -1):
                dz = (dstates[t] + dh) * (1 - states[t + 1] ** 2)
                W.grad += x[t].T @ dz
                U.grad += states[t].T @ dz
                b.grad += dz.sum(axis=0)
                dx[t], dh = dz @ W.data.T, dz @ U.data.T
            return dx

        return np.array(states[1:]), backward

    def forward(self, x):
        below, below_backward = self.run(x, self.W0, self.U0, self.b0)
        above, above_backward = self.run(below, self.W1, self.U1, self.b1)

        def backward(dabove):
            dstates = above_backward(dabove)
            dbelow = np.zeros_like(below)
            dbelow[-1] = dstates[-1]  # right: dbelow[:] = dstates
            return below_backward(dbelow)

        return above, backward


mutant(
    "two_storeys_joined_at_the_last_step",
    cause="one-step-only",
    inputs=lambda rng: (rng.standard_normal((4, 2, 3)),),
    wrong=("dx", "dW0", "dU0", "db0"),
)(build(TwoStoreys))


# --------------------------------------------------------------------------------------- sixteen more, with losses.py


class ReluLayer:
    """From the book with the fish."""

    def forward(self, x):
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        # missing: dout = dout.copy()
        dout[self.mask] = 0
        dx = dout
        return dx


class RainForecast(Module):
    """Amounts are not negative: the last layer is a ReLU too."""

    def __init__(self, rng):
        self.W1, self.b1 = parameter(rng, 4, 6), parameter(rng, 6)
        self.W2, self.b2 = parameter(rng, 6, 3), parameter(rng, 3)

    def forward(self, x):
        relu1, relu2 = ReluLayer(), ReluLayer()
        h = relu1.forward(np.dot(x, self.W1.data) + self.b1.data)
        y = relu2.forward(np.dot(h, self.W2.data) + self.b2.data)

        def backward(dout):
            dout = relu2.backward(dout)
            self.W2.grad += np.dot(h.T, dout)
            self.b2.grad += np.sum(dout, axis=0)
            dout = relu1.backward(np.dot(dout, self.W2.data.T))
            self.W1.grad += np.dot(x.T, dout)
            self.b1.grad += np.sum(dout, axis=0)
            return np.dot(dout, self.W1.data.T)

        return y, backward


mutant(
    "rain_forecast_relu_cuts_in_the_callers_array",
    cause="dy-changed",
    inputs=features,
    note="harmless within a network, where nobody else reads `dout`",
)(build(RainForecast))


class TanhDense:
    """Remembers what it saw last."""

    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.x = x
        self.out = np.tanh(x @ self.W.data + self.b.data)
        return self.out

    def backward(self, dout):
        dz = dout * (1 - self.out**2)
        self.W.grad += self.x.T @ dz
        self.b.grad += dz.sum(axis=0)
        return dz @ self.W.data.T


class Discriminator(Module):
    """Of real rows and fakes; the loss of one who is to tell them apart."""

    def __init__(self, rng):
        self.W, self.b, self.v = parameter(rng, 4, 5), parameter(rng, 5), parameter(rng, 5)

    def forward(self, real, fake):
        sees_real = TanhDense(self.W, self.b)
        sees_fake = sees_real  # right: sees_fake = TanhDense(self.W, self.b)
        h_real, h_fake = sees_real.forward(real), sees_fake.forward(fake)
        s_real, s_fake = h_real @ self.v.data, h_fake @ self.v.data
        loss = np.mean(np.log1p(np.exp(-s_real))) + np.mean(np.log1p(np.exp(s_fake)))

        def backward(dloss):
            ds_real = -dloss / (1 + np.exp(s_real)) / len(real)
            ds_fake = dloss / (1 + np.exp(-s_fake)) / len(fake)
            self.v.grad += h_real.T @ ds_real + h_fake.T @ ds_fake
            dreal = sees_real.backward(np.outer(ds_real, self.v.data))
            dfake = sees_fake.backward(np.outer(ds_fake, self.v.data))
            return dreal, dfake

        return loss, backward


mutant(
    "discriminator_layer_remembers_the_fakes_alone",
    cause="missing-factor",
    inputs=lambda rng: (rng.standard_normal((5, 4)), rng.standard_normal((5, 4)) + 0.5),
    wrong=("dreal", "dW", "db"),
    note="one layer object sees two batches, and what it kept of the first is gone: x and tanh are those of the second",
)(build(Discriminator))


class PaddedInFront(Module):
    """Tags words; the padding stands before the sentence, and the state waits there until it begins."""

    def __init__(self, rng):
        self.We, self.Wx, self.Wh = parameter(rng, 6, 3), parameter(rng, 3, 5), parameter(rng, 5, 5)
        self.b, self.Wy, self.by = parameter(rng, 5), parameter(rng, 5, 4), parameter(rng, 4)

    def forward(self, words, tags):
        N, T = words.shape
        mask = words != 0
        e = self.We.data[words]
        h = np.zeros((T + 1, N, 5))
        for t in range(T):
            new = np.tanh(e[:, t] @ self.Wx.data + h[t] @ self.Wh.data + self.b.data)
            h[t + 1] = np.where(mask[:, t, None], new, h[t])
        p = stable_softmax(h[1:].swapaxes(0, 1) @ self.Wy.data + self.by.data)
        rows, columns = np.indices((N, T))
        loss = -np.sum(mask * np.log(p[rows, columns, tags])) / mask.sum()

        def backward(dloss):
            ds = p.copy()
            ds[rows, columns, tags] -= 1
            ds *= dloss * mask[:, :, None] / mask.sum()
            dh = np.zeros((N, 5))
            for t in range(T - 1, -1, -1):
                self.Wy.grad += h[t + 1].T @ ds[:, t]
                self.by.grad += ds[:, t].sum(axis=0)
                dh = dh + ds[:, t] @ self.Wy.data.T
                # right: da = np.where(mask[:, t, None], dh * (1 - h[t + 1] ** 2), 0)
                da = dh * (1 - h[t + 1] ** 2)
                self.Wx.grad += e[:, t].T @ da
                self.Wh.grad += h[t].T @ da
                self.b.grad += da.sum(axis=0)
                np.add.at(self.We.grad, words[:, t], da @ self.Wx.data.T)
                # right: dh = da @ self.Wh.data.T + np.where(mask[:, t, None], 0, dh)
                dh = da @ self.Wh.data.T
            return None, None

        return loss, backward


def padded_in_front(rng):
    """Three sentences of 5, 3 and 2 words."""
    mask = np.arange(5) >= np.array([[0], [2], [3]])
    return rng.integers(1, 6, (3, 5)) * mask, rng.integers(0, 4, (3, 5)) * mask


mutant(
    "tagger_goes_back_into_the_padding_in_front",
    cause="mask-only-in-loss",
    also=("mask-not-applied",),
    inputs=padded_in_front,
    wrong=("dWe", "dWx", "db"),
)(build(PaddedInFront))


class DuelingNetwork(Module):
    """What a position is worth, and how much better than the others each move is."""

    def __init__(self, rng):
        self.W, self.b = parameter(rng, 4, 6), parameter(rng, 6)
        self.Wv, self.bv = parameter(rng, 6, 1), parameter(rng, 1)
        self.Wa, self.ba = parameter(rng, 6, 3), parameter(rng, 3)

    def forward(self, state):
        z = state @ self.W.data + self.b.data
        h = np.maximum(z, 0)
        value = h @ self.Wv.data + self.bv.data
        advantage = h @ self.Wa.data + self.ba.data
        q = value + advantage - advantage.mean(axis=1, keepdims=True)

        def backward(dq):
            dvalue = dq.sum(axis=1, keepdims=True)
            dadvantage = dq.copy()
            # missing: dadvantage -= dq.mean(axis=1, keepdims=True)
            self.Wv.grad += h.T @ dvalue
            self.bv.grad += dvalue.sum(axis=0)
            self.Wa.grad += h.T @ dadvantage
            self.ba.grad += dadvantage.sum(axis=0)
            dh = dvalue @ self.Wv.data.T + dadvantage @ self.Wa.data.T
            dz = dh * (z > 0)
            self.W.grad += state.T @ dz
            self.b.grad += dz.sum(axis=0)
            return dz @ self.W.data.T

        return q, backward


mutant(
    "dueling_network_mean_advantage_is_a_constant",
    cause="norm-mean-term-missing",
    also=("branch-missing",),
    inputs=features,
    wrong=("dstate", "dW", "db", "dWa", "dba"),
)(build(DuelingNetwork))


class ActorCritic(Module):
    """One hidden layer, two heads: how good each move looks, and how good the position."""

    def __init__(self, rng):
        self.W, self.b = parameter(rng, 4, 5), parameter(rng, 5)
        self.Wp, self.bp = parameter(rng, 5, 3), parameter(rng, 3)
        self.Wv, self.bv = parameter(rng, 5, 1), parameter(rng, 1)

    def forward(self, obs):
        hidden = np.tanh(obs.dot(self.W.data) + self.b.data)
        policy = stable_softmax(hidden.dot(self.Wp.data) + self.bp.data)
        value = hidden.dot(self.Wv.data) + self.bv.data

        def backward(dpolicy, dvalue):
            dlogits = policy * (dpolicy - np.sum(policy * dpolicy, axis=1, keepdims=True))
            self.Wp.grad += hidden.T.dot(dlogits)
            self.bp.grad += dlogits.sum(axis=0)
            dhidden = dlogits.dot(self.Wp.data.T)
            self.Wv.grad += hidden.T.dot(dvalue)
            self.bv.grad += dvalue.sum(axis=0)
            dhidden = dvalue.dot(self.Wv.data.T)  # right: dhidden += dvalue.dot(self.Wv.data.T)
            da = dhidden * (1 - hidden**2)
            self.W.grad += obs.T.dot(da)
            self.b.grad += da.sum(axis=0)
            return da.dot(self.W.data.T)

        return (policy, value), backward


mutant(
    "actor_critic_trunk_listens_to_the_critic",
    cause="branch-missing",
    inputs=features,
    wrong=("dobs", "dW", "db"),
    note="`=` where the second head's gradient comes to the first one's",
)(build(ActorCritic))


def elu(z, alpha):
    return np.where(z > 0, z, alpha * (np.exp(np.minimum(z, 0)) - 1))


def elu_prime(z, alpha):
    return np.where(z > 0, 1, alpha * np.exp(np.minimum(z, 0)))


class EluNetwork(Module):
    """Keeps the activations of the layers, as it did when they were sigmoids."""

    def __init__(self, rng):
        self.W1, self.b1 = parameter(rng, 4, 6), parameter(rng, 6)
        self.W2, self.b2 = parameter(rng, 6, 5), parameter(rng, 5)
        self.W3 = parameter(rng, 5, 2)

    def forward(self, x):
        alpha = 1.3
        z1 = x @ self.W1.data + self.b1.data
        a1 = elu(z1, alpha)
        z2 = a1 @ self.W2.data + self.b2.data
        a2 = elu(z2, alpha)

        def backward(dy):
            self.W3.grad += a2.T @ dy
            da2 = dy @ self.W3.data.T
            dz2 = da2 * elu_prime(a2, alpha)  # right: dz2 = da2 * elu_prime(z2, alpha)
            self.W2.grad += a1.T @ dz2
            self.b2.grad += dz2.sum(axis=0)
            da1 = dz2 @ self.W2.data.T
            dz1 = da1 * elu_prime(a1, alpha)  # right: dz1 = da1 * elu_prime(z1, alpha)
            self.W1.grad += x.T @ dz1
            self.b1.grad += dz1.sum(axis=0)
            return dz1 @ self.W1.data.T

        return a2 @ self.W3.data, backward


mutant(
    "elu_network_slope_asked_at_the_activation",
    cause="derivative-at-preactivation",
    inputs=features,
    wrong=("dx", "dW1", "db1", "dW2", "db2"),
)(build(EluNetwork))


FRIENDS = np.array([[1, 1, 0, 0, 1], [1, 1, 1, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 1, 1], [1, 0, 0, 1, 1]])


class GraphNetwork(Module):
    """Two graph convolutions; every one takes the mean over himself and his friends."""

    def __init__(self, rng):
        self.W0, self.W1 = parameter(rng, 3, 4), parameter(rng, 4, 2)

    def forward(self, X):
        A_hat = FRIENDS / FRIENDS.sum(axis=1, keepdims=True)
        AX = A_hat @ X
        Z0 = AX @ self.W0.data
        H = np.maximum(Z0, 0)
        AH = A_hat @ H

        def backward(dout):
            self.W1.grad += AH.T @ dout
            dAH = dout @ self.W1.data.T
            dH = A_hat @ dAH  # right: dH = A_hat.T @ dAH
            dZ0 = dH * (Z0 > 0)
            self.W0.grad += AX.T @ dZ0
            dAX = dZ0 @ self.W0.data.T
            return A_hat @ dAX  # right: return A_hat.T @ dAX

        return AH @ self.W1.data, backward


mutant(
    "graph_network_friendship_is_mutual_its_mean_is_not",
    cause="transposed",
    inputs=lambda rng: (rng.standard_normal((5, 3)),),
    wrong=("dX", "dW0"),
    note="A is symmetric, but no more so once its rows are divided by their sums",
)(build(GraphNetwork))


class GatedLinearUnit(Module):
    """One matrix for both: the first half of the columns is the value, the second opens and shuts it."""

    def __init__(self, rng):
        self.W, self.b, self.W_out = parameter(rng, 4, 6), parameter(rng, 6), parameter(rng, 3, 5)

    def forward(self, x):
        value, gate = np.split(x @ self.W.data + self.b.data, 2, axis=1)
        opened = 1 / (1 + np.exp(-gate))
        hidden = value * opened

        def backward(dy):
            self.W_out.grad += hidden.T @ dy
            dhidden = dy @ self.W_out.data.T
            dgate = dhidden * value * opened * (1 - opened)
            dvalue = dhidden * opened
            dz = np.hstack([dgate, dvalue])  # right: dz = np.hstack([dvalue, dgate])
            self.W.grad += x.T @ dz
            self.b.grad += dz.sum(axis=0)
            return dz @ self.W.data.T

        return hidden @ self.W_out.data, backward


mutant(
    "gated_linear_unit_joined_gate_first",
    cause="permuted-gates",
    inputs=features,
    wrong=("dx", "dW", "db"),
    note="in the order in which they were computed",
)(build(GatedLinearUnit))
