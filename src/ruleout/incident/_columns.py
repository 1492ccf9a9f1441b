"""Whether the columns that an incident names are there, and what the task is if it does not say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import polars as pl

from ruleout._errors import IncidentError
from ruleout.incident._document import nearest
from ruleout.incident._model import Incident, Task

_FEW_CODES = 20
"""Up to so many distinct whole numbers are taken for classes."""

_MANY_CODES = 200
"""Up to so many, if they are consecutive and the predictions are among them."""

_SINGLE = (
    "id",
    "timestamp",
    "target",
    "prediction",
    "score",
    "weight",
    "image",
    "text",
    "embedding",
    "label_available_at",
)


def check_columns(
    incident: Incident, reference: Iterable[str] | None, current: Iterable[str] | None
) -> None:
    """Refuse a column name that neither table knows.

    A column that only one of the tables lacks is no mistake of the incident but evidence: a feature that vanished, labels that
    have not arrived.

    Args:
        incident: the incident whose `data` names columns.
        reference: the columns of the reference table, or None if there is none.
        current: the columns of the current table, or None.

    Raises:
        IncidentError: names the key, the column, and the nearest column that exists.
    """
    known = sorted({*(reference or ()), *(current or ())})
    if not known:
        return
    for key, column in _named(incident):
        if column not in known:
            raise IncidentError(
                f"{incident.file}: {key} is {column!r}; neither table has such a column; "
                f"{nearest(column, known)}"
            )


def _named(incident: Incident) -> Iterator[tuple[str, str]]:
    """(key, column) of every column that the incident names."""
    data, columns = incident.data, incident.data.columns
    for role in _SINGLE:
        column = getattr(columns, role)
        if column is not None:
            yield f"data.columns.{role}", column
    yield from (
        (f"data.columns.scores.{label}", column) for label, column in columns.scores.items()
    )
    for role in ("features", "categorical", "segments"):
        names = getattr(columns, role) or ()
        yield from ((f"data.columns.{role}[{i}]", column) for i, column in enumerate(names))
    for source, names in data.sources.items():
        yield from ((f"data.sources.{source}[{i}]", column) for i, column in enumerate(names))
    for i, edge in enumerate(data.graph):
        yield from ((f"data.graph[{i}][{j}]", column) for j, column in enumerate(edge))


def infer_task(target: pl.Series | None, prediction: pl.Series | None = None) -> Task:
    """The task that the target's values show, or the prediction's where there is no target.

    Texts and booleans are classes: two make the task binary, more multiclass. So are whole numbers of at most 20
    values, and of at most 200 consecutive values if every prediction is one of them. Other numbers are a regression. Ranking cannot be told from
    the values; declare it.

    Returns:
        The task; `none` when there are no values.
    """
    given = target if target is not None and target.null_count() < len(target) else prediction
    if given is None or given.null_count() == len(given):
        return "none"
    # Under another name: polars takes `^a$` for a pattern in some methods of a series.
    values = given.alias("x").drop_nulls().unique()
    prediction = None if prediction is None else prediction.alias("x")
    if not values.dtype.is_numeric():
        return "binary" if len(values) <= 2 else "multiclass"
    if not _whole(values) or (prediction is not None and not _whole(prediction)):
        return "regression"
    if len(values) <= 2:
        return "binary"
    if len(values) <= _FEW_CODES:
        return "multiclass"
    return "multiclass" if _coded(values, prediction) else "regression"


def _whole(values: pl.Series) -> bool:
    if not values.dtype.is_numeric():
        return True
    numbers = values.drop_nulls().cast(pl.Float64)
    return bool(((numbers == numbers.floor()) & numbers.is_finite()).all())


def _coded(values: pl.Series, prediction: pl.Series | None) -> bool:
    if prediction is None or len(values) > _MANY_CODES or not prediction.dtype.is_numeric():
        return False
    codes = values.cast(pl.Float64)
    low, high = float(codes.min()), float(codes.max())  # type: ignore[arg-type]  # whole numbers, not empty
    consecutive = high - low + 1 == len(codes)
    return consecutive and bool(
        prediction.drop_nulls().cast(pl.Float64).is_in(codes.to_list()).all()
    )
