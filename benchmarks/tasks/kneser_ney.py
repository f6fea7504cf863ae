"""Modified Kneser-Ney smoothing: what counting can reach, by hand, since no model of the package has it.

    p(w | c) = (n(c w) - D) / n(c) + (what was taken off) / n(c) p(w | c without its first symbol)

D depends on whether n(c w) is 1, 2 or more; below the longest runs n counts in how many contexts a run was seen.

Chen and Goodman (1999), "An empirical study of smoothing techniques for language modeling", section 4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable


def kneser_ney(text: str, order: int, n_symbols: int) -> Callable[[str, str], float]:
    """p(symbol | past), a function of the last `order` characters and the next, learnt from a text."""
    levels = []
    counts = Counter(text[i : i + order + 1] for i in range(len(text) - order))
    for _ in range(order + 1):
        seen = Counter(counts.values())
        share = seen[1] / (seen[1] + 2 * seen[2]) if seen[1] else 0.0
        discounts = [0.0] + [max(k - (k + 1) * share * seen[k + 1] / max(seen[k], 1), 0.0) for k in (1, 2, 3)]
        total: Counter[str] = Counter()
        taken_off: Counter[str] = Counter()
        for run, n in counts.items():
            total[run[:-1]] += n
            taken_off[run[:-1]] += discounts[min(n, 3)]
        levels.append((counts, discounts, total, taken_off))
        counts = Counter(run[1:] for run in counts)

    def probability(past: str, symbol: str) -> float:
        p = 1.0 / n_symbols
        for m, (runs, discounts, total, taken_off) in enumerate(reversed(levels)):
            context = past[len(past) - m :]
            if total[context]:
                n = runs[context + symbol]
                p = (n - discounts[min(n, 3)] + taken_off[context] * p) / total[context]
        return p

    return probability
