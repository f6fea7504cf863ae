"""Counts against the arrays that other packages make for the same models."""

import numpy as np
import pytest

from statespace.foundations.parameter_count import count_parameters

RECURRENT = [(1, 1), (3, 5), (7, 2)]


def free_numbers(array, *, laws=False, symmetric=False):
    """Free entries of an array: a law's last probability follows, and so does half of a symmetric matrix."""
    if laws:
        return array.size - array[..., 0].size
    if symmetric:
        n = array.shape[-1]
        return array[..., 0, 0].size * n * (n + 1) // 2
    return array.size


def hmmlearn_numbers(model):
    count = free_numbers(model.startprob_, laws=True) + free_numbers(model.transmat_, laws=True)
    if hasattr(model, "emissionprob_"):
        return count + free_numbers(model.emissionprob_, laws=True)
    if hasattr(model, "lambdas_"):
        return count + free_numbers(model.lambdas_)
    if hasattr(model, "weights_"):
        count += free_numbers(model.weights_, laws=True)
    covars = model._covars_ if hasattr(model, "_covars_") else model.covars_
    if model.covariance_type == "spherical" and not hasattr(model, "weights_"):
        np.testing.assert_array_equal(covars, covars[:, :1].repeat(covars.shape[1], axis=1))
        covars = covars[:, 0]  # one variance a state, kept once for every feature
    matrices = model.covariance_type in ("full", "tied")
    return count + free_numbers(model.means_) + free_numbers(covars, symmetric=matrices)


@pytest.mark.parametrize("K", [1, 2, 3])
@pytest.mark.parametrize("D", [1, 2])
class TestHmmlearn:
    @pytest.fixture
    def hmm(self):
        return pytest.importorskip("hmmlearn.hmm", reason="the shapes are hmmlearn's")

    def test_categorical(self, hmm, K, D):
        symbols = D + 2
        model = hmm.CategoricalHMM(K, random_state=0)
        model._init(np.tile(np.arange(symbols), 10)[:, None])
        assert int(count_parameters("hmm", n_components=K, emission="categorical", n_symbols=symbols)) == (
            hmmlearn_numbers(model)
        )

    def test_poisson(self, hmm, K, D):
        model = hmm.PoissonHMM(K, random_state=0)
        model._init(np.random.default_rng(0).poisson(4, size=(50, D)))
        assert int(count_parameters("hmm", n_components=K, emission="poisson", n_features=D)) == hmmlearn_numbers(model)

    @pytest.mark.parametrize("covariance_type", ["spherical", "diag", "full", "tied"])
    def test_gaussian(self, hmm, K, D, covariance_type):
        model = hmm.GaussianHMM(K, covariance_type, random_state=0)
        model._init(np.random.default_rng(0).normal(size=(50, D)))
        sizes = {"emission": "gaussian", "n_features": D, "covariance_type": covariance_type}
        assert int(count_parameters("hmm", n_components=K, **sizes)) == hmmlearn_numbers(model)

    @pytest.mark.parametrize("covariance_type", ["spherical", "diag", "full", "tied"])
    @pytest.mark.parametrize("n_mix", [1, 2])
    def test_mixtures(self, hmm, K, D, covariance_type, n_mix):
        model = hmm.GMMHMM(K, n_mix, covariance_type=covariance_type, random_state=0)
        model._init(np.random.default_rng(0).normal(size=(80, D)))
        sizes = {"emission": "gmm", "n_features": D, "n_mix": n_mix, "covariance_type": covariance_type}
        count = count_parameters("hmm", n_components=K, **sizes)
        assert int(count) == hmmlearn_numbers(model)
        # Its own count, used by its aic and bic, has the weights of one state only
        its_own = sum(model._get_n_fit_scalars_per_param().values())
        assert int(count) - its_own == (K - 1) * (n_mix - 1)


@pytest.mark.parametrize(("p", "q"), [(0, 0), (1, 0), (0, 2), (2, 3)])
@pytest.mark.parametrize("constant", [False, True])
def test_arma_has_the_parameters_of_statsmodels(p, q, constant):
    statsmodels = pytest.importorskip("statsmodels.api", reason="the peer is statsmodels")
    series = np.random.default_rng(0).normal(size=60)
    model = statsmodels.tsa.SARIMAX(series, order=(p, 0, q), trend="c" if constant else "n")
    assert int(count_parameters("arma", p=p, q=q, constant=constant)) == model.k_params


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("order", [1, 2])
def test_vector_autoregressions_have_the_parameters_of_statsmodels(k, order):
    statsmodels = pytest.importorskip("statsmodels.api", reason="the peer is statsmodels")
    series = np.random.default_rng(0).normal(size=(60, k))
    model = statsmodels.tsa.VARMAX(series, order=(order, 0), trend="c", error_cov_type="unstructured")
    assert int(count_parameters("var", n_variables=k, order=order)) == model.k_params


@pytest.mark.parametrize("hidden", [(5,), (4, 3)])
def test_dense_layers_have_the_parameters_of_scikit_learn(hidden):
    neural_network = pytest.importorskip("sklearn.neural_network", reason="the peer is scikit-learn")
    X = np.random.default_rng(0).normal(size=(20, 6))
    network = neural_network.MLPRegressor(hidden_layer_sizes=hidden, random_state=0).partial_fit(X, X[:, :2])
    arrays = [*network.coefs_, *network.intercepts_]
    assert int(count_parameters("feedforward", layer_sizes=(6, *hidden, 2))) == sum(array.size for array in arrays)


class TestTorch:
    @pytest.fixture
    def torch(self):
        return pytest.importorskip("torch", reason="the weights are torch's, which the tests do not install")

    @staticmethod
    def numbers(module):
        return sum(parameter.numel() for parameter in module.parameters())

    @pytest.mark.parametrize("model", ["rnn", "lstm", "gru"])
    @pytest.mark.parametrize("sizes", RECURRENT)
    @pytest.mark.parametrize("bias", [False, True])
    def test_recurrent_layers(self, torch, model, sizes, bias):
        layer = getattr(torch.nn, model.upper())(*sizes, bias=bias)
        count = count_parameters(model, input_size=sizes[0], hidden_size=sizes[1], biases=2 if bias else 0)
        assert int(count) == self.numbers(layer)
        weights = dict(layer.named_parameters())
        assert count.breakdown["weight_ih"] == weights["weight_ih_l0"].numel()
        assert count.breakdown["weight_hh"] == weights["weight_hh_l0"].numel()

    @pytest.mark.parametrize("model", ["rnn", "lstm", "gru"])
    def test_the_default_is_torchs_pair_of_biases(self, torch, model):
        layer = getattr(torch.nn, model.upper())(3, 5)
        assert int(count_parameters(model, input_size=3, hidden_size=5)) == self.numbers(layer)

    @pytest.mark.parametrize("key_size", [8, 5])
    @pytest.mark.parametrize("bias", [False, True])
    def test_multihead_attention(self, torch, key_size, bias):
        layer = torch.nn.MultiheadAttention(8, 2, bias=bias, kdim=key_size, vdim=key_size)
        sizes = {"query_size": 8, "key_size": key_size, "n_heads": 2, "biases": int(bias)}
        assert int(count_parameters("attention", kind="multihead", **sizes)) == self.numbers(layer)

    def test_dense_layers(self, torch):
        layers = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.Tanh(), torch.nn.Linear(16, 3))
        assert int(count_parameters("feedforward", layer_sizes=(4, 16, 3))) == self.numbers(layers)

    def test_additive_attention(self, torch):
        linear = torch.nn.Linear
        sizes = {"kind": "additive", "query_size": 4, "key_size": 6, "hidden_size": 5}
        for biases, parts in {
            0: [linear(4, 5, bias=False), linear(6, 5, bias=False)],
            1: [linear(4, 5, bias=False), linear(6, 5)],
            2: [linear(4, 5), linear(6, 5)],
        }.items():
            layers = torch.nn.ModuleList([*parts, linear(5, 1, bias=False)])
            assert int(count_parameters("attention", **sizes, biases=biases)) == self.numbers(layers)
