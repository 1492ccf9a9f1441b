"""The charts of the page, one for each question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ruleout.bench._score import Result
from ruleout.bench.publish import _figures as figures
from ruleout.postmortem.draw import svg

_POINTS = 120


def intervals(
    title: str, groups: Mapping[str, Sequence[Result]], measure: Callable[[Result], bool]
) -> str:
    """Shares of groups with intervals."""
    rows = []
    for name, results in groups.items():
        told = figures.share(results, measure)
        rows.append(
            {"label": f"{name} ({told.n})", "value": told.value, "low": told.low, "high": told.high}
        )
    return svg(
        {"kind": "intervals", "title": title, "rows": rows[:24], "zero": 1.0, "format": "share"}
    )


def reliability(results: Sequence[Result]) -> str:
    """What was said against what came true."""
    bins = figures.reliability(results)
    said = [b.said for b in bins]
    return svg(
        {
            "kind": "line",
            "title": "Said and seen: how often answers of a probability are right",
            "x": said,
            "series": [
                {"name": "right", "values": [b.seen for b in bins]},
                {"name": "as said", "values": said},
            ],
            "x_label": "probability of the first answer",
            "format": "share",
        }
    )


def risk(results: Sequence[Result]) -> str:
    """Share wrong among the surest answers."""
    at, wrong = figures.covered(results)
    step = np.unique(np.linspace(0, len(at) - 1, _POINTS).round().astype(int))
    return svg(
        {
            "kind": "line",
            "title": "Share wrong if only the surest answers are given",
            "x": at[step].tolist(),
            "series": [{"name": "wrong", "values": wrong[step].tolist()}],
            "x_label": "share of incidents that are answered",
            "mark": 0.9,
            "format": "share",
        }
    )


def bars(title: str, rows: Sequence[tuple[str, float]]) -> str:
    """Plain values as points without intervals."""
    listed: list[dict[str, Any]] = [{"label": name, "value": value} for name, value in rows]
    return svg(
        {"kind": "intervals", "title": title, "rows": listed, "zero": 0.0, "format": "share"}
    )
