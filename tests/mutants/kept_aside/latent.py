"""Latent variables and autoencoders: each with one mistake."""

import numpy as np

from mutants import mutant
from mutants.shared import NOISE, autoencoder_latent, gaussian, sigmoid, sigmoid_prime


def small_vae(rng):
    """Data (N, D), matrix and bias of the mean (Z) and of the log-variance, matrix and bias of the decoder (D)."""
    N, D, Z = 4, 6, 3
    shapes = [(N, D), (D, Z), (Z,), (D, Z), (Z,), (Z, D), (D,)]
    return tuple(0.6 * rng.standard_normal(s) for s in shapes)


@mutant(
    "vae_noise_left_out_of_the_log_variance",
    cause="missing-factor",
    inputs=small_vae,
    wrong=("dx", "dW_lv", "db_lv"),
    note="z = mu + std * eps: eps is what std is multiplied by",
)
def vae_noise_left_out_of_the_log_variance(x, W_mu, b_mu, W_lv, b_lv, W_dec, b_dec):
    """Squared error plus divergence, sums over the features, mean over the batch."""
    m = x.shape[0]
    mu, log_var = x @ W_mu + b_mu, x @ W_lv + b_lv
    std = np.exp(0.5 * log_var)
    eps = np.random.default_rng(21).standard_normal(mu.shape)
    z = mu + std * eps
    x_hat = z @ W_dec + b_dec
    recon = 0.5 * np.sum((x_hat - x) ** 2)
    kl = -0.5 * np.sum(1 + log_var - mu**2 - np.exp(log_var))

    def backward(dloss):
        dx_hat = dloss * (x_hat - x) / m
        dz = dx_hat @ W_dec.T
        dmu = dz + dloss * mu / m
        dstd = dz  # right: dstd = dz * eps
        dlog_var = 0.5 * std * dstd + dloss * 0.5 * (np.exp(log_var) - 1) / m
        dx = dmu @ W_mu.T + dlog_var @ W_lv.T - dx_hat
        return dx, x.T @ dmu, dmu.sum(0), x.T @ dlog_var, dlog_var.sum(0), z.T @ dx_hat, dx_hat.sum(0)

    return (recon + kl) / m, backward


def posterior_and_prior(rng):
    """Mean and log-variance of either, (N, Z)."""
    return tuple(rng.standard_normal((5, 3)) for _ in range(4))


@mutant(
    "kl_of_two_gaussians_derived_for_their_sigmas",
    cause="logvar-as-sigma",
    inputs=posterior_and_prior,
    wrong=("dlogvar_q", "dlogvar_p"),
    note="the formula of the divergence is written in sigma, and so it was derived on paper",
)
def kl_of_two_gaussians_derived_for_their_sigmas(mu_q, logvar_q, mu_p, logvar_p):
    """A posterior and a learned prior."""
    N = len(mu_q)
    sigma_q, sigma_p = np.exp(logvar_q / 2), np.exp(logvar_p / 2)
    delta = mu_q - mu_p
    kl = np.log(sigma_p / sigma_q) + (sigma_q**2 + delta**2) / (2 * sigma_p**2) - 0.5

    def backward(dkl):
        dmu_q = delta / sigma_p**2
        # right: dlogvar_q = (sigma_q**2 / sigma_p**2 - 1) / 2
        dlogvar_q = sigma_q / sigma_p**2 - 1 / sigma_q
        # right: dlogvar_p = (1 - (sigma_q**2 + delta**2) / sigma_p**2) / 2
        dlogvar_p = 1 / sigma_p - (sigma_q**2 + delta**2) / sigma_p**3
        return dkl * dmu_q / N, dkl * dlogvar_q / N, -dkl * dmu_q / N, dkl * dlogvar_p / N

    return kl.sum() / N, backward


def features_and_two_heads(rng):
    """Features (N, H), matrix and bias of the mean (Z) and of the log-variance."""
    return tuple(0.8 * rng.standard_normal(s) for s in [(5, 4), (4, 3), (3,), (4, 3), (3,)])


@mutant(
    "vae_head_of_the_log_variance_gets_what_belongs_to_sigma",
    cause="logvar-as-sigma",
    also=("missing-factor", "activation-derivative-missing"),
    inputs=features_and_two_heads,
    wrong=("dh", "dW_lv", "db_lv"),
    note="dz * eps is right for sigma, and the head puts out the logarithm of its square",
)
def vae_head_of_the_log_variance_gets_what_belongs_to_sigma(h, W_mu, b_mu, W_lv, b_lv):
    """Two heads on the features of the encoder, and a sample."""
    mu = np.dot(h, W_mu) + b_mu
    log_var = np.dot(h, W_lv) + b_lv
    eps = np.random.default_rng(31).standard_normal(mu.shape)
    sigma = np.exp(0.5 * log_var)
    z = mu + sigma * eps

    def backward(dz):
        dmu = dz
        dlog_var = dz * eps  # right: dlog_var = dz * eps * 0.5 * sigma
        dW_mu, db_mu = np.dot(h.T, dmu), np.sum(dmu, axis=0)
        dW_lv, db_lv = np.dot(h.T, dlog_var), np.sum(dlog_var, axis=0)
        dh = np.dot(dmu, W_mu.T) + np.dot(dlog_var, W_lv.T)
        return dh, dW_mu, db_mu, dW_lv, db_lv

    return z, backward


@mutant(
    "kl_mean_keeps_the_half_that_its_square_brings_away",
    cause="constant-factor",
    like="gaussian_kl",
    wrong=("dmu",),
    note="the two of the square was lost: 0.5 * 2 * mu",
)
def kl_mean_keeps_the_half_that_its_square_brings_away(mu, log_sigma_sq):
    """One picture after the other."""
    N = mu.shape[0]
    total = 0.0
    for m, s in zip(mu, log_sigma_sq, strict=True):
        total += -0.5 * np.sum(1 + s - m**2 - np.exp(s))

    def backward(dkl):
        dmu, ds = np.zeros_like(mu), np.zeros_like(log_sigma_sq)
        for n in range(N):
            dmu[n] = 0.5 * mu[n] * dkl / N  # right: dmu[n] = mu[n] * dkl / N
            ds[n] = -0.5 * (1 - np.exp(log_sigma_sq[n])) * dkl / N
        return dmu, ds

    return total / N, backward


def codes_and_their_pictures(rng):
    """Mean and log-variance of the code (N, Z), data (N, D), matrix (Z, D) and bias (D,) of the decoder."""
    return tuple(0.7 * rng.standard_normal(s) for s in [(4, 3), (4, 3), (4, 6), (3, 6), (6,)])


@mutant(
    "beta_vae_weighs_the_divergence_in_the_loss_only",
    cause="missing-factor",
    also=("constant-factor",),
    inputs=codes_and_their_pictures,
    wrong=("dmu", "dlogvar"),
    note="the gradients are those of the plain VAE, beta came later",
)
def beta_vae_weighs_the_divergence_in_the_loss_only(mu, logvar, x, W, b):
    """Half the squared error plus beta times the divergence, mean over the batch."""
    beta, n = 4.0, len(x)
    std = np.exp(logvar / 2)
    eps = np.random.default_rng(32).standard_normal(mu.shape)
    z = mu + std * eps
    diff = z @ W + b - x
    kl = -0.5 * np.sum(1 + logvar - mu**2 - np.exp(logvar))
    loss = (0.5 * np.sum(diff**2) + beta * kl) / n

    def backward(dloss):
        dx_hat = dloss * diff / n
        dz = dx_hat @ W.T
        dkl = dloss / n  # right: dkl = beta * dloss / n
        dmu = dz + dkl * mu
        dlogvar = dz * eps * std / 2 + dkl * (np.exp(logvar) - 1) / 2
        return dmu, dlogvar, -dx_hat, z.T @ dx_hat, dx_hat.sum(axis=0)

    return loss, backward


@mutant(
    "elbo_divergence_still_subtracted_in_the_gradient_of_the_loss",
    cause="wrong-sign",
    inputs=codes_and_their_pictures,
    wrong=("dmu", "dlog_var"),
    note="the bound is likelihood minus divergence, the loss is minus the bound",
)
def elbo_divergence_still_subtracted_in_the_gradient_of_the_loss(mu, log_var, x, W, b):
    """Minus the evidence lower bound, for a picture of the batch; pixels between -1 and 1."""
    m = mu.shape[0]
    noise = np.random.default_rng(33).standard_normal(mu.shape) * np.exp(0.5 * log_var)
    code = mu + noise
    picture = np.tanh(code.dot(W) + b)
    likelihood = -np.sum((x - picture) ** 2)
    kl = 0.5 * np.sum(mu**2 + np.exp(log_var) - log_var - 1)

    def backward(dloss):
        dpicture = 2 * dloss * (picture - x) / m
        dpre = dpicture * (1 - picture**2)
        dcode = dpre.dot(W.T)
        kl_mu = dloss * mu / m
        kl_log_var = dloss * 0.5 * (np.exp(log_var) - 1) / m
        dmu = dcode - kl_mu  # right: dmu = dcode + kl_mu
        dlog_var = 0.5 * dcode * noise - kl_log_var  # right: dlog_var = 0.5 * dcode * noise + kl_log_var
        return dmu, dlog_var, -dpicture, code.T.dot(dpre), dpre.sum(axis=0)

    return -(likelihood - kl) / m, backward


@mutant(
    "vae_noise_is_drawn_once_more_for_the_gradient",
    cause="second-call-differs",
    also=("missing-factor",),
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(4, 3), (4, 3), (3, 5)]),
    wrong=("dlog_var",),
    note="the noise of the forward pass was not kept",
)
def vae_noise_is_drawn_once_more_for_the_gradient(mu, log_var, W):
    """Draw the code, and look at it through a matrix."""
    rng = np.random.default_rng(34)
    epsilon = rng.standard_normal(mu.shape)
    sigma = np.exp(0.5 * log_var)
    z = mu + epsilon * sigma

    def backward(dout):
        dz = dout @ W.T
        eps = rng.standard_normal(mu.shape)  # right: eps = epsilon
        dlog_var = dz * eps * 0.5 * sigma
        return dz, dlog_var, z.T @ dout

    return z @ W, backward


@mutant(
    "free_bits_are_paid_for_all_the_same",
    cause="activation-derivative-missing",
    also=("mask-not-applied",),
    inputs=lambda rng: (rng.standard_normal((4, 5)) * [0.2, 1.5, 0.3, 1.0, 0.1], 0.5 * rng.standard_normal((4, 5))),
    wrong=("dmean", "dlogvar"),
    note="what lies below the floor costs the floor, whatever the code does",
)
def free_bits_are_paid_for_all_the_same(mean, logvar):
    """Divergence of every latent, mean over the batch, of which a part is free."""
    free = 0.4
    batch = len(mean)
    per_latent = np.mean(0.5 * (mean**2 + np.exp(logvar) - 1 - logvar), axis=0)
    loss = np.sum(np.maximum(per_latent, free))

    def backward(dloss):
        dper_latent = dloss * np.ones_like(per_latent)
        # missing: dper_latent[per_latent < free] = 0
        dmean = dper_latent * mean / batch
        dlogvar = dper_latent * 0.5 * (np.exp(logvar) - 1) / batch
        return dmean, dlogvar

    return loss, backward


@mutant(
    "masking_noise_clears_the_pixels_that_were_left",
    cause="mask-inverted",
    inputs=autoencoder_latent,
    wrong=("dx",),
    note="`hit` are those that were put out",
)
def masking_noise_clears_the_pixels_that_were_left(x, W1, b1, W2, b2):
    """A third of the pixels is put out, and is to be found again."""
    hit = np.random.default_rng(36).random(x.shape) < 0.35
    broken = x.copy()
    broken[hit] = 0
    code = np.tanh(broken @ W1 + b1)
    found = np.tanh(code @ W2 + b2)

    def backward(dfound):
        dpre2 = dfound * (1 - found**2)
        dpre1 = (dpre2 @ W2.T) * (1 - code**2)
        dx = dpre1 @ W1.T
        dx[~hit] = 0  # right: dx[hit] = 0
        return dx, broken.T @ dpre1, dpre1.sum(axis=0), code.T @ dpre2, dpre2.sum(axis=0)

    return found, backward


@mutant(
    "contractive_penalty_slope_of_the_units_is_a_constant",
    cause="branch-missing",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(5, 4), (4, 3), (3,)]),
    wrong=("dx", "dW", "db"),
    note="W stands in the Jacobian as it is, and within the slope of every unit",
)
def contractive_penalty_slope_of_the_units_is_a_constant(x, W, b):
    """The code, and how much it moves with the data: the squares in its Jacobian, mean over the batch."""
    N = len(x)
    h = sigmoid(x @ W + b)
    slope = h * (1 - h)
    column = np.sum(W**2, axis=0)
    penalty = np.sum(slope**2 * column) / N

    def backward(dh, dpenalty):
        dcolumn = dpenalty * np.sum(slope**2, axis=0) / N
        # missing: dh = dh + dpenalty * 2 * slope * column * (1 - 2 * h) / N
        dz = dh * slope
        dW = x.T @ dz + 2 * W * dcolumn
        return dz @ W.T, dW, dz.sum(axis=0)

    return (h, penalty), backward


@mutant(
    "siamese_network_second_twin_overwrites_the_first",
    cause="tied-counted-once",
    also=("sum-missing", "branch-missing"),
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(5, 4), (5, 4), (4, 3), (3,)]),
    wrong=("dW", "db"),
    note="`=` in the loop over the twins",
)
def siamese_network_second_twin_overwrites_the_first(left, right, W, b):
    """How far two pictures are from each other, both seen through the same layer."""
    h_left, h_right = np.tanh(left @ W + b), np.tanh(right @ W + b)
    difference = h_left - h_right
    distance = np.sum(difference**2, axis=1)

    def backward(ddistance):
        dleft = 2 * ddistance[:, None] * difference
        twins = [(left, h_left, dleft), (right, h_right, -dleft)]
        dW, db, dinputs = np.zeros_like(W), np.zeros_like(b), []
        for x, h, dh in twins:
            dz = dh * (1 - h**2)
            dW = x.T @ dz  # right: dW = dW + x.T @ dz
            db = dz.sum(axis=0)  # right: db = db + dz.sum(axis=0)
            dinputs.append(dz @ W.T)
        return *dinputs, dW, db

    return distance, backward


@mutant(
    "network_sigmoid_prime_of_the_activations",
    cause="derivative-at-preactivation",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(3, 7), (5, 3), (5, 1), (4, 5), (4, 1), (2, 4), (2, 1)]),
    wrong=("dx", "dw1", "db1", "dw2", "db2"),
    note="the lists `zs` and `activations` stand side by side, the function wants the first",
)
def network_sigmoid_prime_of_the_activations(x, w1, b1, w2, b2, w3, b3):
    """Examples in columns, layers counted from the end."""
    weights, biases = [w1, w2, w3], [b1, b2, b3]
    activations, zs = [x], []
    for w, b in zip(weights, biases, strict=True):
        zs.append(np.dot(w, activations[-1]) + b)
        activations.append(sigmoid(zs[-1]))

    def backward(dout):
        nabla_w, nabla_b = [0, 0, 0], [0, 0, 0]
        delta = dout * sigmoid_prime(zs[-1])
        for l in range(1, 4):
            if l > 1:
                sp = sigmoid_prime(activations[-l])  # right: sp = sigmoid_prime(zs[-l])
                delta = np.dot(weights[-l + 1].T, delta) * sp
            nabla_w[-l] = np.dot(delta, activations[-l - 1].T)
            nabla_b[-l] = delta.sum(axis=1, keepdims=True)
        pairs = zip(nabla_w, nabla_b, strict=True)
        return np.dot(weights[0].T, delta), *(g for pair in pairs for g in pair)

    return activations[-1], backward


@mutant(
    "two_layer_net_takes_its_step_before_it_goes_on_down",
    cause="missing-factor",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(6, 3), (3, 5), (5,), (5, 2), (2,)]),
    wrong=("dX", "dW1", "db1"),
    note="the hidden layer is reached through the matrix of the next step",
)
def two_layer_net_takes_its_step_before_it_goes_on_down(X, W1, b1, W2, b2):
    lr = 0.1
    hidden = np.tanh(X.dot(W1) + b1)
    out = hidden.dot(W2) + b2

    def backward(dout):
        dW2, db2 = hidden.T.dot(dout), dout.sum(axis=0)
        W2_new = W2 - lr * dW2
        dhidden = dout.dot(W2_new.T)  # right: dhidden = dout.dot(W2.T)
        dz = dhidden * (1 - hidden**2)
        return dz.dot(W1.T), X.T.dot(dz), dz.sum(axis=0), dW2, db2

    return out, backward


class Affine:
    """Writes its gradients into arrays that it made at the start."""

    def __init__(self, W, b):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]

    def forward(self, x):
        W, b = self.params
        self.x = x
        return np.dot(x, W) + b

    def backward(self, dout):
        self.grads[0][...] = np.dot(self.x.T, dout)
        self.grads[1][...] = np.sum(dout)  # right: self.grads[1][...] = np.sum(dout, axis=0)
        return np.dot(dout, self.params[0].T)


@mutant(
    "affine_bias_one_sum_of_everything_fits_everywhere",
    cause="wrong-sum-axis",
    inputs=lambda rng: tuple(rng.standard_normal(s) for s in [(6, 3), (3, 5), (5,), (5, 2), (2,)]),
    wrong=("db1", "db2"),
    note="without an axis the sum is one number, and `[...] =` spreads it out",
)
def affine_bias_one_sum_of_everything_fits_everywhere(x, W1, b1, W2, b2):
    lower, upper = Affine(W1, b1), Affine(W2, b2)
    h = np.tanh(lower.forward(x))
    y = upper.forward(h)

    def backward(dy):
        dh = upper.backward(dy)
        dx = lower.backward(dh * (1 - h**2))
        return dx, *(g.copy() for layer in (lower, upper) for g in layer.grads)

    return y, backward


@mutant("sample_forgets_half", cause="constant-factor", inputs=gaussian, wrong=("dlogvar",))
def sample_forgets_half(mu, logvar):
    std = np.sqrt(np.exp(logvar))

    def backward(dz):
        return 1.0 * dz, dz * NOISE * std  # right: return 1.0 * dz, 0.5 * dz * NOISE * std

    return mu + std * NOISE, backward


@mutant("kl_of_the_logarithm_of_sigma", cause="logvar-as-sigma", like="gaussian_kl", wrong=("dlogvar",))
def kl_of_the_logarithm_of_sigma(mean, logvar):
    """The formula of the gradient is from a text where the network puts out log sigma."""
    batch, latents = mean.shape
    kl = 0.0
    for n in range(batch):
        for z in range(latents):
            kl += 0.5 * (mean[n, z] ** 2 + np.exp(logvar[n, z]) - logvar[n, z] - 1)

    def backward(d):
        # right: dlogvar = d * 0.5 * (np.exp(logvar) - 1) / batch
        dlogvar = d * (np.exp(2 * logvar) - 1) / batch
        return d * mean / batch, dlogvar

    return kl / batch, backward
