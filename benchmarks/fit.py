"""A line through points."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import msgspec


class Slope(msgspec.Struct, frozen=True):
    """How fast y rises with x, and the standard error of that."""

    rise: float
    error: float


def slope(points: Sequence[tuple[float, float]]) -> Slope | None:
    """The line of least squares; None for fewer than three points, or all at one x."""
    count = len(points)
    if count < 3:
        return None
    x_mean = sum(x for x, _ in points) / count
    y_mean = sum(y for _, y in points) / count
    spread = sum((x - x_mean) ** 2 for x, _ in points)
    if spread == 0.0:
        return None
    rise = sum((x - x_mean) * (y - y_mean) for x, y in points) / spread
    rest = sum((y - y_mean - rise * (x - x_mean)) ** 2 for x, y in points)
    return Slope(rise, sqrt(rest / (count - 2) / spread))
