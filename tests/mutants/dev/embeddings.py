# ruff: noqa: RUF059 (students unpack every shape)
"""Tables of vectors, and the losses of word vectors: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import sigmoid, softmax_2, softmax_3, tokens_and_tables


def words_around(rng):
    """Three words around (N, 3), the word in the middle (N,), a table (V, H) and a matrix (H, V)."""
    contexts = np.array([[0, 2, 3], [4, 4, 1], [2, 5, 0], [3, 1, 4], [5, 5, 2]])
    return contexts, np.array([1, 0, 4, 5, 3]), rng.standard_normal((6, 4)), rng.standard_normal((4, 6))


@mutant(
    "cbow_context_words_get_all_of_it",
    cause="wrong-count",
    also=("constant-factor",),
    inputs=words_around,
    wrong=("dW_in",),
    note="the hidden layer is the mean of the words around",
)
def cbow_context_words_get_all_of_it(contexts, target, W_in, W_out):
    """Guess the word in the middle."""
    batch_size, window = contexts.shape
    h = 0
    for i in range(window):
        h = h + W_in[contexts[:, i]]
    h = h / window
    ys = softmax_2(np.dot(h, W_out))
    loss = -np.sum(np.log(ys[np.arange(batch_size), target])) / batch_size

    def backward(dout):
        ds = ys.copy()
        ds[np.arange(batch_size), target] -= 1
        ds *= dout / batch_size
        dW_out = np.dot(h.T, ds)
        da = np.dot(ds, W_out.T)  # right: da = np.dot(ds, W_out.T) / window
        dW_in = np.zeros_like(W_in)
        for i in range(window):
            np.add.at(dW_in, contexts[:, i], da)
        return None, None, dW_in, dW_out

    return loss, backward


def padded_sentences(rng):
    """Ids (B, L) that end in zeros, a table (V, D) whose row 0 is not zero, a matrix (D, H)."""
    ids = np.array([[3, 1, 3, 5], [2, 4, 0, 0], [1, 2, 2, 0]])
    return ids, rng.standard_normal((6, 3)), rng.standard_normal((3, 5))


@mutant(
    "bag_of_words_padding_learns",
    cause="padding-id-gradient",
    also=("mask-not-applied",),
    inputs=padded_sentences,
    wrong=("dtable",),
    note="id 0 fills up the short sentences, its vectors are cleared on the way there",
)
def bag_of_words_padding_learns(ids, table, W):
    """Mean of the words of a sentence, and a layer on top."""
    vectors = table[ids]
    vectors[ids == 0] = 0
    lengths = (ids != 0).sum(axis=1)[:, None]
    bag = vectors.sum(axis=1) / lengths

    def backward(dout):
        dbag = dout @ W.T / lengths
        dvectors = np.repeat(dbag[:, None, :], ids.shape[1], axis=1)
        # missing: dvectors[ids == 0] = 0
        dtable = np.zeros_like(table)
        for b in range(ids.shape[0]):
            for i in range(ids.shape[1]):
                dtable[ids[b, i]] += dvectors[b, i]
        return None, dtable, bag.T @ dout

    return bag @ W, backward


def word_pairs(rng):
    """Words (N,), one of the words around each (N,), five drawn at random (N, 5), and two tables (V, D)."""
    centers, outside = np.array([0, 3, 1, 3]), np.array([2, 1, 5, 4])
    negatives = np.array([[1, 4, 4, 6, 3], [0, 5, 2, 6, 0], [6, 6, 3, 0, 2], [2, 1, 0, 5, 6]])
    return centers, outside, negatives, rng.standard_normal((7, 3)), rng.standard_normal((7, 3))


@mutant(
    "skip_gram_last_negative_speaks_for_all",
    cause="sum-missing",
    inputs=word_pairs,
    wrong=("dcenter_vectors",),
    note="the word in the middle is pushed away from five words, one of them is heard",
)
def skip_gram_last_negative_speaks_for_all(centers, outside, negatives, center_vectors, outside_vectors):
    loss = 0.0
    for c, o, negs in zip(centers, outside, negatives, strict=True):
        v_c = center_vectors[c]
        loss -= np.log(sigmoid(outside_vectors[o] @ v_c))
        for k in negs:
            loss -= np.log(sigmoid(-outside_vectors[k] @ v_c))

    def backward(dloss):
        d_center, d_outside = np.zeros_like(center_vectors), np.zeros_like(outside_vectors)
        for c, o, negs in zip(centers, outside, negatives, strict=True):
            v_c, u_o = center_vectors[c], outside_vectors[o]
            miss = sigmoid(u_o @ v_c) - 1
            d_outside[o] += miss * v_c
            push = np.zeros_like(v_c)
            for k in negs:
                hit = sigmoid(outside_vectors[k] @ v_c)
                d_outside[k] += hit * v_c
                push = hit * outside_vectors[k]  # right: push = push + hit * outside_vectors[k]
            d_center[c] += miss * u_o + push
        return None, None, None, dloss * d_center, dloss * d_outside

    return loss, backward


@mutant(
    "embedding_fancy_plus",
    cause="repeated-ids-assigned",
    like="embedding",
    note="`a[ids] += b` adds once an id",
    wrong=("dweight",),
)
def embedding_fancy_plus(ids, weight):
    out = weight[ids]

    def backward(dout):
        dW = np.zeros_like(weight)
        dW[ids] += dout  # right: np.add.at(dW, ids, dout)
        return None, dW

    return out, backward


@mutant(
    "embedding_padding_learns",
    cause="padding-id-gradient",
    inputs=lambda rng: (np.array([[3, 1, 0], [5, 3, 2], [1, 0, 0]]), rng.standard_normal((6, 4))),
    wrong=("dtable",),
)
def embedding_padding_learns(ids, table):
    """Padding, id 0, is looked up as zeros."""
    batch, length = ids.shape
    vectors = np.zeros((batch, length, table.shape[1]))
    for n in range(batch):
        for t in range(length):
            if ids[n, t] != 0:
                vectors[n, t] = table[ids[n, t]]

    def backward(dvectors):
        dtable = np.zeros_like(table)
        for n in range(batch):
            for t in range(length):
                dtable[ids[n, t]] += dvectors[n, t]
        # missing: dtable[0] = 0
        return None, dtable

    return vectors, backward


@mutant("embedding_ids_are_differentiated", cause="gradient-for-integers", like="embedding")
def embedding_ids_are_differentiated(ids, table):
    def backward(dy):
        dtable = np.zeros_like(table)
        np.add.at(dtable, ids, dy)
        return np.zeros(ids.shape), dtable  # right: return None, dtable

    return table[ids], backward


@mutant("embedding_returns_the_table_alone", cause="gradient-count", like="embedding")
def embedding_returns_the_table_alone(ids, table):
    def backward(dy):
        dtable = np.zeros_like(table)
        for i, row in zip(ids.ravel(), dy.reshape(-1, dy.shape[-1]), strict=True):
            dtable[i] += row
        return dtable  # right: return None, dtable

    return table[ids], backward


def bags(rng):
    mask = np.array([[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 0, 0]], bool)
    return np.array([[1, 4, 1, 0], [3, 0, 0, 0], [2, 5, 0, 0]]), rng.standard_normal((6, 3)), mask


@mutant("bag_of_words_is_divided_by_its_longest", cause="wrong-count", inputs=bags, wrong=("dE",))
def bag_of_words_is_divided_by_its_longest(ids, E, mask):
    count = mask.sum(axis=1)[:, None]
    y = (E[ids] * mask[:, :, None]).sum(axis=1) / count

    def backward(dy):
        dE = np.zeros_like(E)
        for n, t in np.argwhere(mask):
            dE[ids[n, t]] += dy[n] / mask.shape[1]  # right: dE[ids[n, t]] += dy[n] / count[n]
        return None, dE, None

    return y, backward


def words_with_positions(rng):
    return np.array([[3, 1, 0], [2, 3, 3]]), rng.standard_normal((6, 4)), rng.standard_normal((3, 4))


@mutant("embedding_learns_the_word_before", cause="off-by-one", inputs=words_with_positions, wrong=("dE",))
def embedding_learns_the_word_before(ids, E, P):
    """Words and their positions; the word 0 is padding."""
    real = (ids != 0)[:, :, None]
    y = (2 * E[ids] + P) * real

    def backward(dy):
        dy = dy * real
        dE = np.zeros_like(E)
        np.add.at(dE, np.roll(ids, 1, axis=1), 2 * dy)  # right: np.add.at(dE, ids, 2 * dy)
        return None, dE, dy.sum(axis=0)

    return y, backward


@mutant("embedding_counts_its_rows_from_one", cause="off-by-one", inputs=words_with_positions, wrong=("dE",))
def embedding_counts_its_rows_from_one(ids, E, P):
    real = (ids != 0)[:, :, None]
    y = (E[ids] / 2 + P) * real

    def backward(dy):
        dy = np.where(real, dy, 0)
        dE = np.zeros_like(E)
        for word, d in zip(ids.ravel(), dy.reshape(-1, E.shape[1]), strict=True):
            dE[word + 1] += d / 2  # right: dE[word] += d / 2
        return None, dE, dy.sum(axis=0)

    return y, backward


def windows_of_words(rng):
    """Ids (N, L), 0 for padding, and a table (V, D)."""
    return np.array([[3, 1, 4, 1], [5, 2, 0, 0], [6, 5, 3, 0]]), rng.standard_normal((7, 4))


@mutant(
    "bag_of_words_divides_by_the_padded_length",
    cause="wrong-count",
    inputs=windows_of_words,
    wrong=("dtable",),
)
def bag_of_words_divides_by_the_padded_length(ids, table):
    """The mean vector of the words that are there."""
    there = (ids != 0).astype(float)
    lengths = there.sum(axis=1)
    bag = (table[ids] * there[:, :, None]).sum(axis=1) / lengths[:, None]

    def backward(dbag):
        N, L = ids.shape
        dtable = np.zeros_like(table)
        for n in range(N):
            for k in range(L):
                if ids[n, k] != 0:
                    dtable[ids[n, k]] += dbag[n] / L  # right: dtable[ids[n, k]] += dbag[n] / lengths[n]
        return None, dtable

    return bag, backward


def skip_gram_inputs(rng):
    """The middle word's vector (D,), all words' vectors (V, D), the outside word, words drawn, some of them twice."""
    return rng.standard_normal(4), rng.standard_normal((7, 4)), np.array([3]), np.array([5, 1, 5, 0, 1, 5])


@mutant(
    "negative_samples_drawn_twice_count_once",
    cause="repeated-ids-assigned",
    inputs=skip_gram_inputs,
    wrong=("dU",),
)
def negative_samples_drawn_twice_count_once(v_c, U, outside, negatives):
    """Skip-gram with negative sampling, of one pair of words."""
    indices = np.concatenate([outside, negatives])
    sign = np.where(np.arange(len(indices)) < len(outside), 1.0, -1.0)
    prob = 1 / (1 + np.exp(-sign * (U[indices] @ v_c)))
    loss = -np.sum(np.log(prob))

    def backward(dloss):
        dscore = dloss * sign * (prob - 1)
        dv_c = dscore @ U[indices]
        dU = np.zeros_like(U)
        dU[indices] += np.outer(dscore, v_c)  # right: np.add.at(dU, indices, np.outer(dscore, v_c))
        return dv_c, dU, None, None

    return loss, backward


def windows_and_their_middle(rng):
    """Ids of the words around (N, 4), of the word between them (N,), and two tables: (V, D) and (D, V)."""
    contexts = np.array([[0, 2, 2, 5], [1, 0, 3, 4], [5, 5, 1, 2], [3, 6, 0, 1], [6, 2, 4, 0]])
    return contexts, np.array([1, 2, 0, 2, 5]), rng.standard_normal((7, 3)), rng.standard_normal((3, 7))


@mutant(
    "cbow_every_word_around_is_paid_in_full",
    cause="wrong-count",
    also=("constant-factor",),
    inputs=windows_and_their_middle,
    wrong=("dW_in",),
    note="the hidden layer is the mean of the words around",
)
def cbow_every_word_around_is_paid_in_full(contexts, target, W_in, W_out):
    batch_size, window = contexts.shape
    h = np.zeros((batch_size, W_in.shape[1]))
    for i in range(window):
        h += W_in[contexts[:, i]]
    h /= window
    ys = softmax_3(np.dot(h, W_out))
    loss = -np.sum(np.log(ys[np.arange(batch_size), target])) / batch_size

    def backward(dout):
        ds = ys.copy()
        ds[np.arange(batch_size), target] -= 1
        ds *= dout / batch_size
        da = np.dot(ds, W_out.T)
        # missing: da /= window
        dW_in = np.zeros_like(W_in)
        for i in range(window):
            np.add.at(dW_in, contexts[:, i], da)
        return None, None, dW_in, np.dot(h.T, ds)

    return loss, backward


@mutant(
    "transformer_embedding_root_of_the_width_on_the_way_there_only",
    cause="constant-factor",
    also=("wrong-count",),
    inputs=tokens_and_tables,
    wrong=("dtok",),
    note="all rows are too small by the root of D",
)
def transformer_embedding_root_of_the_width_on_the_way_there_only(ids, tok, pos):
    """Words are scaled up, lest the places drown them."""
    B, T = ids.shape
    scale = np.sqrt(tok.shape[1])
    out = np.take(tok, ids, axis=0) * scale + pos[:T]

    def backward(dout):
        dtok, dpos = np.zeros_like(tok), np.zeros_like(pos)
        dpos[:T] = dout.sum(axis=0)
        for b, sentence in enumerate(ids):
            for t, word in enumerate(sentence):
                dtok[word] += dout[b, t]  # right: dtok[word] += dout[b, t] * scale
        return None, dtok, dpos

    return out, backward
