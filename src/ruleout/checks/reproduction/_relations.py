"""What a logged feature is of the recomputed one: a multiple, a constant, another row's value, ...?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
_HOURS = 1_800.0
_DAY = 24
_FAR = 600
_FRACTIONS = 10
"""Different fractions that must have turned to 0 before a cast to whole numbers may have done it."""


_ZONES = 5
"""Time zones that one system serves at the most, of the 24 hours there are."""

_FEW = 5
"""Rows of a category by which what became of it is told."""

_EITHER = 20
"""Rows on each of two values before those may be the steps of a rounding."""


class Relation(NamedTuple):
    """How a logged feature departs from the recomputed one, on the rows where they differ."""

    kind: str
    """`null`, `constant`, `cast` (noughts for fractions of 1), `clipped`, `scale`, `offset`, `hours`, `rounded`, `low`, `curved`, `noisy`,
    `recode`, `old` or `unrelated`."""

    told: str
    value: float = 0.0


def numeric_relation(
    online: Floats, offline: Floats, *, clock: bool, dial: bool = False
) -> Relation:
    """Relation of differing numbers (m,), which hold a NaN only where a side has none.

    Args:
        online: as logged.
        offline: as recomputed.
        clock: whether they are instants in epoch seconds.
        dial: whether they are known to be hours of the day.
    """
    if np.isnan(online).mean() > 0.8:
        return Relation("null", "is missing")
    known = np.isfinite(online) & np.isfinite(offline)
    a, b = online[known], offline[known]
    if len(a) < 5:
        return Relation("unrelated", "is something else")
    steady = _rounded(a, b) or _constant(a, b) or _affine(a, b, clock=clock, dial=dial)
    return steady or _loose(a, b)


def _rounded(a: Floats, b: Floats) -> Relation | None:
    grid = np.unique(a)
    if not 1 < len(grid) < 0.4 * len(np.unique(b)) or (len(grid) == 2 and not _parted(a, b)):
        return None
    step = float(np.quantile(np.diff(grid), 0.25))
    if float((np.abs(a - b) <= 1.01 * step).mean()) <= 0.97:
        return None
    return Relation("rounded", f"is rounded to steps of {step:.4g}", step)


_TWO = 2
_DIGITS, _STEPS = 6, 20
"""Decimals that values may have been cut to, and how many different ones tell a factor from any other map."""


def _parted(a: Floats, b: Floats) -> bool:
    """Whether two logged values (m,) are the floors or neighbours of what lay low and of what lay high."""
    low = a == a.min()
    few = min(low.sum(), (~low).sum()) < _EITHER
    return not few and float(b[low].max()) <= float(b[~low].min())


def _constant(a: Floats, b: Floats) -> Relation | None:
    values, counts = np.unique(a, return_counts=True)
    top = float(values[counts.argmax()])
    if counts.max() < 0.8 * len(a):
        return None
    if len(np.unique(b)) < 3:
        # A two-valued input can only differ one way; a default is the likelier reading.
        return (
            Relation("constant", f"is {top:.6g} whatever it should be", top)
            if len(values) == 1
            else None
        )
    at = a == top
    if top == 0 and float(np.abs(b).max()) < 1 and len(np.unique(b)) >= _FRACTIONS:
        return Relation("cast", "is 0 where it should be a fraction of 1", top)
    one_side = max(float((b[at] > top).mean()), float((b[at] < top).mean()))
    rest = bool((np.abs(a - b)[~at] < 1e-9).all())
    if one_side > 0.999 and (rest or counts.max() == len(a)) and _is_bound(b, top):
        return Relation("clipped", f"is cut at {top:.6g}", top)
    return Relation("constant", f"is {top:.6g} whatever it should be", top)


def _is_bound(b: Floats, top: float) -> bool:
    """A bound lies inside the range of what was cut; a default lies anywhere, often at its edge."""
    gap = np.abs(b - top)
    return bool(top != 0 and np.quantile(gap, 0.02) < 0.15 * (np.quantile(gap, 0.9) + 1e-12))


def _affine(a: Floats, b: Floats, *, clock: bool, dial: bool) -> Relation | None:
    hours = _on_clock(a, b, dial=True) if dial else None
    return hours or _moved(a, b, clock=clock) or _on_clock(a, b, dial=False) or _scaled(a, b)


def _moved(a: Floats, b: Floats, *, clock: bool) -> Relation | None:
    """One amount off, all of them."""
    move = a - b
    centre = float(np.median(move))
    spread = float(np.std(b)) + 1e-12
    if float((np.abs(move - centre) < 1e-6 * spread + 1e-9 * abs(centre)).mean()) <= 0.9:
        return None
    if clock and abs(centre) >= _HOURS and abs(centre) % _HOURS < 1:
        return Relation("hours", f"is {centre / 3600:+.1f} hours off", centre)
    return Relation("offset", f"is {centre:+.6g} off", centre)


def _scaled(a: Floats, b: Floats) -> Relation | None:
    """One factor for all, or a line."""
    sure = np.abs(b) > 1e-9
    if sure.sum() >= 5:
        ratio = a[sure] / b[sure]
        factor = float(np.median(ratio))
        if (
            factor != 0
            and float((np.abs(ratio - factor) < 2e-3 * abs(factor) + 1e-12).mean()) > 0.9
        ):
            return Relation("scale", f"is {factor:.6g} times what it should be", factor)
    slope, shift = np.polyfit(b, a, 1) if np.std(b) > 0 else (0.0, 0.0)
    if (
        float((np.abs(a - slope * b - shift) < 2e-3 * float(np.std(a)) + 1e-12).mean()) > 0.9
        and slope
    ):
        return _sloped(b, float(slope), float(shift))
    return _rounded_scale(a, b)


def _on_clock(a: Floats, b: Floats, *, dial: bool) -> Relation | None:
    """Whole hours off round the clock, those of few time zones; numbers not known to be hours of the day must be whole and many."""
    # Known hours may have been moved past midnight without being turned.
    room = _DAY if dial else 0
    if not np.all((a >= -room) & (a < _DAY + room) & (b >= 0) & (b < _DAY)):
        return None
    if not dial and np.any(b != np.round(b)):
        return None
    many = len(np.unique(b)) > _DAY // 3
    hours, counts = np.unique(np.round((a - b) % _DAY, 6) % _DAY, return_counts=True)
    order = np.argsort(-counts, kind="stable")[: _ZONES if many and dial else 1]
    few = next((k + 1 for k in range(len(order)) if counts[order[: k + 1]].sum() > 0.9 * len(a)), 0)
    zones = [float(hours[k]) for k in order[:few]]
    if not zones or not (many or dial) or (dial and any(zone % 1 for zone in zones)):
        return None
    told = " or ".join(f"{z - _DAY if z > _DAY // 2 else z:+.0f}" for z in zones)
    return Relation("hours", f"is {told} hours off on the clock", zones[0])


def _sloped(b: Floats, slope: float, shift: float) -> Relation:
    """A line; one that falls counts from the other end, and of two values exchanges the codes."""
    if slope < 0 and len(np.unique(b)) == _TWO:
        return Relation("recode", "carries the other value's code")
    kind = "scale" if slope > 0 else "mirrored"
    return Relation(kind, f"is {slope:.6g} times what it should be {shift:+.6g}", slope)


def _rounded_scale(a: Floats, b: Floats) -> Relation | None:
    """A factor, and digits dropped after it: then ratios of small values scatter, by half a step of the digits."""
    step = next((10.0**-k for k in range(_DIGITS) if _on_grid(a, 10.0**-k)), None)
    if step is None or len(np.unique(a)) < _STEPS or not float((b * b).sum()):
        return None
    factor = float((a * b).sum() / (b * b).sum())
    if factor <= 0 or float((np.abs(a - factor * b) <= 0.55 * step).mean()) < 0.95:
        return None
    return Relation(
        "scale", f"is {factor:.6g} times what it should be, in steps of {step:g}", factor
    )


def _on_grid(values: Floats, step: float) -> bool:
    return bool((np.abs(values / step - np.round(values / step)) < 1e-6).all())


def _loose(a: Floats, b: Floats) -> Relation:
    alike = _rank_correlation(a, b)
    if alike > 0.985:
        return Relation(
            "curved", f"is a bent copy of what it should be (rank correlation {alike:.3f})", alike
        )
    lower = float((np.abs(a) < np.abs(b)).mean())
    if lower > 0.95 and alike > 0.2:
        return Relation(
            "low", f"is {1 - float(np.median(a / np.where(b == 0, 1, b))):.0%} too small", lower
        )
    if alike > 0.35:
        return Relation(
            "noisy", f"only resembles what it should be (rank correlation {alike:.2f})", alike
        )
    return Relation("unrelated", "is something else", alike)


def _rank_correlation(a: Floats, b: Floats) -> float:
    ranks = [np.argsort(np.argsort(v, kind="stable"), kind="stable").astype(float) for v in (a, b)]
    if len(np.unique(a)) < 2 or len(np.unique(b)) < 2:
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def code_relation(online: Codes, offline: Codes) -> Relation:
    """Relation of differing categories (m,) as codes of one vocabulary, -1 for none."""
    if (online < 0).mean() > 0.8:
        return Relation("null", "is missing")
    values, counts = np.unique(online, return_counts=True)
    if counts.max() > 0.9 * len(online) and not _exchanged(online, offline):
        return Relation(
            "constant", "is one value whatever it should be", float(values[counts.argmax()])
        )
    pairs, times = np.unique(np.stack([offline, online], axis=1), axis=0, return_counts=True)
    top: dict[int, int] = {}
    for (real, _), count in zip(pairs.tolist(), times.tolist(), strict=True):
        top[real] = max(top.get(real, 0), count)
    if sum(top.values()) > 0.95 * len(online) and len(np.unique(online)) >= 0.5 * len(top):
        return Relation("recode", "carries another category's name")
    return Relation("unrelated", "is something else")


def _exchanged(online: Codes, offline: Codes) -> bool:
    """Whether each category has become another one of its own: of a default, what was that already would not differ."""
    became = []
    for real in np.unique(offline):
        names, counts = np.unique(online[offline == real], return_counts=True)
        if counts.sum() < _FEW or counts.max() < 0.95 * counts.sum():
            return False
        became.append(int(names[counts.argmax()]))
    return len(became) > 1 and len(set(became)) == len(became)


def lag_of(column: Floats, rows: NDArray[np.int64], offline: Floats) -> tuple[int, float]:
    """How many rows later the recomputed value turns up in the log, and in what share of rows.

    Args:
        column: the logged column (N,), oldest first.
        rows: positions (m,) of the rows that differ.
        offline: their recomputed values (m,).

    Returns:
        The lag that matches most (positive: the log is late), and its share beyond a typical lag's.
    """
    lags = np.r_[np.arange(-20, 0), np.arange(1, min(_FAR, len(column) - 1))]
    shares = np.zeros(len(lags))
    for place, lag in enumerate(lags):
        there = rows + lag
        inside = (there >= 0) & (there < len(column))
        if inside.sum() >= 20:
            shares[place] = float((np.abs(column[there[inside]] - offline[inside]) < 1e-9).mean())
    best = int(shares.argmax())
    return int(lags[best]), float(shares[best] - np.median(shares))
