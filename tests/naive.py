"""The obvious twins of the kernels: plain Python over dictionaries and tuples, None for a missing observation."""

import itertools
import math
from bisect import bisect_right

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
