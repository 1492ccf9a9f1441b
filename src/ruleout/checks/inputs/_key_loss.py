"""Whether a key, or how a key is written, tells the rows that lost their values: then a join lost them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.checks.inputs._defaults import names_file
from ruleout.profile import Case, text_series

Mask = NDArray[np.bool_]


class KeyLoss(NamedTuple):
    """A key that decides which rows lost their values."""

    column: str
    within: float
    """Share of the variance of being hit that lies between keys: 1 if each key is all or nothing."""

    pattern: str
    """The spelling of keys that are hit most, or empty where spelling tells nothing."""

    inside: float
    outside: float
    """Share of rows hit, with that spelling and with others."""


_FEW_KEYS = 20

_DECIDES = 0.5
"""Share of the variance between editions from which they decide; what was lost may be a usual value of some rows."""


def key_loss(case: Case, hit: Mask, scope: Mask) -> KeyLoss | None:
    """The column whose value, or spelling (`AA-9999`), tells the hit rows from the others, or None.

    Columns of few values are no keys, nor is one that says nothing beyond chance.
    """
    best: KeyLoss | None = None
    for name in case.current.columns:
        series = case.current.frame.get_column(name)
        # A column that came with the fault (a field under its new name) is no key that was there before.
        if not case.reference.has(name) or (name in case.features and series.dtype != pl.String):
            continue
        if series.dtype not in (pl.String, pl.Int64, pl.Int32) or len(case.vocabulary(name)) < 50:
            continue
        if case.kinds.get(name) in ("text", "image", "embedding") or names_file(name):
            continue  # what is read is no key, and is itself what may have been lost; an edition of a file joins nothing
        codes = case.codes("current", name)
        between = _between(codes[scope], hit[scope])
        if _in_stretches(codes[scope], hit[scope], between):
            between = 0.0
        text = text_series(case.current.frame, name)
        pattern, inside, outside = max(
            (_best_pattern(shape(text), hit, scope) for shape in (spelling, outline)),
            key=lambda told: told[1] - told[2],
        )
        if pattern and len(np.unique(codes[scope & _written(text, pattern)])) < _FEW_KEYS:
            pattern = ""  # a few who come again and again are people, not how a key is written
        told = KeyLoss(name, between, pattern, inside, outside)
        if (between > 0.6 or pattern) and (best is None or between > best.within):
            best = told
    return best


def edition_loss(case: Case, hit: Mask, scope: Mask) -> str | None:
    """The column that names a file, each of whose many editions lost all its rows' values or none, or None."""
    for name in case.current.columns:
        if name in case.features or not names_file(name) or not case.reference.has(name):
            continue
        codes = case.codes("current", name)[scope]
        if _between(codes, hit[scope]) > _DECIDES:
            return name
    return None


def _written(text: pl.Series, pattern: str) -> Mask:
    """Texts (n,) of a spelling, or of an outline, as `_best_pattern` names it."""
    as_written = [(shape(text) == pattern).to_numpy() for shape in (spelling, outline)]
    return np.asarray(np.any(as_written, axis=0), dtype=bool)


def _between(codes: NDArray[np.int32], hit: Mask) -> float:
    """Share of the variance of `hit` between codes, less what chance gives; 0 where keys rarely repeat."""
    known = codes >= 0
    counts = np.bincount(codes[known]) if known.any() else np.zeros(1, dtype=int)
    keys = int((counts > 0).sum())
    n, rate = int(known.sum()), float(hit[known].mean()) if known.any() else 0.0
    if keys < 10 or n < 3 * keys or not 0.02 < rate < 0.98:
        return 0.0
    means = np.bincount(codes[known], weights=hit[known]) / np.maximum(counts, 1)
    share = float((counts * (means - rate) ** 2).sum() / (n * rate * (1 - rate)))
    chance = (keys - 1) / n
    return (share - chance) / (1 - chance)


def _in_stretches(codes: NDArray[np.int32], hit: Mask, between: float) -> bool:
    """Whether stretches of as many neighbouring rows tell as much: keys that come in one go tell when, not who."""
    keys = len(np.unique(codes[codes >= 0]))
    if between <= 0 or not keys:
        return False
    stretch = np.arange(len(codes)) * keys // len(codes)
    return _between(stretch.astype(np.int32), hit) > 0.8 * between


def spelling(text: pl.Series) -> pl.Series:
    """The shape of each text: letters, capitals and digits replaced by a, A and 9, runs kept to length 12."""
    shape = (
        text.str.slice(0, 12)
        .str.replace_all(r"[a-z]", "a")
        .str.replace_all(r"[A-Z]", "A")
        .str.replace_all(r"[0-9]", "9")
    )
    return shape.fill_null("null")


def outline(text: pl.Series) -> pl.Series:
    """How each text is written, whatever it says: its length, its case, and whether noughts or signs lead it."""
    frame = pl.select(
        length=text.str.len_chars().clip(upper_bound=40),
        lead=text.str.extract(r"^([0]+|[^0-9A-Za-z]+)").fill_null("").str.slice(0, 4),
        lower=text.str.contains(r"[a-z]"),
        upper=text.str.contains(r"[A-Z]"),
    )
    letters = (
        pl.when(pl.col("lower") & pl.col("upper"))
        .then(pl.lit("Aa"))
        .when(pl.col("lower"))
        .then(pl.lit("a"))
        .when(pl.col("upper"))
        .then(pl.lit("A"))
        .otherwise(pl.lit("9"))
    )
    told = pl.concat_str(pl.col("lead"), pl.lit("..."), letters, pl.lit(" of "), pl.col("length"))
    return frame.select(told.fill_null("null")).to_series()


def _best_pattern(pattern: pl.Series, hit: Mask, scope: Mask) -> tuple[str, float, float]:
    """The spelling of the hit rows, with the rates inside and outside; ("", 0, 0) if spelling tells nothing."""
    nothing = ("", 0.0, 0.0)
    names, index = np.unique(pattern.to_numpy().astype(str), return_inverse=True)
    if not 2 <= len(names) <= 200:
        return nothing
    n = np.bincount(index[scope], minlength=len(names)).astype(float)
    rate = np.bincount(index[scope], weights=hit[scope], minlength=len(names)) / np.maximum(n, 1)
    spared = (n >= 30) & (rate < 0.15 * rate[n >= 30].max(initial=0.0))
    inside = (n > 0) & ~spared
    rows_in, rows_out = n[inside].sum(), n[spared].sum()
    if rows_in < 30 or rows_out < max(30, 0.03 * n.sum()):
        return nothing
    rates = float(n[inside] @ rate[inside] / rows_in), float(n[spared] @ rate[spared] / rows_out)
    if rates[0] < 0.15 or rates[1] > 0.2 * rates[0]:
        return nothing
    best = int(np.where(inside, n * rate, 0).argmax())
    return str(names[best]), rates[0], rates[1]
