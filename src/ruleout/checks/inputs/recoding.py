"""Categories that changed their names or their codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Clear, Finding, Outcome, RepairPlan, Scope, Subject
from ruleout._registry import check
from ruleout.checks.inputs._calendar import follows_calendar
from ruleout.checks.inputs._context import Context, context
from ruleout.checks.inputs._defaults import defaulted
from ruleout.checks.inputs._departure import departures, scope_words
from ruleout.checks.inputs._renamed import new_names, renamed
from ruleout.checks.inputs.clock import tells_time
from ruleout.checks.symptom import onset_of
from ruleout.profile import Case
from ruleout.stats._matching import assign

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_MOST_CODES = 60
_LEAST_ROWS = 15
_GLANCE = 1_000
_PER_CODE = 4.0
"""Nats a code that a free matching gains over the true one by chance."""

_PERIODS = (7, 12, 24, 31, 52, 60)


@dataclass(frozen=True, slots=True)
class Matching:
    """Current codes matched to the reference codes whose rows look like theirs."""

    partner: Mapping[int, int]
    """Current code -> reference code."""

    gain: float
    """Log likelihood of the matched profiles over the unchanged ones, in nats."""

    rest: float
    """Mismatch left after matching, as a share of the mismatch before."""

    moved: float
    """Share of current rows whose code changes."""

    turned: int | None = None
    """The constant by which whole numbers were turned around a clock, if they were."""


@check("recoding", layer="data", rung="inputs", looks_for=("category_recode", "time_shift"))
def recoding(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Do the rows of one code now look like those of another code before?

    Each code's profile (means of the other inputs and of the label, and its frequency) is compared
    with every reference code's; the matching of least mismatch (Kuhn, 1955) is set against leaving
    the codes alone. A permutation of codes leaves the marginal nearly as it was and is invisible to
    drift scores; a cyclic one on hours or weekdays is a shift of time.
    """
    del rng
    ctx = context(case)
    found = 0
    for name in ctx.names[:-1]:
        if tells_time(case, name):
            continue  # hours of another part of the day have other rows
        finding = _one(case, ctx, name)
        if finding is not None:
            found += 1
            yield finding
    if not found:
        told = "no coded input's rows look like those of other codes"
        yield Clear(("category_recode",), Subject(), told, 0.1, "recode.none")


def coded(
    case: Case, name: str
) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[str, ...]] | None:
    """Codes of both windows and their names, for categories and for integers of few values."""
    if case.kind(name) == "categorical":
        words = case.vocabulary(name)
        if not 2 <= len(words) <= 4 * _MOST_CODES:
            return None
        return (
            case.codes("reference", name).astype(np.int64),
            case.codes("current", name).astype(np.int64),
            words,
        )
    if case.kind(name) != "numeric":
        return None
    a, b = case.reference.numeric(name), case.current.numeric(name)
    if not (_whole(a[:_GLANCE]) and _whole(b[:_GLANCE])):  # settles most columns without a sort
        return None
    points = np.unique(np.concatenate([a[np.isfinite(a)], b[np.isfinite(b)]]))
    if not 2 <= len(points) <= _MOST_CODES or not _whole(points):
        return None
    made = [np.where(np.isfinite(x), np.searchsorted(points, np.nan_to_num(x)), -1) for x in (a, b)]
    return made[0], made[1], tuple(f"{p:g}" for p in points)


def _whole(values: Floats) -> bool:
    known = values[np.isfinite(values)]
    return np.array_equal(known, np.round(known))


def _one(case: Case, ctx: Context, name: str) -> Finding | None:
    codes = None if follows_calendar(case, name) else coded(case, name)
    if codes is None:
        return None
    before, after, words = codes
    moved = departures(case)[name]
    lost = {i for d in defaulted(case) if d.name == name for i in np.unique(after[d.rows]).tolist()}
    respelt = _respelt(before, np.where(np.isin(after, list(lost)), -1, after), words)
    if respelt is not None:
        return _spelling_finding(case, name, respelt, words, after)
    anew = _renamed(ctx, name, before, after)
    if anew is not None:
        return _spelling_finding(case, name, anew, words, after)
    everywhere = (Scope(), np.ones(len(after), dtype=bool))
    places = [everywhere, *_since_onset(case)]
    if moved.scope != Scope():
        places.append((moved.scope, moved.rows))
    profiled = [(at, _profiled(ctx, before, after, rows)) for at, rows in places]
    told: tuple[str, Matching] | None = None
    scope = Scope()
    for kind, label in (("profile", False), ("label", True)):
        made = [
            (m, at) for at, seen in profiled if (m := _match(ctx, name, seen, words, label=label))
        ]
        if made:
            matching, scope = max(made, key=lambda m: m[0].gain)
            told = kind, matching
            break
    if told is None or (case.kind(name) == "numeric" and _in_order(told[1], words, after)):
        return None
    return _finding(case, name, told[0], told[1], words, scope)


def _since_onset(case: Case) -> list[tuple[Scope, Mask]]:
    """The rows since the metric changed, where that lies inside the window: renamed codes may not move the marginal."""
    onset, time = onset_of(case, case.loss("reference"), case.loss("current")), case.current.time
    if onset is None or time is None:
        return []
    since = datetime.fromisoformat(onset.at).timestamp()
    rows = time >= since
    return [(Scope(since), rows)] if 0.1 < rows.mean() < 0.9 else []


def _in_order(told: Matching, words: tuple[str, ...], after: NDArray[np.int64]) -> bool:
    """Whether the usual numbers kept their order: then they were made larger or smaller, not renamed."""
    if told.turned is not None:
        return False
    rows = np.bincount(after[after >= 0], minlength=len(words))
    common = [i for i in sorted(told.partner) if rows[i] > 0.03 * len(after)]
    was = np.array([float(words[told.partner[i]]) for i in common])
    turned = np.triu(was[:, None] > was[None, :], k=1).sum()
    return bool(turned <= 0.1 * len(was) * (len(was) - 1) / 2)


def _respelt(
    before: NDArray[np.int64], after: NDArray[np.int64], words: tuple[str, ...]
) -> dict[int, int] | None:
    """New spellings of known categories (case, spaces, zeros, punctuation): current -> reference code."""
    size = len(words)
    n_before = np.bincount(before[before >= 0], minlength=size)
    n_after = np.bincount(after[after >= 0], minlength=size)
    new = np.flatnonzero((n_before == 0) & (n_after > 0))
    known = {plain(words[i]): int(i) for i in np.flatnonzero(n_before > 0)}
    pairs = {int(i): known[plain(words[i])] for i in new if plain(words[i]) in known}
    share = sum(n_after[i] for i in pairs) / max(n_after.sum(), 1)
    return (
        pairs
        if pairs and share > 0.02 and share > 0.5 * n_after[new].sum() / max(n_after.sum(), 1)
        else None
    )


def plain(word: str) -> str:
    """A category without case, spaces, punctuation and leading zeros."""
    kept = "".join(c for c in word.casefold() if c.isalnum())
    return kept.lstrip("0") or kept


def _renamed(
    ctx: Context, name: str, before: NDArray[np.int64], after: NDArray[np.int64]
) -> Mapping[int, int] | None:
    """Old code of each new code, when what looks like new categories are old ones under new names."""
    columns = ctx.without(name)
    size = int(max(before.max(initial=0), after.max(initial=0))) + 1
    if size > 4 * _MOST_CODES:
        return None
    a, b = before[ctx.rows_before], after[ctx.rows_after]
    if not len(new_names(_counts(a, size), _counts(b, size))):
        return None
    sides = (
        _profiles(ctx.before[:, columns], a, size),
        _profiles(ctx.after[:, columns], b, size),
    )
    return renamed(sides[0], sides[1], ctx.spread[columns] + 0.05)


class _Profiled(NamedTuple):
    """Profiles by code of all columns of a context, then and now, with the rows of each code."""

    before: Floats
    rows_before: Floats
    after: Floats
    rows_after: Floats
    spread: Floats
    """Variance of each column then."""


def _profiled(
    ctx: Context, before: NDArray[np.int64], after: NDArray[np.int64], rows: Mask
) -> _Profiled | None:
    """Profiles of the codes, of the later ones inside `rows` alone; None where codes are too few or too many."""
    inside = rows[ctx.rows_after]
    a, b = before[ctx.rows_before], after[ctx.rows_after][inside]
    size = int(max(before.max(initial=0), after.max(initial=0))) + 1
    used = [int((_counts(codes, size) >= _LEAST_ROWS).sum()) for codes in (a, b)]
    if used[1] < 2 or used[0] < used[1] or used[0] > 2 * _MOST_CODES:
        return None
    now = ctx.after if inside.all() else ctx.after[inside]
    return _Profiled(*_profiles(ctx.before, a, size), *_profiles(now, b, size), ctx.spread)


def _match(
    ctx: Context, name: str, seen: _Profiled | None, words: tuple[str, ...], *, label: bool
) -> Matching | None:
    columns = ctx.without(name, label=label)
    if seen is None or not columns.any():
        return None
    mean_a, n_a, mean_b, n_b = (
        seen.before[:, columns],
        seen.rows_before,
        seen.after[:, columns],
        seen.rows_after,
    )
    use_a, use_b = np.flatnonzero(n_a >= _LEAST_ROWS), np.flatnonzero(n_b >= _LEAST_ROWS)
    spread = seen.spread[columns] + 0.05
    gap = ((mean_b[use_b][:, None, :] - mean_a[use_a][None, :, :]) ** 2 / spread).sum(axis=2)
    weight = 1 / (1 / n_a[use_a][None, :] + 1 / n_b[use_b][:, None])
    noise = columns.sum()
    shares = n_a[use_a] / n_a.sum(), n_b[use_b] / n_b.sum()
    rare = (np.sqrt(shares[1])[:, None] - np.sqrt(shares[0])[None, :]) ** 2 * 4 * weight.max()
    cost = 0.5 * (gap * weight + np.minimum(rare, 50 * noise) * 0.2)
    same = np.array(
        [int(np.flatnonzero(use_a == i)[0]) if (use_a == i).any() else -1 for i in use_b]
    )
    # A code never seen before has no profile of its own to keep.
    kept = np.where(same >= 0, cost[np.arange(len(use_b)), same], cost.max(axis=1))
    best = assign(cost)
    matched = cost[np.arange(len(use_b)), best]
    gain = float((kept - matched).sum())
    changed = best != same
    moved = float(n_b[use_b][changed].sum() / max(n_b.sum(), 1))
    rest = float(matched.sum() / max(kept.sum(), 1e-9))
    if gain < 12 + 3 * len(use_b) or moved < 0.02:
        return None
    turn = _turn(cost, use_a, use_b, words)
    # A free matching always fits a little better than a turn; a turn that is the truth, not much worse.
    slack = 0.03 * gain + _PER_CODE * len(use_b)
    if turn is not None and turn[1] < kept.sum() and turn[1] - matched.sum() < slack:
        partner, left = turn[2], float(turn[1] / max(kept.sum(), 1e-9))
        return (
            Matching(partner, float(kept.sum() - turn[1]), left, 1.0, turn[0])
            if left < 0.8
            else None
        )
    if rest > (0.35 if label else 0.5):
        return None
    return Matching(
        {int(i): int(use_a[j]) for i, j in zip(use_b, best, strict=True)}, gain, rest, moved
    )


def _turn(
    cost: Floats, use_a: NDArray[np.int64], use_b: NDArray[np.int64], words: tuple[str, ...]
) -> tuple[int, float, dict[int, int]] | None:
    """The turn of least cost around a clock of a usual period: (steps, cost, partners), or None."""
    try:
        number = {int(i): int(words[i]) for i in {*use_a.tolist(), *use_b.tolist()}}
    except ValueError:
        return None
    low, high = min(number.values()), max(number.values())
    period = next((p for p in sorted(_PERIODS) if low >= 0 and p - 2 <= high - low + 1 <= p), None)
    if period is None or len(use_b) < 0.7 * period:
        return None
    where = {number[int(i)]: j for j, i in enumerate(use_a)}
    best: tuple[int, float, dict[int, int]] | None = None
    for steps in range(1, period):
        pairs = {
            j: where.get((number[int(i)] - low - steps) % period + low) for j, i in enumerate(use_b)
        }
        if any(v is None for v in pairs.values()):
            continue
        total = float(sum(cost[j, v] for j, v in pairs.items() if v is not None))
        if best is None or total < best[1]:
            partners = {int(use_b[j]): int(use_a[v]) for j, v in pairs.items() if v is not None}
            best = (steps if steps <= period / 2 else steps - period), total, partners
    return best


def _profiles(x: Floats, codes: NDArray[np.int64], size: int) -> tuple[Floats, Floats]:
    """Mean row (size, M) of each code, less the mean of all rows, and rows of each code."""
    known = codes >= 0
    everywhere = bool(known.all())
    codes = codes if everywhere else codes[known]
    n = np.bincount(codes, minlength=size).astype(float)
    sums = np.empty((size, x.shape[1]))
    for column in range(x.shape[1]):
        values = x[:, column] if everywhere else x[known, column]
        sums[:, column] = np.bincount(codes, weights=values, minlength=size)
    return sums / np.maximum(n, 1)[:, None] - x.mean(axis=0), n


def _counts(codes: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Rows (size,) of each code; missing ones, below zero, count for none."""
    return np.bincount(codes + 1, minlength=size + 1)[1:]


def _finding(
    case: Case, name: str, kind: str, matching: Matching, words: tuple[str, ...], scope: Scope
) -> Finding:
    subject = Subject("feature", (name,))
    turned = matching.turned
    shown = [f"{words[i]} looks like {words[j]} did" for i, j in matching.partner.items() if i != j]
    told = f"{name}: {'; '.join(shown[:3])} ({matching.moved:.0%} of rows, {matching.gain:.0f} nats over unchanged codes)"
    mapping = {words[i]: words[j] for i, j in matching.partner.items() if i != j}
    strength = float(np.clip(0.5 + matching.gain / 200, 0.5, 1.0)) * (1.0 - 0.4 * matching.rest)
    signal, mode = (
        (f"recode.{kind}", "category_recode")
        if turned is None
        else (f"recode.cyclic_{kind}", "time_shift")
    )
    if turned is not None:
        told = f"{name} is turned by {turned:+d}{scope_words(departures(case)[name])}: {told}"
    return Finding(
        signal,
        subject,
        told,
        matching.gain,
        matching.gain / 10,
        None,
        strength,
        (mode,),
        ("concept_drift", "covariate_shift", "new_category"),
        scope,
        None,
        (RepairPlan("recode", subject, scope, {"mapping": mapping}),),
        _chart(name, mapping),
    )


def _spelling_finding(
    case: Case,
    name: str,
    pairs: Mapping[int, int],
    words: tuple[str, ...],
    after: NDArray[np.int64],
) -> Finding:
    subject = Subject("feature", (name,))
    mapping = {words[i]: words[j] for i, j in pairs.items()}
    share = float(np.isin(after, list(pairs)).mean())
    first = next(iter(mapping.items()))
    told = f"{name}: {share:.0%} of rows hold known categories under new names, such as {first[0]!r} for {first[1]!r}"
    moved = departures(case)[name]
    return Finding(
        "recode.spelling",
        subject,
        told,
        share,
        share / 0.02,
        None,
        min(1.0, 0.6 + share),
        ("category_recode",),
        ("new_category", "concept_drift", "covariate_shift"),
        Scope(),
        moved.onset,
        (RepairPlan("recode", subject, Scope(), {"mapping": mapping}),),
        _chart(name, mapping),
    )


def _chart(name: str, mapping: Mapping[str, str]) -> Mapping[str, object]:
    pairs = [[now, was, 1.0] for now, was in list(mapping.items())[:20]]
    return {
        "kind": "matching",
        "name": name,
        "pairs": pairs,
        "title": f"{name}: codes now and what they were",
    }
