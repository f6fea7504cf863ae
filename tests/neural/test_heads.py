"""Heads: log-likelihoods against scipy.stats, derivatives against differences, draws against frequencies."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit, gammaln, log_softmax, softmax

from statespace.neural import Bernoulli, Categorical, Gaussian, Head, Poisson
from tests.neural.own_laws import Exponential

seeds = st.integers(0, 2**32 - 1)
DTYPES = [np.float32, np.float64]


def laws(rng):
    """Every law with targets of it, (n,) or (n, D), none missing."""
    K, D = int(rng.integers(1, 20)), int(rng.integers(1, 4))
    gaussian = Gaussian(D, location=rng.normal(size=D), scale=rng.uniform(0.1, 10, D))
    return [
        (Categorical(K), lambda n: rng.integers(0, K, n)),
        (Bernoulli(), lambda n: rng.random(n) < 0.3),
        (Poisson(D), lambda n: rng.poisson(3.0, (n, D))),
        (gaussian, lambda n: rng.normal(size=(n, D))),
        (Exponential(), lambda n: rng.exponential(size=n)),
    ]


def random_head(law, H, rng, dtype=np.float64):
    head = Head(law, H, dtype)
    head.vector[...] = rng.normal(size=head.vector.size) / np.sqrt(H)
    return head


def with_gaps(targets, law, rng):
    """Some missing: single features where the law can leave them out, whole rows otherwise."""
    holes = np.asarray(targets, float)
    if getattr(law, "marginalises", False):
        return np.where(rng.random(holes.shape) < 0.3, np.nan, holes)
    return np.where(rng.random(len(holes)) < 0.3, np.nan, holes)


# ------------------------------------------------------------------------------------------------- log-likelihoods


@given(seeds, st.integers(1, 30), st.integers(1, 20))
def test_log_likelihoods_are_those_of_scipy(seed, n, H):
    rng = np.random.default_rng(seed)
    for law, draw in laws(rng)[:4]:
        head, outputs, targets = random_head(law, H, rng), rng.normal(size=(n, H)), draw(n)
        scores = outputs @ head.weights["weight"].T + head.weights["bias"]
        if isinstance(law, Categorical):
            expected = log_softmax(scores, axis=1)[np.arange(n), targets]
        elif isinstance(law, Bernoulli):
            expected = stats.bernoulli.logpmf(targets, expit(scores[:, 0]))
        elif isinstance(law, Poisson):
            expected = stats.poisson.logpmf(targets, np.exp(scores)).sum(axis=1)
        else:
            D = law.n_features
            deviation = law.scale * np.sqrt(np.exp(scores[:, D:]) + law.floor)
            expected = stats.norm.logpdf(targets, law.location + law.scale * scores[:, :D], deviation).sum(axis=1)
        np.testing.assert_allclose(head.log_likelihood(outputs, targets), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("rate", [1e-300, 1e-3, 1.0, 15.5, 1e3, 1e6, 1e12])
def test_poisson_log_probabilities_keep_their_digits_at_large_counts(rate):
    head = Head(Poisson(), 1, np.float64)
    head.weights["bias"][0] = np.log(rate)
    spread = np.sqrt(rate)
    counts = np.unique(np.floor(np.maximum(rate + spread * np.array([-5, -1, 0, 1, 5, 30]), 0)))
    counts = np.unique(np.concatenate([counts, [0, 1, 15, 16, 17]]))
    found = head.log_likelihood(np.zeros((len(counts), 1)), counts)
    with mpmath.workdps(60):
        s = mpmath.mpf(float(np.log(rate)))
        exact = [float(mpmath.mpf(x) * s - mpmath.exp(s) - mpmath.loggamma(mpmath.mpf(x) + 1)) for x in counts]
    # the rounding of the score itself moves a log-probability by count - rate times an ulp of it
    rounding = np.abs(counts - rate) * np.abs(np.log(rate)) * 2e-16
    assert (np.abs(found - exact) <= 1e-13 * np.abs(exact) + rounding + 1e-14).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_scores_of_ten_thousand_are_no_trouble(dtype):
    far = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, 1e4]], dtype)
    head = Head(Categorical(3), 3, dtype)
    head.weights["weight"][...] = np.eye(3)
    np.testing.assert_allclose(head.log_likelihood(far, [0, 2]), 0.0)
    np.testing.assert_allclose(head.log_likelihood(far, [1, 0]), -2e4)
    found = head.gradients(far, [1, 2])
    np.testing.assert_array_equal(found.outputs, [[-1, 1, 0], [0, 0, 0]])
    assert found.log_likelihood == -2e4
    np.testing.assert_array_equal(head.predictive(far).probabilities, [[1, 0, 0], [0, 0, 1]])
    answers = Head(Bernoulli(), 1, dtype)
    answers.weights["weight"][...] = 1
    np.testing.assert_array_equal(answers.log_likelihood(far[:, :1], [0, 1]), [-1e4, -1e4])
    np.testing.assert_array_equal(answers.gradients(far[:, :1], [0, 1]).outputs, [[-1], [1]])
    np.testing.assert_array_equal(answers.predictive(far[:, :1]).probabilities, [[0, 1], [1, 0]])
    numbers = Head(Gaussian(), 1, dtype)
    numbers.weights["weight"][...] = [[0], [1]]
    assert np.isfinite(numbers.log_likelihood(far[:, :1], [0.3, -0.2])).all()
    assert np.isfinite(numbers.gradients(far[:, :1], [0.3, -0.2]).vector).all()
    assert np.log(numbers.predictive(far[1:, :1]).cov[0, 0, 0]) == pytest.approx(np.log(1e-6))


def test_rates_beyond_the_floats_are_impossible_not_wrong():
    head = Head(Poisson(), 1, np.float64)
    head.weights["bias"][0] = 1e4
    assert head.log_likelihood([[0.0]], [3])[0] == -np.inf
    assert head.gradients([[0.0]], [3]).outputs.shape == (1, 1)
    head.weights["bias"][0] = -1e4
    np.testing.assert_array_equal(head.log_likelihood(np.zeros((2, 1)), [0, 1]), [0.0, -1e4])


# ----------------------------------------------------------------------------------------------------- derivatives


def total(head, outputs, targets, weights):
    with np.errstate(invalid="ignore"):
        return np.nansum(head.log_likelihood(outputs, targets) * weights)


@given(seeds, st.integers(1, 6), st.integers(1, 9))
@settings(max_examples=25)
def test_derivatives_are_central_differences(seed, n, H):
    rng = np.random.default_rng(seed)
    for law, draw in laws(rng):
        head, outputs = random_head(law, H, rng), rng.normal(size=(n, H))
        targets, weights = with_gaps(draw(n), law, rng), rng.uniform(0.5, 2, n) * rng.choice([-1, 1], n)
        found = head.gradients(outputs, targets, weights)
        assert found.log_likelihood == pytest.approx(total(head, outputs, targets, weights), rel=1e-12, abs=1e-12)
        for array, slopes in ((head.vector, found.vector), (outputs, found.outputs)):
            flat, given_slopes = array.reshape(-1), slopes.reshape(-1)
            for i in rng.choice(flat.size, min(flat.size, 8), replace=False):
                kept, ends = flat[i], []
                for step in (1e-5, -1e-5):
                    flat[i] = kept + step
                    ends.append(total(head, outputs, targets, weights))
                flat[i] = kept
                size = max(1.0, abs(given_slopes[i]), np.abs(targets[np.isfinite(targets)]).max(initial=0) ** 2)
                assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(given_slopes[i], abs=2e-7 * size)


@given(seeds)
def test_derivatives_by_scores_are_those_of_a_complex_step(seed):
    """Formulas written out once more, with i h in the place of each score."""
    rng = np.random.default_rng(seed)
    n, K, D, h = 5, 4, 2, 1e-30
    codes, answers = rng.integers(0, K, n), rng.integers(0, 2, (n, 1))
    counts, numbers = rng.poisson(4, (n, D)), rng.normal(size=(n, D))
    gaussian = Gaussian(D, 0.7, 2.0, floor=0.1)

    def normal(s):
        v = np.exp(s[:, D:]) + 0.1
        return (-0.5 * ((numbers - 0.7) / 2.0 - s[:, :D]) ** 2 / v - 0.5 * np.log(v)).sum(axis=1)

    cases = [
        (Categorical(K), codes[:, None], lambda s: s[np.arange(n), codes] - np.log(np.exp(s).sum(axis=1))),
        (Bernoulli(), answers, lambda s: (answers * s - np.log1p(np.exp(s)))[:, 0]),
        (Poisson(D), counts, lambda s: (counts * s - np.exp(s) - gammaln(counts + 1)).sum(axis=1)),
        (gaussian, numbers, normal),
    ]
    for law, targets, formula in cases:
        scores = rng.normal(size=(n, law.n_scores))
        _, slopes = law.derivatives(scores, targets)
        for k in range(law.n_scores):
            moved = scores.astype(complex)
            moved[:, k] += 1j * h
            np.testing.assert_allclose(slopes[:, k], formula(moved).imag / h, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("H", [1, 7, 40])
def test_float32_is_float64_rounded(H):
    rng = np.random.default_rng(H)
    for law, draw in laws(rng):
        wide, targets = random_head(law, H, rng), draw(700)
        narrow = Head(law, H, np.float32)
        narrow.vector[...] = wide.vector
        wide.vector[...] = narrow.vector
        outputs = rng.normal(size=(700, H)).astype(np.float32)
        exact, rounded = wide.gradients(outputs, targets), narrow.gradients(outputs, targets)
        assert rounded.vector.dtype == rounded.outputs.dtype == np.float32
        assert rounded.log_likelihood == pytest.approx(exact.log_likelihood, rel=1e-5)
        for name in ("outputs", "vector"):
            a, b = getattr(exact, name), getattr(rounded, name)
            np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5 * np.abs(a).max())


# ------------------------------------------------------------------------------------- what is missing or left out


@given(seeds, st.integers(1, 5), st.integers(1, 6))
def test_padding_and_missing_targets_add_nothing(seed, B, T):
    rng = np.random.default_rng(seed)
    for law, draw in laws(rng):
        head = random_head(law, 3, rng)
        outputs, targets = rng.normal(size=(B * T, 3)), with_gaps(draw(B * T), law, rng)
        seen = ~np.isnan(targets.reshape(B * T, -1)).all(axis=1)
        inside = rng.random(B * T) < 0.7
        kept = seen & inside
        alone = head.gradients(outputs[kept], targets[kept])
        outputs[~inside], targets[~inside] = np.nan, -3.0
        cube, weights = targets.reshape(B, T, *targets.shape[1:]), inside.reshape(B, T)
        among = head.gradients(outputs.reshape(B, T, 3), cube, weights)
        assert among.outputs.shape == (B, T, 3)
        flat = among.outputs.reshape(-1, 3)
        np.testing.assert_array_equal(flat[kept], alone.outputs)
        assert not flat[~kept].any()
        np.testing.assert_array_equal(among.vector, alone.vector)
        assert among.log_likelihood == alone.log_likelihood
        logs = head.log_likelihood(outputs.reshape(B, T, 3), cube, weights)
        assert logs.shape == (B, T)
        np.testing.assert_array_equal(np.isnan(logs).reshape(-1), ~kept)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_has_the_same_bits_alone_and_in_a_large_batch(dtype):
    rng = np.random.default_rng(0)
    head = random_head(Categorical(11), 13, rng, dtype)
    outputs, targets = rng.normal(size=(20_000, 13)).astype(dtype), rng.integers(0, 11, 20_000)
    logs, slopes = head.log_likelihood(outputs, targets), head.gradients(outputs, targets)
    for i in (0, 4095, 4096, 12_345, 19_999):
        assert head.log_likelihood(outputs[i : i + 1], targets[i : i + 1])[0] == logs[i]
        one = head.gradients(outputs[i : i + 1], targets[i : i + 1])
        np.testing.assert_array_equal(one.outputs[0], slopes.outputs[i])
    assert slopes.log_likelihood == pytest.approx(logs.sum(), rel=1e-6 if dtype == np.float32 else 1e-13)
    expected = (np.eye(11)[targets] - softmax(head.scores(outputs).astype(float), axis=1)).T @ outputs
    np.testing.assert_allclose(
        head.by_name(slopes.vector)["weight"], expected, rtol=1e-3 if dtype == np.float32 else 1e-9, atol=1e-2
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_number_of_threads_gives_the_same_bits(dtype, monkeypatch):
    rng = np.random.default_rng(0)
    found = []
    outputs, targets = rng.normal(size=(9000, 5)).astype(dtype), rng.normal(size=(9000, 2))
    head = random_head(Gaussian(2), 5, rng, dtype)
    for n in (1, 2, 5):
        monkeypatch.setattr("statespace.foundations.executors._n_processors", lambda n=n: n)
        one = head.gradients(outputs, targets)
        found.append([one.log_likelihood, one.vector, one.outputs, head.log_likelihood(outputs, targets)])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_nothing_counted_is_nothing():
    head = Head(Categorical(3), 2, np.float64)
    for outputs, targets in ((np.zeros((0, 2)), []), (np.zeros((2, 2)), [np.nan, np.nan])):
        found = head.gradients(outputs, np.asarray(targets, float))
        assert found.log_likelihood == 0.0
        assert not found.vector.any()
        assert found.outputs.shape == outputs.shape
        assert head.sample(outputs).shape == (len(outputs),)


# ------------------------------------------------------------------------------------------------------- the start


@given(seeds, st.floats(-6, 6))
def test_a_head_starts_at_the_law_of_the_data_in_any_units(seed, power):
    rng = np.random.default_rng(seed)
    n, nothing = 400, np.zeros((1, 3))
    head = Head(Categorical(4), 3, np.float64)
    codes = rng.integers(0, 3, n)
    head.start(codes)
    np.testing.assert_allclose(
        head.predictive(nothing).probabilities[0], (np.bincount(codes, minlength=4) + 0.5) / (n + 2), rtol=1e-12
    )
    answers = np.where(rng.random(n) < 0.2, np.nan, rng.random(n) < 0.1)
    head = Head(Bernoulli(), 3, np.float64)
    head.start(answers)
    known = answers[~np.isnan(answers)]
    assert head.predictive(nothing).probability(1)[0] == pytest.approx((known.sum() + 0.5) / (len(known) + 1))
    counts = np.where(rng.random((n, 2)) < 0.2, np.nan, rng.poisson([0.0, 1e5], (n, 2)))
    head = Head(Poisson(2), 3, np.float64)
    head.start(counts)
    sums, numbers = np.nansum(counts, axis=0), (~np.isnan(counts)).sum(axis=0)
    np.testing.assert_allclose(head.predictive(nothing).mean[0], (sums + 0.5) / numbers)
    scale = 10.0**power
    x = np.where(rng.random((n, 2)) < 0.2, np.nan, scale * rng.normal([5.0, -1.0], [1.0, 30.0], (n, 2)))
    head = Head(Gaussian(2), 3, np.float64)
    head.start(x)
    law = head.predictive(nothing)
    np.testing.assert_allclose(law.mean[0], np.nanmean(x, axis=0), rtol=1e-10)
    np.testing.assert_allclose(np.diag(law.cov[0]), np.nanvar(x, axis=0), rtol=1e-10)


def test_weights_of_a_start_count_and_padding_does_not():
    head = Head(Categorical(2), 1, np.float64)
    head.start([[0, 1, 7], [1, -4, 0]], [[2, 1, 0], [3, 0, 0.5]])
    np.testing.assert_allclose(head.predictive([[0.0]]).probabilities[0], [3.0 / 7.5, 4.5 / 7.5])


def test_numbers_that_are_all_alike_start_with_a_finite_density():
    for value in (0.0, 3.3e9, -1e-20):
        head = Head(Gaussian(), 1, np.float64)
        head.start(np.full(7, value))
        assert np.isfinite(head.log_likelihood(np.zeros((1, 1)), [value])).all()


@given(seeds, st.floats(-8, 8))
@settings(max_examples=20)
def test_gaussian_derivatives_do_not_depend_on_units(seed, power):
    rng = np.random.default_rng(seed)
    outputs, x, w = rng.normal(size=(50, 3)), 3 + rng.normal(size=50), rng.normal(size=8)
    found = []
    for scale in (1.0, 10.0**power):
        head = Head(Gaussian(), 3, np.float64, random_state=0)
        head.start(scale * x)
        head.vector[...] += w
        one = head.gradients(outputs, scale * x)
        found.append((one.vector, one.outputs, one.log_likelihood + 50 * np.log(scale)))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-7)


# ------------------------------------------------------------------------------------------------- draws and laws


def assert_frequencies(draws, probabilities, first=0):
    """Chi-squared, of values that are expected at least five times."""
    n = len(draws)
    counts = np.bincount(draws - first, minlength=len(probabilities))[: len(probabilities)]
    often = n * probabilities >= 5
    observed = np.append(counts[often], n - counts[often].sum())
    expected = np.append(n * probabilities[often], n * (1 - probabilities[often].sum()))
    if expected[-1] < 1e-6 * n:
        observed, expected = observed[:-1], expected[:-1]
        expected = expected * (observed.sum() / expected.sum())
    if len(observed) > 1:
        assert stats.chisquare(observed, expected).pvalue > 1e-4


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_draws_have_the_frequencies_of_the_law_to_the_power_of_one_over_the_temperature(temperature):
    n = 20_000
    zeros = np.zeros((n, 1))
    head = Head(Categorical(4), 1, np.float64)
    head.weights["bias"][...] = [0.0, 1.0, -1.0, 1.5]
    powers = softmax(np.array([0.0, 1.0, -1.0, 1.5]) / temperature)
    assert_frequencies(head.sample(zeros, 0, temperature), powers)
    head = Head(Bernoulli(), 1, np.float64)
    head.weights["bias"][...] = 0.8
    assert_frequencies(head.sample(zeros, 1, temperature), softmax(np.array([0.0, 0.8]) / temperature))
    for rate in (0.4, 7.3, 900.0):
        head = Head(Poisson(), 1, np.float64)
        head.weights["bias"][...] = np.log(rate)
        logs = stats.poisson.logpmf(np.arange(3000), rate) / temperature
        assert_frequencies(head.sample(zeros, 2, temperature)[:, 0], softmax(logs))
    head = Head(Gaussian(1, 100.0, 5.0), 1, np.float64)
    head.weights["bias"][...] = [1.0, np.log(4.0)]
    drawn = head.sample(zeros, 3, temperature)[:, 0]
    assert stats.kstest(drawn, stats.norm(105.0, 10.0 * np.sqrt(temperature)).cdf).pvalue > 1e-4


def test_at_temperature_zero_the_most_probable_is_drawn():
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(4, 5, 3))
    for law in (Categorical(6), Bernoulli(), Poisson(2), Gaussian(2)):
        head = random_head(law, 3, rng)
        drawn = head.sample(outputs, 0, temperature=0)
        scores = head.scores(outputs)
        if isinstance(law, Categorical):
            expected = scores.argmax(axis=-1)
        elif isinstance(law, Bernoulli):
            expected = scores[..., 0] > 0
        else:
            expected = np.floor(np.exp(scores)) if isinstance(law, Poisson) else scores[..., :2]
        np.testing.assert_array_equal(drawn, expected)


def test_the_same_seed_draws_the_same_and_a_generator_goes_on():
    head = random_head(Categorical(5), 2, np.random.default_rng(1))
    outputs = np.random.default_rng(2).normal(size=(50, 2))
    np.testing.assert_array_equal(head.sample(outputs, 7), head.sample(outputs, 7))
    rng = np.random.default_rng(7)
    assert (head.sample(outputs, rng) != head.sample(outputs, rng)).any()


@given(seeds, st.integers(1, 12))
def test_predictive_laws_say_what_the_log_likelihood_says(seed, n):
    rng = np.random.default_rng(seed)
    for law, draw in laws(rng)[:4]:
        head, outputs, targets = random_head(law, 2, rng), rng.normal(size=(n, 2)), draw(n)
        found = head.predictive(outputs)
        assert found.support == head.support == law.support
        observed = targets.astype(int) if law.support == "categories" else targets
        np.testing.assert_allclose(
            found.log_density(observed), head.log_likelihood(outputs, targets), rtol=1e-9, atol=1e-11
        )


def test_symbols_keep_their_names():
    head = Head(Categorical(["dry", "wet", "snow"]), 2)
    head.start([0, 0, 1])
    assert head.predictive(np.zeros((1, 2))).probability("dry")[0] == pytest.approx(2.5 / 4.5)
    head = Head(Bernoulli([False, True]), 2)
    head.start(np.array([True, False, True]))
    assert head.predictive(np.zeros((1, 2))).probability(True)[0] == pytest.approx(2.5 / 4)


# ------------------------------------------------------------------------------------------------------ in words


def test_weights_go_out_and_come_in_by_name():
    head = random_head(Gaussian(2), 3, np.random.default_rng(0))
    other = Head(Gaussian(2), 3, np.float64)
    other.load_weights({name: value.copy() for name, value in head.weights.items()})
    np.testing.assert_array_equal(other.vector, head.vector)
    assert head.weights["weight"].shape == (4, 3)
    assert head.n_parameters == 16


@pytest.mark.parametrize(
    ("law", "expected"), [(Categorical(5), 16), (Bernoulli(), 4), (Poisson(2), 8), (Gaussian(), 8)]
)
def test_parameters_are_as_many_as_directions_in_which_the_law_changes(law, expected):
    head = random_head(law, 3, rng := np.random.default_rng(0))
    outputs = rng.normal(size=(40, 3))
    targets = [law.sample(head.scores(outputs), rng).reshape(40, -1) for _ in range(5)]
    slopes = [
        head.gradients(outputs[i : i + 1], target[i : i + 1]).vector for target in targets for i in range(len(outputs))
    ]
    assert np.linalg.matrix_rank(np.array(slopes)) == head.n_parameters == expected


def test_two_symbols_have_the_parameters_of_a_bernoulli_law():
    assert Head(Categorical(2), 7).n_parameters == Head(Bernoulli(), 7).n_parameters == 8


def test_what_is_wrong_is_said_in_words():
    head, two = Head(Categorical(3), 2), Head(Poisson(2), 2)
    zeros = np.zeros((2, 2))
    square = np.zeros((2, 2, 2))
    cases = [
        (
            lambda: head.gradients(zeros, [0, 3]),
            ValueError,
            r"targets\[1\] is 3, expected the place of one of 3 symbols, 0",
        ),
        (lambda: head.gradients(zeros, [0, -1]), ValueError, r"targets\[1\] is -1"),
        (lambda: head.log_likelihood(zeros, [0, 0.5]), ValueError, r"targets\[1\] is 0.5"),
        (lambda: head.log_likelihood(square, [[0, 1], [2, 9]]), ValueError, r"targets\[1, 1\] is 9"),
        (lambda: two.gradients(zeros, [[0, 1], [2, -2]]), ValueError, r"targets\[1, 1\] is -2, expected a count"),
        (lambda: two.gradients(zeros, [0, 1]), ValueError, r"targets has shape \(2,\), expected \(2, 2\)"),
        (lambda: head.gradients(zeros, [0]), ValueError, r"targets has shape \(1,\), expected \(2,\) or \(2, 1\)"),
        (lambda: head.gradients(zeros, ["a", "b"]), TypeError, "targets are <U1, expected numbers"),
        (
            lambda: head.gradients(np.zeros((2, 3)), [0, 1]),
            ValueError,
            r"outputs has shape \(2, 3\).*expected \(..., 2\)",
        ),
        (lambda: head.gradients(zeros, [0, 1], [1.0]), ValueError, r"weights has shape \(1,\), expected \(2,\)"),
        (lambda: head.gradients(zeros, [0, 1], [1.0, np.inf]), ValueError, "weights holds inf"),
        (lambda: head.start([0, 1], [1.0, -1.0]), ValueError, "weights holds -1.0"),
        (
            lambda: Head(Gaussian(), 2).gradients(zeros, [0, np.inf]),
            ValueError,
            r"targets\[1\] is inf, expected a number",
        ),
        (lambda: Head(Bernoulli(), 2).gradients(zeros, [0, 2]), ValueError, r"targets\[1\] is 2, expected 0 or 1"),
        (lambda: head.predictive(square), ValueError, "a law a row"),
        (lambda: head.sample(zeros, temperature=-1), ValueError, "temperature is -1"),
        (lambda: head.load_weights({"weight": 0}), TypeError, "the weights are weight, expected"),
        (lambda: head.load_weights({"weight": 0, "bias": 0}), ValueError, r"weight has shape \(\)"),
        (lambda: Head(object(), 2), TypeError, "is no law of a head: it has no n_scores"),
        (lambda: Head(Categorical(3), 2, np.float16), ValueError, "dtype is float16"),
        (lambda: Categorical([[1]]), ValueError, "symbols has shape"),
        (lambda: Bernoulli([1]), ValueError, "symbols has shape"),
        (lambda: Gaussian(scale=0.0), ValueError, "scale is 0.0"),
        (
            lambda: Head(Pairs(), 2).gradients(zeros, [[1, np.nan], [1, 1]]),
            ValueError,
            "Pairs does not say that it can",
        ),
    ]
    for call, kind, message in cases:
        with pytest.raises(kind, match=message):
            call()


class Pairs(Exponential):
    n_features = 2
