"""Whom others' error lines blame: a caller that cannot reach, resolve or trust somebody writes down whom.

A callee that is cut off, that is somebody else's service, or whose certificate nobody accepts, notices nothing of it; and once a breaker has opened,
hardly a call is left to be counted. What its callers wrote before says it all.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import polars as pl

from ruleout.attribution.services._records import Signal
from ruleout.attribution.services._sayings import told

_REACHING = "network_fault"
_WAITING = "slow_dependency"
_READING = "schema_change"
_DECODED = r"missing|unknown|unexpected|decod|deseriali|unmarshal|parse|schema|validation"
"""Words of lines that tell that an answer came and could not be read: what became of the call is said beside it."""

_TOOK = r"\btook\b|\bslow(er|ly)?\b|time[d-]? ?out|deadline exceeded"
_WORTH = 3.5
_FEW = 2
"""Lines that must blame somebody."""

_MORE = 5.0
"""By what factor lines that call somebody slow must have become more."""

_SECONDHAND = r"breaker|retry|retries|fallback|failed with status"
"""Words of lines that tell what became of a call, and not why."""


def accused(
    errors: pl.DataFrame,
    usual: pl.DataFrame,
    names: Collection[str],
    mute: Collection[str] = (),
    length: float = 1.0,
) -> list[Signal]:
    """Entities that others say they cannot reach, or wait for, and said so less before.

    Args:
        errors: log lines of the incident that warn or fail.
        usual: the same of the reference.
        names: of entities.
        mute: those of them that measure no answers of their own; whom others call slow may be held up by others in turn,
            and only of these nobody can tell otherwise.
        length: of the incident over that of the reference.
    """
    text = pl.col("message").str.to_lowercase()
    lines = errors.filter(
        pl.col("entity").is_not_null()
        & pl.col("message").is_not_null()
        & (~text.str.contains(_SECONDHAND) | text.str.contains(_DECODED))
    )
    before = set(usual["message"].drop_nulls())
    lines = lines.filter(~pl.col("message").is_in(list(before)))
    blaming = {name: _about(lines, name) for name in sorted(names)}
    blaming = {name: rows for name, rows in blaming.items() if rows.height >= _FEW}
    found = []
    for name, rows in blaming.items():
        everyone = rows.with_columns(pl.lit(name).alias("entity"))
        says = told(everyone, name)
        share, unread = says.get(_REACHING, 0.0), says.get(_READING, 0.0)
        slow = _slow(rows, _about(usual, name), length) if name in mute else 0.0
        speakers = set(rows["entity"])
        # Who blames many at once may well be cut off itself.
        many = max(
            sum(who in set(other["entity"]) for other in blaming.values()) for who in speakers
        )
        if max(share, slow, unread) <= 0:
            continue
        callers = ", ".join(sorted(speakers)[:3])
        verb, mode, size = ("waits for", _WAITING, slow)
        if share > 0:
            verb, mode, size = ("cannot reach", _REACHING, share)
        elif unread > slow:
            verb, mode, size = ("cannot read the answers of", _READING, unread)
        weight = _WORTH * size / many
        why = f"{callers} {verb} {name}: {rows['message'][0]}"[:240]
        found.append(Signal(name, "accused", weight, {mode: 1.0}, why, float(rows.height), size))
    return found


def _slow(lines: pl.DataFrame, usual: pl.DataFrame, length: float) -> float:
    """Share of the lines that tell how long something took, or that it took too long; 0 where as many always do."""
    now, then = (
        int(part["message"].str.to_lowercase().str.contains(_TOOK).sum()) for part in (lines, usual)
    )
    return now / lines.height if now > _MORE * max(then * length, 1.0) else 0.0


def _about(lines: pl.DataFrame, name: str) -> pl.DataFrame:
    """Lines of others that name an entity."""
    mentioned = rf"(^|[^\w-]){re.escape(name)}($|[^\w-])"
    return lines.filter((pl.col("entity") != name) & pl.col("message").str.contains(mentioned))
