r"""One state and one observed number: the recursions in scalars, none of which subtracts one variance from another.

    v = x - z a,   F = z^2 P + h,   k = z P / F,   a_f = a + k v,   P_f = P h / F,   a' = c + T a_f,   P' = T^2 P_f + V

and backwards, with J = T P_f / P' and s, C the smoothed mean and variance of the step after,

    E(a | all) = a_f V / P' + J (s - c)       Cov(a | all) = P_f V / P' + J^2 C       Cov(a', a | all) = J C
    u = v / F - k T r,   D = 1 / F + k^2 T^2 N,   r <- z v / F + (h / F) T r,   N <- z^2 / F + (h / F)^2 T^2 N

so that every variance has all its digits, however vague the first state or exact the observations are. The names are
those of kalman.py and smoother.py. A start of which nothing is known ends with the first number that sees the state:
from then on a_f = x / z and P_f = h / z^2. Rauch, Tung and Striebel (1965).
"""

from __future__ import annotations

import math

import numpy as np

from statespace.foundations.kernel import kernel
from statespace.lds.kalman import CONTRADICTION, DIFFUSE, LOG_2PI, ORDINARY, SKIPPED, STEADY, STILL
from statespace.protocols import Floats, Ints


@kernel
def filter_one(
    loading: float,
    x: Floats,
    frame: Ints,
    design: Floats,
    variances: Floats,
    n_seen: Ints,
    T: Floats,
    c: Floats,
    V: Floats,
    freeze: int,
    keep: int,
    law: Floats,
    a: Floats,
    P: Floats,
    v: Floats,
    af: Floats,
    Pf: Floats,
    k: Floats,
    F: Floats,
    kind: Ints,
    steps: Floats,
) -> tuple[float, int]:
    """Filter all steps.

    loading : what is infinite of the first variance is proportional to its square; other than 0 only where the first
    number sees the state. x (n, 1), frame (n,), design (n_frames, 1, 1), variances (n_frames, 1) and n_seen (n_frames,)
    as in frames.py; T, c, V : (1 or n,). law : (2,), mean and variance of the first state, and then of the one after
    the last. keep : 0 for nothing, 1 for a, P and v, each (n,), 2 for the rest of them too. Returns the log-likelihood
    and the first steady step, n where there is none.
    """
    n = x.shape[0]
    timed_T, timed_c, timed_V = int(T.shape[0] > 1), int(c.shape[0] > 1), int(V.shape[0] > 1)
    mean, variance = law[0], law[1]
    total, product, squares, taken, steady_from = 0.0, 1.0, 0.0, 0.0, n
    last_frame, last_change = -1, np.inf
    t = 0
    while t < n:
        f = frame[t]
        z, h = design[f, 0, 0], variances[f, 0]
        spread, what = z * z * variance + h, ORDINARY
        if not (n_seen[f] > 0 and spread > 0.0):
            what = SKIPPED
        seen = x[t, 0]
        error = seen - z * mean
        gain, left, step = 0.0, variance, 0.0
        if loading != 0.0:
            what, spread = DIFFUSE, z * loading * (z * loading)
            gain, left = 1.0 / z, h / z / z
            step = -0.5 * (LOG_2PI + math.log(spread))
            total += step
            loading = 0.0
        elif what == ORDINARY:
            precision = 1.0 / spread
            gain, left = z * variance * precision, variance * (h * precision)
            squares += error * error * precision
            product *= spread
            taken += 1.0
            if not 1e-100 < product < 1e100:
                total -= 0.5 * math.log(product)
                product = 1.0
            if keep == 2:
                step = -0.5 * (LOG_2PI + math.log(spread) + error * error * precision)
        elif n_seen[f] > 0 and abs(error) > CONTRADICTION * (abs(seen) + abs(z * mean)):
            squares, step = np.inf, -np.inf
        if keep:
            a[t], P[t], v[t] = mean, variance, error
            if keep == 2:
                af[t], Pf[t], k[t], F[t] = mean + gain * error, left, gain, spread if what != SKIPPED else 0.0
                kind[t], steps[t] = what, step
        by = T[timed_T * t]
        mean = c[timed_c * t] + by * (mean + gain * error)
        following = by * by * left + V[timed_V * t]
        t += 1
        if not freeze or what == DIFFUSE or (what == SKIPPED and n_seen[f] > 0):
            variance = following
            continue
        if f != last_frame:
            last_frame, last_change, variance = f, np.inf, following
            continue
        change = abs(following - variance)
        if change > 0.0:
            change = change / variance if variance > 0.0 else np.inf
        rate = change / last_change if change < last_change else 1.0
        still = change <= STILL or (rate < 1.0 and change <= STEADY * (1.0 - rate))
        last_change = change
        if not still:
            variance = following
            continue
        # From here on gains are known; what is left is a' = L a + K x + c
        until = t
        while until < n and frame[until] == f:
            until += 1
        if until > t and steady_from == n:
            steady_from = t
        L, K = by * (1.0 if what == SKIPPED else h / spread), by * gain
        begin, square = t, 0.0
        if keep:
            for s in range(begin, until):
                a[s] = mean
                mean = L * mean + (K * x[s, 0] + c[timed_c * s])
            for s in range(begin, until):
                P[s] = variance
            for s in range(begin, until):
                v[s] = x[s, 0] - z * a[s]
            if what == ORDINARY:
                for s in range(begin, until):
                    square += v[s] * v[s]
        elif what == ORDINARY:
            for s in range(begin, until):
                error = x[s, 0] - z * mean
                square += error * error
                mean = L * mean + (K * x[s, 0] + c[timed_c * s])
        else:
            for s in range(begin, until):
                mean = L * mean + c[timed_c * s]
        if keep == 2:
            step, precision, spread = 0.0, 0.0, spread if what == ORDINARY else 0.0
            if what == ORDINARY:
                precision = 1.0 / spread
                step = -0.5 * (LOG_2PI + math.log(spread))
            for s in range(begin, until):
                af[s], steps[s] = a[s] + gain * v[s], step - 0.5 * precision * v[s] * v[s]
            for s in range(begin, until):
                Pf[s], k[s], F[s], kind[s] = left, gain, spread, what
        if what == ORDINARY:
            squares += square / spread
            total -= 0.5 * (until - begin) * (LOG_2PI + math.log(spread))
        last_frame, t = -1, until
    law[0], law[1] = mean, variance
    return total - 0.5 * (math.log(product) + taken * LOG_2PI + squares), steady_from


@kernel
def smooth_one(
    diffuse: int,
    frame: Ints,
    design: Floats,
    variances: Floats,
    n_seen: Ints,
    T: Floats,
    c: Floats,
    V: Floats,
    a: Floats,
    P: Floats,
    v: Floats,
    moments: int,
    errors: int,
    mean: Floats,
    cov: Floats,
    lag: Floats,
    r: Floats,
    u: Floats,
    N: Floats,
    D: Floats,
    Z: Floats,
    W: Floats,
    sums: Floats,
) -> None:
    """Pass backwards over all steps, from what `filter_one` kept of them.

    diffuse : 1 where the first number ended a start of which nothing was known, else 0; moments : whether mean, cov
    (n,) and lag (n - 1,) are written; errors : whether r, N (n + 1,) and u (n,) are. To D and Z (n_frames,) the sums of
    D and of k - P N k are added, to W (1 or n,) N T P_f. sums : (10,), filled with those of u, u a, u^2, r, r a, r^2
    and N over the steps, a the smoothed mean, r and N those that lead out of a step, and with r, N and the smoothed
    mean at the first step.
    """
    n = frame.shape[0]
    timed_T, timed_c, timed_V = int(T.shape[0] > 1), int(c.shape[0] > 1), int(V.shape[0] > 1)
    timed_W, timed = int(W.shape[0] > 1), timed_T + timed_V
    smoothed, spread, drift, pull = 0.0, 0.0, 0.0, 0.0
    sum_u, sum_ua, sum_uu, sum_r, sum_ra, sum_rr, sum_N, sum_D, sum_Z = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    last_frame, last_variance = -1, -1.0
    z, h, by, gain, precision, kept, left, J, rest, seen = 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, False
    for t in range(n - 1, -1, -1):
        f, variance = frame[t], P[t]
        if timed or f != last_frame or variance != last_variance or t < diffuse:
            if f != last_frame and last_frame >= 0:
                D[last_frame] += sum_D
                Z[last_frame] += sum_Z
                sum_D, sum_Z = 0.0, 0.0
            last_frame, last_variance = f, variance
            z, h, by = design[f, 0, 0], variances[f, 0], T[timed_T * t]
            total = z * z * variance + h
            seen = n_seen[f] > 0 and total > 0.0
            gain, precision, kept, left = 0.0, 0.0, 1.0, variance
            if t < diffuse:
                gain, kept, left, seen = 1.0 / z, 0.0, h / z / z, True
            elif seen:
                precision = 1.0 / total
                gain, kept, left = z * variance * precision, h * precision, variance * (h * precision)
            total = by * by * left + V[timed_V * t]
            J, rest = (by * left / total, V[timed_V * t] / total) if total > 0.0 else (0.0, 1.0)
        filtered = a[t] + gain * v[t]
        if t == n - 1:
            smoothed, spread = filtered, left
        else:
            if moments:
                lag[t] = J * spread
            smoothed = filtered * rest + J * (smoothed - c[timed_c * t])
            spread = left * rest + J * J * spread
        if moments:
            mean[t], cov[t] = smoothed, spread
        if errors:
            r[t + 1], N[t + 1] = drift, pull
        sum_r += drift
        sum_ra += drift * smoothed
        sum_rr += drift * drift
        sum_N += pull
        W[timed_W * t] += pull * by * left
        drift, pull, error = by * drift, by * by * pull, 0.0
        if seen:
            error = precision * v[t] - gain * drift
            sum_D += precision + gain * gain * pull
            sum_Z += z * spread / h if h > 0.0 else gain
            drift = z * precision * v[t] + kept * drift
            pull = z * z * precision + kept * kept * pull
            sum_u += error
            sum_ua += error * smoothed
            sum_uu += error * error
        if errors:
            u[t] = error
    if last_frame >= 0:
        D[last_frame] += sum_D
        Z[last_frame] += sum_Z
    if errors:
        r[0], N[0] = drift, pull
    sums[0], sums[1], sums[2], sums[3], sums[4], sums[5], sums[6] = sum_u, sum_ua, sum_uu, sum_r, sum_ra, sum_rr, sum_N
    sums[7], sums[8], sums[9] = drift, pull, smoothed
