"""How many free parameters a model has: the price of an order, a state, a layer.

    chain of order M over K symbols      K^M (K-1)           a law over K symbols, less its sum, for each of K^M contexts
    ... with a free initial law          K^(M+1) - 1         the law of the first M symbols costs K^M - 1 more: together
                                                             one free law of M+1 symbols
    mixture transition model             K (K-1) + M-1       one matrix for all lags, and the lags' weights

The lecture, and the textbook it follows (Bishop 2006, section 13.1), print K^(M-1) (K-1) for order M. That contradicts
their own K (K-1) for M = 1: the exponent is M, since there are K^M contexts.

Counts are of free parameters: a probability that follows from the others is none, nor is a symmetric entry. Integers
are exact at any size. Raftery (1985) for the mixture; Durbin and Koopman (2012) for the linear dynamical system.
"""

import inspect
import math
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

_MOST_BITS = 10_000_000  # of one count: 3 million digits
_LONGEST = 10**15  # larger counts are shown rounded: Python refuses to print more than 4300 digits


@dataclass(frozen=True)
class ParameterCount:
    """The number of free parameters, and how it comes about."""

    total: int
    """Sum of the breakdown."""
    breakdown: dict[str, int] = field(hash=False)
    """Count of each part; of an identifiable count, what is taken off is negative."""
    formula: str
    """In symbols, in numbers, and the total: "K^M (K-1) = 3^2 * 2 = 18"."""

    def __int__(self) -> int:
        return self.total

    def __str__(self) -> str:
        width = max((len(name) for name in self.breakdown), default=0)
        parts = [f"  {name:<{width}}  {count_text(count)}" for name, count in self.breakdown.items()]
        noun = "free parameter" if self.total == 1 else "free parameters"
        return "\n".join([f"{count_text(self.total)} {noun}: {self.formula}", *parts])


def count_parameters(model: str, **sizes: Any) -> ParameterCount:
    """Count the free parameters of a model of given sizes.

    Parameters
    ----------
    model : str
        "iid", "markov", "mtd", "hmm", "lds", "arma", "var", "rnn", "lstm", "gru", "feedforward" or "attention".
    **sizes
        What `model_sizes` says that the model takes; documented at the function of that name in this module. Where a
        size is one of several words, the first is the default, except where there is none.

    Raises
    ------
    ValueError
        If there is no such model, or a size is impossible; the message names it.
    TypeError
        If a size is missing, is not one of the model's, or is not a whole number.

    """
    if not isinstance(model, str):
        raise TypeError(
            f"model is {model!r}, expected a name such as 'markov'; a fitted model counts itself: model.n_parameters"
        )
    takes = model_sizes()
    if model not in takes:
        raise ValueError(f"there is no model {model!r} to count; there are {', '.join(takes)}")
    try:
        inspect.signature(_MODELS[model]).bind(**sizes)
    except TypeError as error:
        raise TypeError(f"{model!r}: {error}; it takes {takes[model]}") from None
    terms = _MODELS[model](**sizes)
    total = sum(term.count for term in terms)
    sides = [_sum([term.symbols for term in terms]), _sum([term.numbers for term in terms]), count_text(total)]
    return ParameterCount(total, {term.name: term.count for term in terms}, " = ".join(side for side in sides if side))


def model_sizes() -> dict[str, str]:
    """Return what each model takes, as text: {"markov": "n_states, order, initial='conditional'", ...}."""
    described = {}
    for model, function in _MODELS.items():
        arguments = inspect.signature(function).parameters.values()
        described[model] = ", ".join(
            argument.name if argument.default is argument.empty else f"{argument.name}={argument.default!r}"
            for argument in arguments
        )
    return described


def count_text(count: int) -> str:
    """Return a count in digits, or, from 10^15 on, rounded to four of them: "1.268e+30"."""
    if abs(count) < _LONGEST:
        return str(count)
    # float() would overflow at 10^308: the leading 64 bits and the exponent are enough for four digits
    shift = max(abs(count).bit_length() - 64, 0)
    exponent, mantissa = divmod(math.log10(abs(count) >> shift) + shift * math.log10(2), 1)
    digits = f"{10**mantissa:.3f}"
    if digits == "10.000":
        exponent, digits = exponent + 1, "1.000"
    return f"{'-' if count < 0 else ''}{digits}e+{exponent:.0f}"


class _Term(NamedTuple):
    """One part of a count; `symbols` and `numbers` begin with a minus where it is taken off."""

    name: str
    symbols: str
    numbers: str
    count: int


def iid(*, n_states: int) -> list[_Term]:
    """Independent symbols: one law over K of them."""
    K = _size("n_states", n_states)
    return [_Term("law", "K-1", f"{K} - 1", K - 1)]


def markov(*, n_states: int, order: int, initial: str = "conditional") -> list[_Term]:
    """Chain of order M (0 is i.i.d.); its initial law is not modelled, free, or follows from the transitions."""
    K, M = _size("n_states", n_states), _size("order", order, 0)
    _choice("initial", initial, ("conditional", "free", "stationary"))
    if M * K.bit_length() > _MOST_BITS:
        raise ValueError(f"order is {count_text(M)}: {K}^{count_text(M)} is too long to write down; lower the order")
    terms = [_Term("transmat", "K^M (K-1)", f"{K}^{M} * {K - 1}", K**M * (K - 1))]
    if initial == "free":
        terms.append(_Term("initial", "K^M - 1", f"{K}^{M} - 1", K**M - 1))
    return terms


def mtd(*, n_states: int, order: int, matrices: str = "shared") -> list[_Term]:
    """Mixture transition model, p(x | lags 1..M) = sum_g weight_g Q_g[lag g, x]; Q_g is one matrix, or one a lag.

    One a lag: for each symbol x, such laws are the functions of M lags that have a constant and main effects only,
    1 + M (K-1) numbers; K-1 symbols are free. The M K (K-1) + M-1 entries of matrices and weights give no more than that.
    """
    K, M = _size("n_states", n_states), _size("order", order)
    if _choice("matrices", matrices, ("shared", "per_lag")) == "shared":
        return [
            _Term("matrix", "K (K-1)", f"{K} * {K - 1}", K * (K - 1)),
            _Term("weights", "M-1", f"{M} - 1", M - 1),
        ]
    return [
        _Term("constants", "(K-1)", f"{K - 1}", K - 1),
        _Term("lags", "(K-1) M (K-1)", f"{K - 1} * {M} * {K - 1}", M * (K - 1) ** 2),
    ]


def hmm(
    *,
    n_components: int,
    emission: str,
    n_features: int | None = None,
    n_symbols: int | None = None,
    covariance_type: str | None = None,
    n_mix: int | None = None,
    start: str = "free",
) -> list[_Term]:
    """Hidden Markov model with K states; emissions and covariances have hmmlearn's names and shapes.

    "categorical" takes n_symbols (and n_features, 1 by default, independent given the state); "bernoulli" and "poisson"
    n_features; "gaussian" n_features and covariance_type ("spherical", "diag", "full" or "tied"); "gmm" n_mix as well,
    where "tied" is one covariance a state. start="stationary": the first state's law follows from the transitions.
    """
    K = _size("n_components", n_components)
    _choice("emission", emission, ("categorical", "bernoulli", "poisson", "gaussian", "gmm"))
    _choice("start", start, ("free", "stationary"))
    given = {
        "n_features": n_features,
        "n_symbols": n_symbols,
        "covariance_type": covariance_type,
        "n_mix": n_mix,
    }
    terms = [_Term("startprob", "K-1", f"{K} - 1", K - 1)] if start == "free" else []
    terms.append(_Term("transmat", "K (K-1)", f"{K} * {K - 1}", K * (K - 1)))
    place = f"'hmm' with emission={emission!r}"
    if emission == "categorical":
        _takes(place, given, ("n_symbols",), ("n_features",))
        S, D = _size("n_symbols", n_symbols), _size("n_features", 1 if n_features is None else n_features)
        several = D > 1
        symbols, numbers = ("K D (S-1)", f"{K} * {D} * {S - 1}") if several else ("K (S-1)", f"{K} * {S - 1}")
        return [*terms, _Term("emissionprob", symbols, numbers, K * D * (S - 1))]
    if emission in ("bernoulli", "poisson"):
        _takes(place, given, ("n_features",))
        D = _size("n_features", n_features)
        name = "probabilities" if emission == "bernoulli" else "rates"
        return [*terms, _Term(name, "K D", f"{K} * {D}", K * D)]
    if emission == "gaussian":
        _takes(place, given, ("n_features", "covariance_type"))
        D = _size("n_features", n_features)
        terms.append(_Term("means", "K D", f"{K} * {D}", K * D))
        each, each_symbols, each_numbers = K, "K", f"{K}"
        shared, shared_symbols, shared_numbers = 1, "", ""
    else:
        _takes(place, given, ("n_features", "n_mix", "covariance_type"))
        D, C = _size("n_features", n_features), _size("n_mix", n_mix)
        # C-1 free weights in each state; hmmlearn's own count has C-1 in all
        terms.append(_Term("weights", "K (C-1)", f"{K} * {C - 1}", K * (C - 1)))
        terms.append(_Term("means", "K C D", f"{K} * {C} * {D}", K * C * D))
        each, each_symbols, each_numbers = K * C, "K C", f"{K} * {C}"
        shared, shared_symbols, shared_numbers = K, "K", f"{K}"
    _choice("covariance_type", covariance_type, ("spherical", "diag", "full", "tied"))
    if covariance_type == "tied":
        each, each_symbols, each_numbers = shared, shared_symbols, shared_numbers
    if covariance_type == "spherical":
        return [*terms, _Term("covars", each_symbols, each_numbers, each)]
    if covariance_type == "diag":
        return [*terms, _Term("covars", f"{each_symbols} D", f"{each_numbers} * {D}", each * D)]
    symbols = f"{each_symbols} D (D+1) / 2".strip()
    numbers = f"{each_numbers} * {D} * {D + 1} / 2".removeprefix(" * ")
    return [*terms, _Term("covars", symbols, numbers, each * _triangle(D))]


def lds(
    *,
    n_states: int,
    n_observations: int,
    covariances: str = "full",
    start: str = "free",
    identifiable: bool = False,
    intercepts: bool = False,
) -> list[_Term]:
    """Linear dynamical system with k states and p observations.

    `covariances` is the form of state, observation and initial state covariance alike. `identifiable` takes off the
    directions in which parameters move while the law of the observations stays:

    - A change of basis of the states, a -> S a: k^2 directions. Diagonal covariances leave the k scales of S, if
      the initial covariance is one of two that S must keep diagonal. If start="stationary" there is but one to keep:
      scale it to the identity, and every rotation keeps it, k + k (k-1)/2 directions in all. (One observation of two
      states is then an ARMA(2, 2), which has 5 parameters, not 6.)
    - With more states than observations, e = k - p > 0, a change D of the state covariances that no observation sees:
      D Z' = 0 leaves e (e+1)/2 directions for D, added to P1 (or the stationary P) and, as D - T D T', to Q.
    - With intercepts, the origin of the states: k directions.
    """
    k, p = _size("n_states", n_states), _size("n_observations", n_observations)
    full = _choice("covariances", covariances, ("full", "diag")) == "full"
    free = _choice("start", start, ("free", "stationary")) == "free"
    _flag("identifiable", identifiable)
    _flag("intercepts", intercepts)

    def covariance(name: str, symbol: str, n: int) -> _Term:
        if full:
            return _Term(name, f"{symbol} ({symbol}+1) / 2", f"{n} * {n + 1} / 2", _triangle(n))
        return _Term(name, symbol, f"{n}", n)

    terms = [
        _Term("transition", "k^2", f"{k}^2", k**2),
        _Term("design", "p k", f"{p} * {k}", p * k),
        covariance("state_cov", "k", k),
        covariance("obs_cov", "p", p),
    ]
    if free:
        terms += [_Term("initial_state", "k", f"{k}", k), covariance("initial_state_cov", "k", k)]
    if intercepts:
        terms += [_Term("state_intercept", "k", f"{k}", k), _Term("obs_intercept", "p", f"{p}", p)]
    if identifiable:
        if full:
            terms.append(_Term("basis of the states", "-k^2", f"-{k}^2", -(k**2)))
        elif free:
            terms.append(_Term("scales of the states", "-k", f"-{k}", -k))
        else:
            terms.append(_Term("basis of the states", "-k (k+1) / 2", f"-{k} * {k + 1} / 2", -_triangle(k)))
        if k > p:
            e = k - p
            terms.append(_Term("unseen covariance", "-e (e+1) / 2", f"-{e} * {e + 1} / 2", -_triangle(e)))
        if intercepts:
            terms.append(_Term("origin of the states", "-k", f"-{k}", -k))
    return terms


def arma(*, p: int, q: int, constant: bool = True) -> list[_Term]:
    """ARMA(p, q): coefficients, the variance of the innovations, and a constant."""
    p, q = _size("p", p, 0), _size("q", q, 0)
    terms = [_Term("ar", "p", f"{p}", p), _Term("ma", "q", f"{q}", q), _Term("variance", "1", "1", 1)]
    if _flag("constant", constant):
        terms.append(_Term("constant", "1", "1", 1))
    return terms


def var(*, n_variables: int, order: int) -> list[_Term]:
    """Vector autoregression of order p on k variables, with a constant and a full covariance."""
    k, p = _size("n_variables", n_variables), _size("order", order, 0)
    return [
        _Term("coefficients", "k^2 p", f"{k}^2 * {p}", k**2 * p),
        _Term("constant", "k", f"{k}", k),
        _Term("covariance", "k (k+1) / 2", f"{k} * {k + 1} / 2", _triangle(k)),
    ]


def rnn(*, input_size: int, hidden_size: int, biases: int = 2) -> list[_Term]:
    """Elman network, h = tanh(W_ih x + W_hh h + b); biases: 0, 1, or 2 as in torch, which adds b_ih and b_hh."""
    return _recurrent(1, input_size, hidden_size, biases)


def lstm(*, input_size: int, hidden_size: int, biases: int = 2) -> list[_Term]:
    """Long short-term memory: the same for each of four gates, i, f, g and o."""
    return _recurrent(4, input_size, hidden_size, biases)


def gru(*, input_size: int, hidden_size: int, biases: int = 2) -> list[_Term]:
    """Gated recurrent unit: the same for each of r, z and n."""
    return _recurrent(3, input_size, hidden_size, biases)


def _recurrent(n_gates: int, input_size: int, hidden_size: int, biases: int) -> list[_Term]:
    D, H = _size("input_size", input_size), _size("hidden_size", hidden_size)
    B = _one_of("biases", biases, (0, 1, 2))
    symbol, number = ("", "") if n_gates == 1 else (f"{n_gates} ", f"{n_gates} * ")
    terms = [
        _Term("weight_ih", f"{symbol}H D", f"{number}{H} * {D}", n_gates * H * D),
        _Term("weight_hh", f"{symbol}H^2", f"{number}{H}^2", n_gates * H**2),
    ]
    if B:
        factor = "" if B == 1 else "2 * "
        terms.append(_Term("biases", f"{factor}{symbol}H", f"{factor}{number}{H}", B * n_gates * H))
    return terms


def feedforward(*, layer_sizes: Iterable[int]) -> list[_Term]:
    """Dense layers with biases; `layer_sizes` from the input's to the output's."""
    if isinstance(layer_sizes, str | bytes) or not isinstance(layer_sizes, Iterable):
        raise TypeError(f"layer_sizes is {layer_sizes!r}, expected whole numbers such as (4, 16, 3)")
    sizes = [_size(f"layer_sizes[{i}]", size) for i, size in enumerate(layer_sizes)]
    if len(sizes) < 2:
        raise ValueError(f"layer_sizes has {len(sizes)} entries, expected at least 2: input and output")
    pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
    return [
        _Term("weights", "sum_l n_l n_(l+1)", " + ".join(f"{a} * {b}" for a, b in pairs), sum(a * b for a, b in pairs)),
        _Term("biases", "sum_l n_(l+1)", " + ".join(f"{b}" for _, b in pairs), sum(b for _, b in pairs)),
    ]


def attention(
    *,
    kind: str,
    query_size: int | None = None,
    key_size: int | None = None,
    hidden_size: int | None = None,
    n_heads: int | None = None,
    biases: int | None = None,
) -> list[_Term]:
    """Attention of a query q to keys k, whose vectors are the values too.

    "dot", score q'k (scaled or not): none. "general" (Luong et al. 2015), q'W k. "additive" (Bahdanau et al. 2015),
    v'tanh(W_q q + W_k k), where biases=1 adds a vector inside the tanh, and 2 one to each product; 0 by default.
    "multihead" (Vaswani et al. 2017), as in torch.nn.MultiheadAttention: projections of query, key and value to a width
    of hidden_size (query_size by default), which n_heads (1) share, and of the output back to query_size; biases=1
    by default, one vector a projection.
    """
    _choice("kind", kind, ("dot", "general", "additive", "multihead"))
    given = {
        "query_size": query_size,
        "key_size": key_size,
        "hidden_size": hidden_size,
        "n_heads": n_heads,
        "biases": biases,
    }
    place = f"'attention' with kind={kind!r}"
    if kind == "dot":
        _takes(place, given, (), ("query_size", "key_size", "biases"))
        Q, E = (None if size is None else _size(name, size) for name, size in list(given.items())[:2])
        if Q is not None and E is not None and Q != E:
            raise ValueError(
                f"query_size is {Q} and key_size {E}: a dot product needs equal sizes, kind='general' does not"
            )
        _one_of("biases", 0 if biases is None else biases, (0,))
        return []
    needed = ("query_size", "key_size", "hidden_size") if kind == "additive" else ("query_size", "key_size")
    optional = {"general": ("biases",), "additive": ("biases",), "multihead": ("hidden_size", "n_heads", "biases")}
    _takes(place, given, needed, optional[kind])
    Q, E = _size("query_size", query_size), _size("key_size", key_size)
    if kind == "general":
        _one_of("biases", 0 if biases is None else biases, (0,))
        return [_Term("weight", "Q E", f"{Q} * {E}", Q * E)]
    if kind == "additive":
        H = _size("hidden_size", hidden_size)
        B = _one_of("biases", 0 if biases is None else biases, (0, 1, 2))
        terms = [
            _Term("weight_query", "H Q", f"{H} * {Q}", H * Q),
            _Term("weight_key", "H E", f"{H} * {E}", H * E),
            _Term("v", "H", f"{H}", H),
        ]
        factor = "" if B == 1 else "2 * "
        return [*terms, _Term("biases", f"{factor}H", f"{factor}{H}", B * H)] if B else terms
    H = _size("hidden_size", Q if hidden_size is None else hidden_size)
    heads = _size("n_heads", 1 if n_heads is None else n_heads)
    if H % heads:
        width = "query_size" if hidden_size is None else "hidden_size"
        raise ValueError(
            f"n_heads is {heads}, which does not divide {width} {H}: choose a divisor, so that all heads are equally wide"
        )
    terms = [
        _Term("weight_query", "H Q", f"{H} * {Q}", H * Q),
        _Term("weight_key", "H E", f"{H} * {E}", H * E),
        _Term("weight_value", "H E", f"{H} * {E}", H * E),
        _Term("weight_output", "Q H", f"{Q} * {H}", Q * H),
    ]
    if _one_of("biases", 1 if biases is None else biases, (0, 1)):
        terms.append(_Term("biases", "3 H + Q", f"3 * {H} + {Q}", 3 * H + Q))
    return terms


_MODELS: dict[str, Callable[..., list[_Term]]] = {
    function.__name__: function
    for function in (iid, markov, mtd, hmm, lds, arma, var, rnn, lstm, gru, feedforward, attention)
}


def _triangle(n: int) -> int:
    """Entries of a symmetric matrix."""
    return n * (n + 1) // 2


def _sum(terms: list[str]) -> str:
    return " + ".join(terms).replace("+ -", "- ")


def _size(name: str, value: object, least: int = 1) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        size = operator.index(value)  # type: ignore[arg-type]  # that is the check
    except TypeError:
        raise TypeError(f"{name} is {value!r} ({type(value).__name__}), expected a whole number") from None
    if size < least:
        raise ValueError(f"{name} is {count_text(size)}, expected {least} or more")
    return size


def _one_of(name: str, value: object, allowed: tuple[int, ...]) -> int:
    size = _size(name, value, 0)
    if size not in allowed:
        raise ValueError(f"{name} is {count_text(size)}, expected {' or '.join(map(str, allowed))}")
    return size


def _choice(name: str, value: object, allowed: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} is {value!r}, expected {' or '.join(map(repr, allowed))}")
    return value


def _flag(name: str, value: object) -> bool:
    if type(value).__name__ not in ("bool", "bool_"):  # NumPy's too, without importing NumPy
        raise TypeError(f"{name} is {value!r} ({type(value).__name__}), expected True or False")
    return bool(value)


def _takes(place: str, given: dict[str, Any], needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    """Check the sizes that only some kinds of a model have."""
    takes = ", ".join([*needed, *(f"{name} (optional)" for name in optional)])
    for name, value in given.items():
        if value is None and name in needed:
            raise TypeError(f"{place}: missing {name}; it takes {takes}")
        if value is not None and name not in (*needed, *optional):
            raise TypeError(f"{place} has no {name}; it takes {takes}")
