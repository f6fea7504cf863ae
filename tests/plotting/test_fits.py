from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from statespace.hmm import HMM, ConvergenceMonitor, PoissonEmission
from statespace.plotting import likelihood_history

COUNTS = [1, 0, 2, 1, 9, 8, 11, 9, 10, 1, 0, 1, 2, 0, 12, 9]


def axes() -> Any:
    return Figure().add_subplot()


def lines(ax: Any) -> list[Any]:
    return [line for line in ax.lines if line.get_gid() == "history"]


def test_model_monitor_and_numbers_are_one_picture() -> None:
    model = HMM(2, PoissonEmission(), random_state=0).fit(COUNTS)
    history = list(model.monitor_.history)
    for fit in (model, model.monitor_, history):
        (line,) = lines(likelihood_history(fit, axes()))
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, len(history) + 1))
        np.testing.assert_array_equal(line.get_ydata(), history)


def test_gains_are_differences_on_a_logarithmic_scale_with_the_threshold() -> None:
    monitor = ConvergenceMonitor(tol=0.01, n_iter=9, verbose=False)
    for objective in (-20.0, -15.0, -14.5, -14.5, -14.499):
        monitor.report(objective)
    ax = likelihood_history(monitor, axes(), gains=True)
    (line,) = lines(ax)
    np.testing.assert_array_equal(line.get_xdata(), [2, 3, 4, 5])
    np.testing.assert_allclose(line.get_ydata(), [5, 0.5, np.nan, 0.001], rtol=1e-9)
    assert ax.get_yscale() == "log"
    assert [text.get_text() for text in ax.texts] == ["converged below 0.01"]


def test_several_fits_are_several_lines_with_a_legend() -> None:
    ax = likelihood_history({"one": [-3.0, -2.0], "two": [-5.0, -1.0, -0.5]}, axes())
    assert [len(line.get_xdata()) for line in lines(ax)] == [2, 3]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "two"]


def test_what_has_no_history_is_refused() -> None:
    for nothing in (HMM(2, PoissonEmission()), ConvergenceMonitor(None, 10, False), [], 3, {}):
        with pytest.raises(TypeError, match=r"history|there is no fit"):
            likelihood_history(nothing)
