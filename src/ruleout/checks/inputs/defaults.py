"""Values that turned missing or to a default: by a connector, a failed join or a fallback."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Abstained, Clear, Finding, Outcome, Scope, Subject
from ruleout._registry import check
from ruleout.checks.inputs._defaults import (
    Defaulted,
    defaulted,
    names_file,
    source_of,
    together,
    undoing,
    words_of,
)
from ruleout.checks.inputs._departure import departures, scope_words
from ruleout.checks.inputs._key_loss import KeyLoss, edition_loss, key_loss
from ruleout.profile import Case, scope_mask
from ruleout.stats._alternation import turns

Mask = NDArray[np.bool_]

_ALL = 0.97
"""A frozen input is frozen for every row; a default may be given to some."""

_NEARLY = 0.7
"""Share of a source's inputs that must be seen to fall back: one whose usual value is its default is not."""

_WRITTEN = frozenset({
    "file", "files", "artifact", "artefact", "edition", "generator", "build", "bundle", "dump", "snapshot", "lookup",
    "table", "export", "version", "revision", "digest", "etag", "hash", "checksum", "sha", "shard", "writer",
})  # fmt: skip
"""Words of columns that name what was written, and by whom."""

_FELL_BACK = frozenset({"fallback", "fallbacks", "degraded", "failover", "breaker", "defaulted"})
"""Words of columns in which a service says that it answered without what it should have had."""

_NOT_SO = frozenset({"false", "0", "no", "none", "closed", "null", ""})

_RARE = 0.02
"""Share of the reference's rows below which a default is no usual value of the input."""

_HARDLY = 0.1
"""Chance of a coincidence that is not believed."""

_MODES = ("silent_nulls", "join_loss")


@check(
    "missing_and_defaults",
    layer="data",
    rung="inputs",
    looks_for=(*_MODES, "fallback_overload", "malformed_artifact"),
)
def missing_and_defaults(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Do inputs hold more nulls, or more of one default value, than their reference?

    The rate is compared inside the rows that departed (a stretch of time, a segment), against the
    rate's variation between stretches of the reference. Inputs that lost their values in the same
    rows are one finding; if the rows are told apart by how a key is spelt, a join lost them.
    """
    del rng
    # Who had fewest of them before shows most plainly which rows lost their values now.
    groups = [sorted(g, key=lambda d: d.before) for g in together(defaulted(case))]
    for group in groups:
        yield from _findings(case, group)
    if not groups:
        unread = case.of_kind("text", "image", "embedding")
        seen = tuple(n for n in departures(case) if n in case.features)
        subject = Subject("feature", seen) if unread else Subject()
        least = 0.02 + 4 * math.sqrt(0.02 / max(case.current.rows, 1))
        told = "no input holds more missing or default values than before"
        if seen or not unread:
            yield Clear(_MODES, subject, told, least, "defaults")
        else:
            yield Abstained(_MODES, "no input holds numbers or categories")


def _findings(case: Case, group: Sequence[Defaulted]) -> Iterator[Outcome]:
    """What a group of inputs that lost their values together speaks for, and where it lost them."""
    first, moved = group[0], departures(case)[group[0].name]
    listed = ", ".join(f"{d.name} ({d.value})" for d in group[:4]) + (
        ", ..." if len(group) > 4 else ""
    )
    names = tuple(d.name for d in group)
    plan = undoing(group, moved.scope)
    rise = first.after - first.before
    found = Finding(
        f"defaults.{_kind(group)}",
        source_of(case, names),
        f"{listed}: from {first.before:.1%} to {first.after:.1%} of rows{scope_words(moved)}",
        rise,
        rise / 0.02,
        first.p_value,
        min(1.0, 0.5 + rise / 0.2),
        _supported(case, group),
        ("covariate_shift", "concept_drift", "unit_change", "precision_loss"),
        moved.scope,
        moved.onset,
        (plan,),
        _chart(group),
    )
    yield found
    yield _where(case, group, found, listed)
    yield from _in_turns(case, group, found, listed)
    yield from _of_all_sources(case, group, found, listed)
    yield from _by_its_own_word(found, listed)


def _by_its_own_word(found: Finding, listed: str) -> Iterator[Finding]:
    """Whether a column that says so marks the rows that got defaults: then who answered fell back, and knew it."""
    words = words_of(found.scope.column)
    if not words & _FELL_BACK or {v.casefold() for v in found.scope.values} & _NOT_SO:
        return
    told = f"{listed}: where {found.scope.column} is {', '.join(found.scope.values)}, by the word of who answered"
    yield replace(
        found, signal="defaults.flagged", subject=Subject("pipeline", ()), statement=told, p_value=None, strength=1.0,
        supports=("fallback_overload",), against=(), chart={},
    )  # fmt: skip
    yield replace(
        found, signal="defaults.elsewhere", subject=Subject(), statement=told, p_value=None, strength=1.0, supports=(),
        against=(*_MODES, "malformed_artifact"), repairs=(), chart={},
    )  # fmt: skip


def _of_all_sources(
    case: Case, group: Sequence[Defaulted], found: Finding, listed: str
) -> Iterator[Finding]:
    """Whether inputs of several sources fell back together: that was decided where they meet, behind their sources."""
    names = {d.name for d in group}
    fed = {s: set(f) & set(case.features) for s, f in case.incident.data.sources.items()}
    whole = sorted(
        s for s, inputs in fed.items() if inputs and len(inputs & names) >= _NEARLY * len(inputs)
    )
    others = [s for s, inputs in fed.items() if inputs and not inputs & names]
    meant = sum(d.kind in ("typical", "frozen") for d in group) >= 0.5 * len(group)
    if len(whole) < 2 or not meant:
        return
    told = f"{listed}: the inputs of {', '.join(whole)} hold usual values in the same rows" + (
        f", those of {', '.join(others[:3])} do not" if others else ""
    )
    subject = Subject("source", tuple(whole))
    yield replace(
        found,
        signal="defaults.sources",
        subject=subject,
        statement=told,
        p_value=None,
        strength=1.0,
        supports=("fallback_overload",),
        against=(),
        chart={},
    )
    yield replace(
        found,
        signal="defaults.elsewhere",
        subject=Subject(),
        statement=told,
        p_value=None,
        supports=(),
        against=(*_MODES, "malformed_artifact"),
        repairs=(),
        chart={},
    )


def _in_turns(
    case: Case, group: Sequence[Defaulted], found: Finding, listed: str
) -> Iterator[Finding]:
    """Whether the values are lost in turns, as when one of two generators of a file writes it badly."""
    column = found.scope.column
    if column is None and _many(case, group):
        return  # A service that answers by defaults whenever it is overloaded looks like this too.
    if column is not None and _took_turns(case, found.scope):
        return  # Sessions and batches of a segment come in stretches at the best of times.
    hit = group[0].rows if column is None else case.scope_rows(found.scope)
    seen = turns(hit, case.current.time)
    if seen is None:
        yield from _of_edition(case, found, listed, group[0].rows)
        return
    told = f"{listed}: good and bad in turns, {seen.bad} bad stretches with good ones between"
    if column is not None:
        told += f", and what is bad came by {column} = {', '.join(found.scope.values)}"
    yield replace(
        found,
        signal="defaults.turns",
        statement=told,
        statistic=float(seen.bad),
        effect=float(seen.bad),
        p_value=None,
        # Without a version to follow, a source that fails now and then looks much like it.
        strength=0.5 if column is None else 1.0,
        supports=("malformed_artifact",),
        against=_MODES,
        chart={},
    )


def _of_edition(case: Case, found: Finding, listed: str, hit: Mask) -> Iterator[Finding]:
    """Whether what is bad came by some editions of a file alone, however few of its turns the window holds.

    Of many editions none need be among the scope's: then it is asked whether each lost all its values or none.
    """
    column = found.scope.column
    told = f"{listed}: lost in rows that read {column} = {', '.join(found.scope.values)} alone"
    if column is None:
        since = case.scope_rows(replace(found.scope, column=None, values=()))
        column = edition_loss(case, hit, since)
        told = f"{listed}: lost with some editions of {column} and not with others"
    if not names_file(column):
        return
    yield replace(
        found,
        signal="defaults.edition",
        statement=told,
        p_value=None,
        strength=1.0,
        supports=("malformed_artifact",),
        against=_MODES,
        chart={},
    )


def _took_turns(case: Case, scope: Scope) -> bool:
    """Whether rows of the segment followed others in turns through the reference as well, and it names no file.

    Editions of a generated file take turns while all is well, too; so do sessions of a surface, which nobody writes.
    """
    if words_of(scope.column) & _WRITTEN:
        return False
    before = scope_mask(case.reference, replace(scope, since=None, until=None))
    return turns(before, case.reference.time) is not None


def _where(case: Case, group: Sequence[Defaulted], found: Finding, listed: str) -> Outcome:
    """Whether a key, an entity or nothing decides which rows lost their values."""
    moved = departures(case)[group[0].name]
    key = key_loss(case, group[0].rows, moved.rows)
    apart = moved.scope.column is not None
    if key is None and apart:
        # A segment may say no more than how its keys are written: then a join lost them all the same.
        at_the_time = case.scope_rows(replace(moved.scope, column=None, values=()))
        key = key_loss(case, group[0].rows, at_the_time)
    if key is not None:
        return replace(
            found,
            signal="defaults.key",
            statement=_key_words(key, listed),
            statistic=key.within,
            effect=key.within * 10,
            p_value=None,
            strength=1.0 if key.pattern and (key.within > 0.6 or key.inside > 0.95) else 0.8,
            supports=("join_loss",),
            against=("silent_nulls",),
            chart={},
        )
    if moved.scope.column is not None:
        return replace(
            found,
            signal="defaults.entity",
            statement=f"the lost values are confined to rows{scope_words(moved)}",
            p_value=None,
            strength=0.8,
            supports=("join_loss", "silent_nulls"),
            against=(),
            chart={},
        )
    told = "no key's spelling and no segment tells the lost rows from the others"
    return Clear(("join_loss",), found.subject, told, 0.5, "defaults.no_key")


def _kind(group: Sequence[Defaulted]) -> str:
    """`frozen` where inputs stand still at some value of theirs, `value` for nulls and defaults.

    `still` where only a part of the rows does, at a value like any other that was seen before: an old
    value that some replica keeps, or a default that happens to be one. `level` where inputs only ever
    had two values: a world in which one is commoner looks the same. `gone` where no row has a value any
    more, as when a source renames its field.
    """
    values = {d.value for d in group}
    if all(d.kind == "level" for d in group):
        return "level"
    if all(d.kind == "null" and d.after > _ALL for d in group):
        return "gone"
    own = [d for d in group if d.kind == "frozen"]
    if not own or (len(values) == 1 and len(group) > 1) or _filled_in(group) or _lost(group):
        return "value"
    if len(own) == len(group) > 1 and any(d.common == 0 for d in own):
        return "frozen"  # no default is so odd a value, let alone several at once
    if any(d.after > _ALL for d in own):
        return "frozen"
    # Of a number that hardly ever repeats, a value of its own need not have been seen before.
    seen = all(d.before > 0 or d.common == 1.0 for d in own)
    return "still" if len(own) == len(group) and seen else "value"


def _lost(group: Sequence[Defaulted]) -> bool:
    """Whether some got nothing or a default that was hardly ever seen before: what was kept would be a value of theirs."""
    return any(d.kind == "null" or (d.kind == "sentinel" and d.before < _RARE) for d in group)


def _filled_in(group: Sequence[Defaulted]) -> bool:
    """Whether values that could each be a mean or mode are so together: what was held would hardly be."""
    chance = float(np.prod([d.common for d in group]))
    return 0 < chance < _HARDLY


def _supported(case: Case, group: Sequence[Defaulted]) -> tuple[str, ...]:
    modes = {
        "frozen": ("silent_nulls", "stale_features"),
        "still": (*_MODES, "stale_features"),
        "value": _MODES,
        "level": _MODES,
        "gone": (*_MODES, "schema_change"),
    }[_kind(group)]
    return (*modes, "fallback_overload") if _many(case, group) else modes


def _many(case: Case, group: Sequence[Defaulted]) -> bool:
    return len(group) >= max(3, 0.6 * len(case.features))


def _chart(group: Sequence[Defaulted]) -> dict[str, object]:
    return {
        "kind": "bars",
        "categories": [d.name for d in group][:20],
        "reference": [d.before for d in group][:20],
        "current": [d.after for d in group][:20],
        "format": "share",
        "title": "Share of missing or default values",
    }


def _key_words(key: KeyLoss, listed: str) -> str:
    told = f"which rows lost {listed} depends on {key.column}"
    if key.within > 0.6:
        told += f": nearly every one of its values is hit in all rows or in none ({key.within:.0%} of the variance)"
    if key.pattern:
        told += f"; of those spelt like {key.pattern!r} {key.inside:.0%} of rows are hit, of the others {key.outside:.0%}"
    return told
