"""Autoencoders of several kinds, and what they are trained with: each with one mistake in its backward pass."""

import numpy as np

from mutants import mutant


def g2_sigmoid(a):
    return 1 / (1 + np.exp(-a))


def g2_normal(*shapes, scale=1.0):
    """Draws arrays of these shapes."""
    return lambda rng: tuple(scale * rng.standard_normal(s) for s in shapes)


@mutant(
    "learned_prior_pulled_like_the_posterior",
    cause="wrong-sign",
    inputs=g2_normal((4, 3), (4, 3), (4, 3), (4, 3)),
    wrong=("dmu_p",),
    note="the line of the other mean was copied; the two stand on both sides of a minus",
)
def learned_prior_pulled_like_the_posterior(mu_q, logvar_q, mu_p, logvar_p):
    """Divergence of one Gaussian from another, sum over the code, mean over the batch."""
    N = len(mu_q)
    var_q, var_p = np.exp(logvar_q), np.exp(logvar_p)
    diff = mu_q - mu_p
    kl = 0.5 * np.sum(logvar_p - logvar_q + (var_q + diff**2) / var_p - 1) / N

    def backward(dkl):
        dmu_q = dkl * diff / var_p / N
        dmu_p = dkl * diff / var_p / N  # right: dmu_p = -dkl * diff / var_p / N
        dlogvar_q = dkl * 0.5 * (var_q / var_p - 1) / N
        dlogvar_p = dkl * 0.5 * (1 - (var_q + diff**2) / var_p) / N
        return dmu_q, dlogvar_q, dmu_p, dlogvar_p

    return kl, backward


@mutant(
    "vae_encoder_divergence_derived_on_paper_with_sigma",
    cause="logvar-as-sigma",
    inputs=g2_normal((4, 5), (5, 6), (6,), (6, 3), (6, 3), scale=0.8),
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


@mutant(
    "tied_autoencoder_matrix_learns_as_decoder_only",
    cause="tied-counted-once",
    also=("branch-missing",),
    inputs=g2_normal((5, 6), (6, 4), (4,), (6,), scale=0.8),
    wrong=("dW",),
)
def tied_autoencoder_matrix_learns_as_decoder_only(x, W, b_hid, b_vis):
    """The way back is the transpose of the way there."""
    N = len(x)
    y = g2_sigmoid(x @ W + b_hid)
    z = g2_sigmoid(y @ W.T + b_vis)
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
    inputs=g2_normal((5, 7), (4, 5), (4, 1), (5, 4), (5, 1), scale=0.8),
    wrong=("ddata", "dW1", "db1"),
    note="(W2^T delta3 + sparsity) f'(z2): the sparsity was added behind f'",
)
def sparse_autoencoder_penalty_outside_the_bracket(data, W1, b1, W2, b2):
    """A column for every patch; units should be on in one of ten."""
    m, rho, beta = data.shape[1], 0.1, 3
    a2 = g2_sigmoid(W1 @ data + b1)
    a3 = g2_sigmoid(W2 @ a2 + b2)
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
    "beta_vae_beta_in_the_printed_loss_only",
    cause="missing-factor",
    inputs=g2_normal((4, 3), (4, 3), (4, 5), (3, 5), (5,)),
    wrong=("dmu", "dlogvar"),
    note="beta came later, and the gradient of the divergence is still that of the plain model",
)
def beta_vae_beta_in_the_printed_loss_only(mu, logvar, x, W, b):
    """A linear decoder; squared error plus beta times the divergence."""
    N, beta = len(x), 2.5
    eps = np.random.default_rng(13).standard_normal(mu.shape)
    std = np.exp(0.5 * logvar)
    z = mu + eps * std
    x_hat = z @ W + b
    kl = -0.5 * np.sum(1 + logvar - mu**2 - np.exp(logvar)) / N
    loss = np.sum((x_hat - x) ** 2) / N + beta * kl

    def backward(dloss):
        dx_hat = dloss * 2 * (x_hat - x) / N
        dz = dx_hat @ W.T
        dkl = dloss  # right: dkl = dloss * beta
        dmu = dz + dkl * mu / N
        dlogvar = dz * eps * 0.5 * std + dkl * 0.5 * (np.exp(logvar) - 1) / N
        return dmu, dlogvar, -dx_hat, z.T @ dx_hat, dx_hat.sum(axis=0)

    return loss, backward


@mutant(
    "codebook_vector_moved_by_one_of_its_followers",
    cause="repeated-ids-assigned",
    also=("sum-missing",),
    inputs=g2_normal((8, 3), (4, 3)),
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


@mutant(
    "sampling_layer_rolls_the_dice_again",
    cause="second-call-differs",
    also=("dropout-new-mask",),
    inputs=g2_normal((4, 5), (5, 3), (3,), (5, 3), (3,), scale=0.8),
    wrong=("dh", "dW_lv", "db_lv"),
    note="the noise of the forward pass was not kept, and there is a generator at hand",
)
def sampling_layer_rolls_the_dice_again(h, W_mu, b_mu, W_lv, b_lv):
    """Mean and log-variance of a code, and a draw of it."""
    rng = np.random.default_rng(14)
    mu, logvar = h @ W_mu + b_mu, h @ W_lv + b_lv
    std = np.exp(0.5 * logvar)
    noise = rng.standard_normal(mu.shape)

    def backward(dz):
        eps = rng.standard_normal(mu.shape)  # right: eps = noise
        dlogvar = dz * eps * std * 0.5
        dh = dz @ W_mu.T + dlogvar @ W_lv.T
        return dh, h.T @ dz, dz.sum(axis=0), h.T @ dlogvar, dlogvar.sum(axis=0)

    return mu + noise * std, backward
