"""Autoencoders of all kinds, as students write them: each with one mistake in its backward pass."""

import numpy as np

from mutants import mutant
from mutants.shared import NOISE, sigmoid


def j2_code_and_decoder(rng):
    """Mean and log-variance (N, Z), matrix (Z, D) and bias (D,) of the decoder."""
    return tuple(rng.standard_normal(s) for s in [(4, 3), (4, 3), (3, 5), (5,)])


@mutant(
    "vae_sampler_derived_for_a_network_of_log_sigma",
    cause="logvar-as-sigma",
    inputs=j2_code_and_decoder,
    wrong=("dlogvar",),
    note="exp(logvar) would be its own derivative if it were the standard deviation",
)
def vae_sampler_derived_for_a_network_of_log_sigma(mu, logvar, W, b):
    """Draw a code and decode it."""
    z = mu + np.exp(0.5 * logvar) * NOISE
    x_hat = sigmoid(z @ W + b)

    def backward(dx_hat):
        dout = dx_hat * x_hat * (1 - x_hat)
        dz = dout @ W.T
        # right: dlogvar = dz * NOISE * 0.5 * np.exp(0.5 * logvar)
        dlogvar = dz * NOISE * np.exp(logvar)
        return dz, dlogvar, z.T @ dout, dout.sum(axis=0)

    return x_hat, backward


def j2_autoencoder(rng):
    """Data (N, D), matrix and bias of the code (H) and of the data (D)."""
    return tuple(0.8 * rng.standard_normal(s) for s in [(6, 4), (4, 3), (3,), (3, 4), (4,)])


@mutant(
    "mean_code_penalty_outside_the_bracket",
    cause="activation-derivative-missing",
    inputs=j2_autoencoder,
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
    inputs=j2_autoencoder,
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


def j2_elbo_inputs(rng):
    """Data (N, D), mean and log-variance (N, Z), matrix (Z, D) and bias (D,) of the decoder."""
    return tuple(rng.standard_normal(s) for s in [(4, 5), (4, 3), (4, 3), (3, 5), (5,)])


@mutant(
    "vae_mean_never_hears_of_the_divergence",
    cause="branch-missing",
    inputs=j2_elbo_inputs,
    wrong=("dmu",),
    note="the mean is in the code and in the divergence",
)
def vae_mean_never_hears_of_the_divergence(x, mu, log_var, W, b):
    """Half the squared error plus the divergence, mean over the batch."""
    B = x.shape[0]
    sigma = np.exp(log_var / 2)
    z = mu + sigma * NOISE
    x_rec = z @ W + b
    recon = 0.5 * np.sum((x_rec - x) ** 2) / B
    kl = -0.5 * np.sum(1 + log_var - mu**2 - sigma**2) / B

    def backward(dloss):
        drec = dloss * (x_rec - x) / B
        dz = drec @ W.T
        dmu = dz
        # missing: dmu = dmu + dloss * mu / B
        dlog_var = dz * NOISE * sigma / 2 + dloss * 0.5 * (sigma**2 - 1) / B
        return -drec, dmu, dlog_var, z.T @ drec, drec.sum(axis=0)

    return recon + kl, backward


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
