"""Several panels on one figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from statespace.plotting.axes import INK, require_matplotlib, shortly

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure


def new_panels(
    figure: Figure | SubFigure | None, rows: int, columns: int, size: tuple[float, float], **options: Any
) -> list[Axes]:
    """Return the Axes of a grid, row by row, on `figure`, or on a new figure of `size` (width, height) inches.

    Raises
    ------
    TypeError
        If `figure` is no Figure.

    """
    require_matplotlib()
    from matplotlib.figure import FigureBase

    if figure is None:
        import matplotlib.pyplot as plt

        drawn: Any = plt.figure(figsize=size, layout="constrained")
    elif isinstance(figure, FigureBase):
        drawn = figure
    else:
        raise TypeError(f"figure is {shortly(figure)}, expected a matplotlib Figure or SubFigure, or None")
    return list(drawn.subplots(rows, columns, squeeze=False, **options).flat)


def title_of_panels(axes: list[Axes], title: str | None) -> None:
    """Set the title of all of them, if any, above the first."""
    if title:
        axes[0].figure.suptitle(title, x=0.01, ha="left", color=INK, fontsize="large")
