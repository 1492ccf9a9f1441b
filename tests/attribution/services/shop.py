"""A small shop that can be broken: requests through front -> cart -> store, and front -> ads."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from ruleout.incident import Incident, SymptomSpec, TelemetrySpec, Window

START = 1_700_000_000.0
FAULT = START + 600.0
END = START + 900.0


def spans(
    rng: np.random.Generator,
    *,
    own: dict[str, float] | None = None,
    wire: dict[str, float] | None = None,
    skip: tuple[str, ...] = (),
    rate: float = 1.0,
) -> pl.DataFrame:
    """Spans of requests; from FAULT on, services lose time or leave out what they do.

    Args:
        rng: draws the noise.
        own: extra milliseconds of a service's own work.
        wire: extra milliseconds on the way into a service.
        skip: services that no longer run their inner statement.
        rate: requests a second.
    """
    rows: list[Row] = []
    for index, at in enumerate(np.arange(START, END, 1 / rate)):
        fault = Fault(own or {}, wire or {}, skip) if at >= FAULT else Fault({}, {}, ())
        _serve(rows, rng, (f"t{index}", "front", None), float(at), fault)
    table = pl.DataFrame(
        rows,
        schema=["trace_id", "span_id", "parent_span_id", "service", "name", "start", "end"],
        orient="row",
    )
    return table.select(
        "trace_id",
        "span_id",
        "parent_span_id",
        "service",
        "name",
        (pl.col("start") * 1e9).cast(pl.Int64).alias("start_ns"),
        (pl.col("end") * 1e9).cast(pl.Int64).alias("end_ns"),
    )


CALLS = {"front": ("cart", "ads"), "cart": ("store",)}
Row = tuple[str, str, str | None, str, str, float, float]


class Fault(NamedTuple):
    """What is wrong with the request at hand."""

    own: dict[str, float]
    wire: dict[str, float]
    skip: tuple[str, ...]


def _serve(
    rows: list[Row],
    rng: np.random.Generator,
    place: tuple[str, str, str | None],
    at: float,
    fault: Fault,
) -> float:
    """Append the spans of one service's work and of all it calls; when it was done."""
    trace, service, parent = place
    span = f"{trace}-{service}-{len(rows)}"
    inner: list[Row] = []
    now = at + 0.001 * rng.gamma(4, 0.5)
    if service not in fault.skip:
        inner.append((trace, f"{span}s", span, service, f"{service}.step", now, now + 0.001))
        now += 0.001
    rows.extend(inner)
    for callee in CALLS.get(service, ()):
        call = f"{span}c{callee}"
        wire = 0.001 * (0.5 + fault.wire.get(callee, 0.0))
        done = _serve(rows, rng, (trace, callee, call), now + wire, fault) + 0.0005
        rows.append((trace, call, span, service, f"call {callee}", now, done))
        now = done
    now += 0.001 * fault.own.get(service, 0.0) * rng.gamma(2, 0.5)
    rows.append((trace, span, parent, service, f"/{service}", at, now))
    return now


def incident(folder: Path, **telemetry: object) -> Incident:
    """An incident over what a test has written into `folder`."""
    symptom = telemetry.pop("symptom", SymptomSpec(noticed_at=FAULT + 60))
    return Incident(
        title="the shop is slow",
        symptom=symptom,  # type: ignore[arg-type]
        reference_window=Window(START, FAULT - 30),
        current_window=Window(FAULT, END),
        telemetry=TelemetrySpec(**telemetry),  # type: ignore[arg-type]
        folder=folder,
    )
