"""Parts of speech of the English Web Treebank, and what a duck is from what stands around it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tasks.frame import MORE, Contender, Outcome, Task, at_least, data_file, trained
from statespace.neural import RecurrentTagger, TokenFeatures

_FIGURE = "words of dev right"
_DUCK = "'duck' right in 2 sentences"
_DUCKS = {"I would like the duck": "NOUN", "He had to duck": "VERB"}
_SIDE_BY_SIDE = "gru, 64 units both ways: word, suffix, shape"
_MODELS: dict[str, dict[str, Any]] = {
    _SIDE_BY_SIDE: {"suffix": 3, "shape": True, "min_count": 5},
    "the same, words seen twice are known": {"suffix": 3, "shape": True, "min_count": 2},
    "gru, 64 units both ways: words alone": {"min_count": 2},
}

Tagged = tuple[list[list[str]], list[list[str]]]


def _contenders(quick: bool) -> Iterator[Contender]:
    train = _read(data_file("ud_ewt", "ewt_train.txt"))
    test = _read(data_file("ud_ewt", "ewt_dev.txt"))
    yield Contender("most frequent tag of the word", lambda _: _most_frequent(train, test), {_FIGURE: MORE}, 1)
    if quick:
        train = train[0][::50], train[1][::50]
    for model, features in _MODELS.items():
        asked = model == _SIDE_BY_SIDE
        bars = {_FIGURE: at_least(0.93) if asked else MORE, _DUCK: at_least(1.0) if asked else MORE}
        yield Contender(model, partial(_tagger, features, 1 if quick else 6, train, test), bars)


def _read(path: Path) -> Tagged:
    words, tags = [], []
    for line in path.read_text(encoding="utf-8").splitlines():
        pairs = [token.rsplit("|", 1) for token in line.split()]
        if pairs:
            words.append([word for word, _ in pairs])
            tags.append([tag for _, tag in pairs])
    return words, tags


def _most_frequent(train: Tagged, test: Tagged) -> Outcome:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for words, tags in zip(*train, strict=True):
        for word, tag in zip(words, tags, strict=True):
            counts[word][tag] += 1
    most = {word: tags.most_common(1)[0][0] for word, tags in counts.items()}
    pairs = [(w, t) for words, tags in zip(*test, strict=True) for w, t in zip(words, tags, strict=True)]
    return Outcome({_FIGURE: float(np.mean([most.get(word, "NOUN") == tag for word, tag in pairs]))})


def _tagger(features: dict[str, Any], n_epochs: int, train: Tagged, test: Tagged, seed: int) -> Outcome:
    n_columns = 1 + ("suffix" in features) + ("shape" in features)
    model = RecurrentTagger(
        "gru",
        64,
        tokens=TokenFeatures(**features),
        embedding_size=(64, 32, 16)[:n_columns],
        dropout=(0.3, 0.0, 0.3),
        n_epochs=n_epochs,
        learning_rate=3e-3,
        decay="linear",
        held_out=0.0,
        random_state=seed,
    )
    fitted, seconds = trained(lambda: model.fit(*train))
    said = [fitted.predict([sentence.split()])[0][-1] == tag for sentence, tag in _DUCKS.items()]
    return Outcome({_FIGURE: fitted.score(*test), _DUCK: float(np.mean(said))}, seconds)


TASK = Task(
    "tags",
    "Parts of speech, English Web Treebank",
    "12,544 sentences to learn from, 204,577 words with 17 tags; scored are the 25,147 words of dev. 64 numbers for a "
    "word, 32 for its last three letters, 16 for its shape; dropout 0.3 before the network and before the head; 6 "
    "epochs, with a rate that falls from 0.003 along a line; nothing is held out. 'duck' stands four times in what is "
    "learnt from, each time a noun: a network that knows the word calls it a noun wherever it stands. Where words seen "
    "fewer than five times are the unknown word, what stands around it says what it is; the two sentences are 'I would "
    "like the duck' and 'He had to duck'.",
    _contenders,
)
