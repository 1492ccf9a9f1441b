"""What a column looks like: the facts from which roles are guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

import polars as pl

_IMAGE_STARTS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM")


@dataclass(frozen=True, slots=True)
class Facts:
    """One column of the two tables, looked at together."""

    name: str
    words: frozenset[str]
    """The words of the name in lower case: `labelAvailable_at` is label, available, at."""

    kind: str
    """`number`, `whole`, `flag`, `category`, `text`, `time`, `image`, `embedding` or `other`."""

    distinct: int
    unique: bool
    """No value occurs twice in a table."""

    unit: bool
    """Numbers, all of them in [0, 1]."""

    reference: pl.Series
    current: pl.Series


def facts(name: str, reference: pl.Series, current: pl.Series) -> Facts:
    """Look at a column in both tables; a table that lacks it gives an empty series."""
    # Under another name: polars takes `^a$` for a pattern in some methods of a series.
    reference, current = reference.alias("x"), current.alias("x")
    both = [series.drop_nulls() for series in (reference, current)]
    kind = next((_kind(series) for series in both if len(series)), "other")
    usable = [series for series in both if _countable(series)]
    together = pl.concat([_spelled(series) for series in usable]) if usable else pl.Series([])
    return Facts(
        name=name,
        words=frozenset(name_words(name)),
        kind=kind,
        distinct=together.n_unique() if len(together) else 0,
        unique=bool(usable) and all(series.is_unique().all() for series in usable),
        unit=kind in ("number", "whole") and all(_within_unit(series) for series in both),
        reference=reference,
        current=current,
    )


def _spelled(series: pl.Series) -> pl.Series:
    """Values as text; polars has no text for a duration, whose ticks tell it apart as well."""
    plain = series.to_physical() if series.dtype == pl.Duration else series
    return plain.cast(pl.String)


def _countable(series: pl.Series) -> bool:
    """Whether distinct values can be counted, and mean something."""
    return not series.dtype.is_nested() and series.dtype not in (pl.Object, pl.Null, pl.Binary)


def name_words(name: str) -> list[str]:
    """The lower-case words of a column's name, cut at signs and at camel case."""
    apart = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return [word for word in re.split(r"[\W_]+", apart.lower()) if word]


def _within_unit(series: pl.Series) -> bool:
    if not len(series) or not series.dtype.is_numeric():
        return True
    numbers = series.cast(pl.Float64)
    return bool(numbers.is_between(0.0, 1.0).all())


def _kind(series: pl.Series) -> str:
    dtype = series.dtype
    if dtype == pl.String:
        return _kind_of_text(series)
    if dtype == pl.Binary:
        return "image" if bytes(series[0]).startswith(_IMAGE_STARTS) else "other"
    if isinstance(dtype, pl.List | pl.Array):
        return "embedding" if _is_embedding(series) else "other"
    if dtype.is_numeric():
        return "whole" if _whole(series) else "number"
    return next((kind for base, kind in _KINDS if dtype == base), "other")


_KINDS = (
    (pl.Boolean, "flag"),
    (pl.Date, "time"),
    (pl.Datetime, "time"),
    (pl.Categorical, "category"),
    (pl.Enum, "category"),
)


def _whole(series: pl.Series) -> bool:
    if series.dtype.is_integer():
        return True
    numbers = series.cast(pl.Float64)
    return bool((numbers.is_finite() & (numbers == numbers.floor())).all())


def _is_embedding(series: pl.Series) -> bool:
    inner = getattr(series.dtype, "inner", None)
    if inner is None or not inner.is_float():
        return False
    lengths = series.list.len() if isinstance(series.dtype, pl.List) else series.arr.len()
    return lengths.n_unique() == 1 and int(lengths[0]) >= 4


def _kind_of_text(series: pl.Series) -> str:
    if all(_is_time(word) for word in series.head(50).to_list()):
        return "time"
    spaces = series.head(2_000).str.count_matches(" ").mean()
    distinct = series.n_unique() > 0.5 * len(series)
    return "text" if isinstance(spaces, float) and spaces >= 3.0 and distinct else "category"


def _is_time(word: str) -> bool:
    if len(word) < 8 or "-" not in word:
        return False
    try:
        datetime.fromisoformat(word.strip())
    except ValueError:
        return False
    return True
