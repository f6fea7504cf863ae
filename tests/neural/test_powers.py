"""What the same matrix does again and again, against closed forms and differences."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statespace.neural import powers


@given(st.integers(1, 4), st.integers(0, 12), st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_without_activation_they_are_powers_of_the_matrix(m: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    W, x0 = rng.standard_normal((m, m)), rng.standard_normal(m)
    found = powers(W, x0, n)
    for k in range(n + 1):
        power = np.linalg.matrix_power(W, k)
        scale = np.linalg.norm(W, 2) ** k
        np.testing.assert_allclose(found.x[k], power @ x0, rtol=1e-10, atol=1e-12 * scale)
        assert found.norms[k] == pytest.approx(np.linalg.norm(found.x[k]), rel=1e-12)
        assert found.derivatives[k] == pytest.approx(np.linalg.norm(power, 2), rel=1e-9, abs=1e-12 * scale)
    assert (np.diff(np.abs(found.eigenvalues)) <= 1e-12).all()
    assert np.prod(found.eigenvalues) == pytest.approx(np.linalg.det(W), rel=1e-8, abs=1e-10)


@given(st.sampled_from(["tanh", "sigmoid"]), st.integers(1, 3), st.integers(0, 8), st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_with_activation_the_derivative_is_that_of_differences(activation: str, m: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    W, x0 = 2 * rng.standard_normal((m, m)), rng.standard_normal(m)
    found = powers(W, x0, n, activation)
    step = 1e-6
    ends = [[powers(W, x0 + s * step * e, n, activation).x[-1] for s in (1, -1)] for e in np.eye(m)]
    J = np.array([(up - down) / (2 * step) for up, down in ends]).T
    assert found.derivatives[-1] == pytest.approx(np.linalg.norm(J, 2), rel=1e-5, abs=1e-8)


def test_scalars_vanish_stay_or_explode() -> None:
    assert powers(0.9, 1.0, 100).x[-1, 0] == pytest.approx(0.9**100, rel=1e-12)
    assert powers(1.0, 1.0, 100).x[-1, 0] == 1.0
    assert powers(1.1, 1.0, 100).x[-1, 0] == pytest.approx(1.1**100, rel=1e-12)
    np.testing.assert_array_equal(powers(3, 1, 5).x[:, 0], [1, 3, 9, 27, 81, 243])


def test_squashing_keeps_the_number_bounded_and_loses_the_derivative() -> None:
    found = powers(3.0, 1.0, 50, "tanh")
    x = 1.0
    for _ in range(50):
        x = math.tanh(3 * x)
    assert found.x[-1, 0] == pytest.approx(x, rel=1e-14)
    assert found.derivatives[-1] < 1e-70
    assert (powers(3.0, 1.0, 50, "sigmoid").x[1:] < 1).all()
    assert (powers(1.0, 5.0, 50, "sigmoid").derivatives <= 0.25 ** np.arange(51)).all()


def test_a_turn_has_complex_eigenvalues_and_keeps_the_length() -> None:
    turn = np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    found = powers(turn, [1, 0], 40)
    np.testing.assert_allclose(found.x, [[np.cos(0.3 * k), np.sin(0.3 * k)] for k in range(41)], atol=1e-13)
    np.testing.assert_allclose(found.norms, 1.0, rtol=1e-13)
    np.testing.assert_allclose(np.sort(np.angle(found.eigenvalues)), [-0.3, 0.3], rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([[1, 2, 3]], [1], 2), r"W has shape \(1, 3\)"),
        (([[1, 2], [3, 4]], [1], 2), r"x0 has shape \(1,\), expected \(2,\): W has 2 columns"),
        ((np.nan, 1, 2), "W has entries that are not finite"),
        ((1, np.inf, 2), "x0 has entries that are not finite"),
        ((1, 1, -1), "n"),
        ((1, 1, 2, "relu"), "activation"),
        ((10, 1, 400), r"W\^309 x0 is beyond the largest float: n is 400, take fewer than 309 steps"),
    ],
)
def test_what_cannot_be_is_refused_in_words(arguments: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        powers(*arguments)
