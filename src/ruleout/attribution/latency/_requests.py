"""Logged rows beside their traces: what each request took, by operation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.attribution.services._calls import Calls, roots_of
from ruleout.profile import Case, Which

Floats = NDArray[np.float64]
_LEAST = 50
_LEAST_SHARE = 0.3
"""Share of a window's rows whose trace must be there: traces are often sampled."""


class Operation(NamedTuple):
    """One operation of one service."""

    service: str
    name: str


class Requests(NamedTuple):
    """The requests of one window that are both logged and traced."""

    rows: NDArray[np.int64]
    """(n,) rows of the window's table."""

    start: Floats
    """(n,) epoch seconds."""

    total: Floats
    """(n,) milliseconds from the root span's start to its end."""

    own: dict[Operation, Floats]
    """(n,) milliseconds of each operation that no operation below it covers; 0 where it was not reached."""


def requests(case: Case, tree: Calls) -> tuple[Requests, Requests] | None:
    """The logged and traced requests of reference and current; None where rows do not name their traces."""
    traces = tree.frame["trace"]
    known = traces.unique()
    for name in _named(case):
        rows = {
            which: case.table(which).frame.get_column(name).cast(pl.String)
            for which in ("reference", "current")
        }
        if all(
            (found := values.is_in(known.implode()).fill_null(value=False)).sum() >= _LEAST
            and float(found.mean() or 0.0) >= _LEAST_SHARE  # type: ignore[arg-type]
            for values in rows.values()
        ):
            operations = _operations(tree)
            return (
                _joined(operations, rows["reference"]),
                _joined(operations, rows["current"]),
            )
    return None


def _named(case: Case) -> list[str]:
    """Columns that may name a trace: the rows' id first, then whatever holds strings."""
    schema = case.reference.frame.schema
    first = case.incident.data.columns.id
    strings = [name for name, kind in schema.items() if kind == pl.String and name != first]
    names = [first, *strings] if first is not None and first in schema else strings
    return [name for name in names if case.current.has(name)]


def _operations(tree: Calls) -> pl.DataFrame:
    """Own milliseconds by trace and operation, and the whole length of each trace's root."""
    root = roots_of(tree.parent)
    return pl.DataFrame(
        {
            "trace": tree.frame["trace"],
            "service": tree.frame["service"],
            "name": tree.frame["name"],
            "own": tree.own,
            "start": tree.time,
            "total": np.where(root == np.arange(len(root)), tree.duration, 0.0),
        }
    )


def _joined(operations: pl.DataFrame, traces: pl.Series) -> Requests:
    wanted = pl.DataFrame({"trace": traces}).with_row_index("row").unique("trace", keep="first")
    table = operations.join(wanted, on="trace")
    whole = table.group_by("row").agg(pl.col("start").min(), pl.col("total").max()).sort("row")
    rows = whole["row"].to_numpy().astype(np.int64)
    own = {}
    parts = table.group_by("service", "name", "row").agg(pl.col("own").sum()).sort("row")
    for (service, name), part in parts.group_by("service", "name"):
        spent = np.zeros(len(rows))
        spent[np.searchsorted(rows, part["row"].to_numpy())] = part["own"].to_numpy()
        own[Operation(str(service), str(name))] = spent
    return Requests(
        rows, whole["start"].to_numpy(), whole["total"].to_numpy(), dict(sorted(own.items()))
    )


def logged(case: Case, which: Which, found: Requests, name: str) -> Floats:
    """A numeric column (n,) of the requests' rows."""
    return case.table(which).numeric(name)[found.rows]
