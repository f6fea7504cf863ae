"""The models under hmmlearn's names: its API, its numbers where it is right, and what ours do besides."""

import copy
import inspect
import logging
import pickle
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import statespace
from statespace import hmm
from statespace.foundations.estimator import NotFittedError, clone
from statespace.hmm import ConvergenceMonitor, ConvergenceWarning

theirs = pytest.importorskip("hmmlearn.hmm", reason="the test extra installs hmmlearn")

KINDS = ("spherical", "diag", "full", "tied")
SHARED = ("CategoricalHMM", "GMMHMM", "GaussianHMM", "MultinomialHMM", "PoissonHMM")
ALL = (*SHARED, "BernoulliHMM")
seeds = st.integers(0, 2**32 - 1)
pytestmark = [
    pytest.mark.filterwarnings("ignore::statespace.hmm.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning:hmmlearn"),  # zeros of its own
]


@pytest.fixture(autouse=True)
def quiet_peer():
    """Its MultinomialHMM warns at every construction."""
    logging.getLogger("hmmlearn").setLevel(logging.ERROR)


def random_covars(rng, kind, leading, D):
    A = rng.normal(size=(*leading, D, D))
    full = A @ np.swapaxes(A, -1, -2) + 0.5 * np.eye(D)
    if kind == "tied":
        return full[:, 0] if len(leading) == 2 else full[0]
    return {"full": full, "diag": 0.5 + rng.random((*leading, D)), "spherical": 0.5 + rng.random(leading)}[kind]


def random_parameters(name, rng, K=3, kind="diag"):
    """Options of the constructor, and learnt parameters by name without the underscore."""
    found = {"startprob": rng.dirichlet(np.ones(K)), "transmat": rng.dirichlet(np.ones(K), size=K)}
    options = {}
    if name == "CategoricalHMM":
        found["emissionprob"] = rng.dirichlet(np.ones(4), size=K)
    elif name == "MultinomialHMM":
        found["emissionprob"] = rng.dirichlet(np.ones(4), size=K)
        options = {"n_trials": 6}
    elif name == "PoissonHMM":
        found["lambdas"] = rng.gamma(3, size=(K, 2))
    elif name == "BernoulliHMM":
        found["probs"] = rng.random((K, 2))
    elif name == "GaussianHMM":
        found |= {"means": 2 * rng.normal(size=(K, 2)), "covars": random_covars(rng, kind, (K,), 2)}
        options = {"covariance_type": kind}
    else:
        found |= {"weights": rng.dirichlet(np.ones(2), size=K), "means": 2 * rng.normal(size=(K, 2, 2))}
        found["covars"] = random_covars(rng, kind, (K, 2), 2)
        options = {"n_mix": 2, "covariance_type": kind}
    return options, found


def random_data(name, rng, n=40):
    draws = {
        "CategoricalHMM": lambda: rng.integers(0, 4, (n, 1)),
        "MultinomialHMM": lambda: rng.multinomial(6, rng.dirichlet(np.ones(4)), size=n),
        "PoissonHMM": lambda: rng.poisson(3, (n, 2)),
        "BernoulliHMM": lambda: rng.integers(0, 2, (n, 2)),
    }
    return draws.get(name, lambda: 2 * rng.normal(size=(n, 2)))()


def with_parameters(model, parameters):
    for name, value in parameters.items():
        setattr(model, f"{name}_", np.array(value))
    return model


def a_model(name, rng, kind="diag", **options):
    more, parameters = random_parameters(name, rng, kind=kind)
    return with_parameters(getattr(hmm, name)(3, **more, **options), parameters)


cases = st.tuples(st.sampled_from(SHARED), st.sampled_from(KINDS), seeds)


# ------------------------------------------------------------------------------------------------------------- the API


@pytest.mark.parametrize("name", SHARED)
def test_constructors_have_hmmlearns_arguments_in_its_order_and_ours_by_keyword(name):
    expected = inspect.signature(getattr(theirs, name)).parameters
    found = inspect.signature(getattr(hmm, name)).parameters
    assert list(found)[: len(expected)] == list(expected)
    positional = [p.name for p in expected.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert [p.name for p in found.values() if p.kind is p.POSITIONAL_OR_KEYWORD] == positional


@pytest.mark.parametrize("name", SHARED)
def test_whatever_is_public_on_a_fitted_model_of_hmmlearn_is_on_ours(name):
    rng = np.random.default_rng(0)
    X = random_data(name, rng)
    peer, ours = getattr(theirs, name)(2).fit(X), getattr(hmm, name)(2).fit(X)
    routing = {"get_metadata_routing"} | {a for a in dir(peer) if a.startswith("set_") and a.endswith("_request")}
    public = {a for a in dir(peer) if not a.startswith("_")} - routing
    assert [a for a in sorted(public) if not hasattr(ours, a)] == []
    for attribute in public:
        if attribute.endswith("_") and attribute != "monitor_":
            assert np.shape(getattr(ours, attribute)) == np.shape(getattr(peer, attribute)), attribute
    assert ours.n_features == peer.n_features


@settings(max_examples=80)
@given(cases)
def test_with_the_same_parameters_every_number_is_hmmlearns(case):
    name, kind, seed = case
    rng = np.random.default_rng(seed)
    options, parameters = random_parameters(name, rng, kind=kind)
    X, lengths = random_data(name, rng), [15, 1, 24]
    peer = getattr(theirs, name)(3, **options)
    if name == "CategoricalHMM":
        peer.n_features = 4
    with_parameters(peer, parameters)
    if name in ("GaussianHMM", "MultinomialHMM", "PoissonHMM"):
        peer.n_features = X.shape[1]
    ours = with_parameters(getattr(hmm, name)(3, **options), parameters)
    total, posteriors = ours.score_samples(X, lengths)
    their_total, their_posteriors = peer.score_samples(X, lengths)
    np.testing.assert_allclose(total, their_total, rtol=1e-9)
    np.testing.assert_allclose(posteriors, their_posteriors, atol=1e-8)
    np.testing.assert_allclose(ours.score(X, lengths), their_total, rtol=1e-9)
    best, path = ours.decode(X, lengths)
    their_best, their_path = peer.decode(X, lengths)
    np.testing.assert_allclose(best, their_best, rtol=1e-9)
    for states in (path, their_path):  # two where there is a tie
        np.testing.assert_allclose(ours.log_joint(X, states, lengths), best, rtol=1e-9)
    np.testing.assert_array_equal(ours.predict(X, lengths), path)


@settings(max_examples=80)
@given(cases)
def test_one_iteration_without_priors_gives_hmmlearns_parameters(case):
    name, kind, seed = case
    rng = np.random.default_rng(seed)
    options, parameters = random_parameters(name, rng, kind=kind)
    X, lengths = random_data(name, rng), [15, 25]
    none = {"covars_prior": 0} if name == "GaussianHMM" else {}
    peer = getattr(theirs, name)(3, n_iter=1, init_params="", **options, **none)
    with_parameters(peer, parameters)
    peer.n_features = 4 if name in ("CategoricalHMM", "MultinomialHMM") else 2
    peer.fit(X, lengths)
    ours = with_parameters(getattr(hmm, name)(3, n_iter=1, init_params="", **options), parameters).fit(X, lengths)
    for parameter in parameters:
        found, expected = getattr(ours, f"{parameter}_"), getattr(peer, f"{parameter}_")
        if name == "GMMHMM" and parameter == "covars":  # its scatter is around the means before the step
            continue
        if name == "GaussianHMM" and parameter == "covars" and kind == "spherical":
            expected = expected[::2]  # it repeats each matrix for every feature
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8, err_msg=parameter)


def test_the_gamma_prior_is_hmmlearns_where_one_state_has_all_the_mass():
    # With more states it weighs the prior against the mass of all of them
    X = np.random.default_rng(0).poisson([2, 5], (30, 2))
    options = {"lambdas_prior": 3.0, "lambdas_weight": 2.0, "n_iter": 1}
    expected = theirs.PoissonHMM(1, **options).fit(X).lambdas_
    np.testing.assert_allclose(hmm.PoissonHMM(1, **options).fit(X).lambdas_, expected, rtol=1e-12)


def test_a_column_as_nested_lists_is_one_sequence():
    model = hmm.CategoricalHMM(2)
    model.startprob_, model.transmat_ = [0.6, 0.4], [[0.7, 0.3], [0.4, 0.6]]
    model.emissionprob_ = [[0.1, 0.4, 0.5], [0.6, 0.3, 0.1]]
    assert np.exp(model.score([[0], [1], [2]])) == pytest.approx(0.033612, rel=1e-12)  # published
    log_prob, states = model.decode([[0], [1], [2]])
    assert states.tolist() == [1, 0, 0]
    assert np.exp(log_prob) == pytest.approx(0.01344, rel=1e-12)
    assert model.score([[0], [1], [2]], lengths=[2, 1]) == pytest.approx(model.score([0, 1]) + model.score([2]))
    assert model.score([[[0], [1]], [[2]]]) == pytest.approx(model.score([0, 1]) + model.score([2]))


# --------------------------------------------------------------------------------------------------- letters and values


@pytest.mark.parametrize("name", ALL)
def test_values_not_in_init_params_start_the_fit_and_those_not_in_params_stay(name):
    rng = np.random.default_rng(1)
    model = a_model(name, rng)
    X = random_data(name, rng)
    letters = {"s": "startprob", "t": "transmat"} | model._letters
    for letter, parameter in letters.items():
        held = copy.deepcopy(model)
        held.init_params, held.params = "", "".join(letters.keys() - {letter})
        held.fit(X)
        np.testing.assert_array_equal(getattr(held, f"{parameter}_"), getattr(model, f"{parameter}_"), err_msg=letter)
        others = [p for p in letters.values() if p != parameter]
        assert all(not np.array_equal(getattr(held, f"{p}_"), getattr(model, f"{p}_")) for p in others)
        assert held.n_parameters < model.n_parameters


@pytest.mark.parametrize("name", ALL)
def test_a_fit_that_goes_on_starts_where_the_last_one_stopped(name):
    rng = np.random.default_rng(2)
    X = random_data(name, rng)
    at_once = a_model(name, np.random.default_rng(3), init_params="", n_iter=6, tol=0).fit(X)
    by_steps = a_model(name, np.random.default_rng(3), init_params="", n_iter=1, tol=0)
    seen = []
    for _ in range(6):
        by_steps.fit(X)
        seen += by_steps.monitor_.history
    np.testing.assert_allclose(seen, at_once.monitor_.history, rtol=1e-12)
    assert all(after > before for before, after in pairwise(seen))


def test_values_about_to_be_overwritten_are_reported(caplog):
    model = hmm.GaussianHMM(2, init_params="stc", random_state=0)
    model.startprob_, model.means_ = [0.5, 0.5], [[0.0], [1.0]]
    with caplog.at_level(logging.WARNING, "statespace"):
        model.fit(np.random.default_rng(0).normal(size=30))
    records = [record.getMessage() for record in caplog.records]
    assert len(records) == 1
    assert "'startprob_' attribute is set, it will be overwritten" in records[0]


def test_too_little_data_is_reported(caplog):
    with caplog.at_level(logging.WARNING, "statespace"):
        hmm.GaussianHMM(3, random_state=0).fit(np.random.default_rng(0).normal(size=5))
    assert any("degenerate solution" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("argument", ["params", "init_params"])
def test_a_letter_that_stands_for_nothing_is_refused(argument):
    with pytest.raises(ValueError, match=f"{argument} is 'stx', and 'x' stands for nothing: expected letters of s"):
        hmm.PoissonHMM(2, **{argument: "stx"}).fit([1, 2, 3])


@given(seeds)
@settings(max_examples=20)
def test_zeros_stay_zero(seed):
    rng = np.random.default_rng(seed)
    model = hmm.CategoricalHMM(3, init_params="", n_iter=5)
    model.startprob_ = [1.0, 0.0, 0.0]
    model.transmat_ = [[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]]
    model.emissionprob_ = [[0.5, 0.5, 0.0], [0.2, 0.5, 0.3], [0.3, 0.3, 0.4]]
    X = rng.integers(0, 2, (40, 1))
    model.fit(X, [20, 20])
    assert (model.startprob_[1:] == 0).all()
    assert (model.transmat_[np.tril_indices(3, -1)] == 0).all()
    assert model.transmat_[0, 2] == model.emissionprob_[0, 2] == 0
    assert model.n_parameters <= 0 + 2 + (1 + 2 + 2)


def test_entries_can_be_held_beside_the_letters():
    rng = np.random.default_rng(0)
    model = a_model("CategoricalHMM", rng, init_params="", params="e", n_iter=3)
    before = model.emissionprob_.copy()
    mask = np.zeros((3, 4), bool)
    mask[1] = mask[0, 2] = True
    model.fixed = {"emissionprob": mask}
    model.fit(random_data("CategoricalHMM", rng))
    np.testing.assert_array_equal(model.emissionprob_[mask], before[mask])
    assert not np.array_equal(model.emissionprob_, before)
    assert model.n_parameters == 2 + 3


def test_no_iteration_leaves_the_starting_values():
    model = hmm.GaussianHMM(2, n_iter=0, random_state=0).fit(np.random.default_rng(0).normal(size=(50, 2)))
    assert model.means_.shape == (2, 2)
    assert model.monitor_.iter == 0


# --------------------------------------------------------------------------------------------------------- the monitor


class Impatient(ConvergenceMonitor):
    """Stops after three iterations."""

    @property
    def converged(self):
        return self.iter == 3


def test_a_monitor_that_is_assigned_watches_the_fits():
    X = np.random.default_rng(0).normal(size=60)
    model = hmm.GaussianHMM(2, random_state=0)
    mine = model.monitor_ = Impatient(model.monitor_.tol, model.monitor_.n_iter, model.monitor_.verbose)
    for _ in range(2):
        model.fit(X)
        assert model.monitor_ is mine
        assert mine.iter == len(mine.history) == 3
        assert mine.reason == "Impatient said so"
        assert mine.tol == pytest.approx(60 * 1e-7)  # None is a number once the data are known
    many = hmm.GaussianHMM(2, n_init=4, random_state=0)
    many.monitor_ = Impatient(None, 50, False)
    assert many.fit(X).monitor_.iter == 3
    assert isinstance(many.monitor_, Impatient)


def test_a_new_fit_has_a_new_monitor():
    model = hmm.GaussianHMM(2, n_iter=2, random_state=0)
    X = np.random.default_rng(0).normal(size=60)
    first = model.fit(X).monitor_
    second = model.set_params(n_iter=3).fit(X).monitor_
    assert (first.iter, second.iter) == (2, 3)
    with pytest.raises(TypeError, match="expected a statespace"):
        model.monitor_ = object()


def test_a_fit_that_has_not_converged_warns():
    x = np.random.default_rng(0).poisson(3, 50)
    for name in ("PoissonHMM", "VariationalGaussianHMM"):
        with pytest.warns(ConvergenceWarning, match="n_iter = 2 reached") as caught:
            getattr(hmm, name)(2, n_iter=2, random_state=0).fit(x)
        assert [warning.filename for warning in caught] == [__file__]  # the line that fitted, not one of ours


# ------------------------------------------------------------------------------------------------------ checked on use


@pytest.mark.parametrize(
    ("name", "parameter", "value", "message"),
    [
        ("CategoricalHMM", "startprob", [0.5, 0.5, 0.5], "startprob_"),
        ("CategoricalHMM", "startprob", [], "startprob_"),
        ("CategoricalHMM", "transmat", np.ones((2, 3)), "transmat_"),
        ("CategoricalHMM", "transmat", np.eye(3) * 2, "transmat_"),
        ("CategoricalHMM", "emissionprob", [], "emissionprob"),
        ("CategoricalHMM", "emissionprob", np.ones((3, 4)), "emissionprob"),
        ("CategoricalHMM", "emissionprob", np.full((2, 4), 0.25), "n_components = 3"),
        ("MultinomialHMM", "emissionprob", np.zeros((3, 4)), "emissionprob"),
        ("PoissonHMM", "lambdas", [], "lambdas"),
        ("PoissonHMM", "lambdas", -np.ones((3, 2)), "at least 0"),
        ("BernoulliHMM", "probs", np.full((3, 2), 2.0), "0 to 1"),
        ("GaussianHMM", "means", np.full((3, 2), np.nan), "finite"),
        ("GaussianHMM", "means", np.zeros((2, 2)), "n_components"),
        ("GMMHMM", "weights", np.ones((3, 2)), "sum to 2"),
        ("GMMHMM", "means", np.zeros((3, 2)), "n_mix"),
        ("GMMHMM", "covars", -np.ones((3, 2, 2)), "positive"),
    ],
)
def test_parameters_by_hand_are_checked_on_use(name, parameter, value, message):
    rng = np.random.default_rng(0)
    model = a_model(name, rng)
    setattr(model, f"{parameter}_", value)
    with pytest.raises(ValueError, match=message):
        model.score(random_data(name, rng))


def test_laws_that_were_rounded_in_print_are_taken():
    model = hmm.CategoricalHMM(3)
    third = [0.33333] * 3
    model.startprob_, model.transmat_, model.emissionprob_ = third, [third] * 3, [third] * 3
    peer = with_parameters(
        theirs.CategoricalHMM(3, n_features=3),
        {"startprob": third, "transmat": [third] * 3, "emissionprob": [third] * 3},
    )
    X = np.array([[0], [2], [1], [1]])
    assert model.score(X) == pytest.approx(4 * np.log(1 / 3), rel=1e-12)
    assert model.score(X) == pytest.approx(peer.score(X), abs=1e-3)
    assert not (model.sample(50, random_state=0)[1] > 2).any()
    model.transmat_ = [[0.3333] * 3] * 3
    with pytest.raises(ValueError, match=r"transmat_ row 0 sums to 0.9999"):
        model.score(X)


@pytest.mark.parametrize(
    ("kind", "covars", "message"),
    [
        ("spherical", [1.0], "shape"),
        ("spherical", [1.0, -1.0], "positive"),
        ("diag", [1.0, 1.0], "shape"),
        ("diag", [[1.0], [0.0]], "positive"),
        ("full", np.ones((2, 2)), "shape"),
        ("full", [[[1, 2], [0, 1]], [[1, 0], [0, 1]]], "symmetric"),
        ("tied", [[1, 2], [2, 1]], "positive-definite"),
        ("round", [[1.0], [1.0]], "covariance_type is 'round'"),
    ],
)
def test_covariances_by_hand_are_checked_when_they_are_set(kind, covars, message):
    model = hmm.GaussianHMM(2, kind)
    with pytest.raises(ValueError, match=message):
        model.covars_ = covars


@pytest.mark.parametrize("kind", KINDS)
def test_covariances_are_taken_as_they_are_read(kind):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    model = a_model("GaussianHMM", rng, kind)
    other = hmm.GaussianHMM(3, kind)
    assert model.covars_.shape == (3, 2, 2)
    for parameter in ("startprob_", "transmat_", "means_", "covars_"):
        setattr(other, parameter, getattr(model, parameter))
    assert other.score(X) == model.score(X)


@pytest.mark.parametrize("name", ALL)
def test_what_is_not_known_yet_is_an_attribute_error(name):
    model = getattr(hmm, name)(2)
    letters = ["startprob", "transmat", *model._letters.values()]
    assert [p for p in letters if hasattr(model, f"{p}_")] == []
    with pytest.raises(NotFittedError, match="call fit"):
        model.score(random_data(name, np.random.default_rng(0)))


def test_options_may_change_after_the_parameters_were_set():
    model = a_model("GaussianHMM", np.random.default_rng(0))
    X = np.random.default_rng(1).normal(size=(20, 2))
    model.score(X)
    model.covariance_type = "full"
    with pytest.raises(ValueError, match="'full' covars must have shape"):
        model.score(X)


@pytest.mark.parametrize("name", ["GaussianHMM", "PoissonHMM"])
def test_features_that_do_not_match_are_refused(name):
    rng = np.random.default_rng(0)
    model = a_model(name, rng)
    with pytest.raises(ValueError, match="X has 3 columns, the model has 2"):
        model.score(np.ones((5, 3)))
    model.n_features = 3
    if name == "GaussianHMM":  # as hmmlearn has it: its scripts may say anything
        model.score(np.ones((5, 2)))
        assert model.n_features == 2
    else:
        with pytest.raises(ValueError, match="n_features is 3"):
            model.score(np.ones((5, 2)))


def test_unseen_symbols_are_answered_by_name():
    model = hmm.CategoricalHMM(2, random_state=0).fit(list("abbaab"))
    with pytest.raises(ValueError, match=r"'c', which is not among the 2 symbols 'a', 'b'.*symbols=\[...\]"):
        model.score(list("abc"))
    declared = hmm.CategoricalHMM(2, symbols=list("abc"), emissionprob_prior=2.0, random_state=0).fit(list("abbaab"))
    assert np.isfinite(declared.score(list("abc")))
    assert declared.n_features == 3
    with pytest.raises(ValueError, match="2, which is not among"):
        hmm.CategoricalHMM(2, n_features=2).fit([0, 1, 2])


# -------------------------------------------------------------------------------------------------- right where it errs


@given(seeds)
@settings(max_examples=25)
def test_the_log_probability_of_map_states_is_that_of_these_states(seed):
    rng = np.random.default_rng(seed)
    model = a_model("PoissonHMM", rng)
    X = random_data("PoissonHMM", rng, 6)
    log_prob, states = model.decode(X, algorithm="map")
    np.testing.assert_array_equal(states, model.predict_proba(X).argmax(axis=1))
    b = model.emission_.log_likelihood(X)[np.arange(6), states].sum()
    A = np.log(model.transmat_)[states[:-1], states[1:]].sum()
    np.testing.assert_allclose(log_prob, np.log(model.startprob_)[states[0]] + A + b, rtol=1e-12)


def test_random_state_stays_what_was_given():
    model = hmm.CategoricalHMM(2, random_state=3).fit([0, 1, 0, 0, 1, 1, 0])
    assert model.random_state == 3
    np.testing.assert_array_equal(model.sample(20)[0], model.sample(20)[0])


def test_a_sample_never_has_an_impossible_state_or_symbol():
    # Ten times 0.1 is less than 1: a draw above the rounded sum must not wrap around to state 0, nor reach state 11
    class AlmostOne(np.random.Generator):
        def random(self, *args, **kwargs):
            return np.full_like(super().random(*args, **kwargs), np.nextafter(1.0, 0))

    model = hmm.CategoricalHMM(12)
    model.startprob_ = model.emissionprob_ = None
    model.startprob_ = np.array([0.0, *[0.1] * 10, 0.0])
    model.transmat_ = np.tile(model.startprob_, (12, 1))
    model.emissionprob_ = np.tile(model.startprob_, (12, 1))
    X, states = model.sample(30, random_state=AlmostOne(np.random.PCG64(0)))
    assert (states == 10).all()
    assert (X == 10).all()


def test_units_do_not_matter():
    x = np.random.default_rng(0).normal(size=200) * np.repeat([1.0, 3.0], 100)
    first = hmm.GaussianHMM(2, random_state=0).fit(x)
    second = hmm.GaussianHMM(2, random_state=0).fit(x / 128)
    np.testing.assert_allclose(second.means_ * 128, first.means_, rtol=1e-12)
    assert second.score(x / 128) == pytest.approx(first.score(x) + 200 * np.log(128), rel=1e-12)


def test_weights_of_mixtures_are_counted_in_every_state():
    model = a_model("GMMHMM", np.random.default_rng(0))
    assert model.n_parameters == 2 + 6 + 3 * 1 + 3 * 2 * 2 + 3 * 2 * 2


@settings(max_examples=150)
@given(
    st.sampled_from(ALL), st.sampled_from(KINDS), seeds, st.sampled_from(["all", "one", "twice", "constant", "gaps"])
)
def test_no_iteration_lowers_the_objective_and_no_parameter_is_lost(name, kind, seed, how):
    rng = np.random.default_rng(seed)
    priors = {
        "CategoricalHMM": {"emissionprob_prior": 1.5},
        "MultinomialHMM": {"emissionprob_prior": 1.5},
        "PoissonHMM": {"lambdas_prior": 2.0, "lambdas_weight": 1.0},
        "BernoulliHMM": {"probs_prior": 1.5},
    }
    options = {"startprob_prior": 1.2, "transmat_prior": 1.5} | priors.get(name, {}) if rng.random() < 0.4 else {}
    if rng.random() < 0.5:
        model = a_model(name, rng, kind, init_params="", n_iter=15, tol=0, **options)
    else:
        more = random_parameters(name, rng, kind=kind)[0]
        model = getattr(hmm, name)(3, n_iter=15, tol=0, random_state=seed % 100, **more, **options)
    X = random_data(name, rng, {"one": 1, "twice": 2}.get(how, 30)).astype(float)
    if how == "constant":
        X[:] = X[0]
    if how == "gaps":
        X[rng.random(len(X)) < 0.3] = np.nan
        X[0] = random_data(name, rng, 1)[0]
    model.fit(X)
    history = np.array(model.monitor_.history)
    assert (np.diff(history) >= -1e-9 * (1 + np.abs(history[1:]))).all()
    for parameter in ["startprob", "transmat", *model._letters.values()]:
        value = getattr(model, f"{parameter}_")
        assert np.isfinite(value).all()
        if parameter in ("startprob", "transmat", "emissionprob", "weights"):
            np.testing.assert_allclose(value.sum(axis=-1), 1, rtol=1e-9)
    assert np.isfinite(model.score(X))


# ---------------------------------------------------------------------------------------------------------- other verbs


@pytest.mark.parametrize("name", ALL)
def test_models_are_cloned_saved_sorted_and_aligned(name, tmp_path):
    rng = np.random.default_rng(5)
    X = random_data(name, rng)
    model = a_model(name, rng, init_params="", random_state=7, n_iter=3).fit(X)
    score, states = model.score(X), model.predict(X)
    copied = clone(model)
    assert repr(copied) == repr(model)
    assert not hasattr(copied, "transmat_")
    model.save(tmp_path / "model")
    loaded = statespace.load(tmp_path / "model")
    assert type(loaded) is type(model)
    assert repr(loaded) == repr(model)
    assert loaded.score(X) == score
    assert loaded.n_parameters == model.n_parameters
    turned = copy.deepcopy(model).sort_states(by=[2, 1, 0])
    np.testing.assert_array_equal(turned.predict(X), 2 - states)
    np.testing.assert_allclose(turned.score(X), score, rtol=1e-12)
    np.testing.assert_array_equal(turned.align_to(X, states).predict(X), states)


@pytest.mark.parametrize("name", ALL)
def test_models_are_pickled_and_cross_validated(name):
    validation = pytest.importorskip("sklearn.model_selection", reason="the test extra installs scikit-learn")
    rng = np.random.default_rng(8)
    X = random_data(name, rng, 60)
    model = a_model(name, rng, init_params="", n_iter=2).fit(X)
    assert pickle.loads(pickle.dumps(model)).score(X) == model.score(X)
    more = random_parameters(name, rng)[0]
    parts = [X[:20], X[20:40], X[40:]]
    totals = validation.cross_val_score(getattr(hmm, name)(2, n_iter=2, random_state=0, **more), parts, cv=3)
    again = getattr(hmm, name)(2, n_iter=2, random_state=0, **more).fit(parts[1:])
    assert totals[0] == again.score(parts[0])


@pytest.mark.parametrize("name", ALL)
def test_data_with_gaps_lists_and_weights_are_taken(name):
    rng = np.random.default_rng(6)
    model = a_model(name, rng, init_params="", n_iter=2)
    X = random_data(name, rng).astype(float)
    X[4] = np.nan
    parts = [X[:15], X[15:]]
    twice = copy.deepcopy(model).fit([*parts, parts[0]])
    weighted = copy.deepcopy(model).fit(parts, sample_weight=[2, 1])
    np.testing.assert_allclose(weighted.transmat_, twice.transmat_, rtol=1e-9)
    filtered = weighted.filter(X[:15])
    rest = weighted.filter(X[15:], state=filtered.state)
    np.testing.assert_allclose(rest.filtered, weighted.filter(X).filtered[15:], atol=1e-12)
    assert np.isnan(weighted.log_likelihood(X, by="step")[4])
    assert [len(part) for part in weighted.predict(parts)] == [15, 25]


def test_a_model_says_what_it_was_given():
    model = hmm.CategoricalHMM(2, random_state=0).fit([0, 1, 2, 1, 0, 0])
    assert (model.n_features, model.get_params()["n_features"]) == (3, None)
    assert repr(model) == "CategoricalHMM(n_components=2, random_state=0)"
    assert repr(hmm.GaussianHMM(2, "full", n_init=3)) == (
        "GaussianHMM(n_components=2, covariance_type='full', n_init=3)"
    )


def test_a_failed_fit_leaves_the_model_as_it_was():
    rng = np.random.default_rng(0)
    model = a_model("PoissonHMM", rng)
    before = model.lambdas_.copy()
    with pytest.raises(ValueError, match="expected a count"):
        model.fit([[1, -2]])
    np.testing.assert_array_equal(model.lambdas_, before)


def test_the_long_run_law_needs_transitions_only():
    model = hmm.PoissonHMM(3)
    model.transmat_ = [[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.0, 0.25, 0.75]]  # state 0 is left for good
    np.testing.assert_allclose(model.get_stationary_distribution(), [0, 1 / 3, 2 / 3], rtol=1e-12)
    model.transmat_ = np.eye(3)
    with pytest.raises(ValueError, match="3 recurrent classes"):
        model.get_stationary_distribution()


def test_held_values_that_are_set_are_the_ones_that_are_held(caplog):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=60), rng.normal(size=60) + 5])[:, None]
    model = hmm.GaussianHMM(2, fixed={"means": True, "transmat": np.eye(2, dtype=bool)}, random_state=0)
    model.means_ = [[-1.0], [4.0]]
    model.transmat_ = [[0.7, 0.3], [0.2, 0.8]]
    with caplog.at_level(logging.WARNING, "statespace"):
        model.fit(X)
    np.testing.assert_array_equal(model.means_, [[-1.0], [4.0]])
    np.testing.assert_allclose(np.diag(model.transmat_), [0.7, 0.8], rtol=1e-15)
    assert not caplog.records
    again = hmm.GaussianHMM(2, random_state=0)
    again.means_ = [[-1.0], [4.0]]
    with caplog.at_level(logging.WARNING, "statespace"):
        again.fit(X)
    assert "'means_' attribute is set" in caplog.text


def test_a_prior_of_the_means_cannot_weigh_less_than_nothing():
    with pytest.raises(ValueError, match="means_weight is -1, expected numbers of at least 0"):
        hmm.GaussianHMM(2, means_weight=-1).fit(np.arange(9.0)[:, None])


# What a script may set by hand


def test_no_sample_has_the_columns_of_a_sample():
    rng = np.random.default_rng(0)
    for name in ALL:
        model = a_model(name, rng)
        assert model.sample(0)[0].shape == (0, model.sample(3, random_state=0)[0].shape[1])


@pytest.mark.filterwarnings("ignore::statespace.hmm.ConvergenceWarning")
@pytest.mark.parametrize(("name", "attribute"), [("PoissonHMM", "lambdas_"), ("BernoulliHMM", "probs_")])
def test_one_number_a_state_is_one_feature(name, attribute):
    x = np.array([0, 1, 1, 0, 1, 1, 0])
    models = []
    for value in (np.array([0.2, 0.7]), np.array([[0.2], [0.7]])):
        model = getattr(hmm, name)(2, init_params="st", random_state=0, n_iter=3)
        setattr(model, attribute, value)
        models.append(model.fit(x))
    np.testing.assert_array_equal(getattr(models[0], attribute), getattr(models[1], attribute))
    setattr(models[0], attribute, np.array([0.2, 0.7]))
    with pytest.raises(ValueError, match="2 columns"):
        models[0].fit(np.ones((4, 2), int))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "priors"),
    [
        ("GaussianHMM", {"covars_prior": -1.0}),
        ("GaussianHMM", {"means_prior": [0.0, 1.0, 2.0]}),
        ("GMMHMM", {"covars_prior": -5.0, "covars_weight": -1.0}),
        ("GMMHMM", {"covars_weight": -9.0}),
        ("GMMHMM", {"means_prior": [0.0, 1.0, 2.0]}),
    ],
)
def test_priors_that_are_none_are_refused(name, priors, kind):
    X = np.random.default_rng(0).normal(size=(20, 2))
    model = getattr(hmm, name)(2, covariance_type=kind, random_state=0, **priors)
    with pytest.raises(ValueError, match="|".join(priors)):
        model.fit(X)


@pytest.mark.parametrize("name", ALL)
def test_an_implementation_that_does_not_exist_is_refused_on_use(name):
    model = a_model(name, np.random.default_rng(0))
    model.implementation = "magic"
    with pytest.raises(ValueError, match="implementation"):
        model.sample(3)
