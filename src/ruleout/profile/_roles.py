"""What the columns of two windows mean: kinds of inputs, classes, labels and answers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._errors import IncidentError
from ruleout.incident import Columns, Incident
from ruleout.incident._document import nearest
from ruleout.profile._case import Kind
from ruleout.profile._generation import LOGGED, generation_columns
from ruleout.profile._outputs import Outputs
from ruleout.profile._predictor import decision_threshold
from ruleout.sources import epoch_seconds
from ruleout.sources._labels import label_text

Codes = NDArray[np.int32]
_DATE_SHARE = 0.98
_POSITIVE_WORDS = ("1", "true", "yes", "y", "positive", "pos")


def input_kinds(
    columns: Columns, reference: pl.DataFrame, current: pl.DataFrame
) -> dict[str, Kind]:
    """Kind of each input column, in the order of the tables."""
    named = {
        columns.id,
        columns.timestamp,
        columns.target,
        columns.prediction,
        columns.score,
        columns.weight,
        columns.label_available_at,
        *columns.scores.values(),
    }
    every = list(dict.fromkeys([*reference.columns, *current.columns]))
    declared = columns.features
    special = [c for c in (columns.image, columns.text, columns.embedding) if c]
    inputs = (
        [n for n in every if n not in named and n not in columns.segments]
        if declared is None
        else [n for n in dict.fromkeys([*declared, *special]) if n in every]
    )
    logged = generation_columns([n for n in inputs if n not in special])
    outcomes = {n for role, found in logged.items() if role in LOGGED for n in found}
    kinds: dict[str, Kind] = {}
    for name in inputs:
        if name in outcomes:
            continue
        series = (reference if name in reference.columns else current).get_column(name)
        kind = _kind(name, series, columns)
        if kind is not None:
            kinds[name] = kind
    return kinds


def _kind(  # noqa: PLR0911 - one line a kind
    name: str, series: pl.Series, columns: Columns
) -> Kind | None:
    """Kind of one column; None for types that no check understands."""
    roles: Mapping[str | None, Kind] = {
        columns.image: "image",
        columns.text: "text",
        columns.embedding: "embedding",
    }
    if name in roles:
        return roles[name]
    if columns.categorical is not None and name in columns.categorical:
        return "categorical"
    dtype = series.dtype
    if dtype in (pl.Datetime, pl.Date):
        return "datetime"
    if dtype.is_numeric() or dtype in (pl.Time, pl.Duration):
        return "numeric"
    if dtype == pl.String and _looks_like_dates(series):
        return "datetime"
    if dtype in (pl.String, pl.Boolean, pl.Categorical, pl.Enum):
        return "categorical"
    return "numeric" if dtype == pl.Null else None


def _looks_like_dates(series: pl.Series) -> bool:
    head = series.drop_nulls().head(200)
    if not len(head) or not head.str.contains(r"^\d{4}-\d{2}-\d{2}").all():
        return False
    return int(epoch_seconds(head).is_not_null().sum()) >= _DATE_SHARE * len(head)


def class_names(
    incident: Incident, reference: pl.DataFrame, current: pl.DataFrame
) -> tuple[str, ...]:
    """Class names as text: (negative, positive) for binary, all of them for multiclass, none for numbers.

    A ranking's labels are read as irrelevant or relevant.
    """
    columns = incident.data.columns
    if incident.task == "ranking":
        return ("0", "1")
    if incident.task not in ("binary", "multiclass"):
        return ()
    present = [
        columns.target,
        *([] if _prediction_is_score(columns, reference) else [columns.prediction]),
    ]
    names = labels_seen(reference, present) | labels_seen(current, present) | set(columns.scores)
    if incident.task == "multiclass":
        return tuple(sorted(names, key=_natural))
    positive = _positive(incident, names)
    others = sorted(labels_seen(reference, present) - {positive}, key=_natural) or sorted(
        names - {positive}
    )
    return (others[0] if others else f"not {positive}", positive)


def _natural(name: str) -> tuple[int, float, str]:
    """Numbers in order of size, before words."""
    try:
        return (0, float(name), name)
    except ValueError:
        return (1, 0.0, name)


def labels_seen(frame: pl.DataFrame, names: list[str | None]) -> set[str]:
    """Distinct labels, as text, in the named columns of a frame."""
    seen: set[str] = set()
    numeric = _any_numeric(frame, names)
    for name in names:
        if name is not None and name in frame.columns:
            text = label_text(frame.get_column(name), numeric_bool=numeric)
            seen |= set(text.drop_nulls().unique().to_list())
    return seen


def _any_numeric(frame: pl.DataFrame, names: list[str | None]) -> bool:
    return any(n in frame.columns and frame.schema[n].is_numeric() for n in names if n is not None)


def _positive(incident: Incident, names: set[str]) -> str:
    columns = incident.data.columns
    if columns.positive is not None:
        wanted = label_text(pl.Series([columns.positive])).item()
        if wanted in names or not names:
            return str(wanted)
        swapped = {"true": "1", "false": "0", "1": "true", "0": "false"}.get(str(wanted).lower())
        if swapped in names:
            return str(swapped)
        if names:
            raise IncidentError(
                f"{incident.file}: data.columns.positive is {columns.positive!r}, which is no value of "
                f"{columns.target!r}; {nearest(str(wanted), names)}"
            )
    for word in _POSITIVE_WORDS:
        for name in sorted(names):
            if name.lower() == word:
                return name
    return max(names, key=_natural) if names else "1"


def _prediction_is_score(columns: Columns, frame: pl.DataFrame) -> bool:
    """Whether the prediction column holds probabilities rather than decisions."""
    name = columns.prediction
    if name is None or name not in frame.columns or not frame.schema[name].is_float():
        return False
    values = frame.get_column(name).drop_nulls().drop_nans()
    return (
        len(values) > 0
        and bool(((values > 0) & (values < 1)).any())
        and bool(values.is_between(0, 1).all())
    )


def class_codes(
    frame: pl.DataFrame, name: str | None, classes: tuple[str, ...], *, numeric: bool
) -> Codes:
    """Codes (n,) of a label column; -1 where missing or of no known class."""
    if name is None or name not in frame.columns:
        return np.full(frame.height, -1, dtype=np.int32)
    text = label_text(frame.get_column(name), numeric_bool=numeric)
    mapped = text.replace_strict(
        list(classes), list(range(len(classes))), default=-1, return_dtype=pl.Int32
    )
    return np.asarray(mapped.fill_null(-1).to_numpy())


def truths(
    incident: Incident, frame: pl.DataFrame, classes: tuple[str, ...]
) -> NDArray[np.generic]:
    """Labels (n,) of one window: class codes, or numbers with NaN where unknown."""
    columns = incident.data.columns
    if incident.task in ("binary", "multiclass"):
        numeric = "1" in classes or "0" in classes
        return class_codes(frame, columns.target, classes, numeric=numeric)
    if incident.task == "ranking":
        values = _numbers(frame, columns.target)
        return np.where(np.isnan(values), -1, (values > 0).astype(int)).astype(np.int32)
    return _numbers(frame, columns.target)


def _numbers(frame: pl.DataFrame, name: str | None) -> NDArray[np.float64]:
    if name is None or name not in frame.columns:
        return np.full(frame.height, np.nan)
    series = frame.get_column(name)
    if series.dtype in (pl.Categorical, pl.Enum):
        series = series.cast(pl.String)
    values = np.asarray(series.cast(pl.Float64, strict=False).to_numpy(), dtype=float)
    return np.where(np.isfinite(values), values, np.nan)


def served(
    incident: Incident, frame: pl.DataFrame, classes: tuple[str, ...], threshold: float | None
) -> Outputs:
    """Logged answers of one window."""
    columns = incident.data.columns
    if incident.task in ("regression", "none"):
        name = columns.prediction or columns.score
        return Outputs(_numbers(frame, name))
    if incident.task == "multiclass":
        return _served_classes(columns, frame, classes)
    as_score = _prediction_is_score(columns, frame)
    score_name = columns.score or (columns.prediction if as_score else None)
    score = _numbers(frame, score_name) if score_name and score_name in frame.columns else None
    if columns.prediction in frame.columns and not as_score and incident.task == "binary":
        numeric = "1" in classes or "0" in classes
        decision = class_codes(frame, columns.prediction, classes, numeric=numeric)
    elif score is not None:
        cut = 0.5 if threshold is None else threshold
        decision = np.where(np.isnan(score), -1, (score >= cut).astype(int)).astype(np.int32)
    else:
        decision = np.full(frame.height, -1, dtype=np.int32)
    if incident.task == "ranking" and score is None:
        score = _numbers(frame, columns.prediction)
    return Outputs(decision, score)


def _served_classes(columns: Columns, frame: pl.DataFrame, classes: tuple[str, ...]) -> Outputs:
    scores = None
    if columns.scores and all(c in frame.columns for c in columns.scores.values()):
        scores = np.zeros((frame.height, len(classes)))
        for name, column in columns.scores.items():
            scores[:, classes.index(name)] = _numbers(frame, column)
    numeric = "1" in classes or "0" in classes
    decision = class_codes(frame, columns.prediction, classes, numeric=numeric)
    if columns.prediction not in frame.columns and scores is not None:
        unknown = np.isnan(scores).any(axis=1)
        decision = np.where(unknown, -1, np.nan_to_num(scores).argmax(axis=1)).astype(np.int32)
    return Outputs(decision, None, scores)


def threshold_in_force(outputs: Outputs) -> float | None:
    """The cut of the score that gives the logged decisions; None without both."""
    if outputs.score is None:
        return None
    known = np.isfinite(outputs.score) & (outputs.decision != -1)
    if known.sum() < 30:
        return None
    return decision_threshold(outputs.score[known], outputs.decision[known])
