# ruff: noqa: RUF059 (students unpack every shape)
"""Losses, word vectors and the heads of language models, as students write them: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import sigmoid, stable_softmax


def j1_head_inputs(rng):
    """States (N, T, H), a matrix (H, V), a bias (V,), and the ids of the words (N, T)."""
    h, W, b = (rng.standard_normal(s) for s in [(2, 4, 3), (3, 6), (6,)])
    return h, W, b, np.array([[2, 0, 5, 2], [1, 4, 4, 3]])


@mutant(
    "next_word_loss_lands_on_the_next_word",
    cause="off-by-one",
    inputs=j1_head_inputs,
    wrong=("dh", "dW"),
    note="the state at t foretells word t + 1; the gradient is put where the word stands",
)
def next_word_loss_lands_on_the_next_word(h, W, b, ids):
    N, T, H = h.shape
    logits = h @ W + b
    shift_probs, shift_labels = stable_softmax(logits[:, :-1]), ids[:, 1:]
    rows, cols = np.arange(N)[:, None], np.arange(T - 1)[None, :]
    loss = -np.log(shift_probs[rows, cols, shift_labels]).mean()

    def backward(dloss):
        dshift = shift_probs.copy()
        dshift[rows, cols, shift_labels] -= 1
        dlogits = np.zeros_like(logits)
        dlogits[:, 1:] = dloss * dshift / (N * (T - 1))  # right: dlogits[:, :-1] = dloss * dshift / (N * (T - 1))
        dW = h.reshape(N * T, H).T @ dlogits.reshape(N * T, -1)
        return dlogits @ W.T, dW, dlogits.sum(axis=(0, 1)), None

    return loss, backward


@mutant(
    "char_model_head_gradient_is_written_into_the_probabilities",
    cause="second-call-differs",
    inputs=j1_head_inputs,
    note="an array was given a second name, and not copied",
)
def char_model_head_gradient_is_written_into_the_probabilities(h, W, b, ids):
    """Of the state at every place the letter that comes there."""
    H, V = W.shape
    states, targets = h.reshape(-1, H), ids.reshape(-1)
    num = len(targets)
    scores = states.dot(W) + b
    probs = np.exp(scores - np.max(scores, axis=1, keepdims=True))
    probs /= np.sum(probs, axis=1, keepdims=True)
    loss = np.sum(-np.log(probs[range(num), targets])) / num

    def backward(dloss):
        dscores = probs  # right: dscores = probs.copy()
        dscores[range(num), targets] -= 1
        dscores = dloss * dscores / num
        return dscores.dot(W.T).reshape(h.shape), states.T.dot(dscores), dscores.sum(axis=0), None

    return loss, backward


def j1_triplets(rng):
    """Anchors, positives and negatives (N, D), some of them far enough apart."""
    anchor = rng.standard_normal((6, 4))
    near, far = anchor + 0.8 * rng.standard_normal((6, 4)), anchor + 0.8 * rng.standard_normal((6, 4))
    far[::2] += 1.5
    return anchor, near, far


@mutant(
    "triplet_loss_learns_from_triplets_that_are_settled",
    cause="activation-derivative-missing",
    inputs=j1_triplets,
    wrong=("danchor", "dpositive", "dnegative"),
    note="max(0, ...) is forgotten on the way back",
)
def triplet_loss_learns_from_triplets_that_are_settled(anchor, positive, negative):
    margin, N = 1.0, len(anchor)
    pos_dist = np.sum((anchor - positive) ** 2, axis=1)
    neg_dist = np.sum((anchor - negative) ** 2, axis=1)
    hinge = np.maximum(pos_dist - neg_dist + margin, 0)

    def backward(dloss):
        d = np.full((N, 1), dloss / N)
        # missing: d[hinge == 0] = 0
        danchor = d * 2 * (negative - positive)
        dpositive = -d * 2 * (anchor - positive)
        dnegative = d * 2 * (anchor - negative)
        return danchor, dpositive, dnegative

    return hinge.mean(), backward


@mutant(
    "ranknet_loser_is_pushed_like_the_winner",
    cause="wrong-sign",
    inputs=lambda rng: (rng.standard_normal((6, 3)), rng.standard_normal(3), np.array([2, 0, 1, 2, 0, 3])),
    wrong=("dX", "dw"),
    note="the loss sees the difference of two scores",
)
def ranknet_loser_is_pushed_like_the_winner(X, w, relevance):
    """Of any two documents the more relevant one is to have the higher score."""
    s = X @ w
    pairs = [(i, j) for i in range(len(s)) for j in range(len(s)) if relevance[i] > relevance[j]]
    loss = sum(np.log(1 + np.exp(-(s[i] - s[j]))) for i, j in pairs) / len(pairs)

    def backward(dloss):
        ds = np.zeros_like(s)
        for i, j in pairs:
            lambda_ij = -sigmoid(s[j] - s[i]) * dloss / len(pairs)
            ds[i] += lambda_ij
            ds[j] += lambda_ij  # right: ds[j] -= lambda_ij
        return np.outer(ds, w), X.T @ ds, None

    return loss, backward


@mutant(
    "simclr_temperature_on_the_way_there_only",
    cause="missing-factor",
    also=("constant-factor",),
    inputs=lambda rng: (rng.standard_normal((8, 3)),),
    wrong=("dz",),
    note="the similarities are divided by 0.3",
)
def simclr_temperature_on_the_way_there_only(z):
    """Two views of every picture: rows n and n + N belong together, all others are negatives."""
    tau, M = 0.3, len(z)
    sim = z @ z.T / tau
    np.fill_diagonal(sim, -np.inf)  # nobody is compared with himself
    partner = (np.arange(M) + M // 2) % M
    p = stable_softmax(sim)
    loss = -np.mean(np.log(p[np.arange(M), partner]))

    def backward(dloss):
        dsim = p.copy()
        dsim[np.arange(M), partner] -= 1
        dsim *= dloss / M
        # missing: dsim /= tau
        return dsim @ z + dsim.T @ z

    return loss, backward


def j1_logsumexp(a, axis):
    top = a.max(axis=axis, keepdims=True)
    return np.log(np.exp(a - top).sum(axis=axis)) + top.squeeze(axis)


def j1_tagged_sentences(rng):
    """Scores (N, T, K) of the tags, scores (K, K) of a tag after another, and the tags, of which pairs come again."""
    tags = np.array([[0, 1, 0, 1, 2, 0, 1], [2, 2, 2, 1, 0, 2, 2]])
    return rng.standard_normal((2, 7, 3)), rng.standard_normal((3, 3)), tags


@mutant(
    "crf_takes_off_a_pair_of_tags_once_a_sentence",
    cause="repeated-ids-assigned",
    inputs=j1_tagged_sentences,
    wrong=("dtrans",),
    note="what is expected less what is there, and there a pair may be twice",
)
def crf_takes_off_a_pair_of_tags_once_a_sentence(emit, trans, tags):
    N, T, K = emit.shape
    alpha, beta = np.zeros_like(emit), np.zeros_like(emit)
    alpha[:, 0] = emit[:, 0]
    for t in range(1, T):
        alpha[:, t] = j1_logsumexp(alpha[:, t - 1, :, None] + trans, axis=1) + emit[:, t]
    for t in range(T - 2, -1, -1):
        beta[:, t] = j1_logsumexp(trans + (emit[:, t + 1] + beta[:, t + 1])[:, None, :], axis=2)
    log_z = j1_logsumexp(alpha[:, -1], axis=1)
    loss = 0.0
    for n, y in enumerate(tags):
        loss += log_z[n] - emit[n, np.arange(T), y].sum() - trans[y[:-1], y[1:]].sum()

    def backward(dloss):
        demit, dtrans = np.exp(alpha + beta - log_z[:, None, None]), np.zeros_like(trans)
        for n, y in enumerate(tags):
            demit[n, np.arange(T), y] -= 1
            for t in range(T - 1):
                after = emit[n, t + 1] + beta[n, t + 1]
                dtrans += np.exp(alpha[n, t][:, None] + trans + after[None, :] - log_z[n])
            dtrans[y[:-1], y[1:]] -= 1  # right: np.subtract.at(dtrans, (y[:-1], y[1:]), 1)
        return dloss * demit, dloss * dtrans, None

    return loss, backward


@mutant(
    "focal_loss_focus_is_a_constant",
    cause="branch-missing",
    inputs=lambda rng: (1.5 * rng.standard_normal((5, 4)), np.array([3, 0, 0, 2, 1])),
    wrong=("dlogits",),
    note="the probability stands in the logarithm and in the factor before it",
)
def focal_loss_focus_is_a_constant(logits, y):
    """What is right already counts less."""
    gamma, N = 2.0, len(y)
    p = stable_softmax(logits)
    p_t = p[np.arange(N), y]
    loss = np.mean(-((1 - p_t) ** gamma) * np.log(p_t))

    def backward(dloss):
        dp_t = -((1 - p_t) ** gamma) / p_t
        # missing: dp_t = dp_t + gamma * (1 - p_t) ** (gamma - 1) * np.log(p_t)
        one_hot = np.eye(logits.shape[1])[y]
        dlogits = (dp_t * p_t)[:, None] * (one_hot - p)
        return dloss * dlogits / N, None

    return loss, backward


def j1_word_pairs(rng):
    """Words (N,), one of the words around each (N,), five drawn at random (N, 5), and two tables (V, D)."""
    centers, outside = np.array([0, 3, 1, 3]), np.array([2, 1, 5, 4])
    negatives = np.array([[1, 4, 4, 6, 3], [0, 5, 2, 6, 0], [6, 6, 3, 0, 2], [2, 1, 0, 5, 6]])
    return centers, outside, negatives, rng.standard_normal((7, 3)), rng.standard_normal((7, 3))


@mutant(
    "skip_gram_last_negative_speaks_for_all",
    cause="sum-missing",
    inputs=j1_word_pairs,
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
