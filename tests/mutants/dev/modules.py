"""Layers and small models that own weights, and weights that are used twice: each with one mistake."""

import numpy as np

from minis2s import functional as F
from minis2s.nn import Module
from mutants import mutant
from mutants.shared import build, features, parameter, stable_softmax


@mutant(
    "tied_autoencoder_decoder_only",
    cause="tied-counted-once",
    inputs=lambda rng: (
        rng.random((4, 5)),
        rng.standard_normal((3, 5)),
        rng.standard_normal(3),
        rng.standard_normal(5),
    ),
    wrong=("dW",),
)
def tied_autoencoder_decoder_only(x, W, b, c):
    """The decoder's matrix is the encoder's, transposed."""
    h = 1 / (1 + np.exp(-(x @ W.T + b)))
    out = h @ W + c

    def backward(dout):
        dW_dec = h.T @ dout
        da = dout @ W.T * h * (1 - h)
        dW_enc = da.T @ x
        dW = dW_dec  # right: dW = dW_dec + dW_enc
        assert dW.shape == dW_enc.shape
        return da @ W, dW, da.sum(axis=0), dout.sum(axis=0)

    return out, backward


@mutant(
    "same_step_twice_counted_once",
    cause="tied-counted-once",
    inputs=lambda rng: (rng.standard_normal((3, 4)), rng.standard_normal((4, 4))),
    wrong=("dW",),
)
def same_step_twice_counted_once(x, W):
    """One matrix, applied two times."""
    h1 = np.tanh(x @ W)
    h2 = np.tanh(h1 @ W)

    def backward(dh2):
        da2 = dh2 * (1 - h2**2)
        da1 = da2 @ W.T * (1 - h1**2)
        dW = x.T @ da1  # right: dW = x.T @ da1 + h1.T @ da2
        return da1 @ W.T, dW

    return h2, backward


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


class StateIntoEveryStep(Module):
    """A decoder that reads the encoder's last state as its start, and beside the input of every step."""

    def __init__(self, rng):
        self.W, self.U, self.C = parameter(rng, 3, 4), parameter(rng, 4, 4), parameter(rng, 4, 4)

    def forward(self, x, context):
        W, U, C = self.W.data, self.U.data, self.C.data
        states = [context]
        for x_t in x:
            states.append(np.tanh(x_t @ W + states[-1] @ U + context @ C))

        def backward(dstates):
            dx, dh, dcontext = np.zeros_like(x), np.zeros_like(context), np.zeros_like(context)
            for t in reversed(range(len(x))):
                da = (dstates[t] + dh) * (1 - states[t + 1] ** 2)
                self.W.grad += x[t].T @ da
                self.U.grad += states[t].T @ da
                self.C.grad += context.T @ da
                dx[t], dh = da @ W.T, da @ U.T
                # missing: dcontext += da @ C.T
            return dx, dcontext + dh

        return np.stack(states[1:]), backward


mutant(
    "decoder_context_only_as_its_start",
    cause="branch-missing",
    inputs=lambda rng: (rng.standard_normal((4, 2, 3)), rng.standard_normal((2, 4))),
    wrong=("dcontext",),
)(build(StateIntoEveryStep))


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


class Translator(Module):
    """An Elman encoder, and an Elman decoder that starts from its last state and attends to all of them."""

    def __init__(self, rng):
        self.enc_x, self.enc_h = parameter(rng, 3, 4), parameter(rng, 4, 4)
        self.dec_x, self.dec_h = parameter(rng, 3, 4), parameter(rng, 4, 4)
        self.out = parameter(rng, 8, 5)

    def read(self, words, start, Wx, Wh):
        states = [start]
        for word in words:
            states.append(np.tanh(word @ Wx.data + states[-1] @ Wh.data))

        def backward(dstates):
            dwords, dh = np.zeros_like(words), 0
            for t in range(len(words) - 1, -1, -1):
                da = (dstates[t] + dh) * (1 - states[t + 1] ** 2)
                Wx.grad += words[t].T @ da
                Wh.grad += states[t].T @ da
                dwords[t], dh = da @ Wx.data.T, da @ Wh.data.T
            return dwords, dh

        return np.array(states[1:]), backward

    def forward(self, source, target):
        memory, encoder_backward = self.read(source, np.zeros((source.shape[1], 4)), self.enc_x, self.enc_h)
        states, decoder_backward = self.read(target, memory[-1], self.dec_x, self.dec_h)
        w = stable_softmax(np.einsum("tnh,snh->nts", states, memory))
        context = np.einsum("nts,snh->tnh", w, memory)
        both = np.concatenate([states, context], axis=2)

        def backward(dlogits):
            self.out.grad += np.einsum("tni,tnj->ij", both, dlogits)
            dstates, dcontext = np.split(dlogits @ self.out.data.T, 2, axis=2)
            dw = np.einsum("tnh,snh->nts", dcontext, memory)
            de = w * (dw - (w * dw).sum(axis=2, keepdims=True))
            dmemory = np.einsum("nts,tnh->snh", w, dcontext) + np.einsum("nts,tnh->snh", de, states)
            dtarget, dstart = decoder_backward(dstates + np.einsum("nts,snh->tnh", de, memory))
            assert dstart.shape == memory[-1].shape
            # missing: dmemory[-1] += dstart
            dsource, _ = encoder_backward(dmemory)
            return dsource, dtarget

        return both @ self.out.data, backward


mutant(
    "translator_start_of_the_decoder_is_constant",
    cause="branch-missing",
    inputs=lambda rng: (rng.standard_normal((5, 2, 3)), rng.standard_normal((4, 2, 3))),
    wrong=("dsource", "denc_x", "denc_h"),
    note="the encoder learns by the attention alone",
)(build(Translator))


class SkipGram(Module):
    """Word vectors by negative sampling: the word beside is told from words drawn at random."""

    def __init__(self, rng):
        self.inside, self.outside = parameter(rng, 7, 4), parameter(rng, 7, 4)

    def forward(self, centre, beside, noise):
        ids = np.concatenate([beside[:, None], noise], axis=1)
        sign = np.ones(ids.shape)
        sign[:, 1:] = -1
        v, u = self.inside.data[centre], self.outside.data[ids]
        score = sign * np.sum(u * v[:, None], axis=2)
        loss = np.sum(np.log(1 + np.exp(-score)))

        def backward(dloss):
            dscore = -dloss * sign / (1 + np.exp(score))
            np.add.at(self.inside.grad, centre, np.sum(dscore[:, :, None] * u, axis=1))
            du = dscore[:, :, None] * v[:, None]
            self.outside.grad[ids] += du  # right: np.add.at(self.outside.grad, ids, du)
            return None, None, None

        return loss, backward


def windows(rng):
    """Five words, the one beside each, and three others; some are drawn more than once."""
    return np.array([2, 0, 5, 2, 1]), np.array([0, 2, 3, 6, 2]), rng.integers(0, 7, (5, 3))


mutant("skip_gram_noise_drawn_twice_counts_once", cause="repeated-ids-assigned", inputs=windows, wrong=("doutside",))(
    build(SkipGram)
)


class LastStateClassifier(Module):
    """Elman network whose last state is classified."""

    def __init__(self, rng):
        self.Wax, self.Waa, self.ba = parameter(rng, 4, 5), parameter(rng, 5, 5), parameter(rng, 5)
        self.Wya, self.by = parameter(rng, 5, 3), parameter(rng, 3)

    def forward(self, x):
        m, T, _ = x.shape
        a = [np.zeros((m, 5))]
        for t in range(T):
            a.append(np.tanh(x[:, t] @ self.Wax.data + a[t] @ self.Waa.data + self.ba.data))

        def backward(dz):
            share = 1 / m  # right: share = 1
            self.Wya.grad += share * (a[T].T @ dz)
            self.by.grad += share * dz.sum(axis=0)
            dx, da = np.zeros_like(x), dz @ self.Wya.data.T
            for t in range(T, 0, -1):
                dtanh = da * (1 - a[t] ** 2)
                self.Wax.grad += share * (x[:, t - 1].T @ dtanh)
                self.Waa.grad += share * (a[t - 1].T @ dtanh)
                self.ba.grad += share * dtanh.sum(axis=0)
                dx[:, t - 1], da = dtanh @ self.Wax.data.T, dtanh @ self.Waa.data.T
            return dx

        return a[T] @ self.Wya.data + self.by.data, backward


mutant(
    "classifier_weights_share_a_mean_that_no_loss_took",
    cause="wrong-count",
    also=("constant-factor",),
    inputs=lambda rng: (rng.standard_normal((3, 6, 4)),),
    wrong=("dWax", "dWaa", "dba", "dWya", "dby"),
    note="dW = 1/m ..., by habit: the loss, where the mean is, divides already",
)(build(LastStateClassifier))


class Sentiment(Module):
    """Reads a sentence with an Elman network, and says how likely it is that it praises."""

    def __init__(self, rng):
        self.vectors, self.W, self.U = parameter(rng, 6, 3), parameter(rng, 3, 4), parameter(rng, 4, 4)
        self.w, self.b = parameter(rng, 4), parameter(rng, 1)

    def forward(self, ids, praises):
        e, embedding_backward = F.embedding(ids, self.vectors.data)
        h = [np.zeros((len(ids), 4))]
        for t in range(ids.shape[1]):
            h.append(np.tanh(e[:, t] @ self.W.data + h[-1] @ self.U.data))
        p = 1 / (1 + np.exp(-(h[-1] @ self.w.data + self.b.data)))
        loss = -np.mean(praises * np.log(p) + (1 - praises) * np.log(1 - p))

        def backward(dloss):
            dlogit = dloss * (p - praises) / len(p)
            dlogit = dlogit * p * (1 - p)  # right: dlogit = np.array(dlogit)
            self.w.grad += h[-1].T @ dlogit
            self.b.grad += dlogit.sum()
            dh, de = np.outer(dlogit, self.w.data), np.zeros_like(e)
            for t in range(ids.shape[1] - 1, -1, -1):
                da = dh * (1 - h[t + 1] ** 2)
                self.W.grad += e[:, t].T @ da
                self.U.grad += h[t].T @ da
                de[:, t], dh = da @ self.W.data.T, da @ self.U.data.T
            self.vectors.grad += embedding_backward(de)[1]
            return None, None

        return loss, backward


def reviews(rng):
    return rng.integers(0, 6, (5, 4)), np.array([1, 0, 0, 1, 1])


mutant(
    "sentiment_sigmoid_differentiated_after_p_minus_y",
    cause="activation-derivative-doubled",
    inputs=reviews,
    wrong=("dvectors", "dW", "dU", "dw", "db"),
    note="p - y is the derivative of both, loss and sigmoid",
)(build(Sentiment))


class Siamese(Module):
    """The same layer sees two signatures; those of one hand should be near, those of two at least a margin apart."""

    def __init__(self, rng):
        self.W, self.b = parameter(rng, 4, 3), parameter(rng, 3)

    def forward(self, first, second, same):
        f1 = np.tanh(first @ self.W.data + self.b.data)
        f2 = np.tanh(second @ self.W.data + self.b.data)
        diff = f1 - f2
        dist = np.sqrt(np.sum(diff**2, axis=1))
        gap = np.maximum(2.5 - dist, 0)
        loss = np.mean(same * dist**2 + (1 - same) * gap**2)

        def backward(dloss):
            ddist = dloss * (2 * same * dist - 2 * (1 - same) * gap) / len(same)
            ddiff = (ddist / dist)[:, None] * diff
            df1, df2 = ddiff, ddiff  # right: df1, df2 = ddiff, -ddiff
            dz1, dz2 = df1 * (1 - f1**2), df2 * (1 - f2**2)
            self.W.grad += first.T @ dz1 + second.T @ dz2
            self.b.grad += (dz1 + dz2).sum(axis=0)
            return dz1 @ self.W.data.T, dz2 @ self.W.data.T, None

        return loss, backward


def signatures(rng):
    return rng.standard_normal((5, 4)), rng.standard_normal((5, 4)), np.array([1, 0, 1, 0, 0])


mutant(
    "siamese_both_twins_pulled_the_same_way",
    cause="wrong-sign",
    inputs=signatures,
    wrong=("dsecond", "dW", "db"),
)(build(Siamese))


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


class ContinuousBagOfWords(Module):
    """The mean of the words around foretells the one in the middle."""

    def __init__(self, rng):
        self.W_in, self.W_out = parameter(rng, 8, 5), parameter(rng, 5, 8)

    def forward(self, contexts, target):
        N, window = contexts.shape
        h = 0
        for c in range(window):
            h = h + self.W_in.data[contexts[:, c]]
        h = h / window
        p = stable_softmax(h @ self.W_out.data)
        loss = -np.sum(np.log(p[np.arange(N), target])) / N

        def backward(dloss):
            ds = p.copy()
            ds[np.arange(N), target] -= 1
            ds = ds * dloss / N
            self.W_out.grad += h.T @ ds
            dh = ds @ self.W_out.data.T
            # missing: dh = dh / window
            for c in range(window):
                np.add.at(self.W_in.grad, contexts[:, c], dh)
            return None, None

        return loss, backward


mutant(
    "cbow_each_word_gets_what_the_mean_gets",
    cause="wrong-count",
    also=("constant-factor",),
    inputs=lambda rng: (rng.integers(0, 8, (5, 6)), rng.integers(0, 8, 5)),
    wrong=("dW_in",),
)(build(ContinuousBagOfWords))


class Tagger(Module):
    """An Elman network that gives every word a part of speech; the loss is the mean over the real words."""

    def __init__(self, rng):
        self.We, self.Wx, self.Wh = parameter(rng, 7, 3), parameter(rng, 3, 4), parameter(rng, 4, 4)
        self.b, self.Wv, self.bv = parameter(rng, 4), parameter(rng, 4, 5), parameter(rng, 5)

    def forward(self, words, tags, mask):
        N, T = words.shape
        e = self.We.data[words]
        h = np.zeros((T + 1, N, 4))
        for t in range(T):
            h[t + 1] = np.tanh(e[:, t] @ self.Wx.data + h[t] @ self.Wh.data + self.b.data)
        probs = stable_softmax(h[1:].swapaxes(0, 1) @ self.Wv.data + self.bv.data)
        picked = probs[np.arange(N)[:, None], np.arange(T), tags]
        loss = -np.sum(mask * np.log(picked)) / mask.sum()

        def backward(dloss):
            dscores = probs.copy()
            dscores[np.arange(N)[:, None], np.arange(T), tags] -= 1
            dscores *= dloss / mask.sum()
            # missing: dscores *= mask[:, :, None]
            self.bv.grad += dscores.sum(axis=(0, 1))
            carry = np.zeros((N, 4))
            for t in reversed(range(T)):
                self.Wv.grad += h[t + 1].T @ dscores[:, t]
                da = (dscores[:, t] @ self.Wv.data.T + carry) * (1 - h[t + 1] ** 2)
                self.Wx.grad += e[:, t].T @ da
                self.Wh.grad += h[t].T @ da
                self.b.grad += da.sum(axis=0)
                np.add.at(self.We.grad, words[:, t], da @ self.Wx.data.T)
                carry = da @ self.Wh.data.T
            return None, None, None

        return loss, backward


def tagged_sentences(rng):
    """Three sentences of 5, 3 and 2 words; the padding is word 0, tag 0."""
    mask = np.arange(5) < np.array([[5], [3], [2]])
    return rng.integers(1, 7, (3, 5)) * mask, rng.integers(1, 5, (3, 5)) * mask, mask


mutant(
    "tagger_learns_from_padding",
    cause="mask-not-applied",
    inputs=tagged_sentences,
    wrong=("dWe", "dWx", "dWh", "db", "dWv", "dbv"),
)(build(Tagger))


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


class PeekyDecoder(Module):
    """Every step of the decoder reads the encoder's last state besides its word."""

    def __init__(self, rng):
        self.Wx, self.Wh, self.Wc = parameter(rng, 3, 4), parameter(rng, 4, 4), parameter(rng, 5, 4)
        self.b, self.Wy = parameter(rng, 4), parameter(rng, 4, 6)

    def forward(self, words, context):
        T = len(words)
        hs = [np.zeros((words.shape[1], 4))]
        for t in range(T):
            a = words[t] @ self.Wx.data + hs[t] @ self.Wh.data + context @ self.Wc.data + self.b.data
            hs.append(np.tanh(a))
        outputs = [h @ self.Wy.data for h in hs[1:]]

        def backward(doutputs):
            dwords, dcontext, dh_next = np.zeros_like(words), np.zeros_like(context), 0
            for t in range(T - 1, -1, -1):
                self.Wy.grad += hs[t + 1].T @ doutputs[t]
                dh = doutputs[t] @ self.Wy.data.T + dh_next
                da = dh * (1 - hs[t + 1] ** 2)
                self.Wx.grad += words[t].T @ da
                self.Wh.grad += hs[t].T @ da
                self.Wc.grad += context.T @ da
                self.b.grad += da.sum(axis=0)
                dwords[t] = da @ self.Wx.data.T
                dcontext = da @ self.Wc.data.T  # right: dcontext += da @ self.Wc.data.T
                dh_next = da @ self.Wh.data.T
            return dwords, dcontext

        return np.stack(outputs), backward


mutant(
    "peeky_decoder_context_is_read_once",
    cause="one-step-only",
    also=("sum-missing",),
    inputs=lambda rng: (rng.standard_normal((4, 2, 3)), rng.standard_normal((2, 5))),
    wrong=("dcontext",),
)(build(PeekyDecoder))


class Captioner(Module):
    """A picture starts an Elman network foretelling the caption; the loss is a sum over time, a mean over pictures."""

    def __init__(self, rng):
        self.W_proj, self.b_proj = parameter(rng, 5, 4), parameter(rng, 4)
        self.W_embed, self.Wx, self.Wh = parameter(rng, 7, 3), parameter(rng, 3, 4), parameter(rng, 4, 4)
        self.W_vocab, self.b_vocab = parameter(rng, 4, 7), parameter(rng, 7)

    def forward(self, features, captions):
        captions_in, captions_out = captions[:, :-1], captions[:, 1:]
        N, T = captions_in.shape
        x = self.W_embed.data[captions_in]
        h = [features @ self.W_proj.data + self.b_proj.data]
        for t in range(T):
            h.append(np.tanh(x[:, t] @ self.Wx.data + h[t] @ self.Wh.data))
        h_flat = np.stack(h[1:], axis=1).reshape(N * T, 4)
        y_flat = captions_out.reshape(N * T)
        probs = stable_softmax(h_flat @ self.W_vocab.data + self.b_vocab.data)
        loss = -np.sum(np.log(probs[np.arange(N * T), y_flat])) / N

        def backward(dloss):
            dx_flat = probs.copy()
            dx_flat[np.arange(N * T), y_flat] -= 1
            dx_flat *= dloss / len(dx_flat)  # right: dx_flat *= dloss / N
            self.W_vocab.grad += h_flat.T @ dx_flat
            self.b_vocab.grad += dx_flat.sum(axis=0)
            dh_all = (dx_flat @ self.W_vocab.data.T).reshape(N, T, 4)
            dh = np.zeros((N, 4))
            for t in reversed(range(T)):
                da = (dh_all[:, t] + dh) * (1 - h[t + 1] ** 2)
                self.Wx.grad += x[:, t].T @ da
                self.Wh.grad += h[t].T @ da
                np.add.at(self.W_embed.grad, captions_in[:, t], da @ self.Wx.data.T)
                dh = da @ self.Wh.data.T
            self.W_proj.grad += features.T @ dh
            self.b_proj.grad += dh.sum(axis=0)
            return dh @ self.W_proj.data.T, None

        return loss, backward


mutant(
    "captioner_flattened_array_is_no_longer_of_length_n",
    cause="wrong-count",
    also=("constant-factor",),
    inputs=lambda rng: (rng.standard_normal((3, 5)), rng.integers(0, 7, (3, 6))),
    wrong=("dfeatures", "dW_proj", "db_proj", "dW_embed", "dWx", "dWh", "dW_vocab", "db_vocab"),
)(build(Captioner))


class SoftmaxLayer:
    """Hands its Jacobian on, example by example."""

    def forward(self, z):
        self.p = stable_softmax(z)
        return self.p

    def backward(self, dp):
        jacobians = [np.diag(row) - np.outer(row, row) for row in self.p]
        return np.array([jacobian @ row for jacobian, row in zip(jacobians, dp, strict=True)])


class CrossEntropyLoss:
    """Of probabilities and the right classes."""

    def forward(self, p, label):
        self.p, self.t = p, np.eye(p.shape[1])[label]
        return -np.sum(self.t * np.log(p)) / len(p)

    def backward(self, dloss):
        dp = self.p - self.t  # right: dp = -self.t / self.p
        return dloss * dp / len(dp)


class LanguageGuesser(Module):
    """Reads a name letter by letter, and says from which of four languages it is."""

    def __init__(self, rng):
        self.Wxh, self.Whh, self.bh = parameter(rng, 3, 5), parameter(rng, 5, 5), parameter(rng, 5)
        self.Why, self.by = parameter(rng, 5, 4), parameter(rng, 4)

    def forward(self, letters, language):
        N, T, _ = letters.shape
        softmax, criterion = SoftmaxLayer(), CrossEntropyLoss()
        h = {-1: np.zeros((N, 5))}
        for t in range(T):
            h[t] = np.tanh(letters[:, t] @ self.Wxh.data + h[t - 1] @ self.Whh.data + self.bh.data)
        p = softmax.forward(h[T - 1] @ self.Why.data + self.by.data)
        loss = criterion.forward(p, language)

        def backward(dloss):
            dz = softmax.backward(criterion.backward(dloss))
            self.Why.grad += h[T - 1].T @ dz
            self.by.grad += dz.sum(axis=0)
            dletters, dh = np.zeros_like(letters), dz @ self.Why.data.T
            for t in range(T - 1, -1, -1):
                da = dh * (1 - h[t] ** 2)
                self.Wxh.grad += letters[:, t].T @ da
                self.Whh.grad += h[t - 1].T @ da
                self.bh.grad += da.sum(axis=0)
                dletters[:, t], dh = da @ self.Wxh.data.T, da @ self.Whh.data.T
            return dletters, None

        return loss, backward


mutant(
    "language_guesser_loss_does_the_work_of_the_softmax_layer_too",
    cause="softmax-applied-twice",
    inputs=lambda rng: (rng.standard_normal((3, 4, 3)), np.array([2, 0, 3])),
    wrong=("dletters", "dWxh", "dWhh", "dbh", "dWhy", "dby"),
    note="p - y from the course, before a softmax that has a backward of its own",
)(build(LanguageGuesser))


class EntityTagger(Module):
    """Goes through time with the batch behind, and scores the words with the batch in front."""

    def __init__(self, rng):
        self.Wx, self.Wh, self.b = parameter(rng, 4, 5), parameter(rng, 5, 5), parameter(rng, 5)
        self.Wo, self.bo = parameter(rng, 5, 3), parameter(rng, 3)

    def forward(self, x):
        N, T, D = x.shape
        steps = x.transpose(1, 0, 2)
        h = np.zeros((T + 1, N, 5))
        for t in range(T):
            h[t + 1] = np.tanh(steps[t] @ self.Wx.data + h[t] @ self.Wh.data + self.b.data)
        rows = h[1:].transpose(1, 0, 2).reshape(N * T, 5)
        out = (rows @ self.Wo.data + self.bo.data).reshape(N, T, 3)

        def backward(dout):
            drows = dout.reshape(N * T, 3)
            self.Wo.grad += rows.T @ drows
            self.bo.grad += drows.sum(axis=0)
            # right: dh = (drows @ self.Wo.data.T).reshape(N, T, 5).transpose(1, 0, 2)
            dh = (drows @ self.Wo.data.T).reshape(T, N, 5)
            dsteps, carry = np.zeros((T, N, D)), np.zeros((N, 5))
            for t in range(T - 1, -1, -1):
                dz = (dh[t] + carry) * (1 - h[t + 1] ** 2)
                self.Wx.grad += steps[t].T @ dz
                self.Wh.grad += h[t].T @ dz
                self.b.grad += dz.sum(axis=0)
                dsteps[t], carry = dz @ self.Wx.data.T, dz @ self.Wh.data.T
            return dsteps.transpose(1, 0, 2).copy()

        return out, backward


mutant(
    "entity_tagger_rows_dealt_out_to_time_first",
    cause="permuted-axes",
    inputs=lambda rng: (rng.standard_normal((3, 5, 4)),),
    wrong=("dx", "dWx", "dWh", "db"),
    note="`reshape` alone where the forward has `transpose` and `reshape`",
)(build(EntityTagger))


class Policy(Module):
    """One game: what was seen, what was done, and how much better than expected it went."""

    def __init__(self, rng):
        self.W1, self.b1 = parameter(rng, 4, 6), parameter(rng, 6)
        self.W2, self.b2 = parameter(rng, 6, 3), parameter(rng, 3)

    def forward(self, observations, actions, advantages):
        hidden = np.maximum(observations @ self.W1.data + self.b1.data, 0)
        aprob = stable_softmax(hidden @ self.W2.data + self.b2.data)
        taken = np.eye(3)[actions]
        log_prob = np.log(np.sum(aprob * taken, axis=1))
        loss = -np.sum(advantages * log_prob)

        def backward(dloss):
            dlogp = taken - aprob  # right: dlogp = aprob - taken
            dlogits = dloss * dlogp * advantages[:, None]
            self.W2.grad += hidden.T @ dlogits
            self.b2.grad += dlogits.sum(axis=0)
            dhidden = dlogits @ self.W2.data.T
            dhidden[hidden <= 0] = 0
            self.W1.grad += observations.T @ dhidden
            self.b1.grad += dhidden.sum(axis=0)
            return dhidden @ self.W1.data.T, None, -dloss * log_prob

        return loss, backward


def game(rng):
    return rng.standard_normal((6, 4)), np.array([0, 2, 1, 1, 2, 0]), rng.standard_normal(6)


mutant(
    "policy_encourages_where_the_loss_is_a_minus",
    cause="wrong-sign",
    inputs=game,
    wrong=("dobservations", "dW1", "db1", "dW2", "db2"),
    note="`y - p` climbs; the loss has its minus already",
)(build(Policy))


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


class NameMaker(Module):
    """Foretells a letter from the three before it; the cross-entropy is taken apart into its smallest steps."""

    def __init__(self, rng):
        self.C = parameter(rng, 7, 2)
        self.W1, self.b1 = parameter(rng, 6, 5), parameter(rng, 5)
        self.W2, self.b2 = parameter(rng, 5, 7), parameter(rng, 7)

    def forward(self, Xb, Yb):
        n = len(Xb)
        emb = self.C.data[Xb]
        embcat = emb.reshape(n, -1)
        h = np.tanh(embcat @ self.W1.data + self.b1.data)
        logits = h @ self.W2.data + self.b2.data
        counts = np.exp(logits - logits.max(axis=1, keepdims=True))
        counts_sum = counts.sum(axis=1, keepdims=True)
        probs = counts / counts_sum
        loss = -np.log(probs[range(n), Yb]).mean()

        def backward(dloss):
            dlogprobs = np.zeros_like(probs)
            dlogprobs[range(n), Yb] = -dloss / n
            dprobs = dlogprobs / probs
            dcounts = dprobs / counts_sum
            # missing: dcounts += -(counts_sum**-2) * (counts * dprobs).sum(axis=1, keepdims=True)
            dlogits = counts * dcounts
            self.W2.grad += h.T @ dlogits
            self.b2.grad += dlogits.sum(axis=0)
            dhpreact = (1 - h**2) * (dlogits @ self.W2.data.T)
            self.W1.grad += embcat.T @ dhpreact
            self.b1.grad += dhpreact.sum(axis=0)
            demb = (dhpreact @ self.W1.data.T).reshape(emb.shape)
            for k in range(n):
                for j in range(Xb.shape[1]):
                    self.C.grad[Xb[k, j]] += demb[k, j]
            return None, None

        return loss, backward


mutant(
    "name_maker_forgets_that_counts_make_their_sum",
    cause="softmax-second-term-missing",
    also=("branch-missing",),
    inputs=lambda rng: (rng.integers(0, 7, (6, 3)), rng.integers(0, 7, 6)),
    wrong=("dC", "dW1", "db1", "dW2", "db2"),
    note="the numerator's path alone",
)(build(NameMaker))


class ContextDecoder(Module):
    """An encoder's last state is the context, and enters every step of the decoder, which starts from zeros."""

    def __init__(self, rng):
        self.enc_x, self.enc_h, self.enc_b = parameter(rng, 3, 4), parameter(rng, 4, 4), parameter(rng, 4)
        self.dec_x, self.dec_s, self.dec_c = parameter(rng, 2, 5), parameter(rng, 5, 5), parameter(rng, 4, 5)

    def forward(self, source, target):
        S, T, N = len(source), len(target), source.shape[1]
        h = [np.zeros((N, 4))]
        for i in range(S):
            h.append(np.tanh(source[i] @ self.enc_x.data + h[i] @ self.enc_h.data + self.enc_b.data))
        context = h[S]
        s = [np.zeros((N, 5))]
        for t in range(T):
            s.append(np.tanh(target[t] @ self.dec_x.data + s[t] @ self.dec_s.data + context @ self.dec_c.data))

        def backward(ds):
            dsource, dtarget = np.zeros_like(source), np.zeros_like(target)
            carry = np.zeros((N, 5))
            # missing: dcontext = np.zeros_like(context)
            for t in reversed(range(T)):
                da = (ds[t] + carry) * (1 - s[t + 1] ** 2)
                self.dec_x.grad += target[t].T @ da
                self.dec_s.grad += s[t].T @ da
                self.dec_c.grad += context.T @ da
                dtarget[t] = da @ self.dec_x.data.T
                dcontext = da @ self.dec_c.data.T  # right: dcontext += da @ self.dec_c.data.T
                carry = da @ self.dec_s.data.T
            dh = dcontext
            for i in reversed(range(S)):
                da = dh * (1 - h[i + 1] ** 2)
                self.enc_x.grad += source[i].T @ da
                self.enc_h.grad += h[i].T @ da
                self.enc_b.grad += da.sum(axis=0)
                dsource[i], dh = da @ self.enc_x.data.T, da @ self.enc_h.data.T
            return dsource, dtarget

        return np.array(s[1:]), backward


mutant(
    "context_hears_from_one_step_of_the_decoder",
    cause="one-step-only",
    also=("sum-missing",),
    inputs=lambda rng: (rng.standard_normal((3, 2, 3)), rng.standard_normal((5, 2, 2))),
    wrong=("dsource", "denc_x", "denc_h", "denc_b"),
)(build(ContextDecoder))


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


class PongPlayer(Module):
    """Up or down from two frames' difference; the loss is minus the log-probability of each move times its reward."""

    def __init__(self, rng):
        self.W1, self.W2 = parameter(rng, 6, 4), parameter(rng, 4)

    def forward(self, frames, moves, rewards):
        h = np.maximum(0, frames @ self.W1.data)
        up = 1 / (1 + np.exp(-(h @ self.W2.data)))
        logp = np.where(moves == 1, np.log(up), np.log(1 - up))

        def backward(dloss):
            dlogp = moves - up  # right: dlogp = up - moves
            dlogp = dlogp * rewards * dloss / len(frames)
            self.W2.grad += h.T @ dlogp
            dh = np.outer(dlogp, self.W2.data)
            dh[h <= 0] = 0
            self.W1.grad += frames.T @ dh
            return dh @ self.W1.data.T, None, None

        return -np.mean(logp * rewards), backward


def played(rng):
    """Frames (N, D), which moves went up, and how each ended."""
    return rng.standard_normal((5, 6)), np.array([1, 0, 0, 1, 1]), np.array([1, -1, 2, -1, 1])


mutant(
    "pong_player_climbs_its_loss",
    cause="wrong-sign",
    inputs=played,
    wrong=("dframes", "dW1", "dW2"),
    note="the well-known script adds its gradient to the weights, for it is that of the reward",
)(build(PongPlayer))
