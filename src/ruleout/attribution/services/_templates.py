"""Log lines reduced to templates: what stays when identifiers, numbers and values are taken out."""

from __future__ import annotations

import polars as pl

_MASKS = (
    (r"\\+\"", '"'),
    (r"(?i)\b(trace_?id|span_?id|request_?id)\b\W{0,4}[0-9a-z-]+", " "),
    (r"\b[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b", "*"),
    (r"\b0x[0-9a-fA-F]+\b|\b[0-9a-fA-F]{12,}\b", "*"),
    (r"\d+([.:,-]\d+)*", "*"),
    (r"=[^,)\]}\s]+", "=*"),
    (r"\[\s*\]|\{\s*\}|[\s\t]+", " "),
    (r"^(\W|\b(INFO|WARN|WARNING|ERROR|DEBUG|TRACE|FATAL)\b)*", ""),
)
_PLACE = r"([\w$./\[\]-]+#\d+|[\w$/-]+\.(?:go|py|java|kt|scala|js|ts|rb|cs|cpp|cc|rs|php):\d+)"
"""A line that says where in the source it was written is known by that place."""

_WORDS = 14
_CROWD = 12
"""More templates than this under one beginning are one template: the rest of the line is a value."""


def templates(logs: pl.DataFrame) -> pl.Series:
    """The template of every log line, as text; lines of one statement share theirs.

    After Drain (He et al., ICWS 2017): numbers and identifiers are masked, then lines that begin alike
    but end in many ways are cut after what they share.
    """
    masked = pl.col("message")
    for pattern, mask in _MASKS:
        masked = masked.str.replace_all(pattern, mask)
    tokens = masked.str.strip_chars().str.split(" ").list.head(_WORDS)
    table = logs.select(
        pl.col("entity").fill_null(""),
        tokens.list.join(" ").alias("full"),
        tokens.list.head(7).list.join(" ").alias("mid"),
        tokens.list.head(3).list.join(" ").alias("head"),
    )
    crowded = pl.col("full").n_unique().over("entity", "mid") > _CROWD
    table = table.with_columns(
        pl.when(crowded).then(pl.col("mid")).otherwise(pl.col("full")).alias("cut")
    )
    teeming = pl.col("cut").n_unique().over("entity", "head") > 3 * _CROWD
    place = logs["message"].str.slice(0, 200).str.extract(_PLACE, 1)
    text = pl.when(teeming).then(pl.col("head")).otherwise(pl.col("cut"))
    return table.with_columns(place.alias("place")).select(
        pl.coalesce("place", text).alias("template")
    )["template"]
