"""How much each row counts in the metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ruleout._errors import IncidentError
from ruleout.incident import Incident
from ruleout.profile._table import Table


def row_weights(incident: Incident, tables: Mapping[Any, Table]) -> dict[Any, NDArray[np.float64]]:
    """Weights (n,) by window, with mean 1 so that a plain row counts as one; empty where none are declared.

    Raises:
        IncidentError: a row has no weight, or one that is no finite number of 0 or more, or none counts.
    """
    name = incident.data.columns.weight
    if name is None:
        return {}
    key, way = (
        f"{incident.file}: data.columns.weight",
        "give every row a weight of 0 or more, or leave the key out",
    )
    found: dict[Any, NDArray[np.float64]] = {}
    for which, table in tables.items():
        if not table.rows:
            continue
        if not table.has(name):
            raise IncidentError(f"{key} is {name!r}; data.{which} has no such column; {way}")
        series = table.frame.get_column(name)
        if not (series.dtype.is_numeric() or series.dtype.is_decimal()):
            raise IncidentError(
                f"{key} is {name!r}; it is {series.dtype} in data.{which}, not numbers; {way}"
            )
        weight = table.numeric(name)
        wrong = ~(np.isfinite(weight) & (weight >= 0))
        if wrong.any():
            value = series[int(np.argmax(wrong))]
            like = "no weight" if value is None else f"a weight like {value!r}"
            raise IncidentError(
                f"{key} is {name!r}; {int(wrong.sum())} rows of data.{which} have {like}; {way}"
            )
        if not weight.sum() > 0:
            raise IncidentError(f"{key} is {name!r}; all weights of data.{which} are 0; {way}")
        found[which] = weight / weight.mean()
    return found
