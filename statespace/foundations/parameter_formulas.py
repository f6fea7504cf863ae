"""The formula of each model's free parameters, term by term; `parameter_count` adds them up.

A function's keyword arguments are the sizes that its model takes. Products are written as they are read: `{"K": K,
"(S-1)": S - 1}` is the term "K (S-1)". Sizes are checked by name; integers are exact at any size.

Raftery (1985) for the mixture transition model; Durbin and Koopman (2012) for the linear dynamical system.
"""

import math
import operator
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, NamedTuple

_MOST_BITS = 10_000_000  # of one count: 3 million digits
_MOST_BITS_OF_A_SIZE = 10_000
_LONGEST = 10**15  # larger counts are shown rounded: Python refuses to print more than 4300 digits


class Term(NamedTuple):
    """One part of a count; `symbols` and `numbers` begin with a minus where it is taken off."""

    name: str
    symbols: str
    numbers: str
    value: int


def _product(name: str, factors: dict[str, int]) -> Term:
    return Term(name, " ".join(factors), " * ".join(map(str, factors.values())), math.prod(factors.values()))


def _symmetric(name: str, symbol: str, n: int, copies: dict[str, int] | None = None) -> Term:
    """Free entries of `copies` symmetric matrices."""
    product = _product(name, {**(copies or {}), symbol: n, f"({symbol}+1) / 2": n + 1})
    return product._replace(numbers=f"{product.numbers} / 2", value=product.value // 2)


def _less(term: Term) -> Term:
    return Term(term.name, f"-{term.symbols}", f"-{term.numbers}", -term.value)


def iid(*, n_states: int) -> list[Term]:
    """Independent symbols: one law over K of them."""
    K = _size("n_states", n_states)
    return [Term("law", "K-1", f"{K} - 1", K - 1)]


def markov(*, n_states: int, order: int, initial: str = "conditional") -> list[Term]:
    """Chain of order M (0 is i.i.d.); its initial law is not modelled, free, or follows from the transitions."""
    K, M = _size("n_states", n_states), _size("order", order, 0)
    _choice("initial", initial, ("conditional", "free", "stationary"))
    if M * K.bit_length() > _MOST_BITS:
        raise ValueError(f"order is {count_text(M)}: {K}^{count_text(M)} is too long to write down; lower the order")
    terms = [Term("transmat", "K^M (K-1)", f"{K}^{M} * {K - 1}", K**M * (K - 1))]
    if initial == "free":
        terms.append(Term("initial", "K^M - 1", f"{K}^{M} - 1", K**M - 1))
    return terms


def mtd(*, n_states: int, order: int, matrices: str = "shared") -> list[Term]:
    """Mixture transition model, p(x | lags 1..M) = sum_g weight_g Q_g[lag g, x]; Q_g is one matrix, or one a lag.

    One a lag: for each symbol x, such laws are the functions of M lags that have a constant and main effects only,
    1 + M (K-1) numbers, and K-1 symbols are free: (K-1) (1 + M (K-1)). The M K (K-1) + M-1 entries of matrices and
    weights give no more than that.
    """
    K, M = _size("n_states", n_states), _size("order", order)
    if _choice("matrices", matrices, ("shared", "per_lag")) == "shared":
        return [_product("matrix", {"K": K, "(K-1)": K - 1}), Term("weights", "M-1", f"{M} - 1", M - 1)]
    lags = Term("lags", "M (K-1)^2", f"{M} * {K - 1}^2", M * (K - 1) ** 2)
    return [_product("constants", {"(K-1)": K - 1}), lags]


def hmm(
    *,
    n_components: int,
    emission: str,
    n_features: int | None = None,
    n_symbols: int | None = None,
    covariance_type: str | None = None,
    n_mix: int | None = None,
    start: str = "free",
) -> list[Term]:
    """Hidden Markov model with K states; emissions and covariances have hmmlearn's names and shapes.

    "categorical" takes n_symbols (and n_features, 1 by default, independent given the state); "bernoulli" and "poisson"
    n_features; "gaussian" n_features and covariance_type ("spherical", "diag", "full" or "tied"); "gmm" n_mix as well,
    where "tied" is one covariance a state. start="stationary": the first state's law follows from the transitions.
    """
    K = _size("n_components", n_components)
    _choice("emission", emission, ("categorical", "bernoulli", "poisson", "gaussian", "gmm"))
    _choice("start", start, ("free", "stationary"))
    needed = {
        "categorical": ("n_symbols",),
        "bernoulli": ("n_features",),
        "poisson": ("n_features",),
        "gaussian": ("n_features", "covariance_type"),
        "gmm": ("n_features", "n_mix", "covariance_type"),
    }[emission]
    given = {"n_features": n_features, "n_symbols": n_symbols, "covariance_type": covariance_type, "n_mix": n_mix}
    optional = ("n_features",) if emission == "categorical" else ()
    _takes(f"'hmm' with emission={emission!r}", given, needed, optional)

    terms = [Term("startprob", "K-1", f"{K} - 1", K - 1)] if start == "free" else []
    terms.append(_product("transmat", {"K": K, "(K-1)": K - 1}))
    D = _size("n_features", 1 if n_features is None else n_features)
    if emission == "categorical":
        S = _size("n_symbols", n_symbols)
        features = {} if n_features is None else {"D": D}
        return [*terms, _product("emissionprob", {"K": K, **features, "(S-1)": S - 1})]
    if emission in ("bernoulli", "poisson"):
        return [*terms, _product("probabilities" if emission == "bernoulli" else "lambdas", {"K": K, "D": D})]
    components = {"K": K}
    if emission == "gmm":
        C = components["C"] = _size("n_mix", n_mix)
        # C-1 weights are free in every state; hmmlearn's own count for its criteria has C-1 in all
        terms.append(_product("weights", {"K": K, "(C-1)": C - 1}))
    terms.append(_product("means", {**components, "D": D}))
    kind = _choice("covariance_type", covariance_type, ("spherical", "diag", "full", "tied"))
    if kind == "spherical":
        return [*terms, _product("covars", components)]
    if kind == "diag":
        return [*terms, _product("covars", {**components, "D": D})]
    if kind == "tied":  # by all states; with a mixture, by the components of one state
        components.popitem()
    return [*terms, _symmetric("covars", "D", D, components)]


def lds(
    *,
    n_states: int,
    n_observations: int,
    covariances: str = "full",
    start: str = "free",
    identifiable: bool = False,
    intercepts: bool = False,
) -> list[Term]:
    """Linear dynamical system with k states and p observations.

    `covariances` is the form of state, observation and initial state covariance alike. `identifiable` takes off the
    directions in which parameters move while the law of the observations stays:

    - A change of basis of the states, a -> S a: k^2 directions. Diagonal covariances leave the k scales of S, if
      the initial covariance is one of two that S must keep diagonal. If start="stationary" there is but one to keep:
      scale it to the identity, and every rotation keeps it, k + k (k-1)/2 directions in all. (One observation of two
      states is then an ARMA(2, 2), which has 5 parameters and not 6.)
    - With more states than observations, e = k - p > 0, a change D of the state covariances that no observation sees:
      D Z' = 0 leaves e (e+1)/2 directions for D, added to P1 (or the stationary P) and, as D - T D T', to Q.
    - With intercepts, the origin of the states: k directions.
    """
    k, p = _size("n_states", n_states), _size("n_observations", n_observations)
    full = _choice("covariances", covariances, ("full", "diag")) == "full"
    free = _choice("start", start, ("free", "stationary")) == "free"
    _flag("identifiable", identifiable)
    _flag("intercepts", intercepts)

    def covariance(name: str, symbol: str, n: int) -> Term:
        return _symmetric(name, symbol, n) if full else _product(name, {symbol: n})

    terms = [
        Term("transition", "k^2", f"{k}^2", k**2),
        _product("design", {"p": p, "k": k}),
        covariance("state_cov", "k", k),
        covariance("obs_cov", "p", p),
    ]
    if free:
        terms += [_product("initial_state", {"k": k}), covariance("initial_state_cov", "k", k)]
    if intercepts:
        terms += [_product("state_intercept", {"k": k}), _product("obs_intercept", {"p": p})]
    if identifiable:
        if full:
            terms.append(Term("basis of the states", "-k^2", f"-{k}^2", -(k**2)))
        elif free:
            terms.append(_less(_product("scales of the states", {"k": k})))
        else:
            terms.append(_less(_symmetric("basis of the states", "k", k)))
        if k > p:
            terms.append(_less(_symmetric("unseen covariance", "e", k - p)))
        if intercepts:
            terms.append(_less(_product("origin of the states", {"k": k})))
    return terms


def arma(*, p: int, q: int, constant: bool = True) -> list[Term]:
    """ARMA(p, q): coefficients, the variance of the innovations, and a constant."""
    terms = [_product("ar", {"p": _size("p", p, 0)}), _product("ma", {"q": _size("q", q, 0)})]
    terms.append(Term("variance", "1", "1", 1))
    if _flag("constant", constant):
        terms.append(Term("constant", "1", "1", 1))
    return terms


def var(*, n_variables: int, order: int) -> list[Term]:
    """Vector autoregression of order p on k variables, with a constant and a full covariance."""
    k, p = _size("n_variables", n_variables), _size("order", order, 0)
    coefficients = Term("coefficients", "k^2 p", f"{k}^2 * {p}", k**2 * p)
    return [coefficients, _product("constant", {"k": k}), _symmetric("covariance", "k", k)]


def rnn(*, input_size: int, hidden_size: int, biases: int = 2) -> list[Term]:
    """Elman network, h = tanh(W_ih x + W_hh h + b); biases: 0, 1, or 2 as in torch, which adds b_ih and b_hh."""
    return _recurrent({}, input_size, hidden_size, biases)


def lstm(*, input_size: int, hidden_size: int, biases: int = 2) -> list[Term]:
    """Long short-term memory: the same for each of four gates, i, f, g and o."""
    return _recurrent({"4": 4}, input_size, hidden_size, biases)


def gru(*, input_size: int, hidden_size: int, biases: int = 2) -> list[Term]:
    """Gated recurrent unit: the same for each of r, z and n."""
    return _recurrent({"3": 3}, input_size, hidden_size, biases)


def _recurrent(gates: dict[str, int], input_size: int, hidden_size: int, biases: int) -> list[Term]:
    D, H = _size("input_size", input_size), _size("hidden_size", hidden_size)
    B = _one_of("biases", biases, (0, 1, 2))
    recurrent = _product("weight_hh", {**gates, "H": H})
    terms = [
        _product("weight_ih", {**gates, "H": H, "D": D}),
        Term("weight_hh", f"{recurrent.symbols}^2", f"{recurrent.numbers}^2", recurrent.value * H),
    ]
    return [*terms, _product("biases", {**gates, "B": B, "H": H})] if B else terms


def feedforward(*, layer_sizes: Iterable[int]) -> list[Term]:
    """Dense layers with biases; `layer_sizes` from the input's to the output's."""
    if isinstance(layer_sizes, str | bytes) or not isinstance(layer_sizes, Iterable):
        raise TypeError(f"layer_sizes is {layer_sizes!r}, expected whole numbers such as (4, 16, 3)")
    sizes = [_size(f"layer_sizes[{i}]", size) for i, size in enumerate(layer_sizes)]
    if len(sizes) < 2:
        raise ValueError(f"layer_sizes has {len(sizes)} entries, expected at least 2: input and output")
    weights = [_product("weights", {"n_l": a, "n_(l+1)": b}) for a, b in pairwise(sizes)]
    return [
        Term("weights", "sum_l n_l n_(l+1)", " + ".join(w.numbers for w in weights), sum(w.value for w in weights)),
        Term("biases", "sum_l n_(l+1)", " + ".join(map(str, sizes[1:])), sum(sizes[1:])),
    ]


def attention(
    *,
    kind: str,
    query_size: int | None = None,
    key_size: int | None = None,
    hidden_size: int | None = None,
    n_heads: int | None = None,
    biases: int | None = None,
) -> list[Term]:
    """Attention of a query q to keys k, whose vectors are the values too.

    "dot", score q'k (scaled or not): none. "general" (Luong et al. 2015), q'W k. "additive" (Bahdanau et al. 2015),
    v'tanh(W_q q + W_k k), where biases=1 adds a vector inside the tanh, and 2 one to each product; 0 by default.
    "multihead" (Vaswani et al. 2017), as in torch.nn.MultiheadAttention: projections of query, key and value to a width
    of hidden_size (query_size by default), which n_heads (1) share, and of the output back to query_size; biases=1
    by default, one vector a projection.
    """
    _choice("kind", kind, ("dot", "general", "additive", "multihead"))
    sizes = {"query_size": query_size, "key_size": key_size, "hidden_size": hidden_size, "n_heads": n_heads}
    needed, optional = {
        "dot": ((), ("query_size", "key_size", "biases")),
        "general": (("query_size", "key_size"), ("biases",)),
        "additive": (("query_size", "key_size", "hidden_size"), ("biases",)),
        "multihead": (("query_size", "key_size"), ("hidden_size", "n_heads", "biases")),
    }[kind]
    _takes(f"'attention' with kind={kind!r}", {**sizes, "biases": biases}, needed, optional)
    allowed = {"additive": (0, 1, 2), "multihead": (1, 0)}.get(kind, (0,))  # the first is the default
    B = _one_of("biases", allowed[0] if biases is None else biases, allowed)

    if kind == "dot":
        equal = {_size(name, size) for name, size in sizes.items() if size is not None}
        if len(equal) > 1:
            raise ValueError(
                f"query_size is {query_size} and key_size {key_size}: make them equal, or take kind='general'"
            )
        return []
    Q, E = _size("query_size", query_size), _size("key_size", key_size)
    if kind == "general":
        return [_product("weight", {"Q": Q, "E": E})]
    H = _size("hidden_size", Q if hidden_size is None else hidden_size)
    projections = [_product("weight_query", {"H": H, "Q": Q}), _product("weight_key", {"H": H, "E": E})]
    if kind == "additive":
        bias = [_product("biases", {"B": B, "H": H})] if B else []
        return [*projections, _product("v", {"H": H}), *bias]
    heads = _size("n_heads", 1 if n_heads is None else n_heads)
    if H % heads:
        raise ValueError(
            f"n_heads is {heads}, which does not divide the width {H} that the heads share: take a divisor"
        )
    projections += [_product("weight_value", {"H": H, "E": E}), _product("weight_output", {"Q": Q, "H": H})]
    return [*projections, Term("biases", "3 H + Q", f"3 * {H} + {Q}", 3 * H + Q)] if B else projections


MODELS: dict[str, Callable[..., list[Term]]] = {
    function.__name__: function
    for function in (iid, markov, mtd, hmm, lds, arma, var, rnn, lstm, gru, feedforward, attention)
}


def _size(name: str, value: object, least: int = 1) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        size = operator.index(value)  # type: ignore[arg-type]  # that is the check
    except TypeError:
        raise TypeError(f"{name} is {value!r} ({type(value).__name__}), expected a whole number") from None
    if size < least:
        raise ValueError(f"{name} is {count_text(size)}, expected {least} or more")
    if size.bit_length() > _MOST_BITS_OF_A_SIZE:
        raise ValueError(f"{name} is {count_text(size)}, too large for a formula")
    return size


def _one_of(name: str, value: object, allowed: tuple[int, ...]) -> int:
    size = _size(name, value, 0)
    if size not in allowed:
        raise ValueError(f"{name} is {count_text(size)}, expected {' or '.join(map(str, sorted(allowed)))}")
    return size


def _choice(name: str, value: object, allowed: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} is {value!r}, expected {' or '.join(map(repr, allowed))}")
    return value


def _flag(name: str, value: object) -> bool:
    if type(value).__name__ not in ("bool", "bool_"):  # NumPy's too, without importing NumPy
        raise TypeError(f"{name} is {value!r} ({type(value).__name__}), expected True or False")
    return bool(value)


_VALUES = {"covariance_type": "covariance_type ('spherical', 'diag', 'full' or 'tied')"}


def _takes(place: str, given: dict[str, Any], needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    """Check the sizes that only some kinds of a model have."""
    takes = ", ".join([*(_VALUES.get(name, name) for name in needed), *(f"{name} (optional)" for name in optional)])
    for name, value in given.items():
        if value is None and name in needed:
            raise TypeError(f"{place}: missing {name}; it takes {takes}")
        if value is not None and name not in (*needed, *optional):
            raise TypeError(f"{place} has no {name}; it takes {takes}")


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
