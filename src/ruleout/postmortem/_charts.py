"""What a chart is made of: the contract between those who measure and the report.

A check puts one chart into `Finding.chart`; the engine puts named charts into `Diagnosis.charts`.
Both are plain JSON (numbers, text, lists, mappings; `None` or NaN for a gap) with a `kind` from
`KINDS`. Instants are ISO 8601 text or epoch seconds. Lists that belong together have one length.
The report never fails on a chart: what does not fit its kind is shown as a small table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NotRequired, TypedDict

Instant = str | float
Numbers = list[float | None]
Format = Literal["share", "number", "count"]

PLACES: Final = (
    "metric",
    "undo",
    "waterfall",
    "slices",
    "confusion",
    "images",
    "graph",
    "series",
    "spans",
)
"""Names in `Diagnosis.charts` that have a fixed place in the report; others follow these."""


class Chart(TypedDict):
    """What every chart may carry."""

    kind: str
    title: NotRequired[str]
    """A sentence that says what the chart shows."""
    name: NotRequired[str]
    """The column, feature or entity, by the incident's own name."""
    note: NotRequired[str]
    """Small print."""


class Span(TypedDict):
    """An instant with its interval."""

    at: Instant
    low: NotRequired[Instant]
    high: NotRequired[Instant]


class ChangeMark(TypedDict):
    """A change event on a time axis."""

    at: Instant
    label: str
    id: NotRequired[str]


class MetricOverTime(Chart):
    """The metric by time block; the terminal's sparkline is drawn from it too."""

    metric: str
    times: list[Instant]
    values: Numbers
    low: NotRequired[Numbers]
    high: NotRequired[Numbers]
    reference: NotRequired[float]
    """Level in the reference window."""
    onset: NotRequired[Span]
    changes: NotRequired[list[ChangeMark]]
    windows: NotRequired[dict[str, list[Instant]]]
    """`{"reference": [start, end], "current": [start, end]}`."""


class Undo(Chart):
    """The metric in the reference, in the incident, and after each repair."""

    metric: str
    labels: list[str]
    values: Numbers
    low: NotRequired[Numbers]
    high: NotRequired[Numbers]


class Step(TypedDict):
    """One part of a change, in the metric's units, signed."""

    label: str
    value: float
    low: NotRequired[float]
    high: NotRequired[float]


class Waterfall(Chart):
    """From the reference to the current value by its parts; the rest is drawn as unexplained."""

    metric: str
    start: float
    end: float
    steps: list[Step]


class Fit(TypedDict):
    """The line `current = a + b * reference`."""

    a: float
    b: float


class Quantiles(Chart):
    """Quantiles of one column in both windows at the same probabilities."""

    probs: Numbers
    reference: Numbers
    current: Numbers
    fit: NotRequired[Fit]
    unit: NotRequired[str]


class Histogram(Chart):
    """Shares by bin: n + 1 edges, n shares a window."""

    edges: Numbers
    reference: Numbers
    current: Numbers


class Bars(Chart):
    """Paired bars: mass points, category shares, null rates by source."""

    categories: list[str]
    reference: Numbers
    current: Numbers
    format: NotRequired[Format]


class Matching(Chart):
    """Which old value became which new one: `[from, to, weight in 0..1]`."""

    pairs: list[list[str | float]]


class Confusion(Chart):
    """Counts with the truth in rows and the prediction in columns."""

    classes: list[str]
    reference: list[Numbers]
    current: list[Numbers]


class Heatmap(Chart):
    """A grid of values."""

    rows: list[str]
    columns: list[str]
    values: list[Numbers]
    format: NotRequired[Format]


class Images(Chart):
    """Small PNG or JPEG images in base64 without the `data:` prefix; at most eight a side."""

    reference: list[str]
    current: list[str]
    reference_labels: NotRequired[list[str]]
    current_labels: NotRequired[list[str]]


class Texts(Chart):
    """Sample texts; at most six a side."""

    reference: list[str]
    current: list[str]


class SliceRow(TypedDict):
    """A slice before and after; `low` and `high` bound `after - before`."""

    hit: NotRequired[bool]
    """Whether it lost clearly more than the rest; without this, slices are compared by size alone."""

    name: str
    n: int
    before: float
    after: float
    low: NotRequired[float]
    high: NotRequired[float]


class Slices(Chart):
    """The metric by slice of the traffic."""

    metric: str
    rows: list[SliceRow]


class IntervalRow(TypedDict):
    """A value with its interval."""

    label: str
    value: float
    low: NotRequired[float]
    high: NotRequired[float]


class Intervals(Chart):
    """Values with intervals against a line."""

    rows: list[IntervalRow]
    zero: NotRequired[float]
    format: NotRequired[Format]


class LineSeries(TypedDict):
    """One line."""

    name: str
    values: Numbers


class Line(Chart):
    """Lines over numbers or instants."""

    x: list[Instant]
    series: list[LineSeries]
    x_label: NotRequired[str]
    y_label: NotRequired[str]
    mark: NotRequired[Instant]
    format: NotRequired[Format]


class Scatter(Chart):
    """Points, such as logged against replayed scores; at most 500."""

    x: Numbers
    y: Numbers
    x_label: NotRequired[str]
    y_label: NotRequired[str]
    diagonal: NotRequired[bool]
    fit: NotRequired[Fit]


class Curve(TypedDict):
    """A reliability curve."""

    predicted: Numbers
    observed: Numbers
    n: NotRequired[list[int]]


class Calibration(Chart):
    """Predicted against observed rates in both windows."""

    reference: Curve
    current: Curve


class Node(TypedDict):
    """A service, host or metric, with its share of the blame."""

    id: str
    kind: NotRequired[str]
    role: NotRequired[str]
    """`root_cause`, `amplifier`, `sustaining`, `consequence` or `symptom`."""
    score: NotRequired[float]


class Graph(Chart):
    """Who calls whom: `[caller, callee]` or `[caller, callee, weight in 0..1]`."""

    nodes: list[Node]
    edges: list[list[str | float]]


class SeriesRow(TypedDict):
    """One metric of one entity."""

    entity: str
    metric: str
    values: Numbers
    onset: NotRequired[Instant]


class Series(Chart):
    """Several metrics on one time axis, one above the other."""

    times: list[Instant]
    rows: list[SeriesRow]
    mark: NotRequired[Instant]


class Work(TypedDict):
    """A piece of a request's path."""

    service: str
    operation: str
    start_ms: float
    duration_ms: float


class Spans(Chart):
    """The critical path of a typical request before and now."""

    reference: list[Work]
    current: list[Work]


class Table(Chart):
    """Anything else."""

    columns: list[str]
    rows: list[list[object]]


KINDS: Final[Mapping[str, type]] = {
    "metric_over_time": MetricOverTime,
    "undo": Undo,
    "waterfall": Waterfall,
    "quantiles": Quantiles,
    "histogram": Histogram,
    "bars": Bars,
    "matching": Matching,
    "confusion": Confusion,
    "heatmap": Heatmap,
    "images": Images,
    "texts": Texts,
    "slices": Slices,
    "intervals": Intervals,
    "line": Line,
    "scatter": Scatter,
    "calibration": Calibration,
    "graph": Graph,
    "series": Series,
    "spans": Spans,
    "table": Table,
}
