"""Labels as text, so that a target, a prediction and a model's answer can be compared.

`1`, `1.0` and `True` are one label written by three tools. Typed columns are brought to one spelling
here; text is left as it is written, because a vocabulary that changes its spelling is a fault that
the checks look for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

_TRUE = ("true", "1")
_FALSE = ("false", "0")


def label_text(
    series: pl.Series, *, like: pl.Series | None = None, numeric_bool: bool = False
) -> pl.Series:
    """The labels of a column as text; null and NaN stay null.

    Args:
        series: a column of any scalar type.
        like: the column it will be compared with. A boolean column facing numbers becomes `0`/`1`,
            and facing `True`/`False` or `TRUE`/`FALSE` it takes that spelling; otherwise it
            becomes `true`/`false`.
        numeric_bool: write booleans as `0`/`1` whatever they face.

    Returns:
        A `String` series of the same name and length: integers as `1`, floats of integer value as
        `1`, other floats in the shortest form that reads back.
    """
    dtype = series.dtype
    if dtype == pl.Boolean:
        false, true = ("0", "1") if numeric_bool else _boolean_spelling(like)
        return _by_value(series, {False: false, True: true})
    if dtype.is_float() or dtype.is_decimal():
        return _float_text(series.cast(pl.Float64))
    if dtype == pl.Binary:
        return series.cast(pl.String, strict=False)
    return series.cast(pl.String)


def common_text(*columns: pl.Series) -> tuple[pl.Series, ...]:
    """Several label columns as text in one spelling: each boolean follows the others' type."""
    partner = next((c for c in columns if c.dtype not in (pl.Boolean, pl.Null)), None)
    return tuple(label_text(column, like=partner) for column in columns)


def label_codes(labels: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Codes into `classes` of a model's answers, whatever type the model answers in.

    A label is matched by its text, then as a number (`1.0` is `1`), then as a truth value (`true`
    is `1`).

    Args:
        labels: (n,) array of text, numbers or booleans.
        classes: the class names as text.

    Returns:
        (n,) int32 codes, -1 for a label outside `classes`.
    """
    text = array_text(labels)
    seen = sorted({value for value in text if value is not None})
    table = {value: _find(value, classes) for value in seen}
    return np.array([-1 if value is None else table[value] for value in text], dtype=np.int32)


def array_text(labels: np.ndarray) -> list[str | None]:
    """A NumPy array of labels as text, None where missing."""
    if labels.dtype.kind in "OUS":
        return [_object_text(value) for value in labels.tolist()]
    return label_text(pl.Series("label", labels)).to_list()


def natural_order(classes: Sequence[str]) -> tuple[str, ...]:
    """Class names in the order in which training tools number them: by number, else by text."""
    numbers = [_number(name) for name in classes]
    if all(number is not None for number in numbers):
        return tuple(sorted(classes, key=lambda name: (_number(name) or 0.0, name)))
    return tuple(sorted(classes))


def _boolean_spelling(like: pl.Series | None) -> tuple[str, str]:
    if like is None or like.dtype == pl.Boolean:
        return "false", "true"
    if like.dtype.is_numeric():
        return "0", "1"
    seen = set(like.cast(pl.String, strict=False).drop_nulls().head(10_000).unique().to_list())
    spellings = (("False", "True"), ("FALSE", "TRUE"), ("0", "1"))
    return next((pair for pair in spellings if seen & set(pair)), ("false", "true"))


def _by_value(series: pl.Series, table: dict[bool, str]) -> pl.Series:
    return series.replace_strict(table, default=None, return_dtype=pl.String)


def _float_text(series: pl.Series) -> pl.Series:
    """Floats as text by way of their distinct values, of which labels have few."""
    values = series.to_numpy()
    distinct, inverse = np.unique(values, return_inverse=True)
    spelled = np.array([_spell(float(value)) for value in distinct], dtype=object)
    texts = spelled[inverse.reshape(-1)] if len(distinct) else spelled
    return pl.Series(series.name, texts.tolist(), dtype=pl.String)


def _spell(value: float) -> str | None:
    if np.isnan(value):
        return None
    if np.isfinite(value) and value == int(value) and abs(value) < 2**53:
        return str(int(value))
    return repr(value)


def _object_text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (float, np.floating)):
        return _spell(float(value))
    return str(value)


def _find(value: str, classes: Sequence[str]) -> int:
    if value in classes:
        return classes.index(value)
    number = _number(value)
    for code, name in enumerate(classes):
        if number is not None and number == _number(name):
            return code
    for same in (_TRUE, _FALSE):
        truth = "1" if number == 1.0 else "0" if number == 0.0 else value.strip().lower()
        for code, name in enumerate(classes):
            if truth in same and name.strip().lower() in same:
                return code
    return -1


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None
