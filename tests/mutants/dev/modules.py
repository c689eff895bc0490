"""Layers and small models that own weights: each with one mistake."""

import numpy as np

from minis2s.nn import Module
from mutants import mutant
from mutants.shared import build, features, labelled_rows, parameter, sigmoid, stable_softmax


class Autoencoder(Module):
    """The decoder's matrix is that of the encoder, turned."""

    def __init__(self, rng):
        self.W, self.b, self.c = parameter(rng, 4, 3), parameter(rng, 3), parameter(rng, 4)

    def forward(self, x):
        code = sigmoid(x @ self.W.data + self.b.data)
        rebuilt = code @ self.W.data.T + self.c.data

        def backward(drebuilt):
            self.c.grad += drebuilt.sum(axis=0)
            dW = drebuilt.T @ code
            dcode = drebuilt @ self.W.data
            dz = dcode * code * (1 - code)
            dW = x.T @ dz  # right: dW = dW + x.T @ dz
            self.W.grad += dW
            self.b.grad += dz.sum(axis=0)
            return dz @ self.W.data.T

        return rebuilt, backward


mutant(
    "tied_autoencoder_encoder_takes_the_name_of_the_decoders_gradient",
    cause="tied-counted-once",
    inputs=features,
    wrong=("dW",),
)(build(Autoencoder))


class TwiceDropped(Module):
    """Two hidden layers of one width, units of both are left out."""

    def __init__(self, rng):
        self.W1, self.b1 = parameter(rng, 4, 6), parameter(rng, 6)
        self.W2, self.b2 = parameter(rng, 6, 6), parameter(rng, 6)
        self.W3, self.b3 = parameter(rng, 6, 2), parameter(rng, 2)

    def forward(self, X):
        keep, rng = 0.6, np.random.default_rng(11)
        A1 = np.tanh(X @ self.W1.data + self.b1.data)
        D1 = (rng.random(A1.shape) < keep) / keep
        A1_drop = A1 * D1
        A2 = np.tanh(A1_drop @ self.W2.data + self.b2.data)
        D2 = (rng.random(A2.shape) < keep) / keep
        A2_drop = A2 * D2

        def backward(dZ3):
            self.W3.grad += A2_drop.T @ dZ3
            self.b3.grad += dZ3.sum(axis=0)
            dA2 = dZ3 @ self.W3.data.T * D2
            dZ2 = dA2 * (1 - A2**2)
            self.W2.grad += A1_drop.T @ dZ2
            self.b2.grad += dZ2.sum(axis=0)
            dA1 = dZ2 @ self.W2.data.T * D2  # right: dA1 = dZ2 @ self.W2.data.T * D1
            dZ1 = dA1 * (1 - A1**2)
            self.W1.grad += X.T @ dZ1
            self.b1.grad += dZ1.sum(axis=0)
            return dZ1 @ self.W1.data.T

        return A2_drop @ self.W3.data + self.b3.data, backward


mutant(
    "dropout_mask_of_the_layer_above",
    cause="dropout-new-mask",
    also=("missing-factor",),
    inputs=features,
    wrong=("dX", "dW1", "db1"),
    note="the lines of the layer above, copied, with one number not changed",
)(build(TwiceDropped))


class Experts(Module):
    """Three experts, and a manager who says how far each is to be believed."""

    def __init__(self, rng):
        self.We, self.be = parameter(rng, 3, 4, 2), parameter(rng, 3, 2)
        self.Wg, self.bg = parameter(rng, 4, 3), parameter(rng, 3)

    def forward(self, x):
        said = [np.tanh(x @ W + b) for W, b in zip(self.We.data, self.be.data, strict=True)]
        trust = stable_softmax(x @ self.Wg.data + self.bg.data)
        y = sum(trust[:, k : k + 1] * said[k] for k in range(3))

        def backward(dy):
            dx, dtrust = np.zeros_like(x), np.zeros_like(trust)
            for k in range(3):
                dtrust[:, k] = np.sum(dy * said[k], axis=1)
                dz = dy * trust[:, k : k + 1] * (1 - said[k] ** 2)
                self.We.grad[k] += x.T @ dz
                self.be.grad[k] += dz.sum(axis=0)
                dx += dz @ self.We.data[k].T
            dlogits = trust * dtrust
            # missing: dlogits -= trust * dlogits.sum(axis=1, keepdims=True)
            self.Wg.grad += x.T @ dlogits
            self.bg.grad += dlogits.sum(axis=0)
            return dx + dlogits @ self.Wg.data.T

        return y, backward


mutant(
    "mixture_of_experts_each_is_trusted_by_itself",
    cause="softmax-second-term-missing",
    inputs=features,
    wrong=("dx", "dWg", "dbg"),
)(build(Experts))


class LearnedLeak(Module):
    """A hidden layer whose negative side has a slope that is learnt, one for each unit."""

    def __init__(self, rng):
        self.W1, self.b1 = parameter(rng, 4, 5), parameter(rng, 5)
        self.leak = parameter(rng, 5)
        self.W2, self.b2 = parameter(rng, 5, 3), parameter(rng, 3)

    def forward(self, x):
        z = x @ self.W1.data + self.b1.data
        h = np.where(z > 0, z, self.leak.data * z)

        def backward(dout):
            grads = {"W2": h.T @ dout, "b2": dout.sum(axis=0)}
            dh = dout @ self.W2.data.T
            grads["leak"] = np.sum(dh * np.minimum(z, 0), axis=0)
            dz = dh * np.where(z > 0, 1, self.leak.data)
            grads["W1"], grads["b1"] = x.T @ dz, dz.sum(axis=0)
            # right: for name in ("W1", "b1", "leak", "W2", "b2"):
            for name in ("W1", "b1", "W2", "b2"):
                getattr(self, name).grad += grads[name]
            return dz @ self.W1.data.T

        return h @ self.W2.data + self.b2.data, backward


mutant(
    "prelu_network_loop_over_weights_and_biases",
    cause="zero-gradient",
    inputs=features,
    wrong=("dleak",),
    note="worked out, and not written: the loop is older than the slopes",
)(build(LearnedLeak))


class SwiGLU(Module):
    """The feed-forward part of a language model of today."""

    def __init__(self, rng):
        self.W_gate, self.W_up, self.W_down = parameter(rng, 4, 6), parameter(rng, 4, 6), parameter(rng, 6, 4)

    def forward(self, x):
        gate, up = x @ self.W_gate.data, x @ self.W_up.data
        sig = sigmoid(gate)
        act = gate * sig
        hidden = act * up

        def backward(dout):
            self.W_down.grad += hidden.T @ dout
            dhidden = dout @ self.W_down.data.T
            dup = dhidden * act
            dact = dhidden * up
            dgate = dact * (sig + gate * sig * (1 - sig))
            self.W_gate.grad += x.T @ dgate
            self.W_up.grad += x.T @ dup
            # right: return dgate @ self.W_gate.data.T + dup @ self.W_up.data.T
            return dgate @ self.W_up.data.T + dup @ self.W_gate.data.T

        return hidden @ self.W_down.data, backward


mutant("swiglu_matrices_crossed_on_the_way_to_x", cause="wrong-gate", inputs=features, wrong=("dx",))(build(SwiGLU))


class ThreeLayers(Module):
    """Both hidden layers have five units."""

    def __init__(self, rng):
        self.W1, self.b1 = parameter(rng, 4, 5), parameter(rng, 5)
        self.W2, self.b2 = parameter(rng, 5, 5), parameter(rng, 5)
        self.W3, self.b3 = parameter(rng, 5, 2), parameter(rng, 2)

    def forward(self, inputs):
        layer1 = sigmoid(np.dot(inputs, self.W1.data) + self.b1.data)
        layer2 = sigmoid(np.dot(layer1, self.W2.data) + self.b2.data)

        def backward(delta3):
            self.W3.grad += np.dot(layer2.T, delta3)
            self.b3.grad += np.sum(delta3, axis=0)
            delta2 = np.dot(delta3, self.W3.data.T) * layer2 * (1 - layer2)
            self.W2.grad += np.dot(delta2.T, layer1)  # right: self.W2.grad += np.dot(layer1.T, delta2)
            self.b2.grad += np.sum(delta2, axis=0)
            delta1 = np.dot(delta2, self.W2.data.T) * layer1 * (1 - layer1)
            self.W1.grad += np.dot(inputs.T, delta1)
            self.b1.grad += np.sum(delta1, axis=0)
            return np.dot(delta1, self.W1.data.T)

        return np.dot(layer2, self.W3.data) + self.b3.data, backward


mutant(
    "three_layers_delta_first_where_the_matrix_is_square",
    cause="transposed",
    inputs=features,
    wrong=("dW2",),
)(build(ThreeLayers))


class Digits(Module):
    """Sigmoids within, a softmax on top, the cross-entropy of one-hot labels."""

    def __init__(self, rng):
        self.w1, self.b1 = parameter(rng, 4, 5), parameter(rng, 5)
        self.w2, self.b2 = parameter(rng, 5, 3), parameter(rng, 3)

    def forward(self, x, labels):
        onehot = np.eye(3)[labels]
        a1 = sigmoid(x @ self.w1.data + self.b1.data)
        a2 = stable_softmax(a1 @ self.w2.data + self.b2.data)
        loss = -np.sum(onehot * np.log(a2)) / len(x)

        def backward(dloss):
            error = dloss * (a2 - onehot) / len(x)
            delta2 = error * a2 * (1 - a2)  # right: delta2 = error
            delta1 = (delta2 @ self.w2.data.T) * a1 * (1 - a1)
            self.w2.grad += a1.T @ delta2
            self.b2.grad += delta2.sum(axis=0)
            self.w1.grad += x.T @ delta1
            self.b1.grad += delta1.sum(axis=0)
            return delta1 @ self.w1.data.T, None

        return loss, backward


mutant(
    "digits_error_times_the_slope_of_the_last_layer_too",
    cause="softmax-applied-twice",
    also=("activation-derivative-doubled",),
    inputs=labelled_rows,
    wrong=("dx", "dw1", "db1", "dw2", "db2"),
    note="error times slope is for the squared error; a2 - onehot is beyond the softmax already",
)(build(Digits))


class Autoencoder2(Module):
    """Squared error between the sigmoids that come out and the pixels that went in."""

    def __init__(self, rng):
        self.W_enc, self.b_enc = parameter(rng, 6, 3), parameter(rng, 3)
        self.W_dec, self.b_dec = parameter(rng, 3, 6), parameter(rng, 6)

    def forward(self, pixels):
        code = sigmoid(pixels @ self.W_enc.data + self.b_enc.data)
        drawn = sigmoid(code @ self.W_dec.data + self.b_dec.data)
        loss = 0.5 * np.sum((drawn - pixels) ** 2) / len(pixels)

        def backward(dloss):
            difference = dloss * (drawn - pixels) / len(pixels)
            d_out = difference  # right: d_out = difference * drawn * (1 - drawn)
            self.W_dec.grad += code.T @ d_out
            self.b_dec.grad += d_out.sum(axis=0)
            d_code = d_out @ self.W_dec.data.T * code * (1 - code)
            self.W_enc.grad += pixels.T @ d_code
            self.b_enc.grad += d_code.sum(axis=0)
            return d_code @ self.W_enc.data.T - difference

        return loss, backward


mutant(
    "autoencoder_delta_of_the_squared_error_is_the_difference",
    cause="activation-derivative-missing",
    inputs=lambda rng: (rng.random((4, 6)),),
    wrong=("dpixels", "dW_enc", "db_enc", "dW_dec", "db_dec"),
    note="which it is for the cross-entropy",
)(build(Autoencoder2))


class Moons(Module):
    """One hidden layer of tanh, scores of two classes."""

    def __init__(self, rng):
        self.W1, self.b1 = parameter(rng, 4, 5), parameter(rng, 1, 5)
        self.W2, self.b2 = parameter(rng, 5, 2), parameter(rng, 1, 2)

    def forward(self, X):
        z1 = X.dot(self.W1.data) + self.b1.data
        a1 = np.tanh(z1)
        z2 = a1.dot(self.W2.data) + self.b2.data

        def backward(delta3):
            self.W2.grad += a1.T.dot(delta3)
            self.b2.grad += np.sum(delta3, axis=0, keepdims=True)
            # right: delta2 = delta3.dot(self.W2.data.T) * (1 - np.power(a1, 2))
            delta2 = delta3.dot(self.W2.data.T) * (1 - np.power(z1, 2))
            self.W1.grad += X.T.dot(delta2)
            self.b1.grad += np.sum(delta2, axis=0, keepdims=True)
            return delta2.dot(self.W1.data.T)

        return z2, backward


mutant(
    "moons_tanh_slope_from_the_sum_that_went_in",
    cause="derivative-at-preactivation",
    inputs=features,
    wrong=("dX", "dW1", "db1"),
)(build(Moons))


class PriceModel(Module):
    """One price for each row."""

    def __init__(self, rng):
        self.W1, self.b1 = parameter(rng, 4, 6), parameter(rng, 6)
        self.W2, self.b2 = parameter(rng, 6, 1), parameter(rng, 1)

    def forward(self, X):
        H = np.maximum(X @ self.W1.data + self.b1.data, 0)
        price = H @ self.W2.data + self.b2.data

        def backward(dprice):
            self.W2.grad += H.T @ dprice
            self.b2.grad += np.sum(dprice)
            dH = dprice @ self.W2.data.T
            dH[H <= 0] = 0
            self.W1.grad += X.T @ dH
            self.b1.grad += np.sum(dH)  # right: self.b1.grad += np.sum(dH, axis=0)
            return dH @ self.W1.data.T

        return price, backward


mutant(
    "price_model_sums_the_hidden_bias_like_the_last_one",
    cause="wrong-sum-axis",
    inputs=features,
    wrong=("db1",),
    note="one price has one bias, so there the sum over everything is right",
)(build(PriceModel))


class SoftmaxRegression(Module):
    """Mean cross-entropy, with a mild pull of the weights to zero."""

    def __init__(self, rng):
        self.W, self.b = parameter(rng, 4, 3), parameter(rng, 3)

    def forward(self, X, y):
        m, decay = len(X), 0.05
        probs = stable_softmax(X @ self.W.data + self.b.data)
        loss = 0.5 * decay * np.sum(self.W.data**2)
        for i in range(m):
            loss -= np.log(probs[i, y[i]]) / m

        def backward(dloss):
            dX = np.zeros_like(X)
            dW, db = np.zeros_like(self.W.data), np.zeros_like(self.b.data)
            for i in range(m):
                dz = probs[i].copy()
                dz[y[i]] -= 1
                dW += np.outer(X[i], dz)
                db += dz
                dX[i] = self.W.data @ dz / m
            dW /= m
            # missing: db /= m
            self.W.grad += dloss * (dW + decay * self.W.data)
            self.b.grad += dloss * db
            return dloss * dX, None

        return loss, backward


mutant(
    "softmax_regression_divides_the_weights_and_not_the_bias",
    cause="wrong-count",
    also=("constant-factor",),
    inputs=labelled_rows,
    wrong=("db",),
)(build(SoftmaxRegression))


class GatedLinear(Module):
    """y = sigmoid(x V + c) * (x W + b)."""

    def __init__(self, rng):
        self.W, self.V = parameter(rng, 4, 3), parameter(rng, 4, 3)
        self.b, self.c = parameter(rng, 3), parameter(rng, 3)

    def forward(self, x):
        gate = 1 / (1 + np.exp(-(x @ self.V.data + self.c.data)))
        value = x @ self.W.data + self.b.data

        def backward(dy):
            dvalue, dgate = dy * gate, dy * value * gate * (1 - gate)
            self.W.grad += x.T @ dvalue
            self.V.grad += x.T @ dgate
            self.b.grad += dvalue.sum(axis=0)
            # missing: self.c.grad += dgate.sum(axis=0)
            return dvalue @ self.W.data.T + dgate @ self.V.data.T

        return gate * value, backward


mutant("gated_module_forgets_a_bias", cause="zero-gradient", inputs=features, wrong=("dc",))(build(GatedLinear))


class Scale(Module):
    """y = x * w, feature by feature."""

    def __init__(self, rng):
        self.w = parameter(rng, 4)

    def forward(self, x):
        def backward(dy):
            dw = (dy * x).sum(axis=0)
            self.w.grad[...] = dw  # right: self.w.grad[...] += dw
            return dy * self.w.data

        return x * self.w.data, backward


mutant("scale_module_forgets_what_was_there", cause="grad-overwritten", inputs=features)(build(Scale))


class TwoLayerNet(Module):
    """Softmax on a hidden layer of ReLU, and a penalty on large weights."""

    def __init__(self, rng):
        self.W1, self.b1 = parameter(rng, 4, 6), parameter(rng, 6)
        self.W2, self.b2 = parameter(rng, 6, 3), parameter(rng, 3)

    def forward(self, X, y):
        reg, num_train = 0.25, X.shape[0]
        W1, W2 = self.W1.data, self.W2.data
        hidden = np.maximum(0, X.dot(W1) + self.b1.data)
        probs = stable_softmax(hidden.dot(W2) + self.b2.data)
        loss = -np.log(probs[range(num_train), y]).mean()
        loss += reg * (np.sum(W1 * W1) + np.sum(W2 * W2))

        def backward(dloss):
            dscores = probs.copy()
            dscores[range(num_train), y] -= 1
            dscores *= dloss / num_train
            dhidden = dscores.dot(W2.T)
            dhidden[hidden <= 0] = 0
            penalty = dloss * reg  # right: penalty = dloss * 2 * reg
            self.W2.grad += hidden.T.dot(dscores) + penalty * W2
            self.b2.grad += dscores.sum(axis=0)
            self.W1.grad += X.T.dot(dhidden) + penalty * W1
            self.b1.grad += dhidden.sum(axis=0)
            return dhidden.dot(W1.T), None

        return loss, backward


mutant(
    "two_layer_net_penalty_as_if_halved",
    cause="constant-factor",
    inputs=lambda rng: (rng.standard_normal((5, 4)), rng.integers(0, 3, 5)),
    wrong=("dW1", "dW2"),
    note="the loss has reg ||W||^2, not half of it",
)(build(TwoLayerNet))


def nonlin(a, deriv=False):
    """The sigmoid; with `deriv` its slope, from its own output."""
    return a * (1 - a) if deriv else 1 / (1 + np.exp(-a))


class FewLines(Module):
    """The network of the well-known tutorial, with biases."""

    def __init__(self, rng):
        self.syn0, self.bias0 = parameter(rng, 4, 5), parameter(rng, 5)
        self.syn1, self.bias1 = parameter(rng, 5, 2), parameter(rng, 2)

    def forward(self, l0):
        z1 = np.dot(l0, self.syn0.data) + self.bias0.data
        l1 = nonlin(z1)
        l2 = nonlin(np.dot(l1, self.syn1.data) + self.bias1.data)

        def backward(l2_error):
            l2_delta = l2_error * nonlin(l2, deriv=True)
            l1_error = l2_delta.dot(self.syn1.data.T)
            l1_delta = l1_error * nonlin(z1, deriv=True)  # right: l1_delta = l1_error * nonlin(l1, deriv=True)
            self.syn1.grad += l1.T.dot(l2_delta)
            self.bias1.grad += np.sum(l2_delta, axis=0)
            self.syn0.grad += l0.T.dot(l1_delta)
            self.bias0.grad += np.sum(l1_delta, axis=0)
            return l1_delta.dot(self.syn0.data.T)

        return l2, backward


mutant(
    "few_lines_network_hands_the_sum_to_nonlin",
    cause="derivative-at-preactivation",
    inputs=features,
    wrong=("dl0", "dsyn0", "dbias0"),
)(build(FewLines))


class TiedAutoencoder(Module):
    """What encodes, turned round, decodes; half the squared error, mean over the rows."""

    def __init__(self, rng):
        self.W, self.b_hid, self.b_vis = parameter(rng, 5, 3), parameter(rng, 3), parameter(rng, 5)

    def forward(self, x):
        W = self.W.data
        h = 1 / (1 + np.exp(-(x @ W + self.b_hid.data)))
        error = h @ W.T + self.b_vis.data - x

        def backward(dloss):
            dz = dloss * error / len(x)
            dh = dz @ W
            da = dh * h * (1 - h)
            self.W.grad += dz.T @ h
            # missing: self.W.grad += x.T @ da
            self.b_vis.grad += dz.sum(axis=0)
            self.b_hid.grad += da.sum(axis=0)
            return da @ W.T - dz

        return 0.5 * np.sum(error**2) / len(x), backward


mutant(
    "tied_autoencoder_learns_as_a_decoder",
    cause="tied-counted-once",
    inputs=lambda rng: (rng.standard_normal((4, 5)),),
    wrong=("dW",),
)(build(TiedAutoencoder))


class DeepNet(Module):
    """Two hidden layers of ReLU, as wide as the input, in a loop."""

    def __init__(self, rng):
        self.W1, self.b1 = parameter(rng, 5, 5), parameter(rng, 5)
        self.W2, self.b2 = parameter(rng, 5, 5), parameter(rng, 5)
        self.W3, self.b3 = parameter(rng, 5, 3), parameter(rng, 3)

    def forward(self, X):
        layers = [(self.W1, self.b1), (self.W2, self.b2), (self.W3, self.b3)]
        A = [X]
        for l, (W, b) in enumerate(layers):
            Z = A[l] @ W.data + b.data
            A.append(np.maximum(Z, 0) if l < 2 else Z)

        def backward(dZ):
            for l in reversed(range(len(layers))):
                W, b = layers[l]
                W.grad += A[l].T @ dZ
                b.grad += dZ.sum(axis=0)
                dA = dZ @ W.data.T
                if l > 0:
                    dZ = dA * (A[l - 1] > 0)  # right: dZ = dA * (A[l] > 0)
            return dA

        return A[3], backward


mutant(
    "deep_net_relu_asks_the_layer_below",
    cause="derivative-at-preactivation",
    inputs=lambda rng: (rng.standard_normal((7, 5)),),
    wrong=("dX", "dW1", "db1", "dW2", "db2"),
    note="A[0] is the input, so what came out of layer l is A[l + 1], and what went into it A[l]",
)(build(DeepNet))


class ResidualBlock(Module):
    """Two layers and a shortcut; the last ReLU comes after the sum."""

    def __init__(self, rng):
        self.W1, self.b1 = parameter(rng, 4, 6), parameter(rng, 6)
        self.W2, self.b2 = parameter(rng, 6, 4), parameter(rng, 4)

    def forward(self, x):
        hidden = np.maximum(0, x @ self.W1.data + self.b1.data)
        out = np.maximum(0, hidden @ self.W2.data + self.b2.data + x)

        def backward(dout):
            dsum = dout * (out > 0)
            self.W2.grad += hidden.T @ dsum
            self.b2.grad += dsum.sum(axis=0)
            dhidden = dsum @ self.W2.data.T
            dhidden[hidden <= 0] = 0
            self.W1.grad += x.T @ dhidden
            self.b1.grad += dhidden.sum(axis=0)
            dshortcut = dout  # right: dshortcut = dsum
            return dhidden @ self.W1.data.T + dshortcut

        return out, backward


mutant(
    "residual_block_shortcut_goes_round_the_last_relu",
    cause="activation-derivative-missing",
    inputs=features,
    wrong=("dx",),
)(build(ResidualBlock))


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
