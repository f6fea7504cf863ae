"""Counts against the dimension of what the parameters can reach, against shapes, and against each other.

The dimension of a model is the rank of the map from its parameters to the law of what is observed. Derivatives are
complex steps, f'(x) = Im f(x + ih) / h, which are exact to rounding; the ranks are read off a gap of many decades.
"""

import itertools
import math
import re
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace.foundations.parameter_count import ParameterCount, count_parameters, count_text, model_sizes

STEP = 1e-30


def dimension(law, parameters):
    """Rank of the Jacobian of `law` at `parameters`."""
    columns = [law(parameters + 1j * STEP * unit).imag / STEP for unit in np.eye(len(parameters))]
    columns = [column / np.linalg.norm(column) for column in columns if np.linalg.norm(column) > 0]
    singular = np.linalg.svd(np.array(columns), compute_uv=False)
    rank = int((singular > 1e-9 * singular[0]).sum())
    assert singular[rank - 1] > 1e-6 * singular[0], "no clear gap"
    assert rank == len(singular) or singular[rank] < 1e-13 * singular[0], "no clear gap"
    return rank


def close_rows(free):
    """Rows of K-1 free probabilities, and the K-th that follows from them."""
    return np.concatenate([free, 1 - free.sum(axis=-1, keepdims=True)], axis=-1)


def interior_rows(rng, *shape):
    """Free entries of random laws without small probabilities."""
    return rng.dirichlet(np.full(shape[-1], 5.0), size=shape[:-1])[..., :-1].ravel()


# Chains


def chain_law(theta, K, M, initial, length):
    """Probabilities of all K^length words, by multiplying along each of them."""
    n_contexts = K**M
    P = close_rows(theta[: n_contexts * (K - 1)].reshape(n_contexts, K - 1))
    if initial == "conditional":
        first = np.arange(1, n_contexts + 1) / np.arange(1, n_contexts + 1).sum()  # any law: it is not a parameter
    elif initial == "free":
        first = close_rows(theta[n_contexts * (K - 1) :])
    else:
        step = np.zeros((n_contexts, n_contexts), complex)
        for c, k in itertools.product(range(n_contexts), range(K)):
            step[c, (c * K + k) % n_contexts] += P[c, k]
        balance = np.vstack([(np.eye(n_contexts) - step.T)[:-1], np.ones(n_contexts)])
        first = np.linalg.solve(balance, np.eye(n_contexts)[-1])
    law = []
    for word in itertools.product(range(K), repeat=length):
        code = 0
        for symbol in word[:M]:
            code = code * K + symbol
        probability = first[code]
        for symbol in word[M:]:
            probability = probability * P[code, symbol]
            code = (code * K + symbol) % n_contexts
        law.append(probability)
    return np.array(law)


@pytest.mark.parametrize("initial", ["conditional", "free", "stationary"])
@pytest.mark.parametrize(("K", "M"), [(2, 0), (3, 0), (2, 1), (3, 1), (4, 1), (2, 2), (2, 3), (3, 2)])
def test_chain_parameters_are_as_many_as_the_laws_of_words_have_dimensions(K, M, initial):
    rng = np.random.default_rng(1)
    theta = interior_rows(rng, K**M, K)
    if initial == "free":
        theta = np.concatenate([theta, interior_rows(rng, 1, K**M)])
    count = count_parameters("markov", n_states=K, order=M, initial=initial)
    assert int(count) == dimension(lambda t: chain_law(t, K, M, initial, M + 2), theta)


@given(K=st.integers(1, 50), M=st.integers(0, 30))
def test_a_chain_with_a_free_start_is_one_free_law_of_words(K, M):
    assert int(count_parameters("markov", n_states=K, order=M, initial="free")) == K ** (M + 1) - 1


@given(K=st.integers(1, 1000))
def test_order_zero_is_independent_and_order_one_is_a_matrix(K):
    assert int(count_parameters("markov", n_states=K, order=0)) == int(count_parameters("iid", n_states=K)) == K - 1
    # What the lecture prints for order M, K^(M-1) (K-1), would be K-1 here
    assert int(count_parameters("markov", n_states=K, order=1)) == K * (K - 1)


def mixture_law(theta, K, M, n_matrices):
    """p(x | x_1..x_M) = sum_g weight_g Q_g[x_g, x] for every context, one entry of the table after the other."""
    Q = close_rows(theta[: n_matrices * K * (K - 1)].reshape(n_matrices, K, K - 1))
    weights = close_rows(theta[n_matrices * K * (K - 1) :])
    return np.array(
        [
            sum(weights[g] * Q[g % n_matrices, context[g], x] for g in range(M))
            for context in itertools.product(range(K), repeat=M)
            for x in range(K)
        ]
    )


@pytest.mark.parametrize(("K", "M"), [(2, 1), (2, 2), (2, 4), (3, 1), (3, 2), (3, 3), (4, 2)])
@pytest.mark.parametrize("matrices", ["shared", "per_lag"])
def test_mixture_parameters_are_as_many_as_their_laws_have_dimensions(K, M, matrices):
    rng = np.random.default_rng(2)
    n_matrices = 1 if matrices == "shared" else M
    theta = np.concatenate([interior_rows(rng, n_matrices * K, K), interior_rows(rng, 1, M)])
    count = count_parameters("mtd", n_states=K, order=M, matrices=matrices)
    assert int(count) == dimension(lambda t: mixture_law(t, K, M, n_matrices), theta)


# Linear dynamical systems


def system_parts(k, p, covariances, start, intercepts):
    """The parameters of each part, as a user would lay them out."""

    def covariance(n):
        return n * (n + 1) // 2 if covariances == "full" else n

    parts = {"T": k * k, "Z": p * k, "Q": covariance(k), "H": covariance(p)}
    if start == "free":
        parts |= {"a1": k, "P1": covariance(k)}
    if intercepts:
        parts |= {"c": k, "d": p}
    return parts


def system_law(theta, parts, k, p, covariances, n_samples):
    """Means and covariances of y_1..y_n, which are the law of a Gaussian process."""
    split = np.split(theta, np.cumsum(list(parts.values()))[:-1])
    value = dict(zip(parts, split, strict=True))

    def covariance(entries, n):
        if covariances == "diag":
            return np.diag(entries)
        S = np.zeros((n, n), complex)
        S[np.triu_indices(n)] = entries
        return S + np.triu(S, 1).T

    T, Z = value["T"].reshape(k, k), value["Z"].reshape(p, k)
    Q, H = covariance(value["Q"], k), covariance(value["H"], p)
    c, d = value.get("c", np.zeros(k)), value.get("d", np.zeros(p))
    if "a1" in parts:
        a, P = value["a1"], covariance(value["P1"], k)
    else:
        a = np.linalg.solve(np.eye(k) - T, c)
        P = np.linalg.solve(np.eye(k * k) - np.kron(T, T), Q.ravel()).reshape(k, k)
    law = []
    for t in range(n_samples):
        law.append(Z @ a + d)
        lagged = P
        for lag in range(n_samples - t):
            law.append((Z @ lagged @ Z.T + (H if lag == 0 else 0)).ravel())
            lagged = T @ lagged
        a, P = T @ a + c, T @ P @ T.T + Q
    return np.concatenate(law)


@pytest.mark.parametrize("covariances", ["full", "diag"])
@pytest.mark.parametrize("start", ["free", "stationary"])
@pytest.mark.parametrize("intercepts", [False, True])
@pytest.mark.parametrize(("k", "p"), [(1, 1), (1, 3), (2, 1), (2, 2), (2, 3), (3, 1), (3, 2), (3, 3), (4, 2)])
def test_identifiable_systems_have_as_many_parameters_as_their_laws_have_dimensions(
    k, p, covariances, start, intercepts
):
    rng = np.random.default_rng(3)
    T = rng.normal(size=(k, k))
    theta = {"T": 0.8 * T / abs(np.linalg.eigvals(T)).max()}
    parts = system_parts(k, p, covariances, start, intercepts)
    for name, size in parts.items():
        n = p if name == "H" else k
        if name in ("Q", "H", "P1"):
            A = rng.normal(size=(n, n))
            S = A @ A.T + np.eye(n)
            theta[name] = S[np.triu_indices(n)] if covariances == "full" else rng.uniform(0.5, 2, n)
        elif name != "T":
            theta[name] = rng.normal(size=size)
    point = np.concatenate([theta[name].ravel() for name in parts])
    sizes = {
        "n_states": k,
        "n_observations": p,
        "covariances": covariances,
        "start": start,
        "intercepts": intercepts,
    }
    assert int(count_parameters("lds", **sizes)) == len(point)
    found = dimension(lambda t: system_law(t, parts, k, p, covariances, 2 * k + 3), point)
    assert int(count_parameters("lds", identifiable=True, **sizes)) == found


@given(k=st.integers(1, 100), covariances=st.sampled_from(["full", "diag"]), mean=st.booleans())
def test_one_observation_of_k_stationary_states_is_an_arma(k, covariances, mean):
    """Its spectrum is that of an ARMA(k, k), whatever the form of the covariances (Hamilton 1994, section 13.1)."""
    system = count_parameters(
        "lds",
        n_states=k,
        n_observations=1,
        covariances=covariances,
        start="stationary",
        identifiable=True,
        intercepts=mean,
    )
    assert int(system) == int(count_parameters("arma", p=k, q=k, constant=mean))


# Counts against shapes

SHAPES = [
    ("arma", {"p": 2, "q": 3}, [(2,), (3,), (), ()]),
    ("arma", {"p": 0, "q": 0, "constant": False}, [()]),
    ("var", {"n_variables": 3, "order": 2}, [(2, 3, 3), (3,), (6,)]),
    ("rnn", {"input_size": 3, "hidden_size": 5}, [(5, 3), (5, 5), (5,), (5,)]),
    ("rnn", {"input_size": 3, "hidden_size": 5, "biases": 0}, [(5, 3), (5, 5)]),
    ("lstm", {"input_size": 3, "hidden_size": 5, "biases": 1}, [(20, 3), (20, 5), (20,)]),
    ("gru", {"input_size": 3, "hidden_size": 5, "biases": 2}, [(15, 3), (15, 5), (15,), (15,)]),
    ("feedforward", {"layer_sizes": (4, 16, 3)}, [(4, 16), (16,), (16, 3), (3,)]),
    ("feedforward", {"layer_sizes": np.array([7, 2])}, [(7, 2), (2,)]),
    ("attention", {"kind": "dot"}, []),
    ("attention", {"kind": "dot", "query_size": 4, "key_size": 4, "biases": 0}, []),
    ("attention", {"kind": "general", "query_size": 4, "key_size": 6}, [(4, 6)]),
    ("attention", {"kind": "additive", "query_size": 4, "key_size": 6, "hidden_size": 5}, [(5, 4), (5, 6), (5,)]),
    (
        "attention",
        {"kind": "additive", "query_size": 4, "key_size": 6, "hidden_size": 5, "biases": 1},
        [(5, 4), (5, 6), (5,), (5,)],
    ),
    (
        "attention",
        {"kind": "additive", "query_size": 4, "key_size": 6, "hidden_size": 5, "biases": 2},
        [(5, 4), (5,), (5, 6), (5,), (5,)],
    ),
    (
        "attention",
        {"kind": "multihead", "query_size": 4, "key_size": 6, "n_heads": 2},
        [(4, 4), (4, 6), (4, 6), (4, 4), (4,), (4,), (4,), (4,)],
    ),
    (
        "attention",
        {"kind": "multihead", "query_size": 4, "key_size": 6, "hidden_size": 10, "n_heads": 5, "biases": 0},
        [(10, 4), (10, 6), (10, 6), (4, 10)],
    ),
    ("hmm", {"n_components": 3, "emission": "bernoulli", "n_features": 4}, [(2,), (3, 2), (3, 4)]),
    ("hmm", {"n_components": 3, "emission": "categorical", "n_symbols": 5}, [(2,), (3, 2), (3, 4)]),
    ("hmm", {"n_components": 3, "emission": "categorical", "n_symbols": 5, "start": "stationary"}, [(3, 2), (3, 4)]),
    (
        "hmm",
        {"n_components": 3, "emission": "categorical", "n_symbols": 5, "n_features": 2},
        [(2,), (3, 2), (3, 2, 4)],
    ),
]


@pytest.mark.parametrize(("model", "sizes", "shapes"), SHAPES)
def test_counts_are_the_sizes_of_the_arrays(model, sizes, shapes):
    assert int(count_parameters(model, **sizes)) == sum(math.prod(shape) for shape in shapes)


# What a count says of itself

few, starts = st.integers(1, 9), st.sampled_from(["free", "stationary"])
some_sizes = {
    "iid": {"n_states": few},
    "markov": {
        "n_states": few,
        "order": st.integers(0, 9),
        "initial": st.sampled_from(["conditional", "free", "stationary"]),
    },
    "mtd": {"n_states": few, "order": few, "matrices": st.sampled_from(["shared", "per_lag"])},
    "hmm": {
        "n_components": few,
        "emission": st.just("gmm"),
        "n_features": few,
        "n_mix": few,
        "covariance_type": st.sampled_from(["spherical", "diag", "full", "tied"]),
        "start": starts,
    },
    "lds": {
        "n_states": few,
        "n_observations": few,
        "covariances": st.sampled_from(["full", "diag"]),
        "start": starts,
        "identifiable": st.booleans(),
        "intercepts": st.booleans(),
    },
    "arma": {"p": st.integers(0, 9), "q": st.integers(0, 9), "constant": st.booleans()},
    "var": {"n_variables": few, "order": st.integers(0, 9)},
    "rnn": {"input_size": few, "hidden_size": few, "biases": st.integers(0, 2)},
    "lstm": {"input_size": few, "hidden_size": few, "biases": st.integers(0, 2)},
    "gru": {"input_size": few, "hidden_size": few, "biases": st.integers(0, 2)},
    "attention": {
        "kind": st.just("multihead"),
        "query_size": few,
        "key_size": few,
        "hidden_size": few,
        "biases": st.integers(0, 1),
    },
}


@pytest.mark.parametrize("model", some_sizes)
@given(data=st.data())
def test_the_breakdown_adds_up_and_both_sides_of_the_formula_come_to_the_total(model, data):
    sizes = data.draw(st.fixed_dictionaries(some_sizes[model]))
    count = count_parameters(model, **sizes)
    assert sum(count.breakdown.values()) == count.total == int(count)
    assert f"{count.total} free parameter" in str(count)
    assert all(name in str(count) for name in count.breakdown)
    symbols, numbers, total = count.formula.split(" = ")
    assert int(total) == count.total
    assert eval(numbers.replace("^", "**")) == count.total
    letter = {
        "K": sizes.get("n_states", sizes.get("n_components")),
        "M": sizes.get("order"),
        "C": sizes.get("n_mix"),
        "D": sizes.get("n_features", sizes.get("input_size")),
        "H": sizes.get("hidden_size"),
        "Q": sizes.get("query_size"),
        "E": sizes.get("key_size"),
        "B": sizes.get("biases"),
        "k": sizes.get("n_states", sizes.get("n_variables")),
        "p": sizes.get("n_observations", sizes.get("p", sizes.get("order"))),
        "q": sizes.get("q"),
    }
    letter["e"] = sizes.get("n_states", 0) - sizes.get("n_observations", 0)
    # A space between two factors is a product
    assert eval(re.sub(r"(?<=[\w)]) (?=[\w(])", " * ", symbols).replace("^", "**"), {}, letter) == count.total


def test_the_formula_reads_as_the_lecture_should_have_had_it():
    assert count_parameters("markov", n_states=3, order=2) == ParameterCount(
        18, {"transmat": 18}, "K^M (K-1) = 3^2 * 2 = 18"
    )


def test_a_count_is_frozen_and_hashable():
    count = count_parameters("iid", n_states=3)
    with pytest.raises(AttributeError):
        count.total = 4
    assert {count, count_parameters("iid", n_states=3)} == {count}


def test_counts_of_any_size_are_exact_and_can_be_shown():
    count = count_parameters("markov", n_states=2, order=20_000)
    assert int(count) == 1 << 20_000
    assert count.formula == "K^M (K-1) = 2^20000 * 1 = 3.980e+6020"  # 2^20000 = 10^6020.5999...
    assert "3.980e+6020" in str(count)


@given(st.integers(-(10**400), 10**400))
def test_the_text_of_a_count_is_exact_or_right_to_four_digits(count):
    mpmath = pytest.importorskip("mpmath", reason="the other arithmetic is mpmath's")
    text = count_text(count)
    if abs(count) < 10**15:
        assert int(text) == count
    else:
        assert re.fullmatch(r"-?\d\.\d{3}e\+\d+", text)
        assert abs(mpmath.mpf(text) / count - 1) <= 0.00051


@pytest.mark.parametrize("power", [15, 16, 300, 309, 4000])
def test_the_text_of_a_power_of_ten_is_its_power(power):
    assert count_text(10**power) == f"1.000e+{power}"
    assert count_text(-(10 ** (power + 1)) + 1) == f"-1.000e+{power + 1}"  # a mantissa of 9.9999 is rounded up


# Refusals

NEEDED = {
    "iid": {"n_states": 3},
    "markov": {"n_states": 3, "order": 1},
    "mtd": {"n_states": 3, "order": 1},
    "hmm": {"n_components": 3, "emission": "gmm", "n_features": 2, "n_mix": 2, "covariance_type": "full"},
    "lds": {"n_states": 3, "n_observations": 1},
    "arma": {"p": 1, "q": 1},
    "var": {"n_variables": 2, "order": 1},
    "rnn": {"input_size": 3, "hidden_size": 2},
    "lstm": {"input_size": 3, "hidden_size": 2},
    "gru": {"input_size": 3, "hidden_size": 2},
    "feedforward": {"layer_sizes": (3, 2)},
    "attention": {"kind": "additive", "query_size": 2, "key_size": 2, "hidden_size": 2},
}
NUMBERS = [(model, size) for model, sizes in NEEDED.items() for size, value in sizes.items() if isinstance(value, int)]
MAY_BE_ZERO = {("markov", "order"), ("arma", "p"), ("arma", "q"), ("var", "order")}


def test_the_models_are_these():
    assert set(model_sizes()) == set(NEEDED)


@pytest.mark.parametrize("model", NEEDED)
def test_a_missing_size_and_one_too_many_are_named_with_what_the_model_takes(model):
    count_parameters(model, **NEEDED[model])
    for left_out in NEEDED[model]:
        with pytest.raises(TypeError, match=f"'{model}'.*missing.*{left_out}.*it takes .*{left_out}"):
            count_parameters(model, **{size: value for size, value in NEEDED[model].items() if size != left_out})
    with pytest.raises(TypeError, match=f"'{model}'.*n_wheels.*it takes {next(iter(NEEDED[model]))}"):
        count_parameters(model, **NEEDED[model], n_wheels=4)


@pytest.mark.parametrize(("model", "size"), NUMBERS)
@pytest.mark.parametrize("wrong", [2.0, 2.5, "2", None, True, np.float64(2), np.bool_(True), [2]])
def test_what_is_no_whole_number_is_refused_by_name(model, size, wrong):
    with pytest.raises(TypeError, match=size):
        count_parameters(model, **{**NEEDED[model], size: wrong})


@pytest.mark.parametrize(("model", "size"), NUMBERS)
def test_numbers_below_one_are_refused_by_name(model, size):
    with pytest.raises(ValueError, match=f"{size} is -1, expected"):
        count_parameters(model, **{**NEEDED[model], size: -1})
    if (model, size) in MAY_BE_ZERO:
        count_parameters(model, **{**NEEDED[model], size: 0})
    else:
        with pytest.raises(ValueError, match=f"{size} is 0, expected 1 or more"):
            count_parameters(model, **{**NEEDED[model], size: 0})


@pytest.mark.parametrize("integer", [np.int8(3), np.uint64(3), np.array(3)])
def test_numpy_integers_are_whole_numbers_and_the_count_is_a_python_int(integer):
    count = count_parameters("markov", n_states=integer, order=np.int8(50))
    assert count.total == 3**50 * 2
    assert type(count.total) is int


@pytest.mark.parametrize(
    ("model", "size", "wrong"),
    [
        ("markov", "initial", "uniform"),
        ("mtd", "matrices", True),
        ("hmm", "emission", "normal"),
        ("hmm", "covariance_type", "round"),
        ("hmm", "start", None),
        ("lds", "covariances", "spherical"),
        ("lds", "start", "conditional"),
        ("attention", "kind", "cross"),
    ],
)
def test_an_unknown_word_is_refused_with_the_known_ones(model, size, wrong):
    with pytest.raises(ValueError, match=f"{size} is {wrong!r}, expected '"):
        count_parameters(model, **{**NEEDED[model], size: wrong})


@pytest.mark.parametrize(("model", "flag"), [("lds", "identifiable"), ("lds", "intercepts"), ("arma", "constant")])
def test_flags_are_true_or_false(model, flag):
    assert int(count_parameters(model, **NEEDED[model], **{flag: np.bool_(False)})) > 0
    with pytest.raises(TypeError, match=f"{flag} is 1"):
        count_parameters(model, **NEEDED[model], **{flag: 1})


@pytest.mark.parametrize(
    ("model", "sizes", "error", "message"),
    [
        ("markow", {}, ValueError, "no model 'markow' to count; there are iid, markov, mtd"),
        (ParameterCount, {}, TypeError, r"expected a name such as 'markov'.*model\.n_parameters"),
        ("markov", {"n_states": 3, "order": 10**12}, ValueError, "order is 1000000000000: .* lower the order"),
        ("markov", {"n_states": 10**5000, "order": 1}, ValueError, r"n_states is 1\.000e\+5000, too large"),
        ("rnn", {"input_size": 3, "hidden_size": 2, "biases": 3}, ValueError, "biases is 3, expected 0 or 1 or 2"),
        ("rnn", {"input_size": 3, "hidden_size": 2, "biases": True}, TypeError, "biases is True"),
        ("feedforward", {"layer_sizes": (3,)}, ValueError, "layer_sizes has 1 entries, expected at least 2"),
        ("feedforward", {"layer_sizes": (3, 0)}, ValueError, r"layer_sizes\[1\] is 0"),
        ("feedforward", {"layer_sizes": (3, 2.5)}, TypeError, r"layer_sizes\[1\] is 2\.5"),
        ("feedforward", {"layer_sizes": "32"}, TypeError, "layer_sizes is '32'"),
        ("feedforward", {"layer_sizes": 3}, TypeError, "layer_sizes is 3"),
        ("hmm", {"n_components": 2, "emission": "poisson", "n_features": 1, "n_mix": 2}, TypeError, "has no n_mix"),
        ("hmm", {"n_components": 2, "emission": "gaussian", "n_features": 1}, TypeError, "missing covariance_type"),
        (
            "attention",
            {"kind": "dot", "query_size": 2, "key_size": 3},
            ValueError,
            "query_size is 2 and key_size 3: make them equal, or take kind='general'",
        ),
        ("attention", {"kind": "dot", "query_size": 0}, ValueError, "query_size is 0"),
        ("attention", {"kind": "general", "query_size": 2, "key_size": 3, "biases": 1}, ValueError, "biases is 1"),
        ("attention", {"kind": "general", "query_size": 2, "key_size": 3, "n_heads": 1}, TypeError, "has no n_heads"),
        (
            "attention",
            {"kind": "multihead", "query_size": 8, "key_size": 8, "n_heads": 3},
            ValueError,
            "n_heads is 3, which does not divide the width 8",
        ),
        (
            "attention",
            {"kind": "multihead", "query_size": 8, "key_size": 8, "biases": 2},
            ValueError,
            "biases is 2, expected 0 or 1",
        ),
    ],
)
def test_what_is_impossible_is_refused_with_what_to_do(model, sizes, error, message):
    with pytest.raises(error, match=message):
        count_parameters(model, **sizes)


def test_counting_needs_no_numpy():
    """The command line's calculator answers before NumPy would have been loaded."""
    import subprocess

    code = "import sys, statespace.tools.parameters; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
