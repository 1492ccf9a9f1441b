"""Sample images of both windows for the report."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ruleout.profile import Case
from ruleout.profile._image import shrink
from ruleout.profile._pixels import decode, encode_png

_MOST = 6
_SIDE = 72


def images_chart(case: Case, name: str, rows: NDArray[np.int64]) -> dict[str, Any]:
    """Up to six reference images, and as many of the current rows given, of the same classes."""
    chosen = _spread(rows, _MOST)
    labels = _labels(case, "current", chosen)
    twins = _twins(case, chosen)
    chart: dict[str, Any] = {
        "kind": "images",
        "name": name,
        "title": f"{name}: reference and current images",
        "reference": _pictures(case, "reference", name, twins),
        "current": _pictures(case, "current", name, chosen),
    }
    if any(labels):
        chart["current_labels"] = labels
        chart["reference_labels"] = _labels(case, "reference", twins)
    return chart


def _spread(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    if len(rows) <= most:
        return rows
    return np.asarray(rows[np.linspace(0, len(rows) - 1, most).astype(int)])


def _twins(case: Case, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """A reference row of the same class for each chosen current row, where classes are known."""
    old, new = case.truth("reference"), case.truth("current")
    rows = np.linspace(0, case.reference.rows - 1, max(len(chosen), 1)).astype(np.int64)
    if old.dtype.kind == "f":
        return rows[: len(chosen)]
    out = rows[: len(chosen)].copy()
    for i, row in enumerate(chosen):
        same = np.flatnonzero(old == new[row])
        if new[row] >= 0 and len(same):
            out[i] = same[(i * 7919) % len(same)]
    return out


def _labels(case: Case, which: Any, rows: NDArray[np.int64]) -> list[str]:
    truth = case.truth(which)
    if truth.dtype.kind == "f" or not case.classes:
        return [""] * len(rows)
    return [case.classes[int(truth[r])] if truth[r] >= 0 else "" for r in rows]


def _pictures(case: Case, which: Any, name: str, rows: NDArray[np.int64]) -> list[str]:
    series = case.table(which).frame.get_column(name)
    out = []
    for row in rows:
        picture = decode(series[int(row)])
        if picture is None:
            pixels = np.full((_SIDE, _SIDE, 3), 230, np.uint8)
            pixels[np.arange(_SIDE), np.arange(_SIDE)] = 90
        else:
            pixels = np.clip(shrink(picture.pixels[None], _SIDE)[0] + 0.5, 0, 255).astype(np.uint8)
        out.append(base64.b64encode(encode_png(pixels)).decode())
    return out
