"""The obvious twins of the kernels.

Of words and contexts: plain Python over dictionaries and tuples, None for a missing observation. Of transition
matrices: powers of the graph, and exact rational arithmetic.
"""

import itertools
import math
from bisect import bisect_right
from fractions import Fraction

import mpmath
import numpy as np

# Words and contexts. A word is a tuple of symbols, oldest first; a sequence is a list of 0, 1, ..., K - 1 and None.


def words(sequences, order):
    """(sequence, place of its last symbol, word) of every complete word of order + 1 symbols."""
    found = []
    for s, x in enumerate(sequences):
        for n in range(order, len(x)):
            word = tuple(x[n - order : n + 1])
            if None not in word:
                found.append((s, n, word))
    return found


def count_words(sequences, order, weights=None):
    """Word -> its count, or the sum of its sequences' weights."""
    counts = {}
    for s, _, word in words(sequences, order):
        counts[word] = counts.get(word, 0) + (1 if weights is None else weights[s])
    return {word: count for word, count in counts.items() if count > 0}


def all_words(K, length):
    return list(itertools.product(range(K), repeat=length))


def code(word, K):
    """The word read as a number in base K."""
    return sum(symbol * K**place for place, symbol in enumerate(reversed(word)))


def context_codes(x, K, order):
    """The code of the last `order` symbols before each place, and before the one after the last; -1 if incomplete."""
    codes = []
    for n in range(len(x) + 1):
        before = x[max(n - order, 0) : n]
        codes.append(-1 if len(before) < order or None in before else code(before, K))
    return codes


# Estimates: functions (context, symbol) -> probability


def additive(counts, K, alpha):
    def probability(context, k):
        total = sum(counts.get((*context, j), 0) for j in range(K))
        if total + alpha == 0:
            return 1 / K
        return (counts.get((*context, k), 0) + alpha) / (total + K * alpha)

    return probability


def witten_bell(sequences, K, order, weights=None):
    """By recursion from the context to its suffixes, down to the uniform law."""
    tables = [count_words(sequences, m, weights) for m in range(order + 1)]

    def probability(context, k):
        counts = tables[len(context)]
        followers = [counts[(*context, j)] for j in range(K) if (*context, j) in counts]
        shorter = 1 / K if not context else probability(context[1:], k)
        if not followers:
            return shorter
        n, types = sum(followers), len(followers)
        return (counts.get((*context, k), 0) + types * shorter) / (n + types)

    return probability


# Probabilities of paths, by multiplying conditionals


def path_probability(path, order, start, transition):
    """p(x_1, ..., x_N), N >= order; `start` is a function of the first `order` symbols."""
    probability = start(tuple(path[:order]))
    for n in range(order, len(path)):
        probability *= transition(tuple(path[n - order : n]), path[n])
    return probability


def laws_by_paths(x, K, order, start, transition, ahead=1):
    """Laws of x_{N+1}, ..., x_{N+ahead} given what is known of x, summed over every path that agrees with it."""
    laws = [[0.0] * K for _ in range(ahead)]
    for path in all_words(K, max(len(x) + ahead, order)):
        if all(seen is None or seen == symbol for seen, symbol in zip(x, path, strict=False)):
            probability = path_probability(path, order, start, transition)
            for h in range(ahead):
                laws[h][path[len(x) + h]] += probability
    return [[p / math.fsum(law) for p in law] for law in laws]


def log_steps(x, K, order, start, transition):
    """log p(x_n | x_1..x_{n-1}), None where the context is incomplete; the first `order` from `start`, unless None."""
    steps = []
    for n, symbol in enumerate(x):
        before = x[max(n - order, 0) : n]
        if symbol is None or None in before or (n < order and start is None):
            steps.append(None)
            continue
        if n < order:
            given = _start_marginal(before, K, order, start)
            joint = _start_marginal([*before, symbol], K, order, start)
            probability = joint / given if given else 0.0
        else:
            probability = transition(tuple(before), symbol)
        steps.append(math.log(probability) if probability else -math.inf)
    return steps


def _start_marginal(prefix, K, order, start):
    return math.fsum(start((*prefix, *rest)) for rest in all_words(K, order - len(prefix)))


# Draws


def inverse_cdf(probabilities, u):
    """The first symbol whose cumulative probability passes u; by rounding none may: then the last possible one."""
    k = bisect_right(list(itertools.accumulate(probabilities)), u)
    return min(k, max(k for k, p in enumerate(probabilities) if p > 0))


def draw_path(uniforms, K, order, context, transition):
    path = list(context)
    for u in uniforms:
        past = tuple(path[len(path) - order :])
        path.append(inverse_cdf([transition(past, k) for k in range(K)], u))
    return path[len(context) :]


# Transition matrices. The graph, by boolean powers


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
