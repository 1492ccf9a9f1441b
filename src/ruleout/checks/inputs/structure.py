"""The table itself: its columns, their types, repeated rows, and how many rows there are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._records import Abstained, Clear, Finding, Outcome, RepairPlan, Scope, Subject
from ruleout._registry import check
from ruleout.checks.inputs._defaults import defaulted, source_of
from ruleout.profile import Case, Table, Which
from ruleout.stats._twosample import proportions

Mask = NDArray[np.bool_]
_WINDOWS: tuple[Which, Which] = ("reference", "current")
_WHOLLY = 0.97
_FEWEST_KEYS, _KEYED = 50, 0.5
"""Repeats are judged among known keys: so many, and for so large a share of the rows."""

_COPIES = 12
"""Copies of one row beyond which, without keys, it stands in for lost ones: no join multiplies rows as much as that."""

_KEYLESS = 0.8
"""What repeats are worth without keys: like rows may also be drawn again by whoever sampled them."""


@check("schema", layer="integration", rung="inputs", looks_for=("schema_change",))
def schema(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Did columns vanish, appear, or change their type between the windows?

    A column that the reference has but never filled has appeared too. A vanished or emptied input beside a new column is a changed contract, not a silent null.
    """
    del rng
    before, after = set(case.reference.columns), set(case.current.columns)
    gone = sorted((before - after) & set(case.features))
    new = sorted(n for n in after if n not in before or _was_empty(case, n))
    empty = {d.name: d for d in defaulted(case) if d.value == "null"}
    retyped = [n for n in case.features if n in before & after and _unreadable(case, n) > 0.02]
    lost = sorted({*gone, *(empty if new else ())})
    partners = _partners(case, lost, new)
    if partners:
        yield _renamed(case, partners, gone)
    for name in sorted({*lost, *retyped} - set(partners)):
        yield _finding(name, gone=name in gone, empty=name in empty)
    # A column without a value left may have been renamed at its source: no clear.
    emptied = any(d.after > _WHOLLY for d in empty.values())
    if not gone and not retyped and not (new and empty) and not emptied:
        yield Clear(
            ("schema_change",),
            Subject(),
            "both windows have the same columns of the same types",
            0.02,
            "schema.none",
        )


def _was_empty(case: Case, name: str) -> bool:
    """Whether a column that the reference never filled is filled now: its table was written later."""
    was, now = (t.frame.get_column(name) for t in (case.reference, case.current))
    return was.null_count() == len(was) and now.null_count() < len(now)


def _renamed(case: Case, partners: Mapping[str, str], gone: Sequence[str]) -> Finding:
    """Inputs whose values have moved to new columns: one change of one contract."""
    names = tuple(partners)
    each = (
        f"{name} {'is gone' if name in gone else 'is empty'}, and {partner} has appeared"
        for name, partner in partners.items()
    )
    inputs = Subject("feature", names)
    plans = [RepairPlan("rename_column", inputs, Scope(), {"from": tuple(partners.values())})]
    if not gone:
        plans.append(_restored(inputs))
    return _changed(source_of(case, names), "; ".join(each), 1.0, tuple(plans))


def _finding(name: str, *, gone: bool, empty: bool) -> Finding:
    """An input that is gone, empty or unreadable, with no new column to take its values from."""
    subject = Subject("feature", (name,))
    words = (
        "is gone"
        if gone
        else "is empty"
        if empty
        else "holds values that do not read as numbers any more"
    )
    plans = () if gone else (_restored(subject),)
    return _changed(subject, f"{name} {words}", 0.5 if empty and not gone else 1.0, plans)


def _restored(subject: Subject) -> RepairPlan:
    return RepairPlan(
        "restore_defaults", subject, Scope(), {"values": ("null",) * len(subject.names)}
    )


def _changed(
    subject: Subject, told: str, strength: float, plans: tuple[RepairPlan, ...]
) -> Finding:
    return Finding(
        "schema.changed",
        subject,
        told,
        1.0,
        10.0,
        None,
        strength,
        ("schema_change",),
        ("silent_nulls", "join_loss", "covariate_shift"),
        Scope(),
        None,
        plans,
    )


def _partners(case: Case, lost: Sequence[str], new: Sequence[str]) -> Mapping[str, str]:
    """The new column that most likely carries what each lost input did, each of them taken once."""
    left, found = list(new), dict[str, str]()
    for name in lost:
        partner = _nearest(case, name, left)
        if partner is not None:
            left.remove(partner)
            found[name] = partner
    return found


def _nearest(case: Case, name: str, new: Sequence[str]) -> str | None:
    """The new column that most likely carries what `name` did: filled in where it is empty."""
    frame = case.current.frame
    lost = (
        frame.get_column(name).is_null()
        if name in frame.columns
        else pl.Series([True] * frame.height)
    )
    overlap = {n: float((frame.get_column(n).is_not_null() & lost).mean() or 0.0) for n in new}  # type: ignore[arg-type]
    likeness = {n: overlap[n] + 0.5 * _alike(name, n) for n in new if overlap[n] > 0.02}
    return max(sorted(likeness), key=lambda n: likeness[n]) if likeness else None


def _alike(a: str, b: str) -> float:
    from difflib import SequenceMatcher

    return SequenceMatcher(None, a.lower(), b.lower()).ratio()


def _unreadable(case: Case, name: str) -> float:
    """Share of current values that are there but no longer read as the numbers they were."""
    was, now = (t.frame.get_column(name).dtype for t in (case.reference, case.current))
    if not was.is_numeric() or now.is_numeric() or now.is_temporal():
        return 0.0
    series = case.current.frame.get_column(name)
    unread = series.is_not_null().to_numpy() & np.isnan(case.current.numeric(name))
    return float(unread.mean()) if len(unread) else 0.0


@check("repeated_rows", layer="data", rung="inputs", looks_for=("join_fanout",))
def repeated_rows(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Do keys (or whole rows) repeat more often than before? Rows without a key repeat none."""
    del rng
    key = _key(case)
    known = {w: _keyed(case.table(w), key) for w in _WINDOWS}
    keyless = next((w for w in _WINDOWS if _few(known[w])), None)
    if key is not None and keyless is not None:
        told = f"{key} is missing in {1 - known[keyless].mean():.1%} of the {keyless} rows, so repeats cannot be told by it"
        yield Abstained(("join_fanout",), told, "data.columns.id")
        return
    repeats = {w: repeated(case, w)[known[w]] for w in _WINDOWS}
    shares = {w: float(m.mean()) if len(m) else 0.0 for w, m in repeats.items()}
    hits = tuple(float(m.sum()) for m in repeats.values())
    test = proportions((hits[0], hits[1]), (len(repeats["reference"]), len(repeats["current"])))
    what = f"keys in {key}" if key else "whole rows"
    if test.effect < 0.01 or test.p_value > 1e-6:
        told = f"{shares['current']:.1%} of rows repeat {what}, {shares['reference']:.1%} before"
        yield Clear(("join_fanout",), Subject(), told, 0.01, "repeats.none")
        return
    told = f"{shares['current']:.1%} of rows repeat earlier ones ({what}); {shares['reference']:.1%} did before"
    yield Finding(
        "repeats.rows",
        Subject("pipeline", () if key is None else (key,)),
        told,
        shares["current"],
        test.effect / 0.01,
        test.p_value,
        min(1.0, 0.5 + test.effect / 0.1) * (1.0 if key else _KEYLESS),
        ("join_fanout",),
        ("covariate_shift", "prior_shift", "selection_bias"),
        Scope(),
        None,
        (RepairPlan("drop_repeats", Subject("pipeline")),),
    )


def _key(case: Case) -> str | None:
    """The column of keys; None where a window lacks it: keys of one do not compare with rows of the other."""
    key = case.incident.data.columns.id
    return key if key and all(case.table(w).has(key) for w in _WINDOWS) else None


def _keyed(table: Table, key: str | None) -> Mask:
    """Rows (n,) whose key is known; all of them where rows are compared whole."""
    if key is None:
        return np.ones(table.rows, dtype=bool)
    keys = table.frame.get_column(key)
    known = keys.is_not_null()
    if keys.dtype.is_float():
        known &= keys.is_not_nan().fill_null(value=False)
    if keys.dtype == pl.String:
        known &= (keys.str.strip_chars() != "").fill_null(value=False)
    return np.asarray(known.to_numpy())


def _few(known: Mask) -> bool:
    return bool(len(known)) and (known.sum() < _FEWEST_KEYS or known.mean() < _KEYED)


def repeated(case: Case, which: Which) -> Mask:
    """Rows (n,) whose key, or all of whose values, already came earlier in the window; unknown keys repeat none."""
    table, key = case.table(which), _key(case)
    if not table.rows:
        return np.zeros(0, dtype=bool)
    if key is not None:
        again = ~table.frame.get_column(key).is_first_distinct()
        return np.asarray(again.to_numpy()) & _keyed(table, key)
    id_ = case.incident.data.columns.id
    names = [
        n
        for n in table.columns
        if n != id_ and not table.frame.schema[n].is_nested() and table.frame.schema[n] != pl.Object
    ]
    if not names:
        return np.zeros(table.rows, dtype=bool)
    # By series, not by name: a name may read as a pattern of names.
    rows = pl.DataFrame([table.frame.get_column(n).rename(str(k)) for k, n in enumerate(names)])
    told = pl.DataFrame({"row": rows.hash_rows()}).select(
        again=~pl.col("row").is_first_distinct(), copies=pl.len().over("row")
    )
    # What stands in for whatever was lost (one placeholder, one default) is alike without having been multiplied.
    return np.asarray((told["again"] & (told["copies"] <= _COPIES)).to_numpy())


@check(
    "volume",
    layer="data",
    rung="inputs",
    looks_for=("partial_batch",),
    needs=("data.reference", "data.current", "data.columns.timestamp"),
)
def volume(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Did part of the window arrive with far fewer rows than such stretches usually have?"""
    del rng
    gap = _thin(case)
    if gap is None:
        yield Clear(
            ("partial_batch",),
            Subject(),
            "rows keep arriving at the usual rate",
            0.5,
            "volume.usual",
        )
        return
    share, p_value = gap
    yield Finding(
        "volume.thin",
        Subject("pipeline"),
        f"the last rows arrive at {share:.0%} of the usual rate",
        share,
        (1 - share) * 10,
        p_value,
        min(1.0, 1.4 - share),
        ("partial_batch",),
        (),
    )


def _thin(case: Case) -> tuple[float, float] | None:
    before, after = case.reference.time, case.current.time
    if before is None or after is None or len(before) < 200 or len(after) < 50:
        return None
    length = float(after[-1] - after[0])
    if length <= 0 or not math.isfinite(length):
        return None
    rate = len(before) / max(float(before[-1] - before[0]), 1.0)
    scale = (
        case.current.total_rows
        / max(case.current.rows, 1)
        / (case.reference.total_rows / max(case.reference.rows, 1))
    )
    tail = after[-1] - 0.25 * length
    got = float((after >= tail).sum()) * scale
    usual = rate * 0.25 * length
    if usual < 30 or got > 0.6 * usual:
        return None
    return got / usual, math.exp(-((usual - got) ** 2) / (2 * usual))
