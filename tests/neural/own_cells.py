"""Cells as a user writes them, in plain NumPy, with torch's names and order of gates."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Elman:
    """h' = tanh(W x + U h + b)."""

    def initial_weights(self, input_size, hidden_size, rng):
        W, U = rng.normal(size=(hidden_size, input_size)), rng.normal(size=(hidden_size, hidden_size))
        return {"weight_ih": W, "weight_hh": U / np.sqrt(hidden_size), "bias": np.zeros(hidden_size)}

    def step(self, weights, x, h):
        after = np.tanh(x @ weights["weight_ih"].T + h @ weights["weight_hh"].T + weights["bias"])
        return after, (x, h, after)

    def step_back(self, weights, kept, d_h, gradients):
        x, h, after = kept
        d = d_h * (1 - after**2)
        gradients["weight_ih"] += d.T @ x
        gradients["weight_hh"] += d.T @ h
        gradients["bias"] += d.sum(axis=0)
        return d @ weights["weight_ih"], d @ weights["weight_hh"]


class LongShortTermMemory:
    """torch's, with the state h and c beside each other."""

    states_per_unit = 2

    def initial_weights(self, input_size, hidden_size, rng):
        size = 4 * hidden_size
        return {
            "weight_ih": rng.normal(size=(size, input_size)),
            "weight_hh": rng.normal(size=(size, hidden_size)) / np.sqrt(hidden_size),
            "bias_ih": rng.normal(size=size),
            "bias_hh": rng.normal(size=size),
        }

    def step(self, weights, x, state):
        h, c = np.split(state, 2, axis=1)
        p = x @ weights["weight_ih"].T + h @ weights["weight_hh"].T + weights["bias_ih"] + weights["bias_hh"]
        i, f, g, o = np.split(p, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        after = f * c + i * g
        return np.hstack([o * np.tanh(after), after]), (x, h, c, i, f, g, o, np.tanh(after))

    def step_back(self, weights, kept, d_state, gradients):
        x, h, c, i, f, g, o, shown = kept
        d_h, d_c = np.split(d_state, 2, axis=1)
        d_c = d_c + d_h * o * (1 - shown**2)
        slopes = [d_c * g * i * (1 - i), d_c * c * f * (1 - f), d_c * i * (1 - g**2), d_h * shown * o * (1 - o)]
        d = np.hstack(slopes)
        gradients["weight_ih"] += d.T @ x
        gradients["weight_hh"] += d.T @ h
        gradients["bias_ih"] += d.sum(axis=0)
        gradients["bias_hh"] += d.sum(axis=0)
        return d @ weights["weight_ih"], np.hstack([d @ weights["weight_hh"], d_c * f])
