"""How different houses write the same log: kinds of ids, times and labels, and what is left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from ruleout.prevention.inject import Base

_WORDS = (("no", "yes"), ("good", "bad"), ("reject", "approve"), ("0", "1"))


@dataclass(frozen=True, slots=True)
class Style:
    """One house's habits; the default changes nothing."""

    whole_ids: bool = False
    """Ids are integers."""

    times: str = "utc"
    """`utc`, `naive` or `text` (ISO 8601)."""

    words: tuple[str, str] | None = None
    """Names for the negative and the positive class."""

    truths: bool = False
    """Binary labels are booleans."""

    pending: float = 0.0
    """Share of the newest current rows whose label is not known yet."""

    bare: bool = False
    """Hosts, regions and actors are not logged."""

    implicit: bool = False
    """The document does not list the features where the table shows them."""


def draw_style(base: Base, *, places: bool, relabel: bool, rng: np.random.Generator) -> Style:
    """Draw a house; `places` keeps hosts and actors, `relabel` allows other class names."""
    u = rng.random(7)
    binary = base.task == "binary" and relabel
    return Style(
        whole_ids=bool(u[0] < 0.3),
        times="utc" if u[1] < 0.75 else "naive" if u[1] < 0.9 else "text",
        words=_WORDS[int(rng.integers(len(_WORDS)))] if binary and u[2] < 0.3 else None,
        truths=binary and bool(0.3 <= u[2] < 0.45),
        pending=float(rng.uniform(0.03, 0.12)) if u[3] < 0.08 else 0.0,
        bare=not places and bool(u[4] < 0.3),
        implicit=bool(u[5] < 0.3),
    )


def positive(base: Base, style: Style) -> object:
    """The positive class as this house writes it."""
    if style.truths:
        return True
    return style.words[1] if style.words else base.classes[1]


def styled(base: Base, frame: pl.DataFrame, style: Style) -> pl.DataFrame:
    """Write any table of the incident in the house's way."""
    if style.whole_ids and base.id in frame.columns:
        frame = frame.with_columns(pl.col(base.id).str.strip_prefix("r").cast(pl.Int64))
    times = [n for n in (base.timestamp, "label_final_at") if n in frame.columns]
    if style.times == "naive":
        frame = frame.with_columns(pl.col(times).dt.replace_time_zone(None))
    elif style.times == "text":
        frame = frame.with_columns(pl.col(times).dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"))
    if style.words or style.truths:
        named = (base.target, "prediction", "audited_label")
        frame = frame.with_columns([_named(frame[n], base, style) for n in named if n in frame])
    if style.bare:
        frame = frame.drop([c for c in (base.host, "region", base.key) if c in frame.columns])
    return frame


def _named(column: pl.Series, base: Base, style: Style) -> pl.Series:
    text = column.cast(pl.String)
    if style.truths:
        return (text == str(base.classes[1])).alias(column.name)
    old, new = [str(c) for c in base.classes], list(style.words or ())
    return text.replace(old, new).alias(column.name)
