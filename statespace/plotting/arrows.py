"""Curved arrows between circles, each one filled outline in data coordinates.

A centre line is a quadratic Bezier curve from centre to centre,

    c(t) = (1 - t)^2 a + 2 t (1 - t) m + t^2 b,        m = (a + b) / 2 + 2 bend |b - a| n,

with n the normal to the left of the way from a to b, so that the curve leaves the chord by bend |b - a| at most. It is
cut where it leaves the first circle and where it enters the second. Because shaft and head are one outline, an arrow
can be transparent without a darker seam, and it keeps touching the circles when the figure is resized.
"""

from __future__ import annotations

import numpy as np

from statespace.protocols import Floats


def bow(start: Floats, end: Floats, bend: float, n_points: int = 121) -> Floats:
    """Return points on the curve from `start` to `end`, shape (n_points, 2); positive `bend` bows to the left."""
    way = end - start
    middle = (start + end) / 2 + 2 * bend * np.array([-way[1], way[0]])
    t = np.linspace(0, 1, n_points)[:, None]
    return np.asarray((1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end)


def loop(centre: Floats, outward: Floats, distance: float, radius: float, n_points: int = 121) -> Floats:
    """Return points on a circle that begins and ends at `centre`'s side, shape (n_points, 2), against the clock.

    The circle has its own centre `distance` away in the direction of the unit vector `outward`.
    """
    begin = np.arctan2(-outward[1], -outward[0])
    angle = begin + np.linspace(0, 2 * np.pi, n_points)
    return np.asarray(centre + distance * outward + radius * np.column_stack([np.cos(angle), np.sin(angle)]))


def outside(points: Floats, first: Floats, first_radius: float, last: Floats, last_radius: float) -> Floats:
    """Cut a centre line where it leaves the circle around `first` and where it enters the circle around `last`."""
    leaves = np.linalg.norm(points - first, axis=1) - first_radius
    enters = np.linalg.norm(points - last, axis=1) - last_radius
    half = len(points) // 2
    i = int(np.flatnonzero(leaves[:half] <= 0).max(initial=-1))
    j = half + int(np.flatnonzero(enters[half:] <= 0).min(initial=len(points) - half))
    pieces = [points[i + 1 : j]]
    if i >= 0:
        pieces.insert(0, _crossing(points, leaves, i))
    if j < len(points):
        pieces.append(_crossing(points, enters, j - 1))
    return np.concatenate(pieces)


def _crossing(points: Floats, gap: Floats, i: int) -> Floats:
    """Return the point between `points[i]` and `points[i + 1]` where `gap` changes its sign, shape (1, 2)."""
    share = gap[i] / (gap[i] - gap[i + 1])
    return np.asarray(points[i : i + 1] + share * (points[i + 1 : i + 2] - points[i : i + 1]))


def outline(points: Floats, width: float, head_length: float, head_width: float) -> Floats:
    """Return the closed outline of an arrow along `points`, its tip at the last of them, shape (n_vertices, 2)."""
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    neck_at = max(way[-1] - head_length, 0.0)
    neck = np.array([np.interp(neck_at, way, points[:, 0]), np.interp(neck_at, way, points[:, 1])])
    shaft = np.vstack([points[way < neck_at], neck])
    tip = points[-1]
    along = np.gradient(shaft, axis=0) if len(shaft) > 1 else (tip - neck)[None]
    along[-1] = tip - neck
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    normal = np.column_stack([-along[:, 1], along[:, 0]])
    left, right = shaft + normal * width / 2, shaft - normal * width / 2
    barbs = neck + normal[-1] * head_width / 2, neck - normal[-1] * head_width / 2
    return np.vstack([left, barbs[0], tip, barbs[1], right[::-1], left[:1]])


def share_of_way(points: Floats, share: float) -> tuple[Floats, Floats]:
    """Return the point after `share` of the centre line's length, and the unit normal to its left."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    way = np.concatenate([[0.0], np.cumsum(steps)])
    at = np.array([np.interp(share * way[-1], way, points[:, axis]) for axis in (0, 1)])
    i = min(int(np.searchsorted(way, share * way[-1], side="right")), len(points) - 1)
    along = (points[i] - points[i - 1]) / np.linalg.norm(points[i] - points[i - 1])
    return at, np.array([-along[1], along[0]])
