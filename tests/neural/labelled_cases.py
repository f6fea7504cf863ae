"""Sequences and what they mean, and every way in which a network learns it."""

import numpy as np

from statespace.neural import RecurrentClassifier, RecurrentRegressor, RecurrentTagger, TokenFeatures

FEATURES = TokenFeatures(suffix=1, shape=True, min_count=2)

MODELS = {
    "classifier, last": lambda **o: RecurrentClassifier("gru", 5, **o),
    "classifier, both ways, last": lambda **o: RecurrentClassifier("lstm", 4, bidirectional=True, **o),
    "classifier, mean": lambda **o: RecurrentClassifier("rnn", 5, pooling="mean", num_layers=2, **o),
    "classifier, maximum, a layer between": lambda **o: RecurrentClassifier(
        "gru", 4, pooling="max", bidirectional=True, feed_forward=6, **o
    ),
    "classifier, balanced": lambda **o: RecurrentClassifier(
        "gated_leaky", 4, class_weight="balanced", learn_start=False, **o
    ),
    "tagger, both ways": lambda **o: RecurrentTagger("gru", 4, num_layers=2, **o),
    "tagger, forward": lambda **o: RecurrentTagger("lstm", 5, bidirectional=False, class_weight={1: 2.0}, **o),
    "regressor, last": lambda **o: RecurrentRegressor("gru", 5, feed_forward=4, **o),
    "regressor, mean": lambda **o: RecurrentRegressor("lstm", 3, bidirectional=True, pooling="mean", **o),
    "regressor, each": lambda **o: RecurrentRegressor("lstm", 4, output="each", **o),
    "regressor, each, a layer between": lambda **o: RecurrentRegressor(
        "gru", 3, output="each", bidirectional=True, feed_forward=5, **o
    ),
}


def sequences(kind, n=9, seed=0, longest=6):
    """Of numbers, of numbers among which some are missing, or of tokens."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, longest + 1, n)
    if kind == "tokens":
        words = np.array(["the", "duck", "Ducks", "to", "swim", "42", "rare" + str(seed)], object)
        return [[words[k] for k in rng.integers(0, len(words), length)] for length in lengths]
    X = [rng.normal(size=(length, 2)) for length in lengths]
    if kind == "missing":
        X[0][0, 1] = np.nan
        X[-1][0] = np.nan
    return X


def meaning(name, X, seed=0, missing=True):
    """What a model of that name may be told of the sequences."""
    rng = np.random.default_rng(seed + 1)
    if name.startswith("classifier"):
        return [k % 3 for k in range(len(X))]
    if name.startswith("tagger"):
        y = [rng.integers(0, 3, len(x)).astype(float) for x in X]
        y[0][0], y[1][0], y[2][0] = 0, 1, 2
        if missing:
            y[-1][-1] = np.nan
        return y
    if "each" in name:
        y = [rng.normal(size=(len(x), 2)) for x in X]
        if missing:
            y[-1][-1] = np.nan
            y[0][0, 1] = np.nan
        return y
    return rng.normal(size=(len(X), 2))


def in_training(name, kind, seed=0, **options):
    """A model whose weights were drawn, in float64, and its objective, as `fit` makes them."""
    if kind == "tokens":
        options |= {"tokens": FEATURES}
    n_epochs = options.pop("n_epochs", 1)
    model = MODELS[name](dtype=np.float64, held_out=0, n_epochs=n_epochs, batch_size=4, random_state=seed, **options)
    X = sequences(kind, seed=seed)
    y = meaning(name, X, seed)
    model.fit(X, y, sample_weight=np.linspace(0.5, 2, len(X)))
    found = model._inputs.lay_out(X, None)
    weights = model._weights(found, np.linspace(0.5, 2, len(X)))
    _, targets, weights = model._learn_law(y, found, weights, model.head_.law)
    from statespace.neural.labelled_objective import Labelled

    data = Labelled(model._inputs.read(found, np.float64), targets, weights)
    return model, model._objective(data, np.arange(len(X)), np.arange(0)), X, y
