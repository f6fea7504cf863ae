"""Obvious twins of statespace/neural: one row after the other, one step after the other; complex numbers pass.

With `remove_short` whatever a cell takes from the step before it takes from `skip` steps before.
"""

from dataclasses import dataclass

import numpy as np

GATES = {"rnn": 1, "gated_leaky": 2, "lstm": 4, "gru": 3}


@dataclass(frozen=True)
class Network:
    cell: str
    input_size: int
    hidden_size: int
    num_layers: int = 1
    bidirectional: bool = False
    bias: bool = True
    reset: str = "before"
    leak: float | None = None
    skip: int | None = None
    remove_short: bool = False
    nonlinearity: str = "tanh"

    @property
    def runs(self):
        ends = ["", "_reverse"] if self.bidirectional else [""]
        return [f"l{layer}{end}" for layer in range(self.num_layers) for end in ends]

    @property
    def c_back(self):
        return self.skip if self.remove_short else 1

    @property
    def shapes(self):
        H, D, found = self.hidden_size, 1 + self.bidirectional, {}
        gates = GATES[self.cell] * H
        for run in self.runs:
            found[f"weight_ih_{run}"] = gates, self.input_size if run.startswith("l0") else D * H
            if not self.remove_short:
                found[f"weight_hh_{run}"] = gates, H
            if self.skip:
                found[f"weight_sh_{run}"] = gates, H
            if self.bias:
                found[f"bias_ih_{run}"] = found[f"bias_hh_{run}"] = (gates,)
        return found

    @property
    def state_shapes(self):
        """Of h and of c, with None in the place of the batch."""
        n, d, H = len(self.runs), self.skip, self.hidden_size
        h = (n, d, None, H) if d else (n, None, H)
        c = (n, d, None, H) if self.remove_short else (n, None, H)
        return {"h": h, "c": c} if self.cell == "lstm" else {"h": h}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu(x):
    return np.where(np.real(x) > 0, x, 0 * x)


def activated(network, p, q, h, c, U_n):
    """h', c' and gates by name; p : pre-activations, of a GRU without U_n h; q : b_hn."""
    if network.cell == "rnn":
        new = np.tanh(p[0]) if network.nonlinearity == "tanh" else relu(p[0])
        return new, None, {}
    if network.cell == "gated_leaky":
        u, n = sigmoid(p[0]), np.tanh(p[1])
        return u * h + (1 - u) * n, None, {"u": u, "n": n}
    if network.cell == "lstm":
        i, f, g, o = sigmoid(p[0]), sigmoid(p[1]), np.tanh(p[2]), sigmoid(p[3])
        new = f * c + i * g
        return o * np.tanh(new), new, {"i": i, "f": f, "g": g, "o": o, "c": new}
    r, z = sigmoid(p[0]), sigmoid(p[1])
    n = np.tanh(p[2] + U_n @ (r * h) + q) if network.reset == "before" else np.tanh(p[2] + r * (U_n @ h + q))
    return (1 - z) * n + z * h, None, {"r": r, "z": z, "n": n}


def run_row(network, weights, run, xs, hs, cs):
    """States after each step; hs, cs : those before the first, oldest first."""
    H, d = network.hidden_size, network.skip
    W = weights[f"weight_ih_{run}"]
    S = weights[f"weight_sh_{run}"] if d else np.zeros((len(W), H))
    U = S if network.remove_short else weights[f"weight_hh_{run}"]
    b_ih, b_hh = (weights[f"bias_{k}_{run}"] if network.bias else np.zeros(len(W)) for k in ("ih", "hh"))
    back = d if network.remove_short else 1
    hs, cs, gates = list(hs), list(cs), []
    for x in xs:
        h, c = hs[-back], cs[-back] if cs else None
        p = W @ x + b_ih
        if d and not network.remove_short:
            p = p + S @ hs[-d]
        p, own = p.reshape(-1, H), (U @ h + b_hh).reshape(-1, H)
        p = [p[0] + own[0], p[1] + own[1], p[2]] if network.cell == "gru" else p + own
        new, new_c, found = activated(network, p, b_hh[2 * H :], h, c, U[2 * H :])
        if network.leak is not None:
            new = network.leak * h + (1 - network.leak) * new
        hs.append(new)
        if new_c is not None:
            cs.append(new_c)
        gates.append({**found, "h": new})
    return hs, cs, gates


def run_network(network, weights, X, lengths, h0, c0=None):
    """Outputs, last h, last c, gates by run, gate and place; the states before the first step are h0 and c0."""
    B, T = X.shape[:2]
    H, n = network.hidden_size, len(network.runs)
    D = n // network.num_layers
    kind = np.result_type(X, h0, *weights.values(), *([] if c0 is None else [c0]))
    h0 = np.asarray(h0).reshape(n, network.skip or 1, B, H)
    c0 = np.zeros((n, 0, B, H)) if c0 is None else np.asarray(c0).reshape(n, network.c_back, B, H)
    outputs, last_h, last_c = np.zeros((B, T, D * H), kind), np.zeros(h0.shape, kind), np.zeros(c0.shape, kind)
    gates = {}
    for b in range(B):
        xs = list(X[b, : lengths[b]])
        for layer in range(network.num_layers):
            beside = []
            for direction in range(D):
                number = layer * D + direction
                run = network.runs[number]
                read = xs[::-1] if direction else xs
                hs, cs, steps = run_row(network, weights, run, read, h0[number, :, b], c0[number, :, b])
                shown = hs[h0.shape[1] :]
                last_h[number, :, b] = hs[-h0.shape[1] :]
                if c0.shape[1]:
                    last_c[number, :, b] = cs[-c0.shape[1] :]
                beside.append(shown[::-1] if direction else shown)
                for t, found in enumerate(steps[::-1] if direction else steps):
                    for name, values in found.items():
                        gates[run, name, b, t] = values
            xs = [np.concatenate(pair) for pair in zip(*beside, strict=True)]
        if xs:
            outputs[b, : lengths[b]] = xs
    return outputs, last_h, last_c, gates


def loss(network, weights, X, lengths, h0, c0, d_outputs, d_h, d_c):
    """A weighted sum of all that a network gives: its derivatives are what the weights are sent back to."""
    outputs, h, c, _ = run_network(network, weights, X, lengths, h0, c0)
    inside = np.arange(X.shape[1])[None, :] < np.asarray(lengths)[:, None]
    total = (outputs * d_outputs)[inside].sum() + (h * d_h.reshape(h.shape)).sum()
    return total if d_c is None else total + (c * d_c.reshape(c.shape)).sum()


def derivative_along(function, place, direction):
    """d function(place + s direction) / ds at s = 0, by a complex step: no difference is taken, so no digit is lost."""
    return np.imag(function(place + 1e-30j * direction)) / 1e-30


def foretold(network, weights, start, inputs, head_weight, head_bias):
    """Scores of the law of each step of one sequence, and of the one after the last; start : (h, c) of one row."""
    outputs = run_network(network, weights, np.asarray(inputs)[None], [len(inputs)], *start)[0][0]
    h = np.asarray(start[0])[-1]
    before = h[0] if network.skip is None else h[-1, 0]
    return [head_weight @ seen + head_bias for seen in [before, *outputs]]


def log_law(head, scores, x, location=0.0, scale=1.0, floor=1e-6):
    """log p(x) under a law with these scores; of several features the sum over those that are not missing."""
    if head == "categorical":
        return scores[int(x)] - np.log(sum(np.exp(score) for score in scores))
    if head == "bernoulli":
        return -np.log(1 + np.exp(-scores[0] if x else scores[0]))
    total, n = 0.0, np.size(x)
    for d, value in enumerate(np.atleast_1d(x)):
        if np.isnan(value):
            continue
        if head == "poisson":
            total += value * scores[d] - np.exp(scores[d]) - sum(np.log(k) for k in range(1, int(value) + 1))
        else:
            location_d, scale_d = np.broadcast_to(location, n)[d], np.broadcast_to(scale, n)[d]
            mean, variance = location_d + scale_d * scores[d], scale_d**2 * (np.exp(scores[n + d]) + floor)
            total += -0.5 * (np.log(2 * np.pi * variance) + (value - mean) ** 2 / variance)
    return total
