"""Panels and lists of arrays are read at once where they can be, and say the same as one by one."""

import numpy as np
import pandas as pd
import pytest

from statespace.foundations.observations import lay_end_to_end, read_observations

RNG = np.random.default_rng(0)
PANEL = RNG.normal(size=(4, 6, 2))


def same(found, sequences):
    np.testing.assert_array_equal(found.values, np.concatenate(sequences))
    np.testing.assert_array_equal(found.offsets, np.cumsum([0, *map(len, sequences)]))
    assert found.values.dtype == np.float64
    assert found.values.flags.c_contiguous
    assert found.offsets.dtype == np.int64
    assert found.layout.form == "list"
    assert len(found.layout.indexes) == len(sequences)


def test_a_panel_stays_where_it_lies():
    found = read_observations(PANEL)
    same(found, list(PANEL))
    assert np.shares_memory(found.values, PANEL)


@pytest.mark.parametrize(
    "X",
    [
        PANEL[:, ::2],
        PANEL.astype(np.float32),
        np.round(PANEL).astype(np.int8),
        np.asfortranarray(PANEL),
        PANEL.astype(">f8"),
        PANEL[:, :, :1],
        [PANEL[0], PANEL[1, :3]],
        (PANEL[0], PANEL[1]),
        [PANEL[0], np.round(PANEL[1]).astype(int)],
        [one.astype(np.float32) for one in PANEL],
        [PANEL[0], PANEL[1, ::-1]],
        [PANEL[0], pd.DataFrame(PANEL[1])],
        [PANEL[0], PANEL[1].tolist()],
        [PANEL[0]],
    ],
    ids=str,
)
def test_sequences_are_laid_end_to_end(X):
    same(read_observations(X), [np.asarray(one, dtype=np.float64) for one in X])


def test_flat_arrays_are_sequences_of_one_number():
    same(read_observations([np.arange(3.0), np.arange(2.0)]), [np.arange(3.0)[:, None], np.arange(2.0)[:, None]])


def test_what_is_wrong_is_named():
    for X, match in (
        ([PANEL[0], PANEL[1, :, :1]], r"X\[1\] has 1 column, X\[0\] has 2"),
        ([PANEL[0], PANEL[1, :0]], r"X\[1\] is empty"),
        (PANEL[:, :0], r"X\[0\] is empty"),
        ([PANEL[0], PANEL[1].astype(complex)], r"X\[1\] holds complex128"),
        ([PANEL[0], np.array(["a", "b"])], r"X\[1\] holds <U1"),
    ):
        with pytest.raises((TypeError, ValueError), match=match):
            read_observations(X)
    with pytest.raises(ValueError, match=r"X\[0\] has 2 columns, the model has 3"):
        read_observations(PANEL, n_features=3)
    bad = PANEL.copy()
    bad[2, 3, 1] = np.inf
    with pytest.raises(ValueError, match=r"X\[2\]\[3\] is infinite"):
        read_observations(bad)
    assert lay_end_to_end(bad).place(2 * 6 + 3) == "X[2][3]"


def test_missing_entries_of_a_panel_are_marked():
    gappy = PANEL.copy()
    gappy[1, 2] = np.nan
    gappy[3, 0, 0] = np.nan
    found = read_observations(gappy)
    assert np.flatnonzero(found.missing).tolist() == [8]
    assert found.partly_missing
