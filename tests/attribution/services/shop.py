"""A small shop that can be broken: requests through front -> cart -> store, and front -> ads."""

from __future__ import annotations

from pathlib import Path

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
        own: extra milliseconds of a service's own work.
        wire: extra milliseconds on the way into a service.
        skip: services that no longer run their inner statement.
        rate: requests a second.
    """
    rows: list[tuple[str, str, str | None, str, str, float, float]] = []
    for index, at in enumerate(np.arange(START, END, 1 / rate)):
        broken = at >= FAULT
        extra, late = (own or {}, wire or {}) if broken else ({}, {})
        gone = skip if broken else ()
        _serve(rows, rng, f"t{index}", "front", at, None, extra, late, gone)
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


def _serve(rows, rng, trace, service, at, parent, extra, late, gone):  # type: ignore[no-untyped-def]
    span = f"{trace}-{len(rows)}"
    place = len(rows)
    rows.append(None)
    now = at + 0.001 * rng.gamma(4, 0.5)
    if service not in gone:
        rows.append((trace, f"{span}s", span, service, f"{service}.step", now, now + 0.001))
        now += 0.001
    for callee in CALLS.get(service, ()):
        call = f"{span}c{callee}"
        slot = len(rows)
        rows.append(None)
        wire = 0.001 * (0.5 + late.get(callee, 0.0))
        done = _serve(rows, rng, trace, callee, now + wire, call, extra, late, gone)
        rows[slot] = (trace, call, span, service, f"call {callee}", now, done + 0.0005)
        now = done + 0.0005
    now += 0.001 * extra.get(service, 0.0) * rng.gamma(2, 0.5)
    rows[place] = (trace, span, parent, service, f"/{service}", at, now)
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
