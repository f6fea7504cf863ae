"""The obvious twins of the linear-Gaussian recursions.

`dense`: states, disturbances and observations are one long linear map of independent pieces (the first state and the
disturbances), hence one big Gaussian vector, whose covariance is written down and conditioned on what was observed by
solving. Numbers have hundreds of digits (python-flint). A diffuse start is P1 + k A A^T at k = 2^300 and at 2 k: with
x(k) = x_finite + k x_infinite + O(1/k), both parts follow, and each factor k in the density is taken out.

`precise_filter`: textbook recursions in the same numbers, for series too long for the first.
`textbook_filter`, `textbook_smoother`: the recursions in float64 with `@` and `inv`, where the start is finite.

All take a `statespace.lds.system.System` (or anything with its fields) and Y (n, n_features), NaN where missing.
"""

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from flint import arb, arb_mat, ctx

TIMED = ("design", "obs_intercept", "obs_cov", "transition", "state_intercept", "selection", "state_cov")
SYMMETRIC = ("obs_cov", "state_cov", "initial_state_cov")
START = ("initial_state", "initial_state_cov")

_BITS = 2600  # of a number
_K = 300  # log2 of k
_NOTHING = 800  # a variance of which only the 2^-800-th part is left is implied by what was seen
_STEP = 700  # -log2 of the step of a difference, relative to the matrix


@contextmanager
def _bits(bits):
    before, ctx.prec = ctx.prec, bits
    try:
        yield
    finally:
        ctx.prec = before


# Numbers


def exact(values):
    """The same numbers as an object array of arb."""
    values = np.asarray(values, dtype=float)
    made = np.empty(values.shape, dtype=object)
    for place, value in np.ndenumerate(values):
        made[place] = arb(float(value))
    return made


def _zeros(*shape):
    made = np.empty(shape, dtype=object)
    made[...] = arb(0)
    return made


def _eye(size):
    return exact(np.eye(size))


def _matrix(array):
    return arb_mat([list(row) for row in array])


def _array(matrix):
    made = _zeros(matrix.nrows(), matrix.ncols())
    for i, row in enumerate(matrix.tolist()):
        made[i] = row
    return made


def product(A, B):
    """A B of object arrays."""
    if not (A.shape[0] and A.shape[1] and B.shape[1]):
        return _zeros(A.shape[0], B.shape[1])
    return _array(_matrix(A) * _matrix(B))


def solve(A, B):
    """A^{-1} B of object arrays."""
    return _array(_matrix(A).solve(_matrix(B)))


def floats(array):
    """To float64."""
    array = np.asarray(array, dtype=object)
    return np.array([float(value) for value in array.ravel()], dtype=float).reshape(array.shape)


def _matrices(system):
    return {name: exact(getattr(system, name)) for name in (*TIMED, *START, "diffuse_loadings")}


def _at(values, t):
    return values[t] if len(values) > 1 else values[0]


# The joint law


@dataclass
class _Joint:
    """One long vector z = constant + G pieces, with pieces ~ N(mean, blocks + k loadings loadings^T)."""

    constant: np.ndarray
    """E z, (n_all,)."""
    G: np.ndarray
    """(n_all, n_pieces)."""
    blocks: np.ndarray
    loadings: np.ndarray
    a: list
    """Where in z the states a_1..a_{n+1} are."""
    y: list
    e: list
    w: list
    """Disturbances of the states."""

    def cov(self, k, rows=None):
        """Cov z, or of some of it."""
        G = self.G if rows is None else self.G[rows]
        q = self.loadings.shape[1]
        blocks = self.blocks + product(self.loadings, self.loadings.T) * k if q else self.blocks
        return product(product(G, blocks), np.ascontiguousarray(G.T))


def _joint(M, n):
    p, m = M["design"].shape[1:]
    r = M["state_cov"].shape[1]
    size = m + n * p + n * r
    identity = _eye(size)
    e, w = np.split(identity[m:], [n * p])
    blocks, loadings = _zeros(size, size), _zeros(size, M["diffuse_loadings"].shape[1])
    blocks[:m, :m] = M["initial_state_cov"]
    loadings[:m] = M["diffuse_loadings"]
    states, means = [identity[:m]], [M["initial_state"]]
    observed, observed_means = [], []
    for t in range(n):
        at_e, at_w = m + t * p, m + n * p + t * r
        blocks[at_e : at_e + p, at_e : at_e + p] = _at(M["obs_cov"], t)
        blocks[at_w : at_w + r, at_w : at_w + r] = _at(M["state_cov"], t)
        Z, T, R = _at(M["design"], t), _at(M["transition"], t), _at(M["selection"], t)
        observed.append(product(Z, states[t]) + e[t * p : (t + 1) * p])
        observed_means.append(_at(M["obs_intercept"], t) + Z @ means[t])
        states.append(product(T, states[t]) + product(R, w[t * r : (t + 1) * r]))
        means.append(_at(M["state_intercept"], t) + T @ means[t])
    places = np.split(np.arange((n + 1) * m + n * (p + p + r)), np.cumsum([(n + 1) * m, n * p, n * p]))
    a, *others = (np.split(place, k) for place, k in zip(places, (n + 1, n, n, n), strict=True))
    constant = np.concatenate([*means, *observed_means, _zeros(n * (p + r))])
    return _Joint(constant, np.concatenate([*states, *observed, e, w]), blocks, loadings, a, *others)


def _kept(C):
    """Rows that the ones before do not imply, in order: elimination."""
    left, kept = C.copy(), []
    for i in range(len(C)):
        variance, least = left[i, i], C[i, i].abs_upper() * arb(2) ** -_NOTHING
        if variance.abs_upper() <= least:
            continue
        if variance.lower() <= 0:
            raise ArithmeticError(f"row {i} has the variance {variance.str(5)}: more bits are needed")
        kept.append(i)
        rest = left[i + 1 :, i] / variance
        left[i + 1 :, i + 1 :] -= rest[:, None] * left[i, i + 1 :]
    return kept


def _log_density(C, centred):
    """log N(centred; 0, C) and log |C|."""
    n = len(centred)
    if not n:
        return arb(0), arb(0)
    log_det = _matrix(C).det().log()
    square = centred @ solve(C, centred[:, None])[:, 0]
    return (n * (2 * arb.pi()).log() + log_det + square) * arb(-0.5), log_det


# What is known of it


@dataclass
class Dense:
    """Fields as in FilterResult and SmoothResult, n (m, p, r) of them, float64; and what these leave open."""

    log_likelihood: float
    """Convention of Durbin and Koopman."""
    log_likelihood_kfas: float
    log_likelihood_steps: np.ndarray
    predicted_mean: np.ndarray
    predicted_cov: np.ndarray
    predicted_diffuse_cov: np.ndarray
    """(n + 1, m, m): what k multiplies, zero once all is determined."""
    filtered_mean: np.ndarray
    filtered_cov: np.ndarray
    filtered_diffuse_cov: np.ndarray
    innovations: np.ndarray
    innovation_cov: np.ndarray
    """(n, p, p): the finite part."""
    innovation_diffuse_cov: np.ndarray
    n_diffuse_steps: int
    """Steps until nothing is multiplied by k; n where that never comes."""
    n_determined: int
    """Diffuse directions that the data have determined."""
    kept: np.ndarray
    """(n, p): observed, and not implied by what was observed before."""
    contradiction: np.ndarray
    """(n, p): by how much an observation that others imply differs from what they imply; 0 for the others."""
    mean: np.ndarray
    cov: np.ndarray
    diffuse_cov: np.ndarray
    """(n, m, m): what k multiplies, where the data do not determine it."""
    lag_one_cov: np.ndarray
    obs_disturbance: np.ndarray
    obs_disturbance_cov: np.ndarray
    state_disturbance: np.ndarray
    state_disturbance_cov: np.ndarray
    forecast_mean: np.ndarray
    """E(a_{n+1} | all), (m,)."""
    forecast_cov: np.ndarray


class _Law:
    """The law of some of the long vector given some of its observations, from its covariances at k and at 2 k."""

    def __init__(self, constant, covs, given, values, rows):
        self.constant, self.covs, self.given, self.centred = constant, covs, given, values - constant[given]
        self.given_covs = [C[np.ix_(given, given)] for C in covs]
        self.column = {row: i for i, row in enumerate(rows)}
        targets = [C[np.ix_(given, rows)] for C in covs]
        self.gains = [solve(*pair) if len(given) else pair[1] for pair in zip(self.given_covs, targets, strict=True)]

    def _parts(self, values):
        """What does not depend on k, and what k multiplies."""
        if len(values) == 1:
            return floats(values[0]), np.zeros(values[0].shape)
        return floats(values[0] * 2 - values[1]), floats((values[1] - values[0]) * arb(2) ** -_K)

    def _gain(self, i, rows):
        return np.ascontiguousarray(self.gains[i][:, [self.column[row] for row in rows]])

    def exact_mean(self, rows, i):
        return self.constant[rows] + product(self.centred[None], self._gain(i, rows))[0]

    def mean(self, rows):
        return self._parts([self.exact_mean(rows, i) for i in range(len(self.covs))])[0]

    def cov(self, left, right):
        """The finite part, and what k multiplies."""
        return self._parts(
            [
                C[np.ix_(left, right)] - product(C[np.ix_(left, self.given)], self._gain(i, right))
                for i, C in enumerate(self.covs)
            ]
        )

    def level(self):
        """The log-density of what is given without its powers of k, and how many there are: log |C| ~ d log k."""
        if not len(self.given):
            return arb(0), 0
        parts = [_log_density(C, self.centred) for C in self.given_covs]
        if len(parts) == 1:
            return parts[0][0], 0
        d = round(float((parts[1][1] - parts[0][1]) / arb(2).log()))
        return parts[0][0] + arb(d) / 2 * arb(2).log() * _K, d


def dense(system, Y, smoothed=True, filtered=True):
    """All of FilterResult and SmoothResult from the joint law; what is not asked for is left empty.

    Observations that the ones before imply exactly are not conditioned on: where they disagree, the first one counts.
    """
    Y = np.asarray(Y, dtype=float)
    n, p = Y.shape
    with _bits(_BITS):
        joint = _joint(_matrices(system), n)
        m, q = len(joint.a[0]), joint.loadings.shape[1]
        covs = [joint.cov(k) for k in ([arb(2) ** _K, arb(2) ** (_K + 1)] if q else [arb(0)])]
        seen = np.concatenate(joint.y)[~np.isnan(Y).ravel()]
        kept = seen[_kept(covs[0][np.ix_(seen, seen)])]
        values = exact(Y.ravel())[kept - joint.y[0][0]]
        n_kept = [int((kept < joint.y[t][0]).sum()) for t in range(n)] + [len(kept)]
        times = range(n + 1) if filtered else [0, n]
        wanted = [np.concatenate([joint.a[t], joint.y[t]]) for t in range(n)]
        wanted = [np.concatenate([joint.a[max(t - 1, 0)], wanted[min(t, n - 1)], joint.a[t]]) for t in range(n + 1)]
        wanted[n] = np.arange(len(joint.constant)) if smoothed else wanted[n]
        laws = {t: _Law(joint.constant, covs, kept[: n_kept[t]], values[: n_kept[t]], wanted[t]) for t in times}
        last = laws[n]
        out = dict.fromkeys(Dense.__annotations__, np.empty(0))
        levels = {t: law.level() for t, law in laws.items()}
        level, out["n_determined"] = levels[n]
        out["log_likelihood"] = float(level)
        out["log_likelihood_kfas"] = float(level + (2 * arb.pi()).log() * out["n_determined"] / 2)
        out["kept"] = np.isin(np.concatenate(joint.y), kept).reshape(n, p)
        out["contradiction"] = _contradiction(joint, Y, covs[0], kept, values, np.setdiff1d(seen, kept))

        def table(pairs, size):
            """Covariances, and what k multiplies in them."""
            parts = [law.cov(rows, rows) for law, rows in pairs]
            return (np.array([part[i] for part in parts]).reshape(len(parts), size, size) for i in range(2))

        if filtered:
            out["log_likelihood_steps"] = floats([levels[t + 1][0] - levels[t][0] for t in range(n)])
            before = [(laws[t], joint.a[t]) for t in range(n + 1)]
            after = [(laws[t + 1], joint.a[t]) for t in range(n)]
            observed = [(laws[t], joint.y[t]) for t in range(n)]
            out["predicted_mean"] = np.array([law.mean(rows) for law, rows in before])
            out["predicted_cov"], diffuse = table(before, m)
            out["filtered_mean"] = np.array([law.mean(rows) for law, rows in after])
            out["filtered_cov"], out["filtered_diffuse_cov"] = table(after, m)
            out["innovations"] = Y - np.array([law.mean(rows) for law, rows in observed])
            out["innovation_cov"], out["innovation_diffuse_cov"] = table(observed, p)
            for name in ("filtered_diffuse_cov", "innovation_diffuse_cov"):
                out[name][np.abs(out[name]) < 2.0 ** -(_K // 2)] = 0.0
            diffuse[np.abs(diffuse) < 2.0 ** -(_K // 2)] = 0.0
            over = np.flatnonzero(~diffuse.any(axis=(1, 2)))
            out["predicted_diffuse_cov"], out["n_diffuse_steps"] = diffuse, int(over[0]) if over.size else n
        if smoothed:
            out["mean"] = np.array([last.mean(rows) for rows in joint.a[:n]])
            out["cov"], out["diffuse_cov"] = table([(last, rows) for rows in joint.a[:n]], m)
            out["diffuse_cov"][np.abs(out["diffuse_cov"]) < 2.0 ** -(_K // 2)] = 0.0
            lags = [last.cov(joint.a[t + 1], joint.a[t])[0] for t in range(n - 1)]
            out["lag_one_cov"] = np.array(lags).reshape(n - 1, m, m)
            for name, rows in (("obs_disturbance", joint.e), ("state_disturbance", joint.w)):
                out[name] = np.array([last.mean(place) for place in rows])
                out[f"{name}_cov"], _ = table([(last, place) for place in rows], len(rows[0]))
            out["forecast_mean"], out["forecast_cov"] = last.mean(joint.a[n]), last.cov(joint.a[n], joint.a[n])[0]
    return Dense(**out)


def _contradiction(joint, Y, C, kept, values, implied):
    out = np.zeros(Y.size)
    for row in implied:
        before = kept < row
        law = _Law(joint.constant, [C], kept[before], values[before], [row])
        out[row - joint.y[0][0]] = float(arb(float(Y.ravel()[row - joint.y[0][0]])) - law.exact_mean([row], 0)[0])
    return out.reshape(Y.shape)


# Differences


def gradient(system, Y, entries=None):
    """Derivatives of the log-likelihood by central differences, as the fields of Gradient: a dict of arrays.

    Parameters
    ----------
    entries : list of (name, place), optional
        Those that are wanted, of arrays with their time axis; the others are NaN. None: all.

    States that begin with their stationary law do so after a move too. Covariances are moved at (i, j) and (j, i) at
    once, and the difference is shared between the two. Observations implied by others stay out. The step is far below
    1 / k: the limit of derivatives, not the derivative of the limit.

    """
    Y = np.asarray(Y, dtype=float)
    with _bits(_BITS):
        M = _matrices(system)
        stationary = np.flatnonzero(system.stationary)
        if entries is None:
            entries = [(name, place) for name in (*TIMED, *START) for place in np.ndindex(M[name].shape)]
        q = M["diffuse_loadings"].shape[1]
        joint = _joint(M, len(Y))
        k = arb(2) ** _K if q else arb(0)
        seen = np.concatenate(joint.y)[~np.isnan(Y).ravel()]
        kept = seen[_kept(joint.cov(k, seen))]
        values = exact(Y.ravel())[kept - joint.y[0][0]]
        out = {name: np.full(M[name].shape, np.nan) for name in (*TIMED, *START)}
        for name, place in entries:
            scale = max(abs(float(value)) for value in M[name].ravel()) or 1.0
            step = scale * arb(2) ** -_STEP
            mirrored = (*place[:-2], place[-1], place[-2]) if name in SYMMETRIC else place
            levels = []
            for side in (1, -1):
                moved = dict(M)
                moved[name] = M[name].copy()
                moved[name][place] += step * side
                if mirrored != place:
                    moved[name][mirrored] += step * side
                if stationary.size and name not in START:
                    start = moved["initial_state"].copy(), moved["initial_state_cov"].copy()
                    start[0][stationary], start[1][np.ix_(stationary, stationary)] = _stationary(moved, stationary)
                    moved["initial_state"], moved["initial_state_cov"] = start
                levels.append(_density(_joint(moved, len(Y)), kept, values, k))
            slope = float((levels[0] - levels[1]) / (step * (4 if mirrored != place else 2)))
            slope = 0.0 if q and abs(slope) < 2.0 ** -(_K // 2) else slope  # O(1 / k)
            out[name][place] = out[name][mirrored] = slope
    return out


def _density(joint, kept, values, k):
    """The log-density at one k of those observations that are kept."""
    return _log_density(joint.cov(k, kept), values - joint.constant[kept])[0]


def _stationary(M, states=slice(None)):
    """(I - T)^{-1} c and the solution of P = T P T^T + R Q R^T, entry by entry as one linear system; of some states."""
    T, R, Q, c = (M[name][0] for name in ("transition", "selection", "state_cov", "state_intercept"))
    V = product(product(R, Q), np.ascontiguousarray(R.T))[states][:, states]
    T, c = T[states][:, states], c[states]
    m = len(T)
    mean = solve(_eye(m) - T, c[:, None])[:, 0]
    P = solve(_eye(m * m) - np.kron(T, T), np.ascontiguousarray(V).reshape(-1, 1)).reshape(m, m)
    return mean, P


def stationary_law(system):
    """Mean and covariance of the stationary law of the states."""
    with _bits(_BITS):
        mean, P = _stationary(_matrices(system))
        return floats(mean), floats(P)


def stationary_derivatives(system, g, G):
    """Of g . a1 + sum_ij G_ij P1_ij by T, by V = R Q R^T (symmetric, not doubled) and by c."""
    with _bits(_BITS):
        M = _matrices(system)
        m = len(g)
        M["selection"], M["state_cov"] = _eye(m)[None], exact(system.disturbance_cov)
        g, G = exact(g), exact(G)
        out = []
        for name in ("transition", "state_cov", "state_intercept"):
            derivative = np.empty(M[name][0].shape)
            step = (max(abs(float(value)) for value in M[name].ravel()) or 1.0) * arb(2) ** -_STEP
            for place in np.ndindex(derivative.shape):
                values = []
                for side in (1, -1):
                    moved = {**M, name: M[name].copy()}
                    moved[name][0][place] += step * side
                    mean, P = _stationary(moved)
                    values.append(g @ mean + (G * P).sum())
                derivative[place] = float((values[0] - values[1]) / (step * 2))
            out.append(derivative)
        out[1] = (out[1] + out[1].T) / 2
        return out


# Long series


def precise_filter(system, Y, bits=1000, as_floats=True, exact_total=False):
    """The filter in many digits: at each step (a_t, y_t) is a small Gaussian vector, conditioned by elimination.

    Returns
    -------
    dict
        log_likelihood, log_likelihood_kfas, log_likelihood_steps (n,), predicted_mean (n + 1, m), predicted_cov,
        filtered_mean, filtered_cov: right where nothing is diffuse any more. With `exact_total` the log-likelihood
        alone, in all its digits.

    """
    Y = np.asarray(Y, dtype=float)
    n = len(Y)
    with _bits(bits):
        M = _matrices(system)
        m, q = M["diffuse_loadings"].shape
        K = arb(2) ** _K
        a = M["initial_state"]
        P = M["initial_state_cov"] + (product(M["diffuse_loadings"], M["diffuse_loadings"].T) * K if q else arb(0))
        V = [product(product(R, Q), np.ascontiguousarray(R.T)) for R, Q in _pairs(M["selection"], M["state_cov"])]
        log_two_pi = (2 * arb.pi()).log()
        steps, n_diffuse, show = [], 0, floats if as_floats else _middle
        out = {name: [] for name in ("predicted_mean", "predicted_cov", "filtered_mean", "filtered_cov")}
        for t in range(n):
            out["predicted_mean"].append(show(a))
            out["predicted_cov"].append(show(P))
            rows = np.flatnonzero(~np.isnan(Y[t]))
            Z, H = _at(M["design"], t)[rows], _at(M["obs_cov"], t)[np.ix_(rows, rows)]
            ZP = Z @ P
            S = np.block([[P, ZP.T], [ZP, ZP @ Z.T + H]]) if len(rows) else P.copy()
            mu = np.concatenate([a, _at(M["obs_intercept"], t)[rows] + Z @ a])
            whole = [S[i, i] for i in range(len(S))]
            level = arb(0)
            for i, row in enumerate(rows, start=m):
                F = S[i, i]
                if F.abs_upper() <= whole[i].abs_upper() * arb(2) ** -(bits // 2):
                    continue
                v = arb(float(Y[t, row])) - mu[i]
                is_diffuse = bool(arb(2) ** (_K // 2) < F)
                n_diffuse += is_diffuse
                level -= (log_two_pi + (F / K if is_diffuse else F).log() + v * v / F) / 2
                gain = S[:, i] / F
                mu = mu + gain * v
                S = S - gain[:, None] * S[i]
            steps.append(level.mid())
            a, P = mu[:m], S[:m, :m]
            out["filtered_mean"].append(show(a))
            out["filtered_cov"].append(show(P))
            T = _at(M["transition"], t)
            a = _middle(_at(M["state_intercept"], t) + T @ a)
            P = _middle(T @ P @ T.T + _at(V, t))  # radii would grow with every step: digits are plenty
            P = (P + P.T) / 2
        out["predicted_mean"].append(show(a))
        out["predicted_cov"].append(show(P))
        if as_floats:
            out = {name: np.array(values) for name, values in out.items()}
        total = sum(steps, arb(0))
        if exact_total:
            return total
        out["log_likelihood"] = float(total)
        out["log_likelihood_kfas"] = float(total + log_two_pi * n_diffuse / 2)
        out["log_likelihood_steps"] = floats(steps)
    return out


def precise_smoother(system, Y, bits=2600):
    """Rauch, Tung and Striebel's smoother in many digits, at one large k; predicted covariances have to be regular.

    Returns
    -------
    dict
        mean (n, m), cov (n, m, m), lag_one_cov (n - 1, m, m) with Cov(a_{t+1}, a_t | all).

    """
    with _bits(bits):
        passed = precise_filter(system, Y, bits, as_floats=False)
        M = _matrices(system)
        mean, cov = list(passed["filtered_mean"]), list(passed["filtered_cov"])
        lag_one = []
        for t in range(len(mean) - 2, -1, -1):
            T, ahead = _at(M["transition"], t), passed["predicted_cov"][t + 1]
            gain = np.ascontiguousarray(solve(ahead, product(T, cov[t])).T)
            mean[t] = _middle(mean[t] + gain @ (mean[t + 1] - passed["predicted_mean"][t + 1]))
            lag_one.append(floats(product(cov[t + 1], np.ascontiguousarray(gain.T))))
            change = product(product(gain, cov[t + 1] - ahead), np.ascontiguousarray(gain.T))
            cov[t] = _middle(cov[t] + change)
            cov[t] = (cov[t] + cov[t].T) / 2
        return {"mean": floats(mean), "cov": floats(cov), "lag_one_cov": np.array(lag_one[::-1])}


def _pairs(A, B):
    length = max(len(A), len(B))
    return [(_at(A, t), _at(B, t)) for t in range(length)]


def _middle(array):
    made = np.empty_like(array)
    for place, value in np.ndenumerate(array):
        made[place] = value.mid()
    return made


# The same in float64


def textbook_filter(system, Y):
    """The filter as books print it, with `@` and `inv`; nothing diffuse, no singular F.

    Returns
    -------
    dict
        As `precise_filter`.

    """
    Y = np.asarray(Y, dtype=float)
    n = len(Y)
    a, P = system.initial_state, system.initial_state_cov
    if system.diffuse_loadings.shape[1]:
        raise ValueError("the textbook's filter has no diffuse start")
    out = {name: [] for name in ("predicted_mean", "predicted_cov", "filtered_mean", "filtered_cov")}
    steps = np.zeros(n)
    for t in range(n):
        Z, d, H, T, c, R, Q = (_at(getattr(system, name), t) for name in TIMED)
        out["predicted_mean"].append(a)
        out["predicted_cov"].append(P)
        rows = np.flatnonzero(~np.isnan(Y[t]))
        if len(rows):
            Z, H = Z[rows], H[np.ix_(rows, rows)]
            v = Y[t, rows] - d[rows] - Z @ a
            F = Z @ P @ Z.T + H
            inverse = np.linalg.inv(F)
            steps[t] = -0.5 * (len(rows) * np.log(2 * np.pi) + np.linalg.slogdet(F)[1] + v @ inverse @ v)
            K = P @ Z.T @ inverse
            a, P = a + K @ v, P - K @ Z @ P
        out["filtered_mean"].append(a)
        out["filtered_cov"].append(P)
        a, P = c + T @ a, T @ P @ T.T + R @ Q @ R.T
    out["predicted_mean"].append(a)
    out["predicted_cov"].append(P)
    out = {name: np.array(values) for name, values in out.items()}
    out["log_likelihood_steps"], out["log_likelihood"] = steps, steps.sum()
    return out


def textbook_smoother(system, Y):
    """Rauch, Tung and Striebel's smoother; predicted covariances have to be regular.

    Returns
    -------
    dict
        mean (n, m), cov (n, m, m), lag_one_cov (n - 1, m, m) with Cov(a_{t+1}, a_t | all).

    """
    passed = textbook_filter(system, Y)
    mean, cov = passed["filtered_mean"].copy(), passed["filtered_cov"].copy()
    n = len(mean)
    lag_one = np.empty((n - 1, *cov.shape[1:]))
    for t in range(n - 2, -1, -1):
        T = _at(system.transition, t)
        gain = cov[t] @ T.T @ np.linalg.inv(passed["predicted_cov"][t + 1])
        mean[t] += gain @ (mean[t + 1] - passed["predicted_mean"][t + 1])
        lag_one[t] = cov[t + 1] @ gain.T
        cov[t] = cov[t] + gain @ (cov[t + 1] - passed["predicted_cov"][t + 1]) @ gain.T
    return {"mean": mean, "cov": cov, "lag_one_cov": lag_one}
