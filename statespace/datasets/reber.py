r"""Strings of the embedded Reber grammar, whose last letter but one repeats the second, however long ago that was.

    embedded   B T <string> T E   or   B P <string> P E           string   B, then a walk, then E

          +-S-+
          v   |                    Each letter leads from one state to the next; of the two that may follow, each has
      +-T-> 1 --X--> 3 --S--+      probability 1/2.
      |            ^ |      |
    B 0            | X      E      0  T 1, P 2        3  S end, X 2
      |            P v      |      1  S 1, X 3        4  P 3, V end
      +-P-> 2 --V--> 4 --V--+      2  T 2, V 4
          ^   |
          +-T-+

Reber (1967), "Implicit learning of artificial grammars"; Cleeremans, Servan-Schreiber and McClelland (1989); Hochreiter
and Schmidhuber (1997), section 5.1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.foundations.probability import generator
from statespace.foundations.validation import check_integer
from statespace.protocols import Array

REBER_SYMBOLS = ("B", "E", "P", "S", "T", "V", "X")
"""All letters, in order."""

# What may come next in each state of the walk, and where that leads; _END is the last
_END = 5
_WALK = (
    (("T", 1), ("P", 2)),
    (("S", 1), ("X", 3)),
    (("T", 2), ("V", 4)),
    (("X", 2), ("S", _END)),
    (("P", 3), ("V", _END)),
)


def draw_reber(n_sequences: int, *, embedded: bool = True, random_state: Any = None) -> list[Array]:
    """Draw strings of the grammar.

    Parameters
    ----------
    n_sequences : int
    embedded : bool
        Whether the walk stands between two letters T, or two letters P; otherwise it stands alone.
    random_state : None, int, Generator or RandomState

    Returns
    -------
    list of (n_samples,) arrays of letters
        Embedded strings have 9 letters at least, 12 on average.

    Notes
    -----
    The first letter is always B. The others have 7 log 2 / 11 = 0.4411 nats on average in embedded strings: 7 choices
    of two among 11 letters.

    Examples
    --------
    >>> ["".join(letters) for letters in draw_reber(3, random_state=0)]
    ['BTBPVVETE', 'BPBTSSSSXSEPE', 'BPBPVVEPE']

    """
    n = check_integer("n_sequences", n_sequences)
    rng = generator(random_state)
    found = []
    for _ in range(n):
        walk = _walk(rng)
        if embedded:
            letter = "TP"[int(rng.integers(2))]
            walk = ["B", letter, *walk, letter, "E"]
        found.append(np.array(walk))
    return found


def reber_log_likelihood(letters: Any, *, embedded: bool = True) -> float:
    """Log-likelihood of a string under the grammar, in nats; the best that any model can do on average.

    Parameters
    ----------
    letters : (n_samples,)
    embedded : bool
        As of `draw_reber`.

    Returns
    -------
    float
        -inf where the string is none of the grammar's.

    """
    given = [str(letter) for letter in letters]
    n_choices = 0
    if embedded:
        if len(given) < 4 or given[1] not in ("T", "P") or given[:2] + given[-2:] != ["B", given[1], given[1], "E"]:
            return -np.inf
        given, n_choices = given[2:-2], 1
    if given[:1] != ["B"] or given[-1:] != ["E"]:
        return -np.inf
    state = 0
    for letter in given[1:-1]:
        leads = dict(_WALK[state]) if state != _END else {}
        if letter not in leads:
            return -np.inf
        state, n_choices = leads[letter], n_choices + 1
    return -n_choices * float(np.log(2.0)) if state == _END else -np.inf


def _walk(rng: np.random.Generator) -> list[str]:
    state, found = 0, ["B"]
    while state != _END:
        letter, state = _WALK[state][int(rng.integers(2))]
        found.append(letter)
    return [*found, "E"]
