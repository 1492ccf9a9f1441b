"""Rows whose value has become missing or a default, by input, and inputs that share them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ruleout._records import RepairPlan, Scope, Subject
from ruleout.checks.inputs._calendar import follows_calendar, follows_weekday
from ruleout.checks.inputs._context import context
from ruleout.checks.inputs._departure import Departure, departures, like_rows
from ruleout.profile import Case
from ruleout.stats._dial import round_the_clock
from ruleout.stats._relation import clip, grid
from ruleout.stats._thinning import thinning
from ruleout.stats._twosample import ks, proportions

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

WORDS = frozenset(
    [
        "",
        "unknown",
        "none",
        "null",
        "nan",
        "n/a",
        "na",
        "missing",
        "undefined",
        "default",
        "other",
        "-",
        "?",
        "unspecified",
        "not available",
        "unk",
        "empty",
        "<na>",
        "nil",
        "0",
        "-1",
    ]
)
"""Texts that stand for "no value" in data of any trade."""

_TOP = 8
_LEVELS = 12
_LEAST_ROWS = 50
_FEW = 30
_COMMON = 0.05
"""Share of the reference's rows from which a value is one of the input's own, which a population may bring."""

_TOLD = 3.0
_SURE = 2.0
_MIDDLE = 0.1
"""Share of rows that lie as near to the mean or median as what passes for it."""

_MIRRORED = 0.03
"""How near the share of one of two categories must come to what the other's was, for the two to have changed places."""

_CHANCE = 3.0
"""Standard errors within which two counts may be one."""

_SPREAD = 1.5
"""Rows that hold one value spread along a direction about as all rows do; columns that go together spread more."""

_FILES = frozenset({
    "file", "files", "artifact", "artefact", "edition", "bundle", "dump", "snapshot", "lookup", "dictionary",
})  # fmt: skip
"""Words of columns that name nothing but a file: a client's version or a build may also never have sent a value."""

NUMBERS = (0.0, -1.0, 1.0, 99.0, 999.0, 9999.0, 99999.0, 999999.0, -99.0, -999.0, -9999.0, -99999.0)


def words_of(column: str | None) -> set[str]:
    """The words in a column's name, in small letters."""
    return set(re.findall(r"[a-z]+", (column or "").lower()))


_OF_MACHINES = frozenset({
    "host", "hostname", "pod", "node", "replica", "server", "worker", "instance", "machine", "shard", "gpu", "container",
    "version", "build", "arm", "variant", "release", "revision", "checkpoint", "tag",
})  # fmt: skip
"""Words of columns that say by what a request was served."""


def names_served(column: str | None) -> bool:
    """Whether a column's name says that it tells by what a request was served: a machine, a build, a file."""
    return bool(words_of(column) & (_OF_MACHINES | _FILES))


def names_file(column: str | None) -> bool:
    """Whether a column's name says that it names files, or editions of one."""
    return bool(words_of(column) & _FILES)


_EDITIONS = frozenset({"build", "version", "revision", "release", "checkpoint"})


def names_edition(column: str | None) -> bool:
    """Whether a column's name says that it tells editions, of a file or of code."""
    return names_file(column) or bool(words_of(column) & _EDITIONS)


@dataclass(frozen=True, slots=True)
class Defaulted:
    """One input that turned missing, or to a default, in some rows."""

    name: str
    value: str
    """The default as text; `null` for missing."""

    rows: Mask
    """Current rows that hold it."""

    before: float
    after: float
    """Share of rows that hold it, in the reference and in the affected current rows."""

    p_value: float
    kind: str
    """`null`, `sentinel` (a usual default), `typical` (the reference's mean, median or mode), `level` (one of the
    two values that the input always had), `frozen` (any other)."""

    common: float = 1.0
    """For a number, how often a value that was held would look as much like a default (see `commonness`)."""


def defaulted(case: Case) -> list[Defaulted]:
    """Inputs with more missing or default values than before (cached in the case)."""
    if "defaulted" not in case.cache:
        told = (follows_calendar, follows_weekday)
        open_ = [name for name in departures(case) if not any(f(case, name) for f in told)]
        found = [_look(case, name) for name in open_]
        case.cache["defaulted"] = [d for d in found if d is not None]
    done: list[Defaulted] = case.cache["defaulted"]
    return done


def _look(case: Case, name: str) -> Defaulted | None:
    moved = departures(case)[name]
    if case.kind(name) == "categorical":
        return _in_categories(case, name, moved)
    return _in_numbers(case, name, moved)


def _in_numbers(case: Case, name: str, moved: Departure) -> Defaulted | None:
    scope = moved.rows
    before, after = case.reference.numeric(name), case.current.numeric(name)
    lost_before, lost = ~np.isfinite(before), ~np.isfinite(after)
    found = _risen(case, name, "null", lost_before, lost, moved, "null")
    if found is not None:
        return found
    whole, known = before[~lost_before], after[scope & ~lost]
    value = _one_value(whole, known) if len(known) >= 30 and len(whole) else None
    if value is None:
        return None
    found = _risen(case, name, f"{value:g}", before == value, after == value, moved, "sentinel")
    like = before[like_rows(case, moved) & ~lost_before]
    if found is None or _otherwise_made(like, known, value):
        return None
    kind = number_kind(value, whole)
    common = commonness(value, whole) if kind == "frozen" else _MIDDLE
    return replace(found, kind=kind, common=common)


def _one_value(before: Floats, after: Floats) -> float | None:
    """The value whose share rose most, if it did alone: a default is one value."""
    points, counts = np.unique(after, return_counts=True)
    top = np.argsort(-counts)[:_TOP]
    rise = counts[top] / len(after) - np.array([float((before == v).mean()) for v in points[top]])
    # Where several rise together, something else moved.
    if len(rise) > 1 and np.sort(rise)[-2] > 0.25 * rise.max():
        return None
    return float(points[top][rise.argmax()])


def _otherwise_made(before: Floats, after: Floats, value: float) -> bool:
    """Whether something else put so many rows on one value: a mix, a map, a bound, a grid, or missing events."""
    return (
        _levels_moved(before, after, value)
        or _atom_moved(before, after, value)
        or clip(before, after) is not None
        or grid(before, after) is not None
        or (value == 0 and rest_fell(before, after) and _thinned(before, after))
    )


def _levels_moved(before: Floats, after: Floats, value: float) -> bool:
    """Whether other values became more frequent as well: a default takes from them all."""
    points, counts = np.unique(after[after != value], return_counts=True)
    top = np.argsort(-counts)[:_LEVELS]
    for point, count in zip(points[top], counts[top], strict=True):
        was, now = float((before == point).mean()), float(count / len(after))
        error = math.sqrt(max(was, 1 / len(before)) * (1 / len(before) + 1 / len(after)))
        if was > 0.002 and now > 1.2 * was and now - was > 5 * error:
            return True
    return False


def _atom_moved(before: Floats, after: Floats, value: float) -> bool:
    """Whether an old frequent value is gone and the new one as frequent: a map moved it, no default came."""
    points, counts = np.unique(before, return_counts=True)
    old, share = float(points[counts.argmax()]), float(counts.max() / len(before))
    gone = float((after == old).mean()) < 0.1 * share
    return share > 0.05 and old != value and gone and float((after == value).mean()) < 1.3 * share


def rest_fell(before: Floats, after: Floats) -> bool:
    """Whether values other than nought fell as well (Kolmogorov-Smirnov): where they did not, nought is a default."""
    before, after = before[before != 0], after[after != 0]
    if min(len(before), len(after)) < _LEAST_ROWS:
        return False
    return ks(before, after).p_value < 1e-4 and float(after.mean()) < float(before.mean())


def _thinned(before: Floats, after: Floats) -> bool:
    """Whether counts over a part of their events look like this: more noughts, and less of everything."""
    told = None if round_the_clock(before) else thinning(before, after)
    return told is not None and told.distance_after < 0.3 * told.distance_before


def number_kind(value: float, before: Floats) -> str:
    """What a value that stands for many would be among known values (n,): see `Defaulted.kind`."""
    if not len(before):
        return "sentinel"
    outside = value < before.min() or value > before.max()
    if not outside and np.isin(before, (before.min(), before.max())).all():
        return "level"
    if value in NUMBERS or outside:
        return "sentinel"
    near_mean = abs(value - float(before.mean())) <= 0.03 * (float(before.std()) or 1.0)
    near_median = 0.46 <= float((before < value).mean()) <= float((before <= value).mean()) <= 0.54
    if near_mean or near_median or value == float(np.median(before)):
        return "typical"
    points, counts = np.unique(before, return_counts=True)
    return "typical" if points[counts.argmax()] == value else "frozen"


def commonness(value: float, before: Floats) -> float:
    """The share of known values (n,) that are as common as the mode, but for chance; 0 where `value` is seen and rarer.

    Whoever fills in a mode took it from other rows than these, so it need not be the commonest here. A value
    that was held is drawn from all rows: the share is how often such a draw would look like a mode.
    """
    points, counts = np.unique(before, return_counts=True)
    often = counts >= counts.max() - _CHANCE * math.sqrt(2 * counts.max())
    if value in points[~often]:
        return 0.0
    return float(counts[often].sum() / len(before)) if value in points else 1.0


def _in_categories(case: Case, name: str, moved: Departure) -> Defaulted | None:
    scope = moved.rows
    before, after = case.codes("reference", name), case.codes("current", name)
    found = _risen(case, name, "null", before == -1, after == -1, moved, "null")
    if found is not None:
        return found
    vocabulary = case.vocabulary(name)
    inside = after[scope & (after >= 0)]
    if len(inside) < 30:
        return None
    width = len(vocabulary)
    share = np.bincount(inside, minlength=width) / len(inside)
    base = np.bincount(before[before >= 0], minlength=width) / max((before >= 0).sum(), 1)
    value = int((share - base).argmax())
    word = vocabulary[value].strip().lower()
    if word not in WORDS and (base[value] == 0 or share[value] < 0.9):
        return None
    levels = int((base > 0).sum())
    if levels == 2 and abs(share[value] - (1 - base[value])) < _MIRRORED:
        return None  # Two categories that exchanged their names leave these very shares.
    kind = "sentinel" if word in WORDS else "level" if levels <= 2 else "frozen"
    return _risen(
        case, name, vocabulary[value] or '""', before == value, after == value, moved, kind
    )


def _risen(
    case: Case, name: str, value: str, before: Mask, after: Mask, moved: Departure, kind: str
) -> Defaulted | None:
    """The default if its share rose by clearly more than it varies within the reference.

    Rows of a segment are compared with their like: it may always have held one value.
    """
    scope, like = moved.rows, like_rows(case, moved)
    n = int(like.sum()), int(scope.sum())
    if min(n) < 30:
        return None
    hits = float((before & like).sum()), float((after & scope).sum())
    test = proportions(hits, n)
    blocks = np.array_split(before.astype(float), 8)
    usual = float(np.max([abs(b.mean() - before.mean()) for b in blocks]))
    if test.effect < max(0.02, 2 * usual) or test.p_value > 1e-4:
        return None
    if before.mean() > _COMMON and _of_the_classes(case, before, after, scope):
        return None
    if not _from_everywhere(case, name, before, after & scope, (hits[0] / n[0], hits[1] / n[1])):
        return None
    return Defaulted(name, value, after & scope, hits[0] / n[0], hits[1] / n[1], test.p_value, kind)


def _from_everywhere(
    case: Case, name: str, before: Mask, after: Mask, shares: tuple[float, float]
) -> bool:
    """Whether the rows that newly hold the value are drawn from all rows, as lost values are.

    Where the population moved, rows that hold the value still look like such rows did; lost values
    pull their mean towards that of all rows. True as well where the two cannot be told apart.
    """
    ctx = context(case)
    columns = ctx.without(name, label=True)
    one, two = before[ctx.rows_before], after[ctx.rows_after]
    if min(one.sum(), two.sum()) < 40 or not columns.any():
        return True
    usual = ctx.before[one][:, columns].mean(axis=0)
    towards = ctx.before[:, columns].mean(axis=0) - usual
    length = float(towards @ towards)
    lost = (shares[1] - shares[0]) / max(shares[1], 1e-9)
    # Along the way from such rows to all rows, chance is that of one direction, however many columns there are.
    error = _SPREAD * math.sqrt((1 / one.sum() + 1 / two.sum()) / max(length, 1e-12))
    now = ctx.after[two][:, columns].mean(axis=0)
    went = float((now - usual) @ towards) / max(length, 1e-12)
    return went > lost / 2 or lost - went < _SURE * error


def _of_the_classes(case: Case, before: Mask, after: Mask, scope: Mask) -> bool:
    """Whether the value became more frequent because the classes of its rows did: within classes it did not.

    Lost values come to every class; a class balance that moved brings more of the values its rows hold.
    """
    if case.task not in ("binary", "multiclass"):
        return False
    if not (case.labelled("reference") and case.labelled("current")):
        return False
    was, now = (case.truth(w).astype(np.int64) for w in ("reference", "current"))
    classes = [c for c in np.unique(was[was >= 0]) if ((now == c) & scope).sum() >= _FEW]
    if len(classes) < 2:
        return False
    weight, rise, error = 0.0, 0.0, 0.0
    for label in classes:
        old, new = before[was == label], after[(now == label) & scope]
        if len(old) < _FEW:
            return False
        share = float(old.mean()), float(new.mean())
        n = float(len(new))
        weight, rise = weight + n, rise + n * (share[1] - share[0])
        error += n**2 * share[0] * (1 - share[0]) * (1 / len(old) + 1 / n)
    inside, raw = rise / weight, float(after[scope].mean() - before.mean())
    return inside < 0.5 * raw and inside < _TOLD * math.sqrt(error) / weight


def together(found: Sequence[Defaulted]) -> list[list[Defaulted]]:
    """Groups of inputs that lost their values in the same rows."""
    groups: list[list[Defaulted]] = []
    for one in sorted(found, key=lambda d: (-int(d.rows.sum()), d.name)):
        for group in groups:
            if _same_rows(group[0], one):
                group.append(one)
                break
        else:
            groups.append([one])
    return groups


def _same_rows(one: Defaulted, other: Defaulted) -> bool:
    """Whether two inputs lost their values in the same rows: most of them, and more than two common values share."""
    a, b = one.rows, other.rows
    both, either = float((a & b).sum()), float((a | b).sum())
    if both <= 0.7 * either:
        return False
    shares = float(a.mean()), float(b.mean())
    if min(one.before, other.before) < _COMMON or max(shares) > 0.99:
        return True
    n, chance = len(a), shares[0] * shares[1]
    return both / n > chance + 0.3 * (min(shares) - chance)


def source_of(case: Case, names: Sequence[str]) -> Subject:
    """The source, if all of its inputs (and more than one) are hit; else the inputs."""
    hit = set(names)
    for source, fed in sorted(case.incident.data.sources.items()):
        here = [f for f in fed if f in case.features]
        if len(here) > 1 and hit == set(here):
            return Subject("source", (source,))
    return Subject("feature", tuple(sorted(names)))


def undoing(group: Sequence[Defaulted], scope: Scope) -> RepairPlan:
    """The repair of inputs that lost their values together, within the rows of their scope."""
    lost = {"values": tuple(d.value for d in group), "before": max(d.before for d in group)}
    return RepairPlan(
        "restore_defaults", Subject("feature", tuple(d.name for d in group)), scope, lost
    )
