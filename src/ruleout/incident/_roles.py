"""Guessing which column is what, from names, types and values; every guess says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import polars as pl

from ruleout.incident._agreement import agreement
from ruleout.incident._columns import infer_task
from ruleout.incident._facts import Facts, facts

_FEW = 200
"""A column of classes has at most so many values."""

_TIME = {"timestamp", "ts", "time", "datetime", "date", "created", "event", "at", "when", "epoch"}
_LABEL_TIME = {"label", "available", "matured", "final", "settled", "closed"}
_KEY = {"id", "uuid", "guid", "key", "uid"}
_TARGET = {"target", "label", "truth", "actual", "y", "outcome", "gt", "observed", "true"}
_PREDICTION = {
    "prediction",
    "predicted",
    "pred",
    "yhat",
    "hat",
    "decision",
    "preds",
    "output",
    "flagged",
}
_SCORE = {"score", "probability", "prob", "proba", "p", "likelihood", "risk"}
_SEGMENT = {
    "host", "pod", "node", "replica", "server", "shard", "cluster", "zone", "datacenter", "version", "tenant",
}  # fmt: skip
"""What serves, not what is served: a segment is no feature unless `features` lists it."""


@dataclass(frozen=True, slots=True)
class Guess:
    """A role, what was guessed for it, and why."""

    role: str
    value: Any
    """A column, a tuple of columns, `{class: column}` for scores, or a value for `positive`."""

    why: str


class _Choice(NamedTuple):
    column: str
    why: str


class _Board:
    """What is known so far: all columns, those without a role, and the guesses."""

    def __init__(self, table: dict[str, Facts]) -> None:
        self.table = table
        self.free = dict(table)
        self.guesses: list[Guess] = []

    def chosen(self, role: str) -> Facts | None:
        """The column that was guessed for a role."""
        name = next((guess.value for guess in self.guesses if guess.role == role), None)
        return self.table[name] if isinstance(name, str) else None

    def of_kind(self, *kinds: str) -> list[Facts]:
        """Columns without a role, of these kinds."""
        return [column for column in self.free.values() if column.kind in kinds]


def guess_roles(reference: pl.DataFrame, current: pl.DataFrame) -> tuple[Guess, ...]:
    """What the columns of two tables are.

    A role is guessed only where name and content agree, or where the content leaves no doubt; what is not guessed
    stays a feature. The target beside a named prediction is found by their agreement, the classes' probabilities by their
    sum, the positive class by the score.

    Args:
        reference: rows (a sample will do) from when all was well.
        current: rows from when it was not.

    Returns:
        At most one guess a role.
    """
    names = dict.fromkeys([*reference.columns, *current.columns])
    board = _Board({n: facts(n, _column(reference, n), _column(current, n)) for n in names})
    for role, guess in _GUESSERS:
        found = guess(board)
        if found is not None:
            board.guesses.append(Guess(role, found.column, found.why))
            board.free.pop(found.column)
    for group in (_scores, _positive, _segments):
        found_group = group(board)
        if found_group is not None:
            board.guesses.append(found_group)
    return tuple(board.guesses)


def _column(frame: pl.DataFrame, name: str) -> pl.Series:
    return frame[name] if name in frame.columns else pl.Series(name, [], dtype=pl.Null)


def _first_of_kind(kind: str, told: str) -> Callable[[_Board], _Choice | None]:
    def guess(board: _Board) -> _Choice | None:
        found = board.of_kind(kind)
        return _Choice(found[0].name, told) if found else None

    return guess


def _label_time(board: _Board) -> _Choice | None:
    for column in board.of_kind("time"):
        words = sorted(column.words & _LABEL_TIME)
        if len(words) >= 2:
            return _Choice(column.name, f"times, and its name says {' and '.join(words)}")
    return None


def _timestamp(board: _Board) -> _Choice | None:
    """Times that part the two tables, then times by name, then the only times."""
    times = [*board.of_kind("time"), *filter(_epochs, board.of_kind("whole"))]
    if not times:
        return None
    best = max(times, key=lambda c: (_parts_windows(c), len(c.words & _TIME), c.distinct))
    if _parts_windows(best):
        return _Choice(best.name, "times, and the current table's come after the reference's")
    if best.words & _TIME:
        return _Choice(best.name, f"times, and its name says {min(best.words & _TIME)}")
    return _Choice(best.name, "the only column of times") if len(times) == 1 else None


def _parts_windows(column: Facts) -> bool:
    before, after = column.reference.drop_nulls(), column.current.drop_nulls()
    if not len(before) or not len(after) or before.dtype != after.dtype:
        return False
    return bool(before.max() <= after.min())  # type: ignore[operator]  # both are of one ordered type


def _epochs(column: Facts) -> bool:
    """Whole numbers that are epochs of this century, and a name that says time."""
    if not column.words & {"timestamp", "ts", "time", "epoch"}:
        return False
    middle = column.reference.cast(pl.Float64).median()
    return isinstance(middle, float) and any(9e8 < middle / t < 5e9 for t in (1, 1e3, 1e6, 1e9))


def _key(board: _Board) -> _Choice | None:
    for column in board.of_kind("whole", "category"):
        if column.words & _KEY and column.unique:
            return _Choice(column.name, "every value occurs once, and its name says so")
    return None


def _prediction(board: _Board) -> _Choice | None:
    """A column that is called a prediction, unless it holds the probabilities of a two-valued target."""
    binary = any(c.words & _TARGET and c.distinct <= 2 for c in board.free.values())
    for column in board.of_kind("flag", "category", "whole", "number"):
        if not column.words & _PREDICTION or column.words & _SCORE:
            continue
        if not (binary and column.unit and column.distinct > 2):
            return _Choice(column.name, "its name says so")
    return None


def _target(board: _Board) -> _Choice | None:
    """The column whose name says so, and that the prediction agrees with; without such a name, the best agreement."""
    columns = board.of_kind("flag", "category", "whole", "number")
    possible = [c for c in columns if not c.words & (_SCORE | _PREDICTION)]
    named = [c for c in possible if c.words & _TARGET]
    prediction = board.chosen("prediction")
    if prediction is None:
        return _Choice(named[0].name, "its name says so") if named else None
    agreements = {c.name: agreement(c.reference, prediction.reference) for c in possible}
    for column in named:
        if agreements[column.name] > 0.0:
            return _Choice(column.name, f"its name says so, and {prediction.name!r} agrees with it")
    best = max(agreements, key=lambda name: agreements[name], default=None)
    if best is None or agreements[best] < 0.3:
        return None
    return _Choice(
        best, f"{prediction.name!r} agrees with it best ({agreements[best]:.2f} beyond chance)"
    )


def _score(board: _Board) -> _Choice | None:
    """A column of probabilities by name; where there are several, they are the classes'."""
    unit = [c for c in board.of_kind("number", "whole") if c.unit and c.distinct > 2]
    named = [c for c in unit if c.words & (_SCORE | _PREDICTION)]
    return (
        _Choice(named[0].name, "numbers in [0, 1], and its name says so")
        if len(named) == 1
        else None
    )


_GUESSERS: tuple[tuple[str, Callable[[_Board], _Choice | None]], ...] = (
    ("label_available_at", _label_time),
    ("timestamp", _timestamp),
    ("id", _key),
    ("image", _first_of_kind("image", "bytes that begin as an image file does")),
    ("text", _first_of_kind("text", "sentences")),
    ("embedding", _first_of_kind("embedding", "lists of numbers, all of one length")),
    ("prediction", _prediction),
    ("score", _score),
    ("target", _target),
)


def _scores(board: _Board) -> Guess | None:
    """Probabilities of the classes: one beginning of their names, and a sum of one."""
    target = board.chosen("target")
    if target is None or board.chosen("score") is not None:
        return None
    unit = [column for column in board.of_kind("number", "whole") if column.unit]
    prefix = _common_prefix([column.name for column in unit])
    group = [column for column in unit if prefix and column.name.startswith(prefix)]
    by_class = {column.name[len(prefix) :]: column.name for column in group}
    classes = set(target.reference.drop_nulls().cast(pl.String).unique())
    if len(group) < 2 or not classes <= set(by_class) or not _sum_to_one(group):
        return None
    for column in group:
        board.free.pop(column.name)
    return Guess("scores", by_class, f"numbers in [0, 1] that sum to 1, called {prefix}CLASS")


def _sum_to_one(group: list[Facts]) -> bool:
    columns = {str(i): column.reference.cast(pl.Float64) for i, column in enumerate(group)}
    sums = pl.DataFrame(columns).sum_horizontal()
    return bool(((sums - 1.0).abs() <= 0.02).all())


def _common_prefix(names: list[str]) -> str:
    """The beginning, up to an underscore or the like, that most names share."""
    starts = [name[: i + 1] for name in names for i, sign in enumerate(name) if sign in "_-. :/"]
    return max(set(starts), key=lambda start: (starts.count(start), len(start), start), default="")


def _positive(board: _Board) -> Guess | None:
    """The value of a two-valued target whose score is higher."""
    target, score = board.chosen("target"), board.chosen("score")
    if target is None or score is None:
        return None
    frame = pl.DataFrame({"y": target.reference, "p": score.reference}).drop_nulls()
    if infer_task(frame["y"]) != "binary" or frame["y"].n_unique() != 2:
        return None
    means = frame.group_by("y").agg(pl.col("p").mean()).sort("p", "y")
    low, high = means["p"].to_list()
    return Guess(
        "positive", means["y"][1], f"{score.name!r} is higher there ({high:.3g} against {low:.3g})"
    )


def _segments(board: _Board) -> Guess | None:
    found = [
        c
        for c in board.of_kind("category", "whole")
        if c.words & _SEGMENT and 2 <= c.distinct <= 50
    ]
    if not found:
        return None
    return Guess(
        "segments",
        tuple(c.name for c in found),
        "few values, and names of machines or versions",
    )
