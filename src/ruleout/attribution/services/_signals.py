"""Each detector's findings as signals on one scale: nats, saturated, calibrated before they are summed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from ruleout.attribution.services._behaviour import Change
from ruleout.attribution.services._flow import Flow
from ruleout.attribution.services._records import Signal

_CODE = {"change_regression": 0.7, "malformed_artifact": 0.1, "schema_change": 0.1}
_KIND_MODES: Mapping[str, Mapping[str, float]] = {
    "cpu": {"cpu_saturation": 0.8, "noisy_neighbour": 0.2},
    "memory": {"memory_leak": 1.0},
    "disk": {"storage_fault": 1.0},
    "network": {"network_fault": 0.6, "traffic_surge": 0.2},
    "traffic": {"traffic_surge": 0.7},
    "saturation": {"pool_exhaustion": 0.5, "queue_backlog": 0.4},
    "cache": {"cache_storm": 1.0},
    "accelerator": {"accelerator_memory": 1.0},
    "latency": {"slow_dependency": 0.6, "cpu_saturation": 0.2, "network_fault": 0.2},
    "error": {"change_regression": 0.6, "slow_dependency": 0.2},
    "availability": {"change_regression": 0.6, "slow_dependency": 0.2},
}
_KIND_WEIGHT = {"traffic": 0.3, "network": 0.4, "other": 0.3, "latency": 0.7}


def saturated(value: float, half: float, top: float) -> float:
    """`top` times value/(value + half): half of the top at `half`."""
    return top * value / (value + half) if value > 0 else 0.0


def from_flow(flows: Mapping[str, Flow], kind: str) -> list[Signal]:
    """Who loses most of the symptom's quantity by its own doing."""
    modes = _KIND_MODES.get(kind, _KIND_MODES["latency"])
    return [
        Signal(
            name,
            "symptom_flow",
            7.0 * flow.score,
            modes,
            f"{name} accounts for {flow.share:.0%} of the symptom's {kind}, {flow.own:.0%} of that by itself",
            flow.volume,
            flow.score,
        )
        for name, flow in sorted(flows.items())
        if flow.score > 0.01
    ]


def from_behaviour(changes: Sequence[Change]) -> list[Signal]:
    """Whose code reaches other statements than before."""
    return [
        Signal(
            one.service,
            "behaviour",
            saturated(one.score, 6.0, 6.0),
            _CODE,
            f"{one.service}: {one.statement} in {one.after:.0%} of invocations, {one.before:.0%} before",
            one.score,
            one.after - one.before,
        )
        for one in changes
        if one.score > 0.5
    ]


def from_departures(table: pl.DataFrame, kpis: Sequence[str], top: float) -> list[Signal]:
    """Whose own metrics left their range, by kind; machine-wide metrics count less."""
    signals = []
    for row in table.iter_rows(named=True):
        if row["score"] <= 0.3 or row["metric"] in kpis:
            continue
        kind = row["kind"]
        weight = _KIND_WEIGHT.get(kind, 1.0) * (0.3 if row["host"] else 1.0)
        size = row["up"] if row["sign"] > 0 else row["down"]
        signals.append(
            Signal(
                row["entity"],
                f"metric.{kind}",
                weight * saturated(float(row["score"]), 2.0, top),
                _KIND_MODES.get(kind, {}),
                f"{row['entity']} {row['metric']} went from {row['level']:.4g} to {row['now']:.4g}",
                float(np.clip(size, -1e6, 1e6)),
                float(row["score"]),
            )
        )
    return signals
