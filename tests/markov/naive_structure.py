"""The obvious twins of the recursions on transition matrices: powers of the graph, and exact rational arithmetic."""

import math
from fractions import Fraction

import mpmath
import numpy as np

# Graph, by boolean powers


def reachable(P):
    """Whether j can be reached from i in 0 or more steps."""
    graph = (np.asarray(P) > 0) | np.eye(len(P), dtype=bool)
    paths = np.eye(len(P), dtype=bool)
    for _ in range(len(P)):
        paths = paths @ graph
    return paths


def communicating_classes(P):
    """(members, recurrent) of each class, in the order of their smallest members."""
    paths = reachable(P)
    classes = {tuple(np.flatnonzero(paths[i] & paths[:, i]).tolist()) for i in range(len(P))}
    return [(members, int(paths[members[0]].sum()) == len(members)) for members in sorted(classes)]


def recurrent_classes(P):
    return [members for members, recurrent in communicating_classes(P) if recurrent]


def period(P, state):
    """gcd of the numbers of steps after which a return is possible, up to K^2 + 2K of them."""
    graph = np.asarray(P) > 0
    found, paths = 0, np.eye(len(P), dtype=bool)
    for steps in range(1, len(P) ** 2 + 2 * len(P) + 1):
        paths = paths @ graph
        if paths[state, state]:
            found = math.gcd(found, steps)
    return found


# Laws and times, by Gaussian elimination on fractions


def rates(P):
    """P - I as fractions; the diagonal is minus what the other entries say, so that rows sum to 0 exactly."""
    K = len(P)
    G = [[Fraction(float(P[i][j])) if i != j else Fraction(0) for j in range(K)] for i in range(K)]
    for i in range(K):
        G[i][i] = -sum(G[i])
    return G


def rates_in_digits(P):
    """The same for mpmath, to as many digits as it works with."""
    return mpmath.matrix([[mpmath.mpf(g.numerator) / g.denominator for g in row] for row in rates(P)])


def solve(A, b):
    """Solve A x = b exactly."""
    n = len(b)
    rows = [[*A[i], b[i]] for i in range(n)]
    for k in range(n):
        pivot = next(i for i in range(k, n) if rows[i][k] != 0)
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [entry / rows[k][k] for entry in rows[k]]
        for i in range(n):
            if i != k and rows[i][k] != 0:
                rows[i] = [a - rows[i][k] * c for a, c in zip(rows[i], rows[k], strict=True)]
    return [row[n] for row in rows]


def stationary_law(P, members=None):
    """The law with pi P = pi on the states of one recurrent class; the last equation is replaced by the sum."""
    G = rates(P)
    members = range(len(P)) if members is None else members
    A = [[G[i][j] for i in members] for j in members]
    A[-1] = [Fraction(1)] * len(members)
    law = [Fraction(0)] * len(P)
    for state, p in zip(members, solve(A, [Fraction(0)] * (len(members) - 1) + [Fraction(1)]), strict=True):
        law[state] = p
    return law


def hitting_probabilities(P, targets):
    """The smallest non-negative solution of h = P h with h = 1 on the targets."""
    G, paths = rates(P), reachable(P)
    inner = [i for i in range(len(P)) if i not in targets and paths[i][list(targets)].any()]
    right = [-sum(G[i][j] for j in targets) for i in inner]
    h = [Fraction(int(i in targets)) for i in range(len(P))]
    for state, p in zip(inner, solve([[G[i][j] for j in inner] for i in inner], right), strict=True):
        h[state] = p
    return h


def mean_hitting_times(P, targets):
    """The mean number of steps to the targets; None where they may be missed."""
    G = rates(P)
    certain = [p == 1 for p in hitting_probabilities(P, targets)]
    inner = [i for i in range(len(P)) if certain[i] and i not in targets]
    times = [Fraction(0) if i in targets else None for i in range(len(P))]
    right = [Fraction(-1)] * len(inner)
    for state, t in zip(inner, solve([[G[i][j] for j in inner] for i in inner], right), strict=True):
        times[state] = t
    return times


def absorption_probabilities(P):
    return np.array([hitting_probabilities(P, members) for members in recurrent_classes(P)]).T


def absorption_times(P):
    return mean_hitting_times(P, [state for members in recurrent_classes(P) for state in members])


def mean_first_passage_times(P):
    """M as floats, rounded once; inf where the passage is not certain."""
    K = len(P)
    M = np.full((K, K), np.inf)
    for j in range(K):
        times = mean_hitting_times(P, [j])
        followers = [k for k in range(K) if P[j][k] > 0 and k != j]
        if all(times[k] is not None for k in followers):
            M[j, j] = float(1 + sum(Fraction(float(P[j][k])) * times[k] for k in followers))
        for i in range(K):
            if i != j and times[i] is not None:
                M[i, j] = float(times[i])
    return M


def n_step_matrix(P, n):
    """The n-th power, one factor after the other; rows divided by their sums, since those of P are rounded."""
    K = len(P)
    factor = [[Fraction(float(p)) for p in row] for row in P]
    power = [[Fraction(int(i == j)) for j in range(K)] for i in range(K)]
    for _ in range(n):
        power = [[sum(power[i][k] * factor[k][j] for k in range(K)) for j in range(K)] for i in range(K)]
    return [[entry / sum(row) for entry in row] for row in power]


def time_average(P, start, n_squarings=20):
    """Long-run law by brute force: the lazy chain (I + P) / 2 has the same averages and no period."""
    lazy = (np.eye(len(P)) + np.asarray(P)) / 2
    for _ in range(n_squarings):
        lazy = lazy @ lazy
        lazy /= lazy.sum(axis=1, keepdims=True)
    return np.asarray(start) @ lazy
