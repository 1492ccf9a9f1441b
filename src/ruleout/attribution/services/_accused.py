"""Whom others' error lines blame: a caller that cannot reach, resolve or trust somebody writes down whom.

A callee that is cut off, or whose certificate nobody accepts, notices nothing of it; and once a breaker has opened,
hardly a call is left to be counted. What its callers wrote before says it all.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import polars as pl

from ruleout.attribution.services._records import Signal
from ruleout.attribution.services._sayings import told

_REACHING = "network_fault"
_WORTH = 3.5
_FEW = 2
"""Lines that must blame somebody."""

_SECONDHAND = r"breaker|retry|retries|fallback|failed with status"
"""Words of lines that tell what became of a call, and not why."""


def accused(errors: pl.DataFrame, usual: pl.DataFrame, names: Collection[str]) -> list[Signal]:
    """Entities that others say they cannot reach, and said so less before.

    Args:
        errors: log lines of the incident that warn or fail.
        usual: the same of the reference.
        names: of entities.
    """
    lines = errors.filter(
        pl.col("entity").is_not_null()
        & pl.col("message").is_not_null()
        & ~pl.col("message").str.to_lowercase().str.contains(_SECONDHAND)
    )
    before = set(usual["message"].drop_nulls())
    lines = lines.filter(~pl.col("message").is_in(list(before)))
    blaming = {name: _about(lines, name) for name in sorted(names)}
    blaming = {name: rows for name, rows in blaming.items() if rows.height >= _FEW}
    found = []
    for name, rows in blaming.items():
        everyone = rows.with_columns(pl.lit(name).alias("entity"))
        share = told(everyone, name).get(_REACHING, 0.0)
        speakers = set(rows["entity"])
        # Who blames many at once may well be cut off itself.
        many = max(
            sum(who in set(other["entity"]) for other in blaming.values()) for who in speakers
        )
        if share <= 0:
            continue
        callers = ", ".join(sorted(speakers)[:3])
        text = f"{callers} cannot reach {name}: {rows['message'][0]}"[:240]
        weight = _WORTH * share / many
        modes = {_REACHING: 1.0}
        found.append(Signal(name, "accused", weight, modes, text, float(rows.height), share))
    return found


def _about(lines: pl.DataFrame, name: str) -> pl.DataFrame:
    """Lines of others that name an entity."""
    mentioned = rf"(^|[^\w-]){re.escape(name)}($|[^\w-])"
    return lines.filter((pl.col("entity") != name) & pl.col("message").str.contains(mentioned))
