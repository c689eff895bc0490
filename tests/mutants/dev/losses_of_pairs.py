# ruff: noqa: RUF059 (students unpack every shape)
"""Losses that hold things against each other: ranks, margins, paths: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import sigmoid, softmax_rows, stable_softmax


def faces(rng):
    """A face, another of the same person, one of a stranger (N, D): some strangers are far enough, some are not."""
    anchor = rng.standard_normal((6, 3))
    positive = anchor + 0.4 * rng.standard_normal((6, 3))
    distance = np.array([0.5, 3.0, 0.7, 0.4, 2.5, 0.6])
    direction = rng.standard_normal((6, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return anchor, positive, anchor + distance[:, None] * direction


@mutant(
    "triplet_loss_stranger_is_pulled_closer",
    cause="wrong-sign",
    inputs=faces,
    wrong=("dnegative",),
    note="the distance to the stranger has a minus of its own",
)
def triplet_loss_stranger_is_pulled_closer(anchor, positive, negative):
    alpha = 0.8
    pos_dist = np.sum((anchor - positive) ** 2, axis=1)
    neg_dist = np.sum((anchor - negative) ** 2, axis=1)
    basic_loss = pos_dist - neg_dist + alpha
    loss = np.mean(np.maximum(basic_loss, 0))

    def backward(dloss):
        active = dloss * (basic_loss > 0)[:, np.newaxis] / len(anchor)
        danchor = 2 * active * (negative - positive)
        dpositive = 2 * active * (positive - anchor)
        dnegative = 2 * active * (negative - anchor)  # right: dnegative = 2 * active * (anchor - negative)
        return danchor, dpositive, dnegative

    return loss, backward


def triplets_2(rng):
    """Anchors, positives and negatives (N, D), some of them far enough apart."""
    anchor = rng.standard_normal((6, 4))
    near, far = anchor + 0.8 * rng.standard_normal((6, 4)), anchor + 0.8 * rng.standard_normal((6, 4))
    far[::2] += 1.5
    return anchor, near, far


@mutant(
    "triplet_loss_learns_from_triplets_that_are_settled",
    cause="activation-derivative-missing",
    inputs=triplets_2,
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


def logsumexp(a, axis):
    top = a.max(axis=axis, keepdims=True)
    return np.log(np.exp(a - top).sum(axis=axis)) + top.squeeze(axis)


def tagged_sentences(rng):
    """Scores (N, T, K) of the tags, scores (K, K) of a tag after another, and the tags, of which pairs come again."""
    tags = np.array([[0, 1, 0, 1, 2, 0, 1], [2, 2, 2, 1, 0, 2, 2]])
    return rng.standard_normal((2, 7, 3)), rng.standard_normal((3, 3)), tags


@mutant(
    "crf_takes_off_a_pair_of_tags_once_a_sentence",
    cause="repeated-ids-assigned",
    inputs=tagged_sentences,
    wrong=("dtrans",),
    note="what is expected less what is there, and there a pair may be twice",
)
def crf_takes_off_a_pair_of_tags_once_a_sentence(emit, trans, tags):
    N, T, K = emit.shape
    alpha, beta = np.zeros_like(emit), np.zeros_like(emit)
    alpha[:, 0] = emit[:, 0]
    for t in range(1, T):
        alpha[:, t] = logsumexp(alpha[:, t - 1, :, None] + trans, axis=1) + emit[:, t]
    for t in range(T - 2, -1, -1):
        beta[:, t] = logsumexp(trans + (emit[:, t + 1] + beta[:, t + 1])[:, None, :], axis=2)
    log_z = logsumexp(alpha[:, -1], axis=1)
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


@mutant("sequence_loss_counts_padding", cause="wrong-count", like="cross_entropy", wrong=("dlogits",))
def sequence_loss_counts_padding(logits, target, mask):
    T, N, V = logits.shape
    shifted = logits - logits.max(axis=2, keepdims=True)
    logp = shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
    total = mask.sum()
    nll = 0.0
    for t in range(T):
        for n in range(N):
            if mask[t, n]:
                nll -= logp[t, n, target[t, n]]

    def backward(dloss, dcount):
        d = np.exp(logp)
        for t in range(T):
            for n in range(N):
                d[t, n, target[t, n]] -= 1
                if not mask[t, n]:
                    d[t, n] = 0
        return dloss * d / (T * N), None, None  # right: return dloss * d / total, None, None

    return (np.asarray(nll / total), np.asarray(float(total))), backward


@mutant(
    "sequence_loss_learns_padding",
    cause="mask-only-in-loss",
    also=("mask-not-applied",),
    like="cross_entropy",
    wrong=("dlogits",),
)
def sequence_loss_learns_padding(logits, target, mask):
    V = logits.shape[-1]
    x, y, m = logits.reshape(-1, V), target.ravel(), mask.ravel()
    probs = np.exp(x - np.max(x, axis=1, keepdims=True))
    probs /= np.sum(probs, axis=1, keepdims=True)
    count = m.sum().astype(float)
    loss = -np.sum(m * np.log(probs[np.arange(len(y)), y])) / count

    def backward(dloss, dcount):
        dx = probs.copy()
        dx[np.arange(len(y)), y] -= 1
        dx /= count
        # missing: dx *= m[:, None]
        return dloss * dx.reshape(logits.shape), None, None

    return (loss, count), backward


def pixels(rng):
    return 2 * rng.standard_normal((4, 6)), rng.integers(0, 2, (4, 6))


@mutant("bce_sigmoid_derivative_once_more", cause="activation-derivative-doubled", inputs=pixels, wrong=("dlogits",))
def bce_sigmoid_derivative_once_more(logits, black):
    """The derivative of the two together, p - t, has the sigmoid's in it already."""
    p = 1 / (1 + np.exp(-logits))
    loss = -np.mean(np.where(black, np.log(p), np.log(1 - p)))

    def backward(dloss):
        dlogits = dloss * (p - black) / p.size
        dlogits = dlogits * p * (1 - p)  # right: dlogits = dlogits * 1
        return dlogits, None

    return loss, backward


def triplets(rng):
    """Anchors, rows of the same kind and rows of another kind, all (N, D); about half of them are far enough apart."""
    anchor = rng.standard_normal((7, 4))
    return anchor, anchor + 0.8 * rng.standard_normal((7, 4)), anchor + 1.2 * rng.standard_normal((7, 4))


@mutant(
    "triplet_loss_easy_triplets_pull_too",
    cause="activation-derivative-missing",
    inputs=triplets,
    wrong=("da", "dp", "dn"),
    note="max(0, .) of the loss is passed as if it were the identity",
)
def triplet_loss_easy_triplets_pull_too(a, p, n):
    """Squared distances, mean over the batch."""
    batch, alpha = len(a), 0.5
    pos_dist = np.sum(np.square(a - p), axis=1)
    neg_dist = np.sum(np.square(a - n), axis=1)
    basic_loss = pos_dist - neg_dist + alpha
    loss = np.sum(np.maximum(basic_loss, 0.0)) / batch

    def backward(dloss):
        # right: dbasic = dloss * (basic_loss > 0)[:, None] / batch
        dbasic = dloss * np.ones((batch, 1)) / batch
        da = dbasic * 2 * (n - p)
        dp = dbasic * -2 * (a - p)
        dn = dbasic * 2 * (a - n)
        return da, dp, dn

    return loss, backward


def time_major_scores(rng):
    """The decoder's scores (T, N, V), and the words (N, T) as they come from the data, 0 for padding."""
    words = np.array([[3, 1, 5, 2], [4, 4, 0, 0], [2, 6, 1, 0]])
    return 2 * rng.standard_normal((4, 3, 7)), words


@mutant(
    "sequence_loss_of_turned_scores_not_turned_back",
    cause="permuted-axes",
    inputs=time_major_scores,
    wrong=("dscores",),
    note="the rows lie in the order of the batch, and are reshaped as if they lay in the order of time",
)
def sequence_loss_of_turned_scores_not_turned_back(scores, words):
    """Cross-entropy, mean over the words that are no padding."""
    T, N, V = scores.shape
    flat = scores.transpose(1, 0, 2).reshape(N * T, V)
    labels = words.reshape(-1)
    keep = labels != 0
    flat = flat - flat.max(axis=1, keepdims=True)
    probs = np.exp(flat) / np.exp(flat).sum(axis=1, keepdims=True)
    picked = -np.log(probs[np.arange(N * T), labels])
    loss = np.sum(picked * keep) / keep.sum()

    def backward(dloss):
        dflat = probs.copy()
        dflat[np.arange(N * T), labels] -= 1
        dflat *= dloss * keep[:, None] / keep.sum()
        return dflat.reshape(T, N, V), None  # right: return dflat.reshape(N, T, V).transpose(1, 0, 2), None

    return loss, backward


def tagged_sentence(rng):
    """Scores of the tags at each word (T, K), of one tag after another (K, K), and the right tags (T,)."""
    return rng.standard_normal((8, 3)), rng.standard_normal((3, 3)), np.array([0, 1, 0, 1, 2, 2, 2, 0])


def logsumexp_2(a, axis):
    top = a.max(axis=axis, keepdims=True)
    return (top + np.log(np.exp(a - top).sum(axis=axis, keepdims=True))).squeeze(axis)


@mutant(
    "crf_transition_seen_twice_is_taken_off_once",
    cause="repeated-ids-assigned",
    inputs=tagged_sentence,
    wrong=("dtransitions",),
    note="expected counts minus those seen, and some are seen twice",
)
def crf_transition_seen_twice_is_taken_off_once(emissions, transitions, tags):
    """Minus the log-probability of the right path."""
    T, K = emissions.shape
    alpha, beta = np.zeros((T, K)), np.zeros((T, K))
    alpha[0] = emissions[0]
    for t in range(1, T):
        alpha[t] = emissions[t] + logsumexp_2(alpha[t - 1][:, None] + transitions, axis=0)
    for t in reversed(range(T - 1)):
        beta[t] = logsumexp_2(transitions + emissions[t + 1] + beta[t + 1], axis=1)
    log_z = logsumexp_2(alpha[-1], axis=0)
    score = emissions[np.arange(T), tags].sum() + transitions[tags[:-1], tags[1:]].sum()

    def backward(dloss):
        demissions = np.exp(alpha + beta - log_z)
        demissions[np.arange(T), tags] -= 1
        dtransitions = np.zeros_like(transitions)
        for t in range(1, T):
            dtransitions += np.exp(alpha[t - 1][:, None] + transitions + emissions[t] + beta[t] - log_z)
        # right: np.subtract.at(dtransitions, (tags[:-1], tags[1:]), 1)
        dtransitions[tags[:-1], tags[1:]] -= 1
        return dloss * demissions, dloss * dtransitions, None

    return log_z - score, backward


def faces_2(rng):
    """Three pictures' vectors (N, D): somebody, the same again, somebody else."""
    anchor, positive, negative = (rng.standard_normal((6, 3)) for _ in range(3))
    return anchor, positive, negative


@mutant(
    "triplet_loss_distance_derived_as_its_difference",
    cause="missing-factor",
    inputs=faces_2,
    wrong=("danchor", "dpositive", "dnegative"),
    note="the distances are roots, the slope of a root has the root below it",
)
def triplet_loss_distance_derived_as_its_difference(anchor, positive, negative):
    margin, N = 0.8, len(anchor)
    to_pos, to_neg = anchor - positive, anchor - negative
    d_pos = np.sqrt(np.sum(to_pos**2, axis=1, keepdims=True))
    d_neg = np.sqrt(np.sum(to_neg**2, axis=1, keepdims=True))
    basic_loss = d_pos - d_neg + margin
    loss = np.maximum(basic_loss, 0).sum() / N

    def backward(dloss):
        active = dloss * (basic_loss > 0) / N
        dto_pos = active * to_pos  # right: dto_pos = active * to_pos / d_pos
        dto_neg = -active * to_neg  # right: dto_neg = -active * to_neg / d_neg
        return dto_pos + dto_neg, -dto_pos, -dto_neg

    return loss, backward


def two_sides(rng):
    """Rows (N, D), weights (D,), a bias (1,), +1 or -1 for each row."""
    labels = np.array([1, -1, -1, 1, 1, -1, 1, -1, 1])
    X, w, b = (rng.standard_normal(s) for s in [(9, 3), (3,), (1,)])
    return X + 0.4 * labels[:, None] * np.sign(w), 0.8 * w, 0.2 * b, labels


@mutant(
    "soft_margin_svm_learns_like_a_perceptron",
    cause="derivative-at-preactivation",
    inputs=two_sides,
    wrong=("dX", "dw", "db"),
    note="max(0, 1 - y f) is asked whether y f is below 0: rows on the right side, within the margin, are left out",
)
def soft_margin_svm_learns_like_a_perceptron(X, w, b, y):
    C = 0.8
    loss = 0.5 * np.dot(w, w)
    for i in range(len(X)):
        loss += C * max(0, 1 - y[i] * (np.dot(X[i], w) + b[0]))

    def backward(dloss):
        dX, dw, db = np.zeros_like(X), np.copy(w), np.zeros_like(b)
        for i in range(len(X)):
            condition = y[i] * (np.dot(X[i], w) + b[0])
            if condition < 0:  # right: if condition < 1:
                dw -= C * y[i] * X[i]
                db -= C * y[i]
                dX[i] = -C * y[i] * w
        return dloss * dX, dloss * dw, dloss * db, None

    return loss, backward


@mutant(
    "clip_loss_texts_find_their_pictures_unturned",
    cause="transposed",
    inputs=lambda rng: (rng.standard_normal((5, 3)), rng.standard_normal((5, 3))),
    wrong=("dimages", "dtexts"),
    note="the second half of the loss reads the square of scores by columns",
)
def clip_loss_texts_find_their_pictures_unturned(images, texts):
    """The n-th text belongs to the n-th picture; cross-entropy from both sides."""
    n, temperature = len(images), 0.7
    labels = np.arange(n)
    logits = images @ texts.T / temperature
    p_images, p_texts = softmax_rows(logits), softmax_rows(logits.T)
    loss_i = -np.log(p_images[labels, labels]).mean()
    loss_t = -np.log(p_texts[labels, labels]).mean()

    def backward(dloss):
        dlogits_i = (p_images - np.eye(n)) / n
        dlogits_t = (p_texts - np.eye(n)) / n
        # right: dlogits = dloss * (dlogits_i + dlogits_t.T) / 2
        dlogits = dloss * (dlogits_i + dlogits_t) / 2
        return dlogits @ texts / temperature, dlogits.T @ images / temperature

    return (loss_i + loss_t) / 2, backward


PAINTING = np.random.default_rng(5).standard_normal((3, 7))


@mutant(
    "style_loss_gram_matrix_derived_once",
    cause="constant-factor",
    also=("branch-missing",),
    inputs=lambda rng: (rng.standard_normal((3, 4, 5)),),
    wrong=("dfeatures",),
    note="F stands twice in F F^T: 4, not 2",
)
def style_loss_gram_matrix_derived_once(features):
    """How far the correlations of the channels are from those of a painting."""
    C, H, W = features.shape
    style_weight = 0.3
    F = features.reshape(C, H * W)
    gram = F @ F.T / (C * H * W)
    difference = gram - PAINTING @ PAINTING.T / PAINTING.size
    loss = style_weight * np.sum(difference**2)

    def backward(dloss):
        dgram = 2 * style_weight * dloss * difference
        dF = dgram @ F / (C * H * W)  # right: dF = (dgram + dgram.T) @ F / (C * H * W)
        return dF.reshape(features.shape)

    return loss, backward
