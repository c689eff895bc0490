# ruff: noqa: RUF059 (students unpack every shape)
"""Losses: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import classes, regression, sigmoid, softmax_2, softmax_3, stable_softmax, tokens_and_tables


def labelled_rows(rng):
    """Rows (N, D), a matrix (D, C), a bias (C,), and the right class (N,)."""
    X, W, b = (rng.standard_normal(s) for s in [(6, 4), (4, 3), (3,)])
    return X, W, b, np.array([2, 0, 1, 2, 2, 0])


@mutant(
    "softmax_classifier_penalty_without_its_two",
    cause="constant-factor",
    inputs=labelled_rows,
    wrong=("dW",),
    note="the half that goes with it is not in this loss",
)
def softmax_classifier_penalty_without_its_two(X, W, b, y):
    N, reg = X.shape[0], 0.4
    probs = softmax_2(X.dot(W) + b)
    data_loss = np.sum(-np.log(probs[range(N), y])) / N
    loss = data_loss + reg * np.sum(W * W)

    def backward(dloss):
        dscores = probs.copy()
        dscores[range(N), y] -= 1
        dscores *= dloss / N
        dW = X.T.dot(dscores)
        dW += dloss * reg * W  # right: dW += dloss * 2 * reg * W
        return dscores.dot(W.T), dW, np.sum(dscores, axis=0), None

    return loss, backward


@mutant(
    "softmax_loss_subtracts_from_the_probabilities_it_kept",
    cause="second-call-differs",
    inputs=classes,
    note="a second name is not a copy",
)
def softmax_loss_subtracts_from_the_probabilities_it_kept(scores, y):
    num_examples = len(scores)
    probs = softmax_2(scores)
    loss = -np.log(probs[np.arange(num_examples), y]).mean()

    def backward(dloss):
        dscores = probs  # right: dscores = probs.copy()
        dscores[np.arange(num_examples), y] -= 1
        return dloss * dscores / num_examples, None

    return loss, backward


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


@mutant(
    "classifier_loss_and_softmax_layer_both_derive",
    cause="softmax-applied-twice",
    inputs=labelled_rows,
    wrong=("dinputs", "dweights", "dbiases"),
    note="the short formula of the two together, and then the softmax layer's own backward",
)
def classifier_loss_and_softmax_layer_both_derive(inputs, weights, biases, y_true):
    samples = len(inputs)
    output = softmax_2(np.dot(inputs, weights) + biases)
    loss = np.mean(-np.log(output[range(samples), y_true]))

    def softmax_backward(dvalues):
        result = np.empty_like(dvalues)
        for i, (single_output, single_dvalues) in enumerate(zip(output, dvalues, strict=True)):
            column = single_output.reshape(-1, 1)
            jacobian = np.diagflat(column) - np.dot(column, column.T)
            result[i] = np.dot(jacobian, single_dvalues)
        return result

    def backward(dloss):
        dvalues = output.copy()
        dvalues[range(samples), y_true] -= 1
        dvalues = dloss * dvalues / samples
        dvalues = softmax_backward(dvalues)  # right: dvalues = 1 * dvalues
        return np.dot(dvalues, weights.T), np.dot(inputs.T, dvalues), np.sum(dvalues, axis=0), None

    return loss, backward


TEACHER = 3 * np.random.default_rng(4).standard_normal((5, 4))


@mutant(
    "distillation_temperature_on_the_way_there_only",
    cause="missing-factor",
    also=("constant-factor",),
    inputs=lambda rng: (2 * rng.standard_normal((5, 4)),),
    wrong=("dstudent",),
    note="the scores are divided by it before the softmax",
)
def distillation_temperature_on_the_way_there_only(student):
    """Cross-entropy to what a larger network says, both softened."""
    temperature, N = 2.5, len(student)
    soft_targets = softmax_2(TEACHER / temperature)
    soft_probs = softmax_2(student / temperature)
    loss = -np.sum(soft_targets * np.log(soft_probs)) / N

    def backward(dloss):
        dlogits = dloss * (soft_probs - soft_targets) / N
        return dlogits  # right: return dlogits / temperature

    return loss, backward


def head_inputs(rng):
    """States (N, T, H), a matrix (H, V), a bias (V,), and the ids of the words (N, T)."""
    h, W, b = (rng.standard_normal(s) for s in [(2, 4, 3), (3, 6), (6,)])
    return h, W, b, np.array([[2, 0, 5, 2], [1, 4, 4, 3]])


@mutant(
    "next_word_loss_lands_on_the_next_word",
    cause="off-by-one",
    inputs=head_inputs,
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
    inputs=head_inputs,
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


@mutant("cross_entropy_sum_not_mean", cause="wrong-count", inputs=classes, wrong=("dx",))
def cross_entropy_sum_not_mean(x, y):
    N = len(x)
    p = np.exp(x) / np.exp(x).sum(axis=1)[:, None]
    onehot = np.eye(x.shape[1])[y]
    loss = -np.mean(np.sum(onehot * np.log(p), axis=1))

    def backward(dout):
        dx = dout * (p - onehot)  # right: dx = dout * (p - onehot) / N
        assert len(dx) == N
        return dx, None

    return loss, backward


@mutant("cross_entropy_softmax_of_softmax", cause="softmax-applied-twice", inputs=classes, wrong=("dscores",))
def cross_entropy_softmax_of_softmax(scores, labels):
    def softmax(a):
        e = np.exp(a - a.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    probs = softmax(scores)
    N = scores.shape[0]
    loss = np.mean([-np.log(probs[n, labels[n]]) for n in range(N)])

    def backward(dloss):
        grad = softmax(probs)  # right: grad = probs.copy()
        for n in range(N):
            grad[n, labels[n]] -= 1
        return dloss * grad / N, None

    return np.float64(loss), backward


def token_ids(rng):
    return 1.5 * rng.standard_normal((5, 3, 6)), rng.integers(0, 6, (5, 3))


@mutant("language_model_target_not_shifted", cause="off-by-one", inputs=token_ids, wrong=("dlogits",))
def language_model_target_not_shifted(logits, ids):
    """The logits at t are to tell the token at t + 1; the last has nothing to tell."""
    T, N, V = logits.shape
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    n = np.arange(N)
    loss = 0
    for t in range(T - 1):
        loss = loss - np.log(p[t, n, ids[t + 1]]).sum()
    loss = loss / ((T - 1) * N)

    def backward(dloss):
        dlogits = np.zeros_like(logits)
        for t in range(T - 1):
            dlogits[t] = p[t]
            dlogits[t, n, ids[t]] -= 1  # right: dlogits[t, n, ids[t + 1]] -= 1
        return dloss * dlogits / ((T - 1) * N), None

    return loss, backward


def linear_classifier(rng):
    return rng.standard_normal((6, 4)), rng.standard_normal((5, 6)), rng.integers(0, 4, 5)


@mutant("softmax_classifier_without_penalty", cause="branch-missing", inputs=linear_classifier, wrong=("dW",))
def softmax_classifier_without_penalty(W, X, y):
    """Softmax loss of a linear classifier, with a penalty on W."""
    reg, N = 0.3, len(X)
    f = X.dot(W)
    f = f - f.max(axis=1, keepdims=True)
    p = np.exp(f)
    p = p / p.sum(axis=1, keepdims=True)
    loss = -np.log(p[range(N), y]).sum() / N + reg * np.sum(W * W)

    def backward(dloss):
        df = p.copy()
        df[range(N), y] -= 1
        df *= dloss / N
        dW = X.T.dot(df)  # right: dW = X.T.dot(df) + 2 * dloss * reg * W
        return dW, df.dot(W.T), None

    return loss, backward


@mutant("mse_divided_by_the_batch", cause="wrong-count", inputs=regression, wrong=("dy_hat", "dy"))
def mse_divided_by_the_batch(y_hat, y):
    N, D = y_hat.shape
    loss = 0.0
    for n in range(N):
        for d in range(D):
            loss += (y_hat[n, d] - y[n, d]) ** 2 / (N * D)

    def backward(dout):
        g = dout * 2 * (y_hat - y) / N  # right: g = dout * 2 * (y_hat - y) / (N * D)
        return g, 0 - g

    return loss, backward


@mutant(
    "policy_gradient_upstream_ignored",
    cause="missing-factor",
    inputs=lambda rng: (rng.standard_normal((4, 3)),),
    wrong=("dlog_prob",),
)
def policy_gradient_upstream_ignored(log_prob):
    """A loss that takes its upstream gradient for 1."""
    advantage = np.linspace(-1, 2, log_prob.size).reshape(log_prob.shape)
    loss = -(advantage * log_prob).mean()

    def backward(dloss):
        d = -advantage / advantage.size  # right: d = -dloss * advantage / advantage.size
        return d

    return loss, backward


@mutant("reinforce_counts_the_padding", cause="wrong-count", like="reinforce", wrong=("dlog_prob",))
def reinforce_counts_the_padding(log_prob, mask):
    reward = np.linspace(-1, 2, log_prob.size).reshape(log_prob.shape)
    loss = -(reward * log_prob)[mask].sum() / mask.sum()

    def backward(dloss):
        dlog_prob = -dloss * reward * mask
        dlog_prob /= mask.size  # right: dlog_prob /= mask.sum()
        return dlog_prob, None

    return loss, backward


@mutant("absolute_error_same_sign_for_both", cause="wrong-sign", inputs=regression, wrong=("dtarget",))
def absolute_error_same_sign_for_both(x, target):
    side = np.where(x > target, 1.0, -1.0)
    loss = np.abs(x - target).sum() / len(x)

    def backward(dloss):
        dx = dloss * side / len(x)
        dtarget = dx.copy()  # right: dtarget = -dx
        return dx, dtarget

    return loss, backward


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


def ratings(rng):
    """What four people (U, K) and six films (I, K) are like, and stars from 1 to 5, 0 where no one has voted."""
    stars = rng.integers(1, 6, (4, 6)) * (rng.random((4, 6)) < 0.6)
    return rng.standard_normal((4, 3)), rng.standard_normal((6, 3)), stars


@mutant(
    "ratings_never_given_count_as_zero_stars",
    cause="mask-not-applied",
    inputs=ratings,
    wrong=("dpeople", "dfilms"),
)
def ratings_never_given_count_as_zero_stars(people, films, stars):
    """Squared error of a factorisation, mean over the votes."""
    voted = stars > 0
    error = people @ films.T - stars
    votes = voted.sum()
    loss = np.sum(error[voted] ** 2) / votes

    def backward(dloss):
        dguess = 2 * dloss * error / votes  # right: dguess = 2 * dloss * error * voted / votes
        return dguess @ films, dguess.T @ people, None

    return loss, backward


def three_inputs_one_output(rng):
    """Rows (N, 3), matrices of two layers, a yes or no for each row (N, 1)."""
    return *(rng.standard_normal(s) for s in [(6, 3), (3, 4), (4, 1)]), rng.integers(0, 2, (6, 1))


@mutant(
    "tiny_network_slope_of_the_output_twice",
    cause="activation-derivative-doubled",
    inputs=three_inputs_one_output,
    wrong=("dX", "dsyn0", "dsyn1"),
    note="p - y is the gradient at the logit already; the line with the slope is from the code for squared error",
)
def tiny_network_slope_of_the_output_twice(X, syn0, syn1, y):
    """Two sigmoid layers, binary cross-entropy."""

    def nonlin(x, deriv=False):
        return x * (1 - x) if deriv else 1 / (1 + np.exp(-x))

    l1 = nonlin(np.dot(X, syn0))
    l2 = nonlin(np.dot(l1, syn1))
    loss = -np.mean(y * np.log(l2) + (1 - y) * np.log(1 - l2))

    def backward(dloss):
        l2_error = dloss * (l2 - y) / len(y)
        l2_delta = l2_error * nonlin(l2, deriv=True)  # right: l2_delta = l2_error
        l1_error = l2_delta.dot(syn1.T)
        l1_delta = l1_error * nonlin(l1, deriv=True)
        return l1_delta.dot(syn0.T), X.T.dot(l1_delta), l1.T.dot(l2_delta), None

    return loss, backward


def linear_classifier_inputs(rng):
    """Rows (N, D), a matrix (D, C) and a bias (C,), the right class (N,)."""
    return *(rng.standard_normal(s) for s in [(6, 4), (4, 3), (3,)]), rng.integers(0, 3, 6)


@mutant(
    "softmax_classifier_subtracts_in_its_probabilities",
    cause="second-call-differs",
    inputs=linear_classifier_inputs,
    note="dscores is another name for probs, and not a copy",
)
def softmax_classifier_subtracts_in_its_probabilities(X, W, b, y):
    num_examples = X.shape[0]
    scores = np.dot(X, W) + b
    exp_scores = np.exp(scores)
    probs = exp_scores / np.sum(exp_scores, axis=1, keepdims=True)
    correct_logprobs = -np.log(probs[range(num_examples), y])
    loss = np.sum(correct_logprobs) / num_examples

    def backward(dloss):
        dscores = probs  # right: dscores = probs.copy()
        dscores[range(num_examples), y] -= 1
        dscores /= num_examples
        dscores *= dloss
        return np.dot(dscores, W.T), np.dot(X.T, dscores), np.sum(dscores, axis=0), None

    return loss, backward


def columns_of_examples(rng):
    """Examples (n_x, m), a row of weights (1, n_x), a bias (1, 1), a yes or no for each example (1, m)."""
    Y = np.array([[1, 0, 0, 1, 0, 1]])
    return rng.standard_normal((4, 6)), 0.7 * rng.standard_normal((1, 4)), rng.standard_normal((1, 1)), Y


@mutant(
    "logistic_cost_minus_without_its_parentheses",
    cause="wrong-sign",
    inputs=columns_of_examples,
    wrong=("dX", "dW", "db"),
    note="-Y / AL - ... for -(Y / AL - ...): the examples of class 0 are pushed the wrong way",
)
def logistic_cost_minus_without_its_parentheses(X, W, b, Y):
    m = X.shape[1]
    Z = np.dot(W, X) + b
    AL = 1 / (1 + np.exp(-Z))
    cost = -1 / m * np.sum(Y * np.log(AL) + (1 - Y) * np.log(1 - AL))

    def backward(dcost):
        # right: dAL = -(np.divide(Y, AL) - np.divide(1 - Y, 1 - AL))
        dAL = -np.divide(Y, AL) - np.divide(1 - Y, 1 - AL)
        dZ = dcost * dAL * AL * (1 - AL)
        dW = 1 / m * np.dot(dZ, X.T)
        db = 1 / m * np.sum(dZ, axis=1, keepdims=True)
        return 1 / m * np.dot(W.T, dZ), dW, db, None

    return cost, backward


def two_layer_inputs(rng):
    """Rows (N, D), matrix and bias of a hidden layer and of the scores, the right class (N,)."""
    shapes = [(6, 4), (4, 5), (5,), (5, 3), (3,)]
    return *(rng.standard_normal(s) for s in shapes), rng.integers(0, 3, 6)


@mutant(
    "two_layer_net_forgets_the_weight_decay",
    cause="branch-missing",
    inputs=two_layer_inputs,
    wrong=("dW1", "dW2"),
    note="the penalty is in the loss, and not in the gradient",
)
def two_layer_net_forgets_the_weight_decay(X, W1, b1, W2, b2, y):
    N, reg = X.shape[0], 0.05
    hidden = np.maximum(0, X.dot(W1) + b1)
    scores = hidden.dot(W2) + b2
    shifted = scores - scores.max(axis=1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    data_loss = -log_probs[np.arange(N), y].mean()
    reg_loss = reg * (np.sum(W1 * W1) + np.sum(W2 * W2))

    def backward(dloss):
        dscores = np.exp(log_probs)
        dscores[np.arange(N), y] -= 1
        dscores *= dloss / N
        dW2 = hidden.T.dot(dscores)
        dhidden = dscores.dot(W2.T)
        dhidden[hidden <= 0] = 0
        dW1 = X.T.dot(dhidden)
        # missing: dW2 += dloss * 2 * reg * W2
        # missing: dW1 += dloss * 2 * reg * W1
        return dhidden.dot(W1.T), dW1, dhidden.sum(axis=0), dW2, dscores.sum(axis=0), None

    return data_loss + reg_loss, backward


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


@mutant(
    "huber_loss_tails_without_delta",
    cause="missing-factor",
    inputs=lambda rng: (2 * rng.standard_normal((5, 3)), rng.standard_normal((5, 3))),
    wrong=("dy_pred", "dy_true"),
    note="the formula of the tails is for delta = 1, where delta is not seen",
)
def huber_loss_tails_without_delta(y_pred, y_true):
    delta = 1.6
    n = y_pred.size
    err = y_pred - y_true
    is_small = np.abs(err) <= delta
    loss = np.sum(np.where(is_small, 0.5 * err**2, delta * (np.abs(err) - 0.5 * delta))) / n

    def backward(dloss):
        # right: grad = np.where(is_small, err, delta * np.sign(err))
        grad = np.where(is_small, err, np.sign(err))
        grad = dloss * grad / n
        return grad, -grad

    return loss, backward


@mutant(
    "focal_loss_weight_taken_for_a_constant",
    cause="branch-missing",
    inputs=lambda rng: (1.5 * rng.standard_normal((4, 5)), rng.integers(0, 2, (4, 5))),
    wrong=("dlogits",),
    note="p_t stands in the logarithm and in the weight before it",
)
def focal_loss_weight_taken_for_a_constant(logits, targets):
    """Of a sigmoid, gamma 2."""
    gamma = 2
    p = 1 / (1 + np.exp(-logits))
    pt = np.where(targets == 1, p, 1 - p)
    weight = (1 - pt) ** gamma
    loss = np.mean(-weight * np.log(pt))

    def backward(dloss):
        dpt = -weight / pt
        # missing: dpt = dpt + gamma * (1 - pt) ** (gamma - 1) * np.log(pt)
        dp = np.where(targets == 1, dpt, -dpt)
        return dloss * dp * p * (1 - p) / p.size, None

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


@mutant(
    "softmax_loss_naive_divides_its_penalty_too",
    cause="wrong-count",
    inputs=lambda rng: (rng.standard_normal((4, 3)), rng.standard_normal((6, 4)), rng.integers(0, 3, 6)),
    wrong=("dW",),
    note="the penalty joins the gradient one line too early",
)
def softmax_loss_naive_divides_its_penalty_too(W, X, y):
    """With loops; the penalty is no mean."""
    reg = 0.3
    num_train, num_classes = X.shape[0], W.shape[1]
    loss, probs = 0.0, np.zeros((num_train, num_classes))
    for i in range(num_train):
        f = X[i].dot(W)
        f -= np.max(f)
        probs[i] = np.exp(f) / np.sum(np.exp(f))
        loss -= np.log(probs[i, y[i]])
    loss = loss / num_train + reg * np.sum(W * W)

    def backward(dloss):
        dW, dX = np.zeros_like(W), np.zeros_like(X)
        for i in range(num_train):
            for j in range(num_classes):
                dscore = probs[i, j] - (j == y[i])
                dW[:, j] += dscore * X[i]
                dX[i] += dscore * W[:, j] / num_train
        dW += 2 * reg * W  # right: dW /= num_train
        dW /= num_train  # right: dW += 2 * reg * W
        return dloss * dW, dloss * dX, None

    return loss, backward


def pictures_and_classes(rng):
    """Rows (N, D), a matrix (D, C), and the right class (N,)."""
    return rng.standard_normal((6, 4)), rng.standard_normal((4, 3)), rng.integers(0, 3, 6)


@mutant(
    "softmax_classifier_takes_one_from_the_probabilities_it_keeps",
    cause="second-call-differs",
    inputs=pictures_and_classes,
    note="a second name is no copy",
)
def softmax_classifier_takes_one_from_the_probabilities_it_keeps(X, W, y):
    num_train = X.shape[0]
    probs = softmax_3(X.dot(W))
    loss = -np.log(probs[np.arange(num_train), y]).sum() / num_train

    def backward(dloss):
        dscores = probs  # right: dscores = probs.copy()
        dscores[np.arange(num_train), y] -= 1
        dscores /= num_train
        return dloss * dscores.dot(W.T), dloss * X.T.dot(dscores), None

    return loss, backward


class SoftmaxActivation:
    """A layer of its own, with the whole Jacobian of each row."""

    def forward(self, inputs):
        self.output = softmax_3(inputs)
        return self.output

    def backward(self, dvalues):
        dinputs = np.empty_like(dvalues)
        for index, (single_output, single_dvalues) in enumerate(zip(self.output, dvalues, strict=True)):
            column = single_output.reshape(-1, 1)
            jacobian_matrix = np.diagflat(column) - np.dot(column, column.T)
            dinputs[index] = np.dot(jacobian_matrix, single_dvalues)
        return dinputs


@mutant(
    "categorical_loss_short_cut_and_the_long_way_round",
    cause="softmax-applied-twice",
    inputs=classes,
    wrong=("dlogits",),
    note="p - y is the gradient of the logits, and is given to the softmax layer as that of the probabilities",
)
def categorical_loss_short_cut_and_the_long_way_round(logits, y_true):
    activation = SoftmaxActivation()
    y_pred = activation.forward(logits)
    samples = len(y_pred)
    loss = np.mean(-np.log(y_pred[range(samples), y_true]))

    def backward(dloss):
        dvalues = y_pred.copy()
        dvalues[range(samples), y_true] -= 1
        dvalues = dloss * dvalues / samples
        return activation.backward(dvalues), None  # right: return dvalues, None

    return loss, backward


def two_layers_and_classes(rng):
    """Rows (N, D), matrices and biases of two layers, and the right class (N,)."""
    weights = (rng.standard_normal(s) for s in [(6, 3), (3, 5), (5,), (5, 4), (4,)])
    return *weights, rng.integers(0, 4, 6)


@mutant(
    "two_layer_net_decay_of_last_years_course",
    cause="constant-factor",
    inputs=two_layers_and_classes,
    wrong=("dW1", "dW2"),
    note="the loss has no half in front of its squares any more, the gradient is that with the half",
)
def two_layer_net_decay_of_last_years_course(X, W1, b1, W2, b2, y):
    N, reg = len(X), 0.35
    hidden = np.maximum(0, X.dot(W1) + b1)
    probs = softmax_3(hidden.dot(W2) + b2)
    data_loss = -np.mean(np.log(probs[range(N), y]))
    loss = data_loss + reg * (np.sum(W1 * W1) + np.sum(W2 * W2))

    def backward(dloss):
        dscores = probs.copy()
        dscores[range(N), y] -= 1
        dscores /= N
        dhidden = dscores.dot(W2.T)
        dhidden[hidden <= 0] = 0
        dW1 = X.T.dot(dhidden) + reg * W1  # right: dW1 = X.T.dot(dhidden) + 2 * reg * W1
        dW2 = hidden.T.dot(dscores) + reg * W2  # right: dW2 = hidden.T.dot(dscores) + 2 * reg * W2
        grads = dhidden.dot(W1.T), dW1, dhidden.sum(axis=0), dW2, dscores.sum(axis=0)
        return *(dloss * g for g in grads), None

    return loss, backward


def forecasts(rng):
    """Guesses and truths (N, D), many of them far apart, to either side."""
    return 2 * rng.standard_normal((6, 4)), 2 * rng.standard_normal((6, 4))


@mutant(
    "huber_loss_outliers_below_pushed_like_those_above",
    cause="wrong-sign",
    inputs=forecasts,
    wrong=("dpred", "dtarget"),
    note="|e| has the slope -1 on its left",
)
def huber_loss_outliers_below_pushed_like_those_above(pred, target):
    delta = 1.2
    error = pred - target
    small = np.abs(error) <= delta
    loss = np.where(small, 0.5 * error**2, delta * (np.abs(error) - 0.5 * delta)).mean()

    def backward(dloss):
        derror = error.copy()
        derror[error > delta] = delta
        derror[error < -delta] = delta  # right: derror[error < -delta] = -delta
        derror = dloss * derror / error.size
        return derror, -derror

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


def padded_reviews(rng):
    """Ids (N, T) with 0 at padding, and a table (V, D)."""
    return np.array([[3, 1, 4, 1, 2], [5, 2, 0, 0, 0], [2, 5, 3, 0, 0]]), tokens_and_tables(rng)[1]


@mutant(
    "review_mean_of_vectors_teaches_the_padding",
    cause="padding-id-gradient",
    also=("mask-not-applied",),
    inputs=padded_reviews,
    wrong=("dE",),
    note="left out of the mean, not of the gradient",
)
def review_mean_of_vectors_teaches_the_padding(ids, E):
    """Mean over the words that are there."""
    mask = (ids != 0).astype(float)[:, :, None]
    lengths = mask.sum(axis=1)
    mean = (E[ids] * mask).sum(axis=1) / lengths

    def backward(dmean):
        demb = np.repeat((dmean / lengths)[:, None, :], ids.shape[1], axis=1)
        # missing: demb = demb * mask
        dE = np.zeros_like(E)
        np.add.at(dE, ids, demb)
        return None, dE

    return mean, backward


def houses(rng):
    """Rows (m, n), weights (n,), a bias (1,), a price for each row (m,)."""
    return tuple(rng.standard_normal(s) for s in [(6, 4), (4,), (1,), (6,)])


@mutant(
    "ridge_regression_error_is_price_minus_guess",
    cause="wrong-sign",
    inputs=houses,
    wrong=("dX", "dw", "db"),
    note="squared, it does not matter which is taken from which",
)
def ridge_regression_error_is_price_minus_guess(X, w, b, y):
    m, lambd = len(X), 1.5
    error = y - (X @ w + b)
    cost = np.sum(error**2) / (2 * m) + lambd / (2 * m) * np.sum(w**2)

    def backward(dcost):
        dguess = dcost * error / m  # right: dguess = -dcost * error / m
        dw = X.T @ dguess + dcost * lambd / m * w
        db = np.sum(dguess, keepdims=True)
        return np.outer(dguess, w), dw, db, dcost * error / m

    return cost, backward


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


def organs(rng):
    """Logits (N, H, W), and which pixels belong to the organ."""
    return 1.5 * rng.standard_normal((3, 4, 5)), rng.integers(0, 2, (3, 4, 5))


@mutant(
    "dice_loss_size_of_the_guess_is_a_constant",
    cause="branch-missing",
    inputs=organs,
    wrong=("dlogits",),
    note="the guess stands in the overlap and in the sum below it",
)
def dice_loss_size_of_the_guess_is_a_constant(logits, target):
    """Mean over the pictures."""
    smooth, N = 1.0, len(logits)
    pred = 1 / (1 + np.exp(-logits))
    intersection = (pred * target).sum(axis=(1, 2), keepdims=True)
    total = pred.sum(axis=(1, 2), keepdims=True) + target.sum(axis=(1, 2), keepdims=True)
    dice = (2 * intersection + smooth) / (total + smooth)

    def backward(dloss):
        ddice = -dloss / N
        dpred = ddice * 2 * target / (total + smooth)
        # missing: dpred = dpred - ddice * (2 * intersection + smooth) / (total + smooth) ** 2
        return dpred * pred * (1 - pred), None

    return np.mean(1 - dice), backward


def softmax_rows(a):
    e = np.exp(a - a.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


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


@mutant(
    "log_softmax_derived_as_one_minus_p",
    cause="softmax-second-term-missing",
    like="log_softmax",
    wrong=("dx",),
    note="d log p_i / d x_i, and nothing for the other scores",
)
def log_softmax_derived_as_one_minus_p(x, mask):
    shifted = x - np.max(x, axis=-1, keepdims=True)
    logp = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))

    def backward(dlogp):
        p = np.exp(logp)
        # right: dx = dlogp - p * np.sum(dlogp, axis=-1, keepdims=True)
        dx = dlogp * (1 - p)
        return dx, None

    return logp, backward


@mutant(
    "weighted_classes_mean_over_the_batch_on_the_way_back",
    cause="wrong-count",
    also=("constant-factor",),
    inputs=lambda rng: (2 * rng.standard_normal((6, 3)), np.array([0, 2, 2, 1, 0, 2])),
    wrong=("dscores",),
    note="the forward divides by the weights of the rows that came, the backward by the number of rows",
)
def weighted_classes_mean_over_the_batch_on_the_way_back(scores, y):
    """Rare classes count more."""
    class_weights = np.array([1.0, 4.0, 0.5])
    N = scores.shape[0]
    w = class_weights[y]
    probs = softmax_rows(scores)
    loss = -np.sum(w * np.log(probs[np.arange(N), y])) / np.sum(w)

    def backward(dloss):
        dscores = probs.copy()
        dscores[np.arange(N), y] -= 1
        dscores *= w[:, np.newaxis]
        dscores /= N  # right: dscores /= np.sum(w)
        return dloss * dscores, None

    return loss, backward


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


def sure_and_unsure(rng):
    """Logits (N, 4), of which some are far out, as they are after long training, and yes or no."""
    logits = 2 * rng.standard_normal((3, 4))
    logits[0, 1], logits[2, 3] = 45, 60
    labels = rng.integers(0, 2, (3, 4))
    labels[0, 1], labels[2, 3] = 1, 0
    return logits, labels


@mutant(
    "bce_sure_of_itself_divides_by_zero",
    cause="not-finite",
    inputs=sure_and_unsure,
    wrong=("dlogits",),
    note="the loss is written with care, its gradient goes through a p that is rounded to 1",
)
def bce_sure_of_itself_divides_by_zero(logits, labels):
    loss = np.mean(np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-np.abs(logits))))

    def backward(dloss):
        p = 1 / (1 + np.exp(-logits))
        with np.errstate(divide="ignore", invalid="ignore"):  # the warnings were a nuisance
            # right: dlogits = p - labels
            dlogits = (-labels / p + (1 - labels) / (1 - p)) * p * (1 - p)
        return dloss * dlogits / logits.size, None

    return loss, backward
