"""Columns that a service logs beside a text and that count its words, pieces or unknown words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout.checks.inputs._text_features import known_words
from ruleout.profile import Case, Which
from ruleout.profile._image import sample_rows
from ruleout.profile._text import PATTERNS, unknown_share, words
from ruleout.profile._unstructured import texts

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_ROWS = 3_000
_LEAST_FIT = 0.9
_LEAST_ROWS = 60
_KNOWN = 0.15
"""Texts with more words than this that the reference never had are left out: any tokenizer cuts them up."""

_WHOLE = 0.95
_BASIS = ("punctuation", "digit", "upper", "non_ascii", "whitespace")


class Side(NamedTuple):
    """Texts of one window with what is counted in them."""

    rows: NDArray[np.int64]
    basis: Floats
    """(n, b): ones, words, characters and kinds of characters, all as counts."""

    words: Floats


class Counter(NamedTuple):
    """A column that follows from the text in the reference, and by how much it is off now."""

    name: str
    usual: float
    """Share of reference rows beyond the tolerance, on rows that the fit did not see."""

    rows: NDArray[np.int64]
    off: Mask
    """(n,) of the current rows looked at."""

    value: Floats
    expected: Floats


def side(case: Case, which: Which, name: str) -> Side:
    """The not empty texts of a window whose words the reference knows, and their counts."""
    sample = texts(case, which, name)
    full = np.flatnonzero(sample.statistics["empty"] == 0)
    full = full[sample_rows(len(full), _ROWS)]
    bag = words(sample.texts.gather(full))
    learned = known_words(case, name)
    known = learned.folded_twice if which == "reference" else learned.folded
    strange = np.nan_to_num(unknown_share(bag, known), nan=1.0)
    usual = float(np.median(strange)) if which == "reference" and len(strange) else 0.0
    full = full[strange <= max(_KNOWN, usual)]
    counts = sample.statistics["length"][full]
    columns = [np.ones(len(full)), sample.statistics["tokens"][full], counts]
    columns += [sample.statistics[kind][full] * counts for kind in _BASIS if kind in PATTERNS]
    return Side(sample.rows[full], np.column_stack(columns), columns[1])


def beside(case: Case) -> list[str]:
    """Numeric columns that both windows have and that play no other part than an input's, if any."""
    roles = case.incident.data.columns
    taken = {
        roles.id, roles.timestamp, roles.target, roles.prediction, roles.score, roles.weight,
        roles.label_available_at, *roles.scores.values(), *roles.segments,
    }  # fmt: skip
    frame = case.reference.frame
    return [
        name
        for name in frame.columns
        if name not in taken
        and frame.schema[name].is_numeric()
        and case.current.has(name)
        and case.current.frame.schema[name].is_numeric()
    ]


def counted(case: Case) -> set[str]:
    """Inputs that only count what a text beside them holds, as they did in the reference; cached."""
    if "counted" not in case.cache:
        found = set[str]()
        for name in case.of_kind("text"):
            if case.reference.has(name) and case.current.has(name):
                sides = side(case, "reference", name), side(case, "current", name)
                found |= {counter.name for counter in counters(case, *sides)}
        case.cache["counted"] = found
    told: set[str] = case.cache["counted"]
    return told


def counters(case: Case, before: Side, now: Side) -> Iterator[Counter]:
    """The columns beside a text that follow from it in the reference."""
    if min(len(before.rows), len(now.rows)) < _LEAST_ROWS:
        return
    for name in beside(case):
        value = case.reference.numeric(name)[before.rows]
        fresh = case.current.numeric(name)[now.rows]
        if np.isfinite(value).all() and float(value.std()) > 0:
            found = _followed(name, before, now, (value, fresh))
            if found is not None:
                yield found


def _followed(name: str, before: Side, now: Side, values: tuple[Floats, Floats]) -> Counter | None:
    value, fresh = values
    learn = np.arange(len(value)) % 2 == 0
    weights = np.linalg.lstsq(before.basis[learn], value[learn], rcond=None)[0]
    said = before.basis[~learn] @ weights
    rest = np.abs(value[~learn] - said)
    spread = float(((value[~learn] - value[~learn].mean()) ** 2).sum())
    if spread <= 0 or 1.0 - float((rest**2).sum()) / spread < _LEAST_FIT:
        return None
    # Long texts are counted with larger errors.
    scale = np.sqrt(np.maximum(np.abs(before.basis[~learn] @ np.abs(weights)), 1e-9))
    limit = float(np.quantile(rest / scale, 0.99))
    expected = now.basis @ weights
    least = 0.5 if _whole(value) else 1e-9
    room = np.maximum(limit * np.sqrt(np.maximum(now.basis @ np.abs(weights), 1e-9)), least)
    off = ~(np.abs(fresh - expected) <= room)
    floor = np.maximum(limit * scale, least)
    return Counter(name, float((rest > floor).mean()), now.rows, off, fresh, expected)


def _whole(values: Floats) -> bool:
    return bool((values == np.round(values)).all())


def tallies(case: Case, before: Side, now: Side, known: list[Counter]) -> Iterator[Counter]:
    """Columns that were one constant and now count, or are a share of, the words of their texts.

    Such a column is told by its arithmetic: whole numbers that never exceed the number of tokens, or
    shares that times the number of tokens are whole.
    """
    if min(len(before.rows), len(now.rows)) < _LEAST_ROWS:
        return
    sizes = [now.words, *(c.value for c in known)]
    for name in beside(case):
        value = case.reference.numeric(name)[before.rows]
        fresh = case.current.numeric(name)[now.rows]
        usual = float(np.median(value)) if np.isfinite(value).all() else np.nan
        if usual != 0.0 or (value != usual).mean() > 0.02 or not np.isfinite(fresh).all():
            continue
        off = fresh != usual
        if off.sum() >= 20 and any(_counts_of(fresh[off], size[off]) for size in sizes):
            expected = np.zeros(len(fresh))
            yield Counter(name, float((value != usual).mean()), now.rows, off, fresh, expected)


def _counts_of(value: Floats, size: Floats) -> bool:
    """Whether values are counts among `size` tokens, or shares of them."""
    if (value < 0).any() or np.unique(value).size < 2 or float(np.std(size)) == 0:
        return False
    if _whole(value) and value.max() > 1:
        together = float(np.corrcoef(value, size)[0, 1])
        return bool((value <= size).mean() >= _WHOLE and together > 0.2)
    times = value * size
    whole = np.abs(times - np.round(times)) <= 0.01 + 1e-4 * size
    return bool(value.max() <= 1.0 and whole.mean() >= _WHOLE)
