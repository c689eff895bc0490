"""Policies, values, and judges of what is true: each with one mistake."""

import numpy as np

from minis2s.nn import Module
from mutants import mutant
from mutants.shared import build, features, parameter, stable_softmax


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


class TanhDense:
    """Remembers what it saw last."""

    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.x = x
        self.out = np.tanh(x @ self.W.data + self.b.data)
        return self.out

    def backward(self, dout):
        dz = dout * (1 - self.out**2)
        self.W.grad += self.x.T @ dz
        self.b.grad += dz.sum(axis=0)
        return dz @ self.W.data.T


class Discriminator(Module):
    """Of real rows and fakes; the loss of one who is to tell them apart."""

    def __init__(self, rng):
        self.W, self.b, self.v = parameter(rng, 4, 5), parameter(rng, 5), parameter(rng, 5)

    def forward(self, real, fake):
        sees_real = TanhDense(self.W, self.b)
        sees_fake = sees_real  # right: sees_fake = TanhDense(self.W, self.b)
        h_real, h_fake = sees_real.forward(real), sees_fake.forward(fake)
        s_real, s_fake = h_real @ self.v.data, h_fake @ self.v.data
        loss = np.mean(np.log1p(np.exp(-s_real))) + np.mean(np.log1p(np.exp(s_fake)))

        def backward(dloss):
            ds_real = -dloss / (1 + np.exp(s_real)) / len(real)
            ds_fake = dloss / (1 + np.exp(-s_fake)) / len(fake)
            self.v.grad += h_real.T @ ds_real + h_fake.T @ ds_fake
            dreal = sees_real.backward(np.outer(ds_real, self.v.data))
            dfake = sees_fake.backward(np.outer(ds_fake, self.v.data))
            return dreal, dfake

        return loss, backward


mutant(
    "discriminator_layer_remembers_the_fakes_alone",
    cause="missing-factor",
    inputs=lambda rng: (rng.standard_normal((5, 4)), rng.standard_normal((5, 4)) + 0.5),
    wrong=("dreal", "dW", "db"),
    note="one layer object sees two batches, and what it kept of the first is gone: x and tanh are those of the second",
)(build(Discriminator))


class DuelingNetwork(Module):
    """What a position is worth, and how much better than the others each move is."""

    def __init__(self, rng):
        self.W, self.b = parameter(rng, 4, 6), parameter(rng, 6)
        self.Wv, self.bv = parameter(rng, 6, 1), parameter(rng, 1)
        self.Wa, self.ba = parameter(rng, 6, 3), parameter(rng, 3)

    def forward(self, state):
        z = state @ self.W.data + self.b.data
        h = np.maximum(z, 0)
        value = h @ self.Wv.data + self.bv.data
        advantage = h @ self.Wa.data + self.ba.data
        q = value + advantage - advantage.mean(axis=1, keepdims=True)

        def backward(dq):
            dvalue = dq.sum(axis=1, keepdims=True)
            dadvantage = dq.copy()
            # missing: dadvantage -= dq.mean(axis=1, keepdims=True)
            self.Wv.grad += h.T @ dvalue
            self.bv.grad += dvalue.sum(axis=0)
            self.Wa.grad += h.T @ dadvantage
            self.ba.grad += dadvantage.sum(axis=0)
            dh = dvalue @ self.Wv.data.T + dadvantage @ self.Wa.data.T
            dz = dh * (z > 0)
            self.W.grad += state.T @ dz
            self.b.grad += dz.sum(axis=0)
            return dz @ self.W.data.T

        return q, backward


mutant(
    "dueling_network_mean_advantage_is_a_constant",
    cause="norm-mean-term-missing",
    also=("branch-missing",),
    inputs=features,
    wrong=("dstate", "dW", "db", "dWa", "dba"),
)(build(DuelingNetwork))


class ActorCritic(Module):
    """One hidden layer, two heads: how good each move looks, and how good the position."""

    def __init__(self, rng):
        self.W, self.b = parameter(rng, 4, 5), parameter(rng, 5)
        self.Wp, self.bp = parameter(rng, 5, 3), parameter(rng, 3)
        self.Wv, self.bv = parameter(rng, 5, 1), parameter(rng, 1)

    def forward(self, obs):
        hidden = np.tanh(obs.dot(self.W.data) + self.b.data)
        policy = stable_softmax(hidden.dot(self.Wp.data) + self.bp.data)
        value = hidden.dot(self.Wv.data) + self.bv.data

        def backward(dpolicy, dvalue):
            dlogits = policy * (dpolicy - np.sum(policy * dpolicy, axis=1, keepdims=True))
            self.Wp.grad += hidden.T.dot(dlogits)
            self.bp.grad += dlogits.sum(axis=0)
            dhidden = dlogits.dot(self.Wp.data.T)
            self.Wv.grad += hidden.T.dot(dvalue)
            self.bv.grad += dvalue.sum(axis=0)
            dhidden = dvalue.dot(self.Wv.data.T)  # right: dhidden += dvalue.dot(self.Wv.data.T)
            da = dhidden * (1 - hidden**2)
            self.W.grad += obs.T.dot(da)
            self.b.grad += da.sum(axis=0)
            return da.dot(self.W.data.T)

        return (policy, value), backward


mutant(
    "actor_critic_trunk_listens_to_the_critic",
    cause="branch-missing",
    inputs=features,
    wrong=("dobs", "dW", "db"),
    note="`=` where the second head's gradient comes to the first one's",
)(build(ActorCritic))
