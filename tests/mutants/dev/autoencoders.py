"""Autoencoders and codes: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import NOISE, normal, sigmoid, stable_softmax, vae_pieces


@mutant(
    "vae_encoder_divergence_derived_on_paper_with_sigma",
    cause="logvar-as-sigma",
    inputs=normal((4, 5), (5, 6), (6,), (6, 3), (6, 3), scale=0.8),
    wrong=("dx", "dW", "db", "dW_lv"),
    note="sigma - 1 / sigma is right for a layer that puts out sigma",
)
def vae_encoder_divergence_derived_on_paper_with_sigma(x, W, b, W_mu, W_lv):
    """Puts out a sample of the code and what it costs."""
    N = x.shape[0]
    h = np.tanh(x @ W + b)
    mu, logvar = h @ W_mu, h @ W_lv
    sigma = np.exp(logvar / 2)
    eps = np.random.default_rng(12).standard_normal(mu.shape)
    kl = 0.5 * np.sum(mu**2 + sigma**2 - logvar - 1) / N

    def backward(dz, dkl):
        dmu = dz + dkl * mu / N
        dlogvar = dz * eps * sigma / 2
        dlogvar += dkl * (sigma - 1 / sigma) / N  # right: dlogvar += dkl * 0.5 * (sigma**2 - 1) / N
        dpre = (dmu @ W_mu.T + dlogvar @ W_lv.T) * (1 - h**2)
        return dpre @ W.T, x.T @ dpre, dpre.sum(axis=0), h.T @ dmu, h.T @ dlogvar

    return (mu + sigma * eps, kl), backward


def sigmoid_2(a):
    return 1 / (1 + np.exp(-a))


@mutant(
    "tied_autoencoder_matrix_learns_as_decoder_only",
    cause="tied-counted-once",
    also=("branch-missing",),
    inputs=normal((5, 6), (6, 4), (4,), (6,), scale=0.8),
    wrong=("dW",),
)
def tied_autoencoder_matrix_learns_as_decoder_only(x, W, b_hid, b_vis):
    """The way back is the transpose of the way there."""
    N = len(x)
    y = sigmoid_2(x @ W + b_hid)
    z = sigmoid_2(y @ W.T + b_vis)
    cost = np.sum((z - x) ** 2) / (2 * N)

    def backward(dcost):
        error = dcost * (z - x) / N
        delta_vis = error * z * (1 - z)
        delta_hid = (delta_vis @ W) * y * (1 - y)
        dW = delta_vis.T @ y
        # missing: dW = dW + x.T @ delta_hid
        return delta_hid @ W.T - error, dW, delta_hid.sum(axis=0), delta_vis.sum(axis=0)

    return cost, backward


@mutant(
    "sparse_autoencoder_penalty_outside_the_bracket",
    cause="activation-derivative-missing",
    inputs=normal((5, 7), (4, 5), (4, 1), (5, 4), (5, 1), scale=0.8),
    wrong=("ddata", "dW1", "db1"),
    note="(W2^T delta3 + sparsity) f'(z2): the sparsity was added behind f'",
)
def sparse_autoencoder_penalty_outside_the_bracket(data, W1, b1, W2, b2):
    """A column for every patch; units should be on in one of ten."""
    m, rho, beta = data.shape[1], 0.1, 3
    a2 = sigmoid_2(W1 @ data + b1)
    a3 = sigmoid_2(W2 @ a2 + b2)
    rho_hat = a2.mean(axis=1, keepdims=True)
    sparsity = np.sum(rho * np.log(rho / rho_hat) + (1 - rho) * np.log((1 - rho) / (1 - rho_hat)))
    cost = np.sum((a3 - data) ** 2) / (2 * m) + beta * sparsity

    def backward(dcost):
        error = dcost * (a3 - data) / m
        delta3 = error * a3 * (1 - a3)
        sparsity_delta = dcost * beta * (-rho / rho_hat + (1 - rho) / (1 - rho_hat)) / m
        # right: delta2 = (W2.T @ delta3 + sparsity_delta) * a2 * (1 - a2)
        delta2 = (W2.T @ delta3) * a2 * (1 - a2) + sparsity_delta
        dW1, db1 = delta2 @ data.T, delta2.sum(axis=1, keepdims=True)
        dW2, db2 = delta3 @ a2.T, delta3.sum(axis=1, keepdims=True)
        return W1.T @ delta2 - error, dW1, db1, dW2, db2

    return cost, backward


@mutant(
    "codebook_vector_moved_by_one_of_its_followers",
    cause="repeated-ids-assigned",
    also=("sum-missing",),
    inputs=normal((8, 3), (4, 3)),
    wrong=("dcodebook",),
    note="`-=` with an index array; many codes are nearest to the same vector",
)
def codebook_vector_moved_by_one_of_its_followers(z_e, codebook):
    """Squared distance of each code from the nearest vector of the book."""
    distances = ((z_e[:, None] - codebook[None]) ** 2).sum(axis=2)
    nearest = distances.argmin(axis=1)
    diff = z_e - codebook[nearest]
    loss = np.sum(diff**2) / len(z_e)

    def backward(dloss):
        dz_e = dloss * 2 * diff / len(z_e)
        dcodebook = np.zeros_like(codebook)
        dcodebook[nearest] -= dz_e  # right: np.subtract.at(dcodebook, nearest, dz_e)
        return dz_e, dcodebook

    return loss, backward


def autoencoder(rng):
    """Data (N, D), matrix and bias of the code (H) and of the data (D)."""
    return tuple(0.8 * rng.standard_normal(s) for s in [(6, 4), (4, 3), (3,), (3, 4), (4,)])


@mutant(
    "mean_code_penalty_outside_the_bracket",
    cause="activation-derivative-missing",
    inputs=autoencoder,
    wrong=("dx", "dW1", "db1"),
    note="the penalty is on the activation, and goes through its sigmoid like the rest",
)
def mean_code_penalty_outside_the_bracket(x, W1, b1, W2, b2):
    """Half the squared error, and a divergence that keeps each hidden unit's mean near rho."""
    m, rho, beta = len(x), 0.2, 0.5
    a2 = sigmoid(x @ W1 + b1)
    a3 = sigmoid(a2 @ W2 + b2)
    rho_hat = a2.mean(axis=0)
    kl = rho * np.log(rho / rho_hat) + (1 - rho) * np.log((1 - rho) / (1 - rho_hat))
    cost = 0.5 * np.sum((a3 - x) ** 2) / m + beta * np.sum(kl)

    def backward(dcost):
        error = dcost * (a3 - x) / m
        delta3 = error * a3 * (1 - a3)
        sparsity = dcost * beta * (-rho / rho_hat + (1 - rho) / (1 - rho_hat)) / m
        # right: delta2 = (delta3 @ W2.T + sparsity) * a2 * (1 - a2)
        delta2 = delta3 @ W2.T * a2 * (1 - a2) + sparsity
        dx = delta2 @ W1.T - error
        return dx, x.T @ delta2, delta2.sum(axis=0), a2.T @ delta3, delta3.sum(axis=0)

    return cost, backward


@mutant(
    "denoising_autoencoder_learns_from_the_clean_picture",
    cause="missing-factor",
    inputs=autoencoder,
    wrong=("dW1",),
    note="the first layer saw the noisy one",
)
def denoising_autoencoder_learns_from_the_clean_picture(x, W1, b1, W2, b2):
    """Noise is added to the data, which is to be found again; mean squared error."""
    noisy = x + 0.7 * np.random.default_rng(5).standard_normal(x.shape)
    h = np.tanh(noisy @ W1 + b1)
    x_hat = h @ W2 + b2
    loss = np.mean((x_hat - x) ** 2)

    def backward(dloss):
        dx_hat = dloss * 2 * (x_hat - x) / x.size
        dW2, db2 = h.T @ dx_hat, dx_hat.sum(axis=0)
        da = (dx_hat @ W2.T) * (1 - h**2)
        dW1 = x.T @ da  # right: dW1 = noisy.T @ da
        return da @ W1.T - dx_hat, dW1, da.sum(axis=0), dW2, db2

    return loss, backward


@mutant(
    "autoencoder_of_one_matrix_encoder_has_the_last_word",
    cause="tied-counted-once",
    also=("branch-missing",),
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(5, 4), (4, 3), (3,), (4,)]),
    wrong=("dW",),
    note="the decoder is the encoder turned round",
)
def autoencoder_of_one_matrix_encoder_has_the_last_word(x, W, b_hid, b_vis):
    """A part of the data is set to zero; the decoder is W.T."""
    kept = np.random.default_rng(2).random(x.shape) < 0.7
    tilde_x = x * kept
    y = sigmoid(tilde_x @ W + b_hid)
    z = sigmoid(y @ W.T + b_vis)

    def backward(dz):
        L_vis = dz * z * (1 - z)
        dW = L_vis.T @ y
        L_hid = (L_vis @ W) * y * (1 - y)
        dW = tilde_x.T @ L_hid  # right: dW = dW + tilde_x.T @ L_hid
        return (L_hid @ W.T) * kept, dW, L_hid.sum(axis=0), L_vis.sum(axis=0)

    return z, backward


@mutant(
    "vector_quantiser_codes_taken_twice",
    cause="repeated-ids-assigned",
    also=("sum-missing",),
    inputs=lambda rng: (rng.standard_normal((8, 3)), rng.standard_normal((4, 3))),
    wrong=("dcodebook",),
    note="eight vectors, four codes",
)
def vector_quantiser_codes_taken_twice(z_e, codebook):
    """Mean squared distance of each vector from the code next to it."""
    distances = np.sum((z_e[:, None] - codebook[None]) ** 2, axis=2)
    nearest = distances.argmin(axis=1)
    z_q = codebook[nearest]
    loss = np.mean(np.sum((z_q - z_e) ** 2, axis=1))

    def backward(dloss):
        dz_q = dloss * 2 * (z_q - z_e) / len(z_e)
        dcodebook = np.zeros_like(codebook)
        dcodebook[nearest] += dz_q  # right: np.add.at(dcodebook, nearest, dz_q)
        return -dz_q, dcodebook

    return loss, backward


@mutant(
    "vae_kl_does_not_reach_the_encoder", cause="branch-missing", inputs=vae_pieces, wrong=("dx", "dW_mu", "dW_logvar")
)
def vae_kl_does_not_reach_the_encoder(x, W_mu, W_logvar, W_dec, b_dec):
    """Linear encoder and decoder; mu and logvar reach the loss by the sample and by the KL term."""
    eps = NOISE[: len(x), : W_mu.shape[1]]
    mu, logvar = x @ W_mu, x @ W_logvar
    std = np.exp(0.5 * logvar)
    z = mu + std * eps
    out = z @ W_dec + b_dec
    err = out - x
    loss = 0.5 * (err**2).sum() + 0.5 * (np.exp(logvar) + mu**2 - 1 - logvar).sum()

    def backward(dloss):
        dout = dloss * err
        dz = dout @ W_dec.T
        dmu = dz  # right: dmu = dz + dloss * mu
        dlogvar = dz * eps * 0.5 * std  # right: dlogvar = dz * eps * 0.5 * std + dloss * 0.5 * (np.exp(logvar) - 1)
        dx = dmu @ W_mu.T + dlogvar @ W_logvar.T - dout
        return dx, x.T @ dmu, x.T @ dlogvar, z.T @ dout, dout.sum(axis=0)

    return loss, backward


def encoder_heads_inputs(rng):
    """Hidden features (N, D), and for the mean and the log-variance a matrix (D, Z) and a bias (Z,)."""
    return tuple(0.7 * rng.standard_normal(s) for s in [(4, 5), (5, 3), (3,), (5, 3), (3,)])


@mutant(
    "encoder_sigma_left_out_of_the_chain",
    cause="missing-factor",
    inputs=encoder_heads_inputs,
    wrong=("dh", "dW_var", "db_var"),
    note="exp(v / 2) was derived as if the exponential went away: the half stays, sigma does not",
)
def encoder_sigma_left_out_of_the_chain(h, W_mu, b_mu, W_var, b_var):
    mu = h @ W_mu + b_mu
    log_var = h @ W_var + b_var
    sigma = np.exp(0.5 * log_var)
    z = mu + sigma * NOISE

    def backward(dz):
        dmu = dz
        dsigma = dz * NOISE
        dlog_var = dsigma * 0.5  # right: dlog_var = dsigma * 0.5 * sigma
        dh = dmu @ W_mu.T + dlog_var @ W_var.T
        return dh, h.T @ dmu, dmu.sum(axis=0), h.T @ dlog_var, dlog_var.sum(axis=0)

    return z, backward


def whole_encoder_inputs(rng):
    """Data (N, D), a matrix and a bias of the hidden layer (H), and of mean and log-variance (Z)."""
    shapes = [(4, 6), (6, 5), (5,), (5, 3), (3,), (5, 3), (3,)]
    return tuple(0.6 * rng.standard_normal(s) for s in shapes)


@mutant(
    "encoder_slope_of_tanh_asked_at_its_output",
    cause="derivative-at-preactivation",
    inputs=whole_encoder_inputs,
    wrong=("dx", "dW1", "db1"),
    note="the helper takes what goes into tanh, and is given what comes out",
)
def encoder_slope_of_tanh_asked_at_its_output(x, W1, b1, W_mean, b_mean, W_lv, b_lv):
    """From the data to a sample, with one hidden layer."""

    def dtanh(a):
        return 1.0 - np.tanh(a) ** 2

    a1 = x @ W1 + b1
    h1 = np.tanh(a1)
    mean, lv = h1 @ W_mean + b_mean, h1 @ W_lv + b_lv
    std = np.exp(lv / 2)

    def backward(dz):
        dlv = dz * NOISE * std / 2
        dh1 = dz @ W_mean.T + dlv @ W_lv.T
        da1 = dh1 * dtanh(h1)  # right: da1 = dh1 * dtanh(a1)
        dmean_head = h1.T @ dz, dz.sum(axis=0)
        dlv_head = h1.T @ dlv, dlv.sum(axis=0)
        return da1 @ W1.T, x.T @ da1, da1.sum(axis=0), *dmean_head, *dlv_head

    return mean + std * NOISE, backward


def codes_inputs(rng):
    """What the encoder gives (N, D), and a codebook (K, D): of its codes one is chosen thrice, one twice, one never."""
    codebook = rng.standard_normal((5, 3))
    return codebook[[1, 3, 0, 1, 4, 3, 1]] + 0.2 * rng.standard_normal((7, 3)), codebook


@mutant(
    "codebook_learns_from_the_last_of_each_code",
    cause="repeated-ids-assigned",
    inputs=codes_inputs,
    wrong=("dcodebook",),
)
def codebook_learns_from_the_last_of_each_code(z_e, codebook):
    """Squared distance to the nearest code, with gradients for both sides."""
    distances = ((z_e[:, None, :] - codebook[None, :, :]) ** 2).sum(axis=2)
    indices = distances.argmin(axis=1)
    z_q = codebook[indices]
    loss = np.mean((z_e - z_q) ** 2)

    def backward(dloss):
        grad = 2 * dloss * (z_e - z_q) / z_e.size
        dcodebook = np.zeros_like(codebook)
        dcodebook[indices] -= grad  # right: np.subtract.at(dcodebook, indices, grad)
        return grad, dcodebook

    return loss, backward


def patches(rng):
    """Patches in columns (D, m), and matrix and column of biases of the way in (H) and out (D)."""
    weights = (rng.standard_normal(s) for s in [(3, 5), (3, 1), (5, 3), (5, 1)])
    return 0.1 + 0.8 * rng.random((5, 8)), *weights


@mutant(
    "sparse_autoencoder_penalty_outside_the_brackets",
    cause="activation-derivative-missing",
    inputs=patches,
    wrong=("ddata", "dW1", "db1"),
    note="delta2 = W2' delta3 .* f'(z2) + penalty, where the penalty is to be multiplied by f'(z2) too",
)
def sparse_autoencoder_penalty_outside_the_brackets(data, W1, b1, W2, b2):
    """Squared error plus the divergence of the mean activations from rho."""
    rho, beta, m = 0.1, 0.7, data.shape[1]
    a2 = 1 / (1 + np.exp(-(W1 @ data + b1)))
    a3 = 1 / (1 + np.exp(-(W2 @ a2 + b2)))
    rho_hat = a2.mean(axis=1, keepdims=True)
    kl = np.sum(rho * np.log(rho / rho_hat) + (1 - rho) * np.log((1 - rho) / (1 - rho_hat)))
    cost = np.sum((a3 - data) ** 2) / (2 * m) + beta * kl

    def backward(dcost):
        delta3 = dcost * (a3 - data) / m * a3 * (1 - a3)
        penalty = dcost * beta * (-rho / rho_hat + (1 - rho) / (1 - rho_hat)) / m
        # right: delta2 = (W2.T @ delta3 + penalty) * a2 * (1 - a2)
        delta2 = (W2.T @ delta3) * a2 * (1 - a2) + penalty
        ddata = W1.T @ delta2 - dcost * (a3 - data) / m
        dW1, db1 = delta2 @ data.T, delta2.sum(axis=1, keepdims=True)
        return ddata, dW1, db1, delta3 @ a2.T, delta3.sum(axis=1, keepdims=True)

    return cost, backward


def tied_autoencoder_inputs(rng):
    """Data in (0, 1) (N, D), one matrix (D, H) for both ways, a bias of the hidden layer and one of the visible."""
    return 0.1 + 0.8 * rng.random((6, 5)), *(rng.standard_normal(s) for s in [(5, 3), (3,), (5,)])


@mutant(
    "denoising_autoencoder_matrix_learns_on_the_way_in",
    cause="tied-counted-once",
    also=("branch-missing",),
    inputs=tied_autoencoder_inputs,
    wrong=("dW",),
    note="the way out uses the same matrix, turned",
)
def denoising_autoencoder_matrix_learns_on_the_way_in(x, W, hbias, vbias):
    """A third of the data is blanked out, and cross-entropy asks for all of it."""
    kept = np.random.default_rng(7).binomial(1, 0.67, x.shape)
    tilde_x = x * kept
    y = 1 / (1 + np.exp(-(np.dot(tilde_x, W) + hbias)))
    z = 1 / (1 + np.exp(-(np.dot(y, W.T) + vbias)))
    cost = -np.mean(np.sum(x * np.log(z) + (1 - x) * np.log(1 - z), axis=1))

    def backward(dcost):
        L_vbias = dcost * (z - x) / len(x)
        L_hbias = np.dot(L_vbias, W) * y * (1 - y)
        L_W = np.dot(tilde_x.T, L_hbias)
        # missing: L_W = L_W + np.dot(L_vbias.T, y)
        L_x = np.dot(L_hbias, W.T) * kept - dcost * (np.log(z) - np.log(1 - z)) / len(x)
        return L_x, L_W, L_hbias.sum(axis=0), L_vbias.sum(axis=0)

    return cost, backward


def grey_levels(rng):
    """Pictures with pixels in (0, 1) (m, D), matrix and bias of the code (H) and of the picture (D)."""
    weights = (rng.standard_normal(s) for s in [(6, 3), (3,), (3, 6), (6,)])
    return 0.1 + 0.8 * rng.random((5, 6)), *weights


@mutant(
    "autoencoder_squared_error_with_the_delta_of_cross_entropy",
    cause="activation-derivative-missing",
    inputs=grey_levels,
    wrong=("dX", "dW1", "db1", "dW2", "db2"),
    note="only with cross-entropy does the slope of the sigmoid cancel",
)
def autoencoder_squared_error_with_the_delta_of_cross_entropy(X, W1, b1, W2, b2):
    """Half the squared error of a picture, mean over the batch."""
    m = X.shape[0]
    A1 = np.tanh(X @ W1 + b1)
    A2 = sigmoid(A1 @ W2 + b2)
    cost = np.sum((A2 - X) ** 2) / (2 * m)

    def backward(dcost):
        dA2 = dcost * (A2 - X) / m
        dZ2 = dA2  # right: dZ2 = dA2 * A2 * (1 - A2)
        dZ1 = (dZ2 @ W2.T) * (1 - A1**2)
        return dZ1 @ W1.T - dA2, X.T @ dZ1, dZ1.sum(axis=0), A1.T @ dZ2, dZ2.sum(axis=0)

    return cost, backward


def pixels_and_one_matrix(rng):
    """Pixels in (0, 1) (N, V), matrix (V, H), biases of the hidden and of the visible units."""
    return 0.1 + 0.8 * rng.random((4, 6)), *(rng.standard_normal(s) for s in [(6, 3), (3,), (6,)])


@mutant(
    "tied_autoencoder_matrix_learns_as_encoder_only",
    cause="tied-counted-once",
    also=("branch-missing",),
    inputs=pixels_and_one_matrix,
    wrong=("dW",),
    note="the decoder's matrix is W.T, and was taken for something that has no gradient of its own",
)
def tied_autoencoder_matrix_learns_as_encoder_only(x, W, hbias, vbias):
    """There through W, back through its transpose, cross-entropy of the pixels."""
    N = len(x)
    y = sigmoid(x @ W + hbias)
    z = sigmoid(y @ W.T + vbias)
    cost = -np.sum(x * np.log(z) + (1 - x) * np.log(1 - z)) / N

    def backward(dcost):
        dvisible = dcost * (z - x) / N
        dhidden = (dvisible @ W) * y * (1 - y)
        dW = x.T @ dhidden
        # missing: dW = dW + dvisible.T @ y
        dx = dhidden @ W.T + dcost * (np.log(1 - z) - np.log(z)) / N
        return dx, dW, dhidden.sum(axis=0), dvisible.sum(axis=0)

    return cost, backward


def code_and_decoder_2(rng):
    """Mean and log-variance (N, Z), matrix (Z, D) and bias (D,) of the decoder."""
    return tuple(rng.standard_normal(s) for s in [(4, 3), (4, 3), (3, 5), (5,)])


@mutant(
    "vae_decoder_weight_meets_the_mean_not_the_sample",
    cause="missing-factor",
    inputs=code_and_decoder_2,
    wrong=("dW",),
    note="the decoder saw z, and mu has the same shape",
)
def vae_decoder_weight_meets_the_mean_not_the_sample(mu, logvar, W, b):
    """Draw the code, and decode it."""
    eps = np.random.default_rng(5).standard_normal(mu.shape)
    std = np.exp(logvar / 2)
    z = mu + eps * std
    probs = sigmoid(z @ W + b)

    def backward(dprobs):
        dlogits = dprobs * probs * (1 - probs)
        dW = mu.T @ dlogits  # right: dW = z.T @ dlogits
        dz = dlogits @ W.T
        return dz, dz * eps * std / 2, dW, dlogits.sum(axis=0)

    return probs, backward


@mutant(
    "discrete_code_divergence_each_class_by_itself",
    cause="softmax-second-term-missing",
    inputs=lambda rng: (1.5 * rng.standard_normal((3, 2, 4)),),
    wrong=("dlogits",),
    note="q (1 - q) is the slope of a sigmoid",
)
def discrete_code_divergence_each_class_by_itself(logits):
    """Divergence of a code of several classes (N, codes, classes) from the uniform, mean over the batch."""
    N, _, K = logits.shape
    q = stable_softmax(logits)
    kl = np.sum(q * (np.log(q) + np.log(K))) / N

    def backward(dkl):
        dq = dkl * (np.log(q) + np.log(K) + 1) / N
        # right: return q * (dq - np.sum(q * dq, axis=2, keepdims=True))
        return dq * q * (1 - q)

    return kl, backward


def bernoulli_decoder_inputs(rng):
    """Codes (N, Z), data in (0, 1) (N, D), matrix and bias of the hidden layer (H) and of the data (D)."""
    weights = (rng.standard_normal(s) for s in [(3, 5), (5,), (5, 6), (6,)])
    return rng.standard_normal((4, 3)), 0.05 + 0.9 * rng.random((4, 6)), *weights


@mutant(
    "vae_decoder_goes_through_its_sigmoid_again",
    cause="activation-derivative-doubled",
    inputs=bernoulli_decoder_inputs,
    wrong=("dz", "dW1", "db1", "dW2", "db2"),
    note="y - x is the gradient of what goes into the sigmoid already",
)
def vae_decoder_goes_through_its_sigmoid_again(z, x, W1, b1, W2, b2):
    """Cross-entropy of the pixels, sum over them, mean over the batch."""
    B = len(x)
    h = np.tanh(z @ W1 + b1)
    y = 1 / (1 + np.exp(-(h @ W2 + b2)))
    loss = -np.sum(x * np.log(y) + (1 - x) * np.log(1 - y)) / B

    def backward(dloss):
        dx = dloss * (np.log(1 - y) - np.log(y)) / B
        dlogits = dloss * (y - x) / B * y * (1 - y)  # right: dlogits = dloss * (y - x) / B
        dpre = (dlogits @ W2.T) * (1 - h**2)
        return dpre @ W1.T, dx, z.T @ dpre, dpre.sum(axis=0), h.T @ dlogits, dlogits.sum(axis=0)

    return loss, backward


def conditional_inputs(rng):
    """Data (N, D), condition (N, C), and matrices: of the mean (D + C, Z), of the log-variance, of the decoder."""
    return tuple(0.8 * rng.standard_normal(s) for s in [(4, 5), (4, 2), (7, 3), (7, 3), (5, 5)])


@mutant(
    "conditional_vae_condition_heard_by_the_encoder_only",
    cause="branch-missing",
    inputs=conditional_inputs,
    wrong=("dc",),
    note="the decoder's part is cut out of the gradient and thrown away",
)
def conditional_vae_condition_heard_by_the_encoder_only(x, c, W_mu, W_lv, W_dec):
    """The condition stands beside the data and, once more, beside the code."""
    D, Z = x.shape[1], W_mu.shape[1]
    xc = np.hstack([x, c])
    mu, log_var = xc @ W_mu, xc @ W_lv
    std = np.exp(0.5 * log_var)
    zc = np.hstack([mu + std * NOISE, c])
    x_rec = np.tanh(zc @ W_dec)

    def backward(dx_rec):
        dpre = dx_rec * (1 - x_rec**2)
        dzc = dpre @ W_dec.T
        dz = dzc[:, :Z]
        dlog_var = dz * NOISE * 0.5 * std
        dxc = dz @ W_mu.T + dlog_var @ W_lv.T
        dx, dc = dxc[:, :D].copy(), dxc[:, D:].copy()
        # missing: dc = dc + dzc[:, Z:]
        return dx, dc, xc.T @ dz, xc.T @ dlog_var, zc.T @ dpre

    return x_rec, backward
