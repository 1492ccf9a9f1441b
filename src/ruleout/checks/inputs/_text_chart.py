"""Sample texts of both windows for the report."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ruleout.profile import Case

_MOST = 5
_LONGEST = 160


def texts_chart(case: Case, name: str, rows: NDArray[np.int64]) -> dict[str, Any]:
    """A few reference texts, and as many of the current rows given."""
    return {
        "kind": "texts",
        "name": name,
        "title": f"{name}: reference and current texts",
        "reference": _some(case, "reference", name, np.arange(case.reference.rows)),
        "current": _some(case, "current", name, rows),
    }


def _some(case: Case, which: Any, name: str, rows: NDArray[np.int64]) -> list[str]:
    if not len(rows):
        return []
    chosen = rows[np.linspace(0, len(rows) - 1, min(_MOST, len(rows))).astype(int)]
    values = case.table(which).frame.get_column(name).gather(chosen).to_list()
    return ["" if v is None else str(v)[:_LONGEST] for v in values]
