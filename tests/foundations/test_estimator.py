"""scikit-learn's contract: parameters, copies, tags, and a fit that fails without a trace."""

import pickle
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statespace.foundations.estimator import Estimator, NotFittedError, clone, unchanged_on_failure


class Mean(Estimator):
    """A Gaussian of unit variance around a shrunk mean: the smallest model that can be selected by its score."""

    def __init__(self, shrinkage=0.0, *, weights=None, name="mean"):
        self.shrinkage = shrinkage
        self.weights = weights
        self.name = name

    @unchanged_on_failure
    def fit(self, X, lengths=None):
        self.n_seen_ = len(X)  # set before the failure, on purpose
        flat = np.concatenate([np.asarray(x, dtype=float) for x in X])
        if np.isnan(flat).any():
            raise ValueError("missing")
        self.mean_ = (1 - self.shrinkage) * flat.mean()
        return self

    def score(self, X, lengths=None):
        self._require_fitted()
        return -0.5 * sum(((np.asarray(x) - self.mean_) ** 2).sum() for x in X)

    @property
    def n_parameters(self):
        self._require_fitted()
        return 1


class Wrapper(Estimator):
    def __init__(self, inner, scale=np.nan, law=np.array([0.5, 0.5])):  # noqa: B008  # an array as default, on purpose
        self.inner = inner
        self.scale = scale
        self.law = law


class Bare(Estimator):
    """No parameters at all."""


RAGGED = [[1.0, 2.0, 3.0], [2.0], [4.0, 1.0], [0.0, 3.0, 2.0, 5.0], [2.0, 2.5], [1.5]]


@given(shrinkage=st.floats(0, 1), name=st.text())
def test_parameters_come_back_as_they_were_given(shrinkage, name):
    model = Mean(shrinkage, name=name)
    assert model.get_params() == {"shrinkage": shrinkage, "weights": None, "name": name}
    assert Mean().set_params(**model.get_params()).get_params() == model.get_params()


def test_deep_parameters_name_the_way_to_them():
    model = Wrapper(Wrapper(Mean(0.25)))
    assert model.get_params()["inner__inner__shrinkage"] == 0.25
    assert set(model.get_params(deep=False)) == {"inner", "scale", "law"}
    model.set_params(inner__inner__shrinkage=0.75)
    assert model.inner.inner.shrinkage == 0.75


def test_inner_parameters_reach_an_estimator_set_in_the_same_call():
    first, second = Mean(), Mean()
    model = Wrapper(first).set_params(inner__shrinkage=0.5, inner=second)
    assert model.inner is second
    assert (first.shrinkage, second.shrinkage) == (0.0, 0.5)


def test_an_unknown_parameter_is_named_and_the_valid_ones_are_listed():
    with pytest.raises(ValueError, match="Mean has no parameter 'shrink'; its parameters are shrinkage, weights, name"):
        Mean().set_params(shrink=0.1)
    with pytest.raises(ValueError, match="its parameters are none at all"):
        Bare().set_params(a=1)
    with pytest.raises(ValueError, match=r"cannot set 'scale__a': its parameter 'scale' is 2\.0"):
        Wrapper(Mean(), 2.0).set_params(scale__a=1)


@pytest.mark.parametrize("wrong", [{"nobody": 1}, {"inner__nobody": 1}, {"scale__deeper": 1}])
def test_set_params_sets_all_or_nothing(wrong):
    model = Wrapper(Mean())
    with pytest.raises(ValueError):
        model.set_params(law=None, **wrong)
    np.testing.assert_array_equal(model.law, [0.5, 0.5])


def test_arguments_that_have_no_name_are_refused():
    class Loose(Estimator):
        def __init__(self, **anything):
            self.anything = anything

    with pytest.raises(TypeError, match=r"Loose.__init__ takes '\*\*anything': name every argument"):
        Loose().get_params()


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Bare(), "Bare()"),
        (Mean(), "Mean()"),
        (Mean(0), "Mean(shrinkage=0)"),  # 0 is not the float 0.0
        (Mean(0.5, name="a"), "Mean(shrinkage=0.5, name='a')"),
        (Mean(weights=np.array([1.0, np.nan])), "Mean(weights=array([ 1., nan]))"),
        (Mean(weights=np.ones((4, 5))), "Mean(weights=<ndarray of shape (4, 5)>)"),
        (Mean(weights=[np.ones(2)]), "Mean(weights=[array([1., 1.])])"),
        (Wrapper(Mean(), float("nan"), np.array([0.5, 0.5])), "Wrapper(inner=Mean())"),
        (Wrapper(Mean(0.5), 1.0, np.array([0.5])), "Wrapper(inner=Mean(shrinkage=0.5), scale=1.0, law=array([0.5]))"),
        (Wrapper(Mean, law=np.array([1, 0])), f"Wrapper(inner={Mean!r}, law=array([1, 0]))"),
    ],
)
def test_repr_shows_what_differs_from_the_defaults(model, expected):
    assert repr(model) == expected


def test_repr_of_a_frame_is_one_line():
    pandas = pytest.importorskip("pandas", reason="frames are pandas's")
    assert repr(Mean(weights=pandas.DataFrame({"a": [1, 2]}))) == "Mean(weights=<DataFrame of shape (2, 1)>)"


def test_a_clone_shares_nothing_and_has_learnt_nothing():
    inner = Mean(weights=np.arange(3)).fit(RAGGED)
    model = Wrapper([inner, {"rng": np.random.default_rng(5)}])
    copied = clone(model)
    assert copied.inner[0] is not inner
    assert copied.inner[0].weights is not inner.weights
    np.testing.assert_array_equal(copied.inner[0].weights, inner.weights)
    assert not hasattr(copied.inner[0], "mean_")
    assert copied.inner[1]["rng"].random() == np.random.default_rng(5).random()
    assert model.inner[1]["rng"].random() == np.random.default_rng(5).random()  # the copy drew from its own stream


def test_clone_takes_any_object_with_get_params():
    class Foreign:
        def __init__(self, a):
            self.a = a

        def get_params(self, deep=True):
            return {"a": self.a}

    original = Foreign([1])
    assert clone(original).a == [1]
    assert clone(original).a is not original.a


@pytest.mark.parametrize(("thing", "message"), [(Mean, "not the class"), (3, "get_params")])
def test_clone_refuses_what_is_no_estimator(thing, message):
    with pytest.raises(TypeError, match=message):
        clone(thing)


def test_before_fit_the_way_out_is_named():
    for base in (ValueError, AttributeError, NotFittedError):
        with pytest.raises(base, match=r"this Mean is not fitted yet: call fit\(X\) first"):
            Mean().score(RAGGED)
    assert not hasattr(Mean(), "n_parameters")
    assert hasattr(Mean().fit(RAGGED), "n_parameters")


def test_a_failed_first_fit_leaves_an_unfitted_model():
    model = Mean()
    with pytest.raises(ValueError, match="missing"):
        model.fit([[1.0, np.nan]])
    assert vars(model) == vars(Mean())


def test_a_failed_refit_leaves_the_fitted_model():
    model = Mean().fit(RAGGED)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="missing"):
        model.fit([[np.nan]])
    assert vars(model) == before
    assert model.fit([[7.0]]).mean_ == 7.0


def test_an_interrupted_fit_leaves_the_model_as_it_was():
    class Interrupted(Estimator):
        @unchanged_on_failure
        def fit(self, X):
            self.half_ = 1
            raise KeyboardInterrupt

    model = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        model.fit([])
    assert vars(model) == {}


def test_a_guarded_fit_keeps_its_signature_and_its_pickle():
    import inspect

    assert list(inspect.signature(Mean.fit).parameters) == ["self", "X", "lengths"]
    fitted = Mean(0.25).fit(RAGGED)
    assert vars(pickle.loads(pickle.dumps(fitted))) == vars(fitted)


def test_missing_scikit_learn_is_answered_with_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.utils", None)
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        Mean().__sklearn_tags__()


class TestScikitLearn:
    @pytest.fixture(autouse=True)
    def _installed(self):
        pytest.importorskip("sklearn", minversion="1.6", reason="the contract's other side is scikit-learn's")

    def test_its_clone_agrees_with_ours(self):
        from sklearn.base import clone as sklearn_clone

        fitted = Wrapper(Mean(0.25, weights=np.ones(3)).fit(RAGGED))
        theirs, ours = sklearn_clone(fitted), clone(fitted)
        assert repr(theirs) == repr(ours) == repr(fitted)
        assert not hasattr(theirs.inner, "mean_")

    def test_its_tags_say_lists_of_sequences_without_target(self):
        from sklearn.base import is_classifier, is_regressor
        from sklearn.utils import get_tags

        tags = get_tags(Mean())
        assert tags.estimator_type is None
        assert not tags.target_tags.required
        assert not tags.input_tags.two_d_array
        assert not is_classifier(Mean())
        assert not is_regressor(Mean())

    def test_its_check_sees_what_is_fitted(self):
        from sklearn.exceptions import NotFittedError as SklearnNotFitted
        from sklearn.utils.validation import check_is_fitted

        with pytest.raises(SklearnNotFitted):
            check_is_fitted(Mean())
        check_is_fitted(Mean().fit(RAGGED))

    def test_cross_validation_scores_the_sequences_left_out(self):
        from sklearn.model_selection import KFold, cross_val_score

        scores = cross_val_score(Mean(), RAGGED, cv=KFold(3), error_score="raise")
        by_hand = []
        for left_out in (slice(0, 2), slice(2, 4), slice(4, 6)):
            rest = np.concatenate([x for x in RAGGED if x not in RAGGED[left_out]])
            by_hand.append(-0.5 * sum(((np.array(x) - rest.mean()) ** 2).sum() for x in RAGGED[left_out]))
        np.testing.assert_allclose(scores, by_hand, rtol=1e-12)

    def test_grid_search_finds_the_parameter_that_predicts_best(self):
        from sklearn.model_selection import GridSearchCV

        search = GridSearchCV(Mean(), {"shrinkage": [1.0, 0.0, 0.9]}, cv=3, error_score="raise").fit(RAGGED)
        assert search.best_params_ == {"shrinkage": 0.0}
        assert search.best_estimator_.mean_ == pytest.approx(np.concatenate(RAGGED).mean())
        assert "Mean" in repr(search)
        assert "Mean" in search._repr_html_()

    def test_grid_search_reaches_inner_parameters(self):
        from sklearn.model_selection import GridSearchCV

        class Outer(Wrapper):
            def fit(self, X):
                self.fitted_ = clone(self.inner).fit(X)
                return self

            def score(self, X):
                return self.fitted_.score(X)

        search = GridSearchCV(Outer(Mean()), {"inner__shrinkage": [1.0, 0.0]}, cv=2, error_score="raise").fit(RAGGED)
        assert search.best_params_ == {"inner__shrinkage": 0.0}
