"""Retrieval for a language model: documents that grow old, an index that is no longer built, answers from too few documents.

Rule: an index that stopped being built lacks documents of the newest ages first, and all of them age by a day a
day; one that lost a part returns fewer documents for some questions; another encoder's vectors resemble nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Clear, Finding, Onset, Outcome, Subject
from ruleout._registry import check
from ruleout.checks.inputs._locate import locate
from ruleout.checks.reproduction._generation import log_of
from ruleout.checks.reproduction.generation import CLEARED
from ruleout.profile import Case, Which, iso, numeric_array, text_series
from ruleout.stats._twosample import ks, proportions

Floats = NDArray[np.float64]

_LEAST = 100
_APART = 0.35
_SHIFTED = 0.1
_TAIL = 0.1
_HALVED = 0.6
"""Share of the newest documents' usual share below which they are missing."""

_SURE = 1e-6
_EDITIONS = 4
_LONGER = 3.0
"""How many times its usual life an edition must last to count as the last one that was built."""


class _Moved(NamedTuple):
    column: str
    shift: float
    words: str
    onset_rows: Floats
    """Membership (n,) of current rows, for where and when it happened."""


@check(
    "retrieval",
    layer="integration",
    rung="reproduction",
    looks_for=("stale_index", "embedding_mismatch"),
)
def retrieval(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Have retrieved documents grown old or few, or do they no longer resemble the questions?"""
    del rng
    log = log_of(case)
    if log is None:
        return
    frozen = [f for c in log.roles.get("index", ()) if (f := _frozen(case, c)) is not None]
    yield from frozen
    aged = [m for c in log.roles.get("age", ()) if (m := _aged(case, c)) is not None]
    fewer = [m for c in log.roles.get("retrieved", ()) if (m := _fewer(case, c)) is not None]
    unlike = [m for c in log.roles.get("likeness", ()) if (m := _unlike(case, c)) is not None]
    for moved in aged:
        yield _finding(case, "retrieval.older", moved, ("stale_index",))
    for moved in fewer:
        yield _finding(case, "retrieval.fewer", moved, ("stale_index",))
    for moved in unlike:
        apart = moved.shift >= _APART and not aged and not fewer
        signal = "retrieval.apart" if apart else "retrieval.less_alike"
        yield _finding(case, signal, moved, ("embedding_mismatch", "stale_index"))
    ages = [c for c in log.roles.get("age", ()) if _pair(case, c) is not None]
    if ages and not aged and not frozen and not fewer:
        told = f"documents are as old as before ({', '.join(ages)})"
        yield Clear(("stale_index",), Subject(), told, _SHIFTED, "retrieval.age.same")
    alike = [c for c in log.roles.get("likeness", ()) if _pair(case, c) is not None]
    if alike and not unlike:
        told = f"documents resemble the questions as before ({', '.join(alike)})"
        yield Clear(("embedding_mismatch",), Subject(), told, _SHIFTED, "retrieval.likeness.same")


def _pair(case: Case, column: str) -> tuple[Floats, Floats] | None:
    before, now = (numeric_array(t.frame, column) for t in (case.reference, case.current))
    if min(int(np.isfinite(x).sum()) for x in (before, now)) < _LEAST:
        return None
    return before, now


def _aged(case: Case, column: str) -> _Moved | None:
    """Documents that are older than before; or the newest of which are missing."""
    both = _pair(case, column)
    if both is None:
        return None
    before, now = both
    old, new = before[np.isfinite(before)], now[np.isfinite(now)]
    found = ks(old, new)
    middles = float(np.median(old)), float(np.median(new))
    beyond = float(np.mean(new > np.quantile(old, 1 - _TAIL)))
    if found.effect >= _SHIFTED and found.p_value < _SURE and beyond > 1.4 * _TAIL:
        line = float(np.quantile(old, 1 - _TAIL))
        words = f"documents are older: the median of {column} is {middles[1]:.4g}, {middles[0]:.4g} before"
        return _Moved(column, found.effect, words, _flags(now, now > line))
    line = float(np.quantile(old, _TAIL))
    usual, late = float(np.mean(old <= line)), new[len(new) // 2 :]
    test = proportions(
        (float((old <= line).sum()), float((late <= line).sum())), (len(old), len(late))
    )
    if np.mean(late <= line) > _HALVED * usual or test.p_value > _SURE:
        return None
    words = (
        f"the newest documents are missing: {np.mean(late <= line):.1%} of the later rows have {column} up to"
        f" {line:.3g}, {usual:.1%} before"
    )
    return _Moved(column, 0.3, words, _flags(now, now > line))


def _flags(values: Floats, hit: NDArray[np.bool_]) -> Floats:
    return np.where(np.isfinite(values), hit.astype(float), np.nan)


def _fewer(case: Case, column: str) -> _Moved | None:
    """Fewer documents for a part of the questions, or for all."""
    both = _pair(case, column)
    if both is None:
        return None
    before, now = both
    line = float(np.nanquantile(before, _TAIL))
    hit = now < line
    usual = float(np.mean(before[np.isfinite(before)] < line))
    where = locate(case, np.arange(len(now)), _flags(now, hit) - usual)
    rate = float(np.mean(hit[where.rows & np.isfinite(now)]))
    sizes = (float(np.isfinite(before).sum()), float((where.rows & np.isfinite(now)).sum()))
    test = proportions((usual * sizes[0], rate * sizes[1]), sizes)
    if rate < usual + 0.1 or test.p_value > _SURE:
        return None
    words = (
        f"too few documents are found: {column} is under {line:.3g} in {rate:.1%} of the rows {where.words},"
        f" in {usual:.1%} before"
    )
    return _Moved(column, rate - usual, words, _flags(now, hit))


def _unlike(case: Case, column: str) -> _Moved | None:
    both = _pair(case, column)
    if both is None:
        return None
    before, now = both
    if "distance" in column.lower():
        before, now = -before, -now
    old, new = before[np.isfinite(before)], now[np.isfinite(now)]
    found = ks(old, new)
    line = float(np.quantile(old, _TAIL))
    if found.effect < _SHIFTED or found.p_value > _SURE or np.mean(new < line) < 1.4 * _TAIL:
        return None
    middles = float(np.median(old)), float(np.median(new))
    words = f"documents resemble the questions less: the median of {column} is {middles[1]:.4g}, {middles[0]:.4g} before"
    return _Moved(column, found.effect, words, _flags(now, now < line))


def _finding(case: Case, signal: str, moved: _Moved, modes: tuple[str, ...]) -> Finding:
    place = locate(case, np.arange(len(moved.onset_rows)), moved.onset_rows)
    return Finding(
        signal, Subject("feature", (moved.column,)), moved.words, moved.shift,
        moved.shift * float(np.sqrt(len(moved.onset_rows))), None, float(np.clip(moved.shift / 0.3, 0.3, 1.0)),
        modes, against=CLEARED, scope=place.scope, onset=place.onset,
    )  # fmt: skip


def _frozen(case: Case, column: str) -> Finding | None:
    """An edition that lasts several times as long as those before it: the next was never built."""
    lives = [_lives(case, which, column) for which in ("reference", "current")]
    if lives[0] is None or lives[1] is None or len(lives[0]) < _EDITIONS:
        return None
    usual = float(np.median(np.diff([start for _, start, _ in lives[0]])))
    name, start, end = lives[1][-1]
    first = next((s for n, s, _ in lives[0] if n == name), start)
    if usual <= 0 or end - first < _LONGER * usual:
        return None
    told = (
        f"{column} is {name} for {(end - first) / 86_400:.3g} days; before, a new one came every"
        f" {usual / 86_400:.3g} days"
    )
    at = iso(first + usual)

    return Finding(
        "index.frozen", Subject("feature", (column,)), told, (end - first) / usual, 10.0, None, 1.0,
        ("stale_index",), against=CLEARED, onset=Onset(at, iso(first), iso(first + 2 * usual)),
    )  # fmt: skip


def _lives(case: Case, which: Which, column: str) -> list[tuple[str, float, float]] | None:
    """Editions with their first and last instant, in order of the first."""
    table = case.table(which)
    if table.time is None:
        return None
    seen: dict[str, tuple[float, float]] = {}
    for name, at in zip(
        text_series(table.frame, column).to_list(), table.time.tolist(), strict=True
    ):
        if name is not None and np.isfinite(at):
            low, high = seen.get(name, (at, at))
            seen[name] = min(low, at), max(high, at)
    return (
        sorted(((n, low, high) for n, (low, high) in seen.items()), key=lambda one: one[1]) or None
    )
