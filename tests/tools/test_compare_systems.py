"""Linear dynamical systems on one scale with each other, with hidden Markov models and with chains."""

import numpy as np
import pytest
from scipy import stats

from statespace import HMM, LinearDynamicalSystem, MarkovChain, compare, scorer
from statespace.datasets import load_nile
from statespace.hmm import GaussianEmission
from statespace.lds import ARIMA, Level, StructuralModel

NILE = np.array(load_nile().flow, dtype=np.float64)
WALK = {"design": [[1.0]], "transition": [[1.0]]}


def walk():
    return LinearDynamicalSystem(method="lbfgs", initialization="diffuse", init=WALK, fixed=dict.fromkeys(WALK, True))


def local_level(y, noise, step):
    """Log-likelihoods of the steps of a local level after the first that is seen, by the obvious recursion."""
    found, a, P = np.full(len(y), np.nan), None, np.inf
    for t, value in enumerate(y):
        if not np.isnan(value):
            if a is None:
                a, P = value, noise
            else:
                F = P + noise
                found[t] = stats.norm.logpdf(value, a, np.sqrt(F))
                a, P = a + P / F * (value - a), P * noise / F
        P += step
    return found


def test_a_diffuse_start_and_missing_steps_are_not_counted():
    y = NILE.copy()
    y[[0, 30, 31]] = np.nan
    model = walk().fit(y)
    steps = local_level(y, model.obs_cov_[0, 0], model.state_cov_[0, 0])
    assert scorer()(model, y) == pytest.approx(np.nanmean(steps), rel=1e-9)
    assert np.count_nonzero(~np.isnan(steps)) == 96
    parts = [y[:50], y[50:]]
    both = [local_level(part, model.obs_cov_[0, 0], model.state_cov_[0, 0]) for part in parts]
    assert scorer(skip=2)(model, parts) == pytest.approx(
        np.nanmean(np.concatenate([part[2:] for part in both])), rel=1e-9
    )
    assert scorer()(model, y) != pytest.approx(np.nanmean(model.log_likelihood(y, by="step")), rel=1e-6)


def test_one_model_by_three_names_has_one_score():
    models = {"matrices": walk(), "parts": StructuralModel(level=True), "ARIMA": ARIMA((0, 1, 1))}
    found = compare(models, NILE, test=30)
    assert found.n_train_steps == 69  # the first is diffuse
    assert found.n_test_steps == 30
    steps = local_level(NILE, found.models[0].obs_cov_[0, 0], found.models[0].state_cov_[0, 0])
    assert found.held_out_nats[0] == pytest.approx(-steps[70:].mean(), rel=1e-9)
    assert found.log_likelihood[0] == pytest.approx(np.nansum(steps[:70]), rel=1e-9)
    assert found.bic[0] == pytest.approx(np.log(69) * 2 - 2 * np.nansum(steps[:70]), rel=1e-9)
    assert found.bic[0] == pytest.approx(
        found.models[0].bic(NILE[:70]) + 2 * found.models[0].log_likelihood(NILE[:70], by="step")[0], rel=1e-9
    )  # whose likelihood has the term of the convention
    assert found.n_parameters == (2, 2, 2)
    assert found.held_out_nats == pytest.approx(found.held_out_nats[0], abs=1e-4)  # MA(1) of differences: the same law
    assert found.difference.max() < 1e-4


def test_systems_structural_models_and_arima_stand_beside_hidden_markov_models():
    rng = np.random.default_rng(0)
    y = 10.0 + rng.standard_normal(300).cumsum() * 0.4 + 0.2 * rng.standard_normal(300)
    models = {
        "states": HMM(3, GaussianEmission(), random_state=0),
        "walk": walk(),
        "trend": StructuralModel(trend="local linear"),
        "ARIMA": ARIMA((1, 1, 0)),
        "stationary": LinearDynamicalSystem(intercepts=True, initialization="stationary", tol=1e-2),
    }
    found = compare(models, y, test=60)
    assert found.n_train_steps == 240 - 2  # the trend's level and slope need two observations
    assert found.best in ("walk", "ARIMA", "stationary")
    assert found.difference[0] > 0.1  # three levels are no random walk
    hmm_steps = found.models[0].log_likelihood(y, by="step")
    assert found.held_out_nats[0] == pytest.approx(-hmm_steps[240:].mean(), rel=1e-12)
    text = str(found)
    assert all(name in text for name in models)
    events = compare(
        {"walk": models["walk"], "chain": MarkovChain(1)},
        {"walk": y, "chain": y > 10},
        test=60,
        event=lambda seen: bool(seen > 10) if isinstance(seen, float) else bool(seen),
    )
    assert np.isfinite(events.held_out_nats).all()


def test_held_out_series_leave_their_diffuse_steps_out():
    series = [NILE[:40], NILE[40:70]]
    found = compare({"walk": walk(), "level": StructuralModel(level=Level())}, series, test=[NILE[70:]])
    assert found.n_train_steps == 68
    assert found.n_test_steps == 29
    model = found.models[0]
    steps = local_level(NILE[70:], model.obs_cov_[0, 0], model.state_cov_[0, 0])
    assert found.held_out_nats[0] == pytest.approx(-np.nanmean(steps), rel=1e-9)


# ------------------------------------------------------------------------------------------------- known inputs


DAM = (np.arange(100) >= 28).astype(float)


def test_known_inputs_go_to_the_models_that_are_named():
    models = {"moves": StructuralModel(level=True), "with": StructuralModel(level=True), "chain": MarkovChain(1)}
    found = compare({name: models[name] for name in ("moves", "with")}, NILE, test=40, exog={"with": DAM[:, None]})
    alone = StructuralModel(level=True).fit(NILE[:60], exog=DAM[:60])
    scored = alone.log_likelihood(NILE, by="step", exog=DAM)
    assert found.held_out_nats[1] == pytest.approx(-scored[60:].mean(), rel=1e-9)
    assert found.n_parameters == (2, 2)
    without = StructuralModel(level=True).fit(NILE[:60])
    assert found.held_out_nats[0] == pytest.approx(-without.log_likelihood(NILE, by="step")[60:].mean(), rel=1e-9)
    assert found.n_train_steps == 60 - 29  # the coefficient is determined when the dam is there
    highs = {"moves": NILE, "with": NILE, "chain": NILE > 900}
    events = compare(
        models, highs, test=40, exog={"with": DAM}, event=lambda seen: bool(seen > 900 if seen > 1 else seen)
    )
    laws = alone.predictive(NILE, exog=np.append(DAM, 7.0))  # what comes after the last step is not asked
    above = 1.0 - laws.cdf(np.full((101, 1), 900.0)).ravel()[60:100]
    expected = np.log(np.where(NILE[60:] > 900, above, 1.0 - above))
    assert events.held_out_nats[1] == pytest.approx(-expected.mean(), rel=1e-6)


def test_known_inputs_of_all_models_that_take_them_and_of_other_sequences():
    x = np.sin(np.arange(100.0))
    y = NILE + 300.0 * x
    sequences, inputs = [y[:30], y[30:60]], [x[:30], x[30:60]]
    models = {"arima": ARIMA((1, 0, 0), trend="c"), "level": StructuralModel(level=True, exog="parameters")}
    found = compare(models, sequences, test=[y[60:]], exog=inputs, test_exog=[x[60:]])
    for name, model in models.items():
        fitted = model.__class__(**model.get_params()).fit(sequences, exog=inputs)
        steps = fitted.log_likelihood([y[60:]], by="step", exog=[x[60:]])[0]
        at = list(models).index(name)
        assert found.held_out_nats[at] == pytest.approx(-steps[1:].mean(), rel=1e-9)  # the level's first is diffuse
    both = compare({**models, "states": HMM(2, GaussianEmission())}, y, test=30, exog=x)
    assert both.difference[2] > 0.3


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"exog": {"other": DAM}, "test": 30}, ValueError, "exog has inputs for 'other', which is no model"),
        ({"exog": {"chain": DAM}, "test": 30}, ValueError, "'chain', which is a HMM, which takes no known inputs"),
        ({"exog": DAM[:70], "test": 30}, ValueError, "exog has 70 rows, X 100: give one for each, the test steps too"),
        ({"exog": DAM, "test": [NILE]}, TypeError, "give the known inputs of 'level' for them, test_exog="),
        ({"exog": DAM, "test_exog": DAM[:30], "test": 30}, TypeError, "leave out test_exog"),
        ({"test_exog": DAM[:30], "test": 30}, TypeError, "test_exog is given without exog"),
    ],
)
def test_inputs_that_nobody_can_take_are_refused(options, error, message):
    models = {"level": StructuralModel(level=True), "chain": HMM(2, GaussianEmission())}
    with pytest.raises(error, match=message):
        compare(models, NILE, **options)
    with pytest.raises(ValueError, match="none of the models takes known inputs"):
        compare({"chain": models["chain"]}, NILE, test=30, exog=DAM)
