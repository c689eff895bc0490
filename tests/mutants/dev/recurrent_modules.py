"""Layers and models that own weights, over time: each with one mistake."""

import numpy as np

from minis2s import functional as F
from minis2s.nn import Module
from mutants import mutant
from mutants.shared import build, features, parameter, stable_softmax


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


class MixtureOfExperts(Module):
    """Three linear experts; how far each is trusted depends on the row."""

    def __init__(self, rng):
        self.gate, self.bias = parameter(rng, 4, 3), parameter(rng, 3)
        self.experts = parameter(rng, 3, 4, 2)

    def forward(self, x):
        trust = stable_softmax(x @ self.gate.data + self.bias.data)
        answers = np.stack([x @ W for W in self.experts.data], axis=1)
        y = np.sum(trust[:, :, None] * answers, axis=1)

        def backward(dy):
            dtrust = np.sum(dy[:, None] * answers, axis=2)
            # right: dgate = trust * (dtrust - np.sum(trust * dtrust, axis=1, keepdims=True))
            dgate = dtrust * trust * (1 - trust)
            self.gate.grad += x.T @ dgate
            self.bias.grad += dgate.sum(axis=0)
            dx = dgate @ self.gate.data.T
            for k, W in enumerate(self.experts.data):
                danswer = dy * trust[:, k, None]
                self.experts.grad[k] += x.T @ danswer
                dx += danswer @ W.T
            return dx

        return y, backward


mutant(
    "mixture_of_experts_gate_derived_as_a_sigmoid",
    cause="softmax-second-term-missing",
    inputs=features,
    wrong=("dx", "dgate", "dbias"),
)(build(MixtureOfExperts))


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
