"""What the rest of a row says of one of its values: co-features, and labels, as comparable numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ruleout.profile import Case, spread_rows

Floats = NDArray[np.float64]

ROWS = 20_000
_TOP = 12
_LABEL = "the label"
_MOST_COLUMNS = 400


@dataclass(frozen=True, slots=True)
class Context:
    """Both windows' rows as standardised numbers, on one scale learned on the reference."""

    before: Floats
    """(n, M) reference rows."""

    after: Floats
    """(m, M) current rows."""

    owner: NDArray[np.int64]
    """(M,) which input a column belongs to (position in `names`); the label is the last."""

    names: tuple[str, ...]
    rows_before: NDArray[np.int64]
    rows_after: NDArray[np.int64]
    """Row numbers in the samples."""

    spread: Floats
    """(M,) variance of each column of `before`."""

    def without(self, *names: str, label: bool = False) -> NDArray[np.bool_]:
        """Columns (M,) that belong to none of `names`; the label's only with `label`."""
        drop = {self.names.index(n) for n in names if n in self.names}
        if not label:
            drop.add(self.names.index(_LABEL))
        return ~np.isin(self.owner, list(drop))

    def of(self, name: str) -> NDArray[np.bool_]:
        """Columns of one input."""
        return np.asarray(self.owner == self.names.index(name))

    @property
    def label(self) -> NDArray[np.bool_]:
        """The label's columns."""
        return self.of(_LABEL)


def context(case: Case) -> Context:
    """Rows as numbers: ranks for numbers, indicators for frequent categories, and the label (cached)."""
    if "context" not in case.cache:
        case.cache["context"] = _build(case)
    made: Context = case.cache["context"]
    return made


def _build(case: Case) -> Context:
    rows = [spread_rows(case.table(w).rows, ROWS) for w in ("reference", "current")]
    blocks: list[tuple[Floats, Floats]] = []
    owner: list[int] = []
    names: list[str] = []
    for name in case.features:
        block = _input(case, name, rows[0], rows[1]) if len(owner) < _MOST_COLUMNS else None
        if block is not None:
            blocks.append(block)
            owner.extend([len(names)] * block[0].shape[1])
            names.append(name)
    label = _labels(case, rows[0], rows[1])
    blocks.append(label)
    owner.extend([len(names)] * label[0].shape[1])
    names.append(_LABEL)
    # In column order: who uses a context picks columns from it.
    before, after = (np.concatenate([b[i].T for b in blocks]).T for i in (0, 1))
    return Context(
        before,
        after,
        np.array(owner, dtype=np.int64),
        tuple(names),
        rows[0],
        rows[1],
        before.var(axis=0),
    )


def _input(
    case: Case, name: str, before: NDArray[np.int64], after: NDArray[np.int64]
) -> tuple[Floats, Floats] | None:
    if not (case.reference.has(name) and case.current.has(name)):
        return None
    if case.kind(name) == "categorical":
        if len(case.vocabulary(name)) > 5_000:
            return None
        return indicators(case.codes("reference", name)[before], case.codes("current", name)[after])
    if case.kind(name) in ("numeric", "datetime"):
        a, b = case.reference.numeric(name)[before], case.current.numeric(name)[after]
        return ranks(a, b)
    return None


def indicators(before: NDArray[np.int32], after: NDArray[np.int32]) -> tuple[Floats, Floats]:
    """Standardised indicators of the reference's most frequent categories, for both windows."""
    known = before[before >= 0]
    counts = np.bincount(known) if len(known) else np.zeros(1, dtype=int)
    top = np.argsort(-counts, kind="stable")[:_TOP]
    top = top[
        (counts[top] > 0.005 * max(len(before), 1)) & (counts[top] < 0.995 * max(len(before), 1))
    ]
    both = [(c[:, None] == top).astype(float) for c in (before, after)]
    mean, scale = both[0].mean(axis=0), both[0].std(axis=0)
    return ((both[0] - mean) / np.maximum(scale, 1e-9), (both[1] - mean) / np.maximum(scale, 1e-9))


_COLLAPSED = 0.3


def ranks(before: Floats, after: Floats) -> tuple[Floats, Floats]:
    """Ranks standardised on the reference (n, 1), missing at 0.

    Where the reference's scale says nothing of the current values (all beyond one end: another
    unit), they are ranked among themselves.
    """
    known = np.sort(before[np.isfinite(before)])
    own = _rank(before)
    if len(known) < 2 or not own.any():
        return own, _rank(after)
    order = np.argsort(after)  # a search for sorted values stays where it is
    sides = (np.searchsorted(known, after[order], side) for side in ("left", "right"))
    place = np.empty(len(after))
    place[order] = 0.5 * sum(sides) / len(known)
    placed = np.where(np.isfinite(after), (place - 0.5) * np.sqrt(12), 0.0)[:, None]
    ends = float(((place <= 0) | (place >= 1)).mean())
    return own, (_rank(after) if ends > 0.5 or placed.std() < _COLLAPSED * own.std() else placed)


def _rank(values: Floats) -> Floats:
    known = np.isfinite(values)
    out = np.zeros((len(values), 1))
    if known.sum() < 2:
        return out
    points, inverse, counts = np.unique(values[known], return_inverse=True, return_counts=True)
    if len(points) < 2:
        return out
    middle = np.cumsum(counts) - 0.5 * counts
    out[known, 0] = (middle[inverse] / known.sum() - 0.5) * np.sqrt(12)
    return out


def _labels(
    case: Case, before: NDArray[np.int64], after: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    truths = case.truth("reference")[before], case.truth("current")[after]
    if not (case.labelled("reference") and case.labelled("current")):
        return np.zeros((len(before), 1)), np.zeros((len(after), 1))
    if truths[0].dtype.kind == "f":
        return ranks(truths[0].astype(float), truths[1].astype(float))
    made = indicators(truths[0].astype(np.int32), truths[1].astype(np.int32))
    return made if made[0].shape[1] else (np.zeros((len(before), 1)), np.zeros((len(after), 1)))
