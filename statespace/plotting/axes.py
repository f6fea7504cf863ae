"""What all pictures share: matplotlib when it is needed, one palette, and the measure of an Axes in points.

The palette is blue on white with one accent, vermilion; both differ in lightness too, so that they survive a grey
print and every common colour blindness. Sizes of text are relative to the reader's own `font.size`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#1f2933"
"""Text and outlines."""
SOFT = "#5f6b78"
"""Secondary text: dark enough to read on white (contrast 5.4)."""
FAINT = "#cfd6dd"
"""Guides and grids."""
BLUE = "#2166ac"
"""Data."""
ACCENT = "#c4460a"
"""The one thing to look at: the best order, tomorrow."""


def require_matplotlib() -> None:
    """Raise, with the line that installs it, if matplotlib is absent."""
    try:
        import matplotlib.figure  # noqa: F401
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "matplotlib":
            raise
        raise ModuleNotFoundError(
            'pictures need matplotlib, which is not installed: pip install "statespace-models[plot]"', name="matplotlib"
        ) from error


def axes_or_new(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Return `ax` itself, or the Axes of a new figure of `size` (width, height) inches.

    Raises
    ------
    TypeError
        If `ax` is no Axes.
    """
    require_matplotlib()
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=size, layout="constrained")
        return ax
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise TypeError(f"ax is {shortly(ax)}, expected a matplotlib Axes: one of those that plt.subplots() returns")
    return ax


def shortly(value: Any) -> str:
    """Write a value for a message: numbers and short text as they stand, of all else what kind it is."""
    text = repr(value) if value is None or isinstance(value, str | bytes | int | float | complex) else ""
    if text and len(text) <= 40:
        return text
    return f"of type {type(value).__name__}"


def plain_text(name: Any) -> str:
    """Write a name: a blank or a line break in quotes, and a dollar so that no mathematics begins with it."""
    text = str(name)
    return (text if text.isprintable() and text.strip() else repr(text)).replace("$", r"\$")


def finish(ax: Axes, title: str | None) -> Axes:
    """Set the title, if any, at the left where the eye begins, and hand the Axes back."""
    if title:
        ax.set_title(title, loc="left", color=INK, fontsize="large")
    return ax


def plain_frame(ax: Axes) -> None:
    """Keep the two spines that carry a scale, and draw them lightly."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(SOFT)
    ax.tick_params(color=SOFT, labelcolor=INK, labelsize="small")
    ax.xaxis.label.set_color(INK)
    ax.yaxis.label.set_color(INK)


def no_frame(ax: Axes) -> None:
    """Hide spines and tick marks; labels stay."""
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, labelcolor=INK, labelsize="small")


def ink_on(colour: Any) -> str:
    """Return white or ink, whichever is easier to read on `colour` (WCAG relative luminance)."""
    from matplotlib.colors import to_rgb

    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return INK if luminance > 0.22 else "white"


def points_per_unit(ax: Axes) -> float:
    """Return how many points (1/72 inch) one unit of data takes, on the axis where it takes fewer."""
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    pixels = min(ax.bbox.width / abs(right - left), ax.bbox.height / abs(top - bottom))
    return float(72 * pixels / ax.figure.dpi)
