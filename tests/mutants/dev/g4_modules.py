"""Small models that own their weights, as they stand in homework: each with one mistake."""

import numpy as np

from minis2s.nn import Module
from mutants import mutant
from mutants.shared import build, features, parameter, sigmoid, stable_softmax


class G4Autoencoder(Module):
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
)(build(G4Autoencoder))


class G4TwiceDropped(Module):
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
)(build(G4TwiceDropped))


class G4Experts(Module):
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
)(build(G4Experts))


class G4LearnedLeak(Module):
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
)(build(G4LearnedLeak))


class G4SwiGLU(Module):
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


mutant("swiglu_matrices_crossed_on_the_way_to_x", cause="wrong-gate", inputs=features, wrong=("dx",))(build(G4SwiGLU))


class G4ThreeLayers(Module):
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
)(build(G4ThreeLayers))
