"""Features in which damage to texts shows, and the reference seen under each known damage."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.checks.inputs._balance import balance
from ruleout.profile import Case
from ruleout.profile._image import sample_rows
from ruleout.profile._text import Words, hashed, text_statistics, unknown_share, words
from ruleout.profile._unstructured import texts
from ruleout.stats._garble import GARBLINGS, Change
from ruleout.stats._views import AS_IS

Floats = NDArray[np.float64]

LEAST_TEXTS = 60
_MOST_TEXTS = 1_000
_WORD_SLOTS = 48
_CHANGED = 0.1
"""A damage that leaves more than nine texts in ten as they are can neither be seen nor harm much."""

_LOGGED = ("length", "tokens", "token_length")
_PLAIN = ("repetition", "ends_open")


class Vocabulary(NamedTuple):
    """Words of the reference, as written and lower-cased: sorted codes, and those of two texts."""

    exact: NDArray[np.uint64]
    exact_twice: NDArray[np.uint64]
    folded: NDArray[np.uint64]
    folded_twice: NDArray[np.uint64]


class Texts(NamedTuple):
    """Comparable, not empty texts of both windows."""

    before: pl.Series
    rows_before: NDArray[np.int64]
    weight: Floats
    """(n,) weights of the reference's texts that balance the classes."""

    now: pl.Series
    rows_now: NDArray[np.int64]
    vocabulary: Vocabulary


def comparable(case: Case, name: str) -> Texts:
    """Texts of both windows that can be compared: not empty, of classes that both have."""
    sides = []
    for which in ("reference", "current"):
        sample = texts(case, which, name)
        full = np.flatnonzero(sample.statistics["empty"] == 0)
        full = full[sample_rows(len(full), _MOST_TEXTS)]
        sides.append((sample.rows[full], sample.texts.gather(full)))
    (rows_before, before), (rows_now, now) = sides
    weights = balance(case, rows_before, rows_now)
    old, new = np.flatnonzero(weights.reference > 0), np.flatnonzero(weights.current > 0)
    return Texts(
        before.gather(old),
        rows_before[old],
        weights.reference[old],
        now.gather(new),
        rows_now[new],
        known_words(case, name),
    )


def known_words(case: Case, name: str) -> Vocabulary:
    """All words of a text column's reference, counted once."""
    key = f"words of {name}"
    if key not in case.cache:
        case.cache[key] = vocabulary(texts(case, "reference", name).texts)
    learned: Vocabulary = case.cache[key]
    return learned


def vocabulary(series: pl.Series) -> Vocabulary:
    """All words of some texts, and those that at least two texts have."""
    exact, folded = words(series, fold=False), words(series)
    return Vocabulary(_seen(exact, 1), _seen(exact, 2), _seen(folded, 1), _seen(folded, 2))


def _seen(bag: Words, least: int) -> NDArray[np.uint64]:
    if not len(bag.codes):
        return np.zeros(0, np.uint64)
    order = np.lexsort((bag.text, bag.codes))
    codes, text = bag.codes[order], bag.text[order]
    fresh = np.concatenate([[True], (codes[1:] != codes[:-1]) | (text[1:] != text[:-1])])
    values, counts = np.unique(codes[fresh], return_counts=True)
    return np.asarray(values[counts >= least])


def features(series: pl.Series, known: Vocabulary, *, own: bool) -> Floats:
    """(n, r) statistics, unknown-word shares and hashed words of texts.

    Args:
        series: texts, not empty.
        known: words of the reference.
        own: the texts are the reference's own, so a word counts as known only if another text has
            it too.
    """
    statistics = text_statistics(series)
    columns = [np.log1p(np.nan_to_num(statistics.pop(name))) for name in _LOGGED]
    columns += [np.nan_to_num(statistics.pop(name)) for name in _PLAIN]
    statistics.pop("empty")
    columns += [3.0 * np.sqrt(np.nan_to_num(values)) for values in statistics.values()]
    bag = words(series)
    exact = unknown_share(words(series, fold=False), known.exact_twice if own else known.exact)
    folded = unknown_share(bag, known.folded_twice if own else known.folded)
    columns += [2.0 * np.nan_to_num(exact, nan=1.0), 2.0 * np.nan_to_num(folded, nan=1.0)]
    counts = hashed(bag, _WORD_SLOTS).astype(float)
    norms = np.linalg.norm(counts, axis=1, keepdims=True)
    return np.hstack([np.column_stack(columns), 0.7 * counts / np.where(norms > 0, norms, 1.0)])


def changed(series: pl.Series, change: Change) -> pl.Series:
    """Each text changed; nulls stay."""
    values = [None if t is None else change(t) for t in series.to_list()]
    return pl.Series(series.name, values, dtype=pl.String)


def damaged_views(side: Texts) -> dict[str, Floats]:
    """Features of the reference's texts under each damage that changes enough of them."""
    views = {AS_IS: features(side.before, side.vocabulary, own=True)}
    plain = side.before
    for name, garbling in GARBLINGS.items():
        damaged = changed(plain, garbling.damage)
        if float((damaged != plain).mean() or 0.0) >= _CHANGED:  # type: ignore[arg-type]
            views[name] = features(damaged, side.vocabulary, own=True)
    return views
