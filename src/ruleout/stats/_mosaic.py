"""Pictures that were shrunk and enlarged again by repeating pixels: how few cells they are made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LEVELS = 2.0
"""Grey levels between neighbouring cells below which a picture shows nothing of its making."""

_EVEN = 0.3
"""Change within cells, as a share of that between cells, up to which a picture counts as made of them."""

_LEAST_SHARE = 0.1
_USUAL = 0.03
_NEAR = 0.05


class Mosaic(NamedTuple):
    """The cells that pictures are made of."""

    cells: int
    """Cells along the width."""

    made: Floats
    """(k,) 1 for pictures made of these cells, 0 for others, NaN where nothing shows."""


def mosaic(x: Floats, cells: int) -> Floats:
    """(h, w, 3) numbers averaged over `cells` cells along the width, and as many as that makes along the height."""
    for axis, count in ((0, _along(x.shape[:2], cells)), (1, cells)):
        place = _cell(x.shape[axis], count)
        starts = np.flatnonzero(np.r_[True, np.diff(place) > 0])
        sums = np.add.reduceat(x, starts, axis=axis)
        widths = np.diff(np.r_[starts, x.shape[axis]])
        shape = [1, 1, 1]
        shape[axis] = len(widths)
        x = np.repeat(sums / widths.reshape(shape), widths, axis=axis)
    return x


def find_mosaic(before: Floats, after: Floats) -> Mosaic | None:
    """The cells that many later grey pictures (m, h, w) are made of, and hardly any earlier (n, h, w).

    Between neighbouring pixels of one cell nothing changes but what compression adds; scenes, light and
    focus know no cells, so no shift of the world leaves this mark. Of counts that fit as many pictures it
    is the coarsest whose cells hold no border inside: halves and thirds of the true count hold some.
    """
    fits: list[tuple[float, float, Mosaic]] = []
    for cells in range(2, after.shape[2] // 2 + 1):
        made = _made(after, cells)
        share = float(np.nanmean(made)) if np.isfinite(made).any() else 0.0
        if share < _LEAST_SHARE:
            continue
        usual = _made(before, cells)
        if np.isfinite(usual).sum() >= 10 and float(np.nanmean(usual)) <= _USUAL:
            fits.append((share, _borders_inside(after[made == 1], cells), Mosaic(cells, made)))
    most = max((share for share, _, _ in fits), default=0.0)
    near = [(inside, m) for share, inside, m in fits if share >= most - _NEAR]
    whole = [m for inside, m in near if inside < _EVEN]
    return whole[0] if whole else min(near, key=lambda f: f[0], default=(0.0, None))[1]


def _made(pictures: Floats, cells: int) -> Floats:
    """(k,) whether each grey picture is made of so many cells along its width; NaN unknown."""
    within, between = np.zeros(len(pictures)), np.zeros(len(pictures))
    for change, border in _changes(pictures, cells):
        within += change[:, ~border].mean(axis=1)
        between += change[:, border].mean(axis=1)
    made = np.where(within < _EVEN * between, 1.0, 0.0)
    return np.where(between > _LEVELS, made, np.nan)


def _borders_inside(pictures: Floats, cells: int) -> float:
    """Change inside the cells beyond the even little of compression, as a share of that between them."""
    within = between = 0.0
    for change, border in _changes(pictures, cells):
        usual = change.mean(axis=0)
        within += float(np.maximum(usual[~border] - np.median(usual[~border]), 0.0).sum())
        between += float(usual[border].sum())
    return within / max(between, 1e-9)


def _changes(pictures: Floats, cells: int) -> Iterator[tuple[Floats, NDArray[np.bool_]]]:
    """Along either axis: mean change from pixel to pixel (k, size - 1), and which of these steps pass a border."""
    for axis, count in ((1, _along(pictures.shape[1:], cells)), (2, cells)):
        border = np.diff(_cell(pictures.shape[axis], count)) > 0
        if not border.all() and border.any():
            yield np.abs(np.diff(pictures, axis=axis)).mean(axis=3 - axis), border


def _along(size: tuple[int, ...], cells: int) -> int:
    """Cells along the height (h, w) where there are `cells` along the width."""
    return max(1, round(cells * size[0] / size[1]))


def _cell(size: int, cells: int) -> NDArray[np.int64]:
    """Which cell each of `size` pixels belongs to."""
    return np.arange(size) * cells // size
