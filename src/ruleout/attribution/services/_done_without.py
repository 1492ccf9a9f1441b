"""Whose answers others do without, as their lines tell: a fallback serves everybody in time, and nothing fails.

Where neither times nor failures show anything, the lines are all there is.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import polars as pl

from ruleout.attribution.services._records import Signal

_WITHOUT = (
    r"\b(fall(ing|en|s)?[ -]?back|fell back|fallback|degraded|without|instead of|skipp(ing|ed)|ignor(ing|ed)"
    r"|default(s|ed|ing)?)\b"
)
_UNREAD = (
    r"validation.?error|(field|key|column|property|attribute)s? .{0,40}(missing|required|unknown|not found)"
    r"|(missing|unknown|unexpected|required) (field|key|column|property|attribute|type)"
    r"|keyerror|deserial|unmarshal|cannot (decode|parse|read)|(decod|pars)(e|ing) error|schema"
)
"""What is said of an answer that came in time and could not be read."""

_MORE = 5.0
"""By what factor such lines must have become more."""

_FEW = 10
_WORTH = 5.0
_CLEAR = 0.5
"""Share of the lines that must say what was wrong with the answer."""


def done_without(
    errors: pl.DataFrame, usual: pl.DataFrame, names: Collection[str], length: float = 1.0
) -> list[Signal]:
    """Entities whose answers others could not use and did without, and did so less before.

    Args:
        errors: log lines of the incident that warn or fail.
        usual: the same of the reference.
        names: of entities.
        length: of the incident over that of the reference.
    """
    now, then = (
        lines.filter(
            pl.col("entity").is_not_null()
            & pl.col("message").str.to_lowercase().str.contains(_WITHOUT).fill_null(value=False)
        )
        for lines in (errors, usual)
    )
    found = []
    for name in sorted(names):
        rows = _about(now, name)
        if rows.height < max(_FEW, _MORE * length * _about(then, name).height):
            continue
        unread = rows["message"].str.to_lowercase().str.contains(_UNREAD)
        size = float(unread.mean() or 0.0)  # type: ignore[arg-type]
        if size < _CLEAR:
            continue
        callers = ", ".join(sorted(rows["entity"].unique())[:3])
        text = f"{callers} does without what {name} answers: {rows['message'][0]}"[:240]
        weight = _WORTH * size
        modes = {"schema_change": 1.0}
        found.append(Signal(name, "done_without", weight, modes, text, float(rows.height), size))
    return found


def _about(lines: pl.DataFrame, name: str) -> pl.DataFrame:
    mentioned = rf"(^|[^\w-]){re.escape(name)}($|[^\w-])"
    return lines.filter((pl.col("entity") != name) & pl.col("message").str.contains(mentioned))
