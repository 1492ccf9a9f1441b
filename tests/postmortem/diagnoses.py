"""Lifelike diagnoses that the writers are tried on."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from ruleout._records import (
    AlignedChange,
    Diagnosis,
    Evidence,
    Explained,
    Hypothesis,
    IncidentRef,
    NextEvidence,
    NotChecked,
    Onset,
    Remedy,
    RuledOut,
    Run,
    SafeguardGap,
    SourceStatus,
    Subject,
    Symptom,
)

ONSET = Onset("2026-11-18T03:00:00Z", "2026-11-18T02:00:00Z", "2026-11-18T05:00:00Z")
NOBODY = Subject()


def png(red: int, green: int, blue: int, side: int = 24) -> str:
    """A small picture: a disc of one colour on grey, in base64."""
    rows = bytearray()
    for y in range(side):
        rows.append(0)
        for x in range(side):
            inside = math.hypot(x - side / 2, y - side / 2) < side / 3
            rows += bytes((red, green, blue) if inside else (225, 225, 225))

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    whole = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(rows)))
    return base64.b64encode(whole + chunk(b"IEND", b"")).decode()


def evidence(
    number: int, check: str, statement: str, *, supports: tuple[str, ...] = (), **more: Any
) -> Evidence:
    return Evidence(
        id=f"E{number}",
        check=check,
        layer=more.get("layer", "data"),
        subject=more.get("subject", NOBODY),
        statement=statement,
        statistic=more.get("statistic", 1.0),
        effect=more.get("effect", 3.1),
        p_value=more.get("p_value", 0.0004),
        supports=supports,
        against=more.get("against", ()),
        signal=more.get("signal", f"{check}.seen"),
        chart=more.get("chart", {}),
    )


def over_time(
    metric: str, before: float, after: float, noise: float, *, broken: bool = True
) -> dict[str, Any]:
    """Fourteen days in blocks of four hours; the last two are the incident."""
    rng = np.random.default_rng(7)
    start = 1_793_923_200.0  # 2026-11-06
    times = [start + 14_400.0 * i for i in range(84)]
    onset = start + 12 * 86_400 + 3 * 3600
    level = [after if t >= onset and broken else before for t in times]
    values = [round(x + float(rng.normal(0, noise)), 4) for x in level]
    chart: dict[str, Any] = {
        "kind": "metric_over_time",
        "metric": metric,
        "times": times,
        "values": [None if i == 40 else v for i, v in enumerate(values)],
        "low": [v - 2 * noise for v in values],
        "high": [v + 2 * noise for v in values],
        "reference": before,
        "windows": {
            "reference": ["2026-11-06T00:00:00Z", "2026-11-18T00:00:00Z"],
            "current": ["2026-11-18T00:00:00Z", "2026-11-20T00:00:00Z"],
        },
    }
    if broken:
        chart["onset"] = {"at": ONSET.at, "low": ONSET.low, "high": ONSET.high}
        chart["changes"] = [
            {"at": "2026-11-18T02:50:00Z", "label": "deploy ingest 4.2.0", "id": "C2"},
            {"at": "2026-11-13T09:00:00Z", "label": "model v7", "id": "C1"},
        ]
    return chart


def sources(*extra: SourceStatus) -> tuple[SourceStatus, ...]:
    return (
        SourceStatus("data.reference", "ok", 120_000),
        SourceStatus("data.current", "ok", 20_000),
        SourceStatus("models.current", "ok"),
        *extra,
    )


def unit_change() -> Diagnosis:
    """A repaired unit change in one feature: the usual good answer."""
    feature = Subject("feature", ("weight_g",))
    grid = [i / 20 for i in range(1, 20)]
    quantiles = [round(40 * math.exp(1.1 * p), 2) for p in grid]
    found = (
        evidence(1, "symptom", "accuracy fell from 0.910 to 0.760 (block bootstrap, 84 blocks)"),
        evidence(
            2,
            "reproduction",
            "the model reproduces 100.0% of 20,000 logged predictions",
            layer="model",
            against=("wrong_version", "threshold_change"),
        ),
        evidence(
            3,
            "quantile_relation",
            "weight_g is 1000.0 times its reference (r = 1.000)",
            supports=("unit_change",),
            subject=feature,
            p_value=1e-9,
            effect=12.4,
            statistic=1000.0,
            against=("covariate_shift",),
            chart={
                "kind": "quantiles",
                "name": "weight_g",
                "probs": grid,
                "reference": quantiles,
                "current": [1000 * q for q in quantiles],
                "fit": {"a": 0.0, "b": 1000.0},
            },
        ),
        evidence(
            4,
            "parity",
            "weight_g online differs from its recomputation in 100% of 2,000 rows, ratio 1000",
            supports=("unit_change", "train_serve_skew"),
            subject=feature,
            chart={
                "kind": "scatter",
                "name": "weight_g",
                "x": quantiles,
                "y": [1000 * q for q in quantiles],
                "x_label": "recomputed",
                "y_label": "online",
                "fit": {"a": 0.0, "b": 1000.0},
            },
        ),
        evidence(
            5,
            "classes",
            "predictions of bulky rose from 12% to 41% of rows",
            supports=("unit_change", "prior_shift"),
            chart={
                "kind": "bars",
                "name": "prediction",
                "categories": ["apparel", "bulky", "fragile", "food"],
                "reference": [0.52, 0.12, 0.21, 0.15],
                "current": [0.33, 0.41, 0.14, 0.12],
                "format": "share",
            },
        ),
    )
    first = Hypothesis(
        rank=1,
        failure_mode="unit_change",
        layer="data",
        subject=feature,
        probability=0.934,
        status="confirmed",
        explained=Explained(0.96, 0.91, 1.0, "repair_replay"),
        evidence_for=("E3", "E4", "E5"),
        onset=ONSET,
        change="C2",
        chain=("weight_g", "prediction", "accuracy"),
        remedies=(
            Remedy("mitigate", "Divide weight_g by 1000 at the ingest boundary", True, 0.144),
            Remedy(
                "fix",
                "Send weight in grams again from ingest 4.2.0 and re-score the last two days",
                True,
                0.144,
            ),
            Remedy(
                "prevent", "Put a range and unit contract on weight_g in the feature view", True
            ),
        ),
        weights={"prior": -3.2, "E3": 5.4, "E4": 2.9, "E5": 0.7},
    )
    rest = (
        Hypothesis(2, "train_serve_skew", "model", feature, 0.031, "possible", evidence_for=("E4",),
                   evidence_against=("E3",), weights={"prior": -3.4, "E4": 1.8, "E3": -1.9}),
        Hypothesis(3, "prior_shift", "data", Subject("label", ("label",)), 0.012, "possible", evidence_for=("E5",),
                   not_checked=("probes.audit",), weights={"prior": -2.5, "E5": 0.4}),
        Hypothesis(4, "concept_drift", "data", NOBODY, 0.004, "possible", weights={"prior": -2.9}),
    )  # fmt: skip
    return Diagnosis(
        incident=IncidentRef("Category classifier lost 15 points of accuracy", "multiclass", "9f31c0de" * 8),
        symptom=Symptom("accuracy", 0.910, 0.760, -0.150, -0.170, -0.131, True, ONSET, "mature"),
        verdict="cause_found",
        layers={"data": 0.95, "model": 0.03, "infrastructure": 0.0, "integration": 0.01, "none": 0.0, "unknown": 0.01},
        hypotheses=(first, *rest),
        ruled_out=(
            *(RuledOut(m, None, ("E2",)) for m in ("wrong_version", "mixed_versions", "threshold_change", "class_map_mismatch", "runtime_numerics", "feature_swap")),
            *(RuledOut(m, None, ("nulls",)) for m in ("silent_nulls", "join_loss", "partial_batch")),
            RuledOut("category_recode", Subject("feature", ("material", "country")), ("recode",)),
            RuledOut("random_fluctuation", None, ("E1",)),
            RuledOut("seasonality", None, ("E1",)),
        ),
        not_checked=(
            NotChecked("label_noise", "probes.audit"),
            NotChecked("corrupted_labels", "probes.audit"),
            NotChecked("retry_storm", "telemetry.metrics"),
            NotChecked("slow_dependency", "telemetry.metrics"),
            NotChecked("adversarial_shift", ""),
        ),
        next_evidence=(NextEvidence("probes.audit", ("label_noise", "prior_shift"), 0.12),),
        safeguard_gaps=(),
        evidence=found,
        changes=(
            AlignedChange("C1", "2026-11-13T09:00:00Z", "model", "classifier", "promote v7", "v7", 0.01),
            AlignedChange("C2", "2026-11-18T02:50:00Z", "deploy", "ingest", "ingest 4.2.0: send weights in milligrams", "4.2.0", 0.88),
        ),
        run=Run("0.1.0", 2.61, 412.0, sources()),
        charts={
            "metric": over_time("accuracy", 0.91, 0.76, 0.008),
            "undo": {"kind": "undo", "metric": "accuracy", "labels": ["reference", "current", "weight_g rescaled"],
                     "values": [0.910, 0.760, 0.904], "low": [0.904, 0.741, 0.893], "high": [0.916, 0.779, 0.913]},
            "waterfall": {"kind": "waterfall", "metric": "accuracy", "start": 0.910, "end": 0.760,
                          "steps": [{"label": "unit change: weight_g", "value": -0.144, "low": -0.15, "high": -0.136}]},
            "slices": {"kind": "slices", "metric": "accuracy", "rows": [
                {"name": "country = DE", "n": 5_120, "before": 0.92, "after": 0.66, "low": -0.28, "high": -0.24},
                {"name": "country = FR", "n": 6_300, "before": 0.90, "after": 0.77, "low": -0.15, "high": -0.11},
                {"name": "country = US", "n": 8_580, "before": 0.91, "after": 0.80, "low": -0.13, "high": -0.09}]},
            "confusion": {"kind": "confusion", "classes": ["apparel", "bulky", "fragile", "food"],
                          "reference": [[950, 10, 25, 15], [12, 930, 38, 20], [30, 40, 880, 50], [20, 15, 45, 920]],
                          "current": [[620, 340, 25, 15], [12, 940, 30, 18], [30, 290, 650, 30], [20, 280, 25, 675]]},
            "images": {"kind": "images", "reference": [png(40 + 20 * i, 110, 190) for i in range(6)],
                       "current": [png(190, 110, 40 + 20 * i) for i in range(6)],
                       "reference_labels": ["mug"] * 6, "current_labels": ["mug → bowl"] * 6},
        },
    )  # fmt: skip


def undecided() -> Diagnosis:
    """Concept drift and corrupted labels, alike without an audit."""
    found = (
        evidence(1, "symptom", "precision fell from 0.871 to 0.744"),
        evidence(2, "labels_given_inputs", "labels changed at unchanged inputs and scores (common support, n = 9,412)",
                 supports=("concept_drift", "corrupted_labels", "label_noise"),
                 chart={"kind": "calibration",
                        "reference": {"predicted": [0.1, 0.3, 0.5, 0.7, 0.9], "observed": [0.09, 0.31, 0.49, 0.72, 0.91], "n": [900, 400, 300, 350, 800]},
                        "current": {"predicted": [0.1, 0.3, 0.5, 0.7, 0.9], "observed": [0.21, 0.36, 0.43, 0.55, 0.66], "n": [880, 410, 310, 330, 790]}}),
        evidence(3, "reproduction", "the model reproduces every logged score", layer="model"),
    )  # fmt: skip
    label = Subject("label", ("is_fraud",))
    return Diagnosis(
        incident=IncidentRef("Fraud precision is sinking", "binary", "0a" * 32),
        symptom=Symptom("precision", 0.871, 0.744, -0.127, -0.161, -0.094, True, ONSET, "mature"),
        verdict="inconclusive",
        layers={"data": 0.83, "model": 0.04, "infrastructure": 0.0, "integration": 0.01, "none": 0.0, "unknown": 0.12},
        hypotheses=(
            Hypothesis(1, "concept_drift", "data", label, 0.41, "supported", evidence_for=("E2",), not_checked=("probes.audit",),
                       weights={"prior": -1.9, "E2": 2.3}),
            Hypothesis(2, "corrupted_labels", "data", label, 0.38, "supported", evidence_for=("E2",), not_checked=("probes.audit",),
                       weights={"prior": -2.0, "E2": 2.3}),
            Hypothesis(3, "label_noise", "data", label, 0.05, "possible", evidence_for=("E2",), evidence_against=("E1",), not_checked=("probes.audit",)),
        ),
        ruled_out=tuple(RuledOut(m, None, ("E3",)) for m in ("wrong_version", "runtime_numerics", "feature_swap", "threshold_change")),
        not_checked=(NotChecked("train_serve_skew", "probes.parity"), NotChecked("corrupted_labels", "probes.audit")),
        next_evidence=(NextEvidence("probes.audit", ("concept_drift", "corrupted_labels"), 0.83), NextEvidence("probes.parity", ("train_serve_skew",), 0.1)),
        safeguard_gaps=(),
        evidence=found,
        changes=(),
        run=Run("0.1.0", 1.9, 301.0, sources(SourceStatus("probes.golden", "failed", None, "golden.parquet: no such file"))),
        charts={"metric": over_time("precision", 0.871, 0.744, 0.02)},
    )  # fmt: skip


def quiet() -> Diagnosis:
    """Nothing happened."""
    return Diagnosis(
        incident=IncidentRef("Accuracy looks low on Tuesday", "binary", "77" * 32),
        symptom=Symptom("accuracy", 0.842, 0.838, -0.004, -0.013, 0.005, False, None, "mature"),
        verdict="no_incident",
        layers={"data": 0.01, "model": 0.0, "infrastructure": 0.0, "integration": 0.0, "none": 0.97, "unknown": 0.02},
        hypotheses=(Hypothesis(1, "random_fluctuation", "none", NOBODY, 0.97, "supported", evidence_for=("E1",), weights={"prior": 0.5, "E1": 3.0}),),
        ruled_out=(RuledOut("unit_change", None, ("quantile_relation",)), RuledOut("silent_nulls", None, ("nulls",)), RuledOut("concept_drift", None, ("E1",))),
        not_checked=(NotChecked("label_noise", "probes.audit"),),
        next_evidence=(),
        safeguard_gaps=(),
        evidence=(evidence(1, "symptom", "the interval of the change holds 0; reference days differ by as much among themselves", supports=("random_fluctuation",)),),
        changes=(),
        run=Run("0.1.0", 0.8, 150.0, sources()),
        charts={"metric": over_time("accuracy", 0.84, 0.84, 0.012, broken=False)},
    )  # fmt: skip


def services() -> Diagnosis:
    """A cascade seen in telemetry alone."""
    edge = Subject("edge", ("ranker", "feature-store"))
    roles = {
        "feature-store": "root_cause",
        "ranker": "amplifier",
        "popularity": "sustaining",
        "database": "consequence",
        "frontend": "symptom",
    }
    times = [1_795_000_000.0 + 15 * i for i in range(60)]

    def step(base: float, high: float, at: int) -> list[float | None]:
        return [
            round(
                base + (high - base) * min(1.0, max(0, i - at) / 3) + 0.02 * base * math.sin(i), 3
            )
            for i in range(60)
        ]

    found = (
        evidence(1, "service_ranking", "feature-store p99 rose from 12 ms to 940 ms 40 s before ranker", supports=("slow_dependency",), layer="infrastructure", subject=Subject("service", ("feature-store",))),
        evidence(2, "amplification", "attempts are 3.9 times the offered calls", supports=("retry_storm",), layer="integration", subject=edge,
                 chart={"kind": "line", "x": times, "series": [{"name": "offered", "values": step(40, 42, 20)}, {"name": "attempted", "values": step(41, 160, 22)}], "y_label": "calls per second", "mark": times[20]}),
        evidence(3, "safeguards", "calls to feature-store do not fall as its errors rise", supports=("slow_dependency",), layer="integration", subject=edge),
    )  # fmt: skip
    return Diagnosis(
        incident=IncidentRef("Checkout conversion fell while the recommender was slow", "none", "c5" * 32),
        symptom=Symptom("latency_p99_ms", 180.0, 2340.0, 2160.0, 1900.0, 2410.0, True, Onset("2026-11-18T10:08:20Z", "2026-11-18T10:08:00Z", "2026-11-18T10:08:40Z"), "none"),
        verdict="cause_found",
        layers={"data": 0.01, "model": 0.0, "infrastructure": 0.08, "integration": 0.88, "none": 0.0, "unknown": 0.03},
        hypotheses=(
            Hypothesis(1, "slow_dependency", "integration", Subject("service", ("feature-store",)), 0.81, "supported",
                       explained=Explained(0.88, 0.7, 0.97, "trace_replay"), evidence_for=("E1", "E3"), change=None,
                       chain=("feature-store", "ranker", "popularity", "database", "frontend"),
                       remedies=(Remedy("mitigate", "Open the breaker between ranker and feature-store and shed load above 60 in flight", True, -1900.0),
                                 Remedy("prevent", "Ship a circuit breaker with load shedding; the breaker alone recovers in 6 of 10 runs", True)),
                       weights={"prior": -2.0, "E1": 3.1, "E3": 0.8}),
            Hypothesis(2, "retry_storm", "integration", edge, 0.71, "supported", role="amplifier", evidence_for=("E2",), weights={"prior": -2.6, "E2": 3.2}),
        ),
        ruled_out=tuple(RuledOut(m, None, ("service_ranking",)) for m in ("cpu_saturation", "memory_leak", "traffic_surge", "network_fault")),
        not_checked=(NotChecked("cold_start", "telemetry.logs"), NotChecked("unit_change", "data.reference")),
        next_evidence=(NextEvidence("telemetry.traces", ("slow_dependency", "pool_exhaustion"), 0.35),),
        safeguard_gaps=(SafeguardGap("circuit_breaker", ("ranker", "feature-store"), ("E3",)), SafeguardGap("retry_budget", ("ranker",), ("E2",))),
        evidence=found,
        changes=(AlignedChange("C1", "2026-11-18T10:05:00Z", "deploy", "frontend", "new banner", "a1b2c3", 0.12),),
        run=Run("0.1.0", 4.2, 512.0, (SourceStatus("telemetry.metrics", "ok", 48_000), SourceStatus("telemetry.traces", "empty", 0, "no span in the current window"))),
        charts={
            "metric": {"kind": "metric_over_time", "metric": "latency_p99_ms", "times": times, "values": step(180, 2340, 25), "onset": {"at": times[25]}},
            "graph": {"kind": "graph", "nodes": [{"id": n, "kind": "service", "role": r, "score": s} for (n, r), s in zip(roles.items(), (0.81, 0.4, 0.2, 0.1, 0.0), strict=True)],
                      "edges": [["frontend", "ranker", 0.9], ["ranker", "feature-store", 1.0], ["ranker", "popularity", 0.5], ["popularity", "database", 0.4]]},
            "series": {"kind": "series", "times": times, "mark": times[20], "rows": [
                {"entity": "feature-store", "metric": "p99 ms", "values": step(12, 940, 20), "onset": times[20]},
                {"entity": "ranker", "metric": "timeouts/s", "values": step(0.1, 35, 23), "onset": times[23]},
                {"entity": "popularity", "metric": "calls/s", "values": step(2, 44, 24), "onset": times[24]},
                {"entity": "database", "metric": "cpu", "values": step(0.3, 0.97, 27), "onset": times[27]}]},
            "spans": {"kind": "spans",
                      "reference": [{"service": "frontend", "operation": "GET /home", "start_ms": 0, "duration_ms": 180}, {"service": "ranker", "operation": "rank", "start_ms": 20, "duration_ms": 120}, {"service": "feature-store", "operation": "get", "start_ms": 30, "duration_ms": 12}],
                      "current": [{"service": "frontend", "operation": "GET /home", "start_ms": 0, "duration_ms": 2340}, {"service": "ranker", "operation": "rank", "start_ms": 20, "duration_ms": 2250}, {"service": "feature-store", "operation": "get", "start_ms": 30, "duration_ms": 940}, {"service": "feature-store", "operation": "get (retry)", "start_ms": 1000, "duration_ms": 940}]},
        },
    )  # fmt: skip


EVIL = '<script>alert("x")</script>"; DROP TABLE t; -- [bold red]\x1b[2Jüñ漢字|`\u202e'


def hostile() -> Diagnosis:
    """Every text that comes from the incident tries to break out."""
    subject = Subject("feature", (EVIL, "</style><img src=x onerror=alert(1)>", "{{7*7}}"))
    chart = {
        "kind": "bars", "name": EVIL, "title": EVIL, "categories": [EVIL, "](http://evil.example)"],
        "reference": [0.2, math.nan], "current": [0.4, math.inf], "format": EVIL,
    }  # fmt: skip
    found = (
        evidence(1, EVIL, EVIL * 20, supports=("silent_nulls",), subject=subject, chart=chart),
        evidence(2, "texts", EVIL, chart={"kind": "texts", "reference": [EVIL], "current": ["<b>"]}),
        evidence(3, "unheard_of", EVIL, chart={"kind": EVIL, "anything": [EVIL, 1, None], "more": {"a": EVIL}}),
        evidence(4, "images", EVIL, chart={"kind": "images", "reference": ['"><script>alert(1)</script>', png(1, 2, 3)], "current": [EVIL]}),
        evidence(5, "broken", EVIL, chart={"kind": "quantiles", "probs": "abc", "reference": [1, 2], "current": None}),
        evidence(6, "broken", EVIL, chart={"kind": "confusion", "classes": [EVIL, EVIL], "reference": [[1]], "current": "x"}),
        evidence(7, "matching", EVIL, chart={"kind": "matching", "pairs": [[EVIL, "b", 0.9], ["c"], "x", [1, 2, "y"]]}),
    )  # fmt: skip
    remedy = Remedy("mitigate", EVIL, False, math.nan)
    return Diagnosis(
        incident=IncidentRef(EVIL, "binary", EVIL),
        symptom=Symptom(EVIL, 0.9, 0.7, -0.2, None, None, True, Onset(EVIL, EVIL, EVIL), EVIL),
        verdict="cause_found",
        layers={"data": 1.0},
        hypotheses=(
            Hypothesis(1, "silent_nulls", "data", subject, 0.9, "confirmed", evidence_for=("E1", EVIL), evidence_against=("E2",), not_checked=(EVIL,),
                       change=EVIL, chain=(EVIL,), remedies=(remedy,), weights={"prior": -1.0, EVIL: 2.0, "E1": math.nan}),
        ),
        ruled_out=(RuledOut(EVIL, subject, (EVIL,)),),
        not_checked=(NotChecked(EVIL, EVIL),),
        next_evidence=(NextEvidence(EVIL, (EVIL,), math.nan),),
        safeguard_gaps=(SafeguardGap(EVIL, (EVIL,), (EVIL,)),),
        evidence=found,
        changes=(AlignedChange(EVIL, EVIL, EVIL, EVIL, EVIL, "javascript:alert(1)", 0.5),),
        run=Run(EVIL, 1.0, 1.0, (SourceStatus(EVIL, "failed", None, EVIL),)),
        charts={EVIL: chart, "metric": {"kind": "metric_over_time", "times": [EVIL], "values": [EVIL]}, "undo": "nothing", "graph": {"kind": "graph", "nodes": [{"id": EVIL}, {"id": "b"}], "edges": [[EVIL, "b"], ["b", EVIL], ["b"]]}},
    )  # fmt: skip


@cache
def huge() -> Diagnosis:
    """Two hundred hypotheses, three hundred pieces of evidence and long charts."""
    rng = np.random.default_rng(3)
    many = [round(float(v), 5) for v in rng.normal(size=5_000)]
    chart = {
        "kind": "line",
        "x": list(range(5_000)),
        "series": [{"name": f"s{i}", "values": many} for i in range(9)],
    }
    bars = {
        "kind": "bars",
        "categories": [f"category {i}" for i in range(3_000)],
        "reference": many[:3_000],
        "current": many[:3_000],
    }
    pictures = {
        "kind": "images",
        "reference": [png(9, 9, 9, 96)] * 100,
        "current": ["A" * 4_000_000],
    }
    found = tuple(
        evidence(i, f"check_{i % 40}", f"column_{i} moved by {i}.0 units " + "and more " * 200, supports=("covariate_shift",),
                 subject=Subject("feature", tuple(f"column_{i}_{j}" for j in range(50))), chart=(chart, bars, pictures)[i % 3])
        for i in range(1, 301)
    )  # fmt: skip
    guesses = tuple(
        Hypothesis(i, "covariate_shift", "data", Subject("feature", (f"column_{i}",)), 1 / (i + 3) ** 2, "possible",
                   evidence_for=tuple(f"E{j}" for j in range(1, 301)), weights={f"E{j}": 0.01 * j for j in range(1, 301)})
        for i in range(1, 201)
    )  # fmt: skip
    return Diagnosis(
        incident=IncidentRef("A very wide table " * 30, "binary", "ab" * 32),
        symptom=Symptom("auc", 0.9, 0.8, -0.1, -0.12, -0.08, True, None, "immature"),
        verdict="inconclusive",
        layers={"data": 0.5, "unknown": 0.5},
        hypotheses=guesses,
        ruled_out=tuple(RuledOut("unit_change", Subject("feature", (f"column_{i}",)), (f"E{i % 300 + 1}",)) for i in range(4_000)),
        not_checked=tuple(NotChecked(f"mode_{i}", f"needs.{i % 30}") for i in range(500)),
        next_evidence=tuple(NextEvidence("probes.audit", ("a", "b"), 0.1) for _ in range(50)),
        safeguard_gaps=(),
        evidence=found,
        changes=tuple(AlignedChange(f"C{i}", "2026-11-18T02:50:00Z", "deploy", f"svc{i}", "x" * 900, None, i / 3000) for i in range(3_000)),
        run=Run("0.1.0", 60.0, 900.0, sources()),
        charts={"metric": {"kind": "metric_over_time", "metric": "auc", "times": list(range(5_000)), "values": many}, **{f"more {i}": bars for i in range(200)}},
    )  # fmt: skip


def bare() -> Diagnosis:
    """Two tables with nothing in them."""
    return Diagnosis(
        incident=IncidentRef("", "none", ""),
        symptom=Symptom(None, None, None, None, None, None, None, None, "missing"),
        verdict="inconclusive",
        layers={},
        hypotheses=(),
        ruled_out=(),
        not_checked=(),
        next_evidence=(),
        safeguard_gaps=(),
        evidence=(),
        changes=(),
        run=Run("0.1.0", 0.1, 60.0, ()),
    )


def two_causes() -> Diagnosis:
    """Two faults at once, every chart kind among the evidence, and as many words as a screen can take."""
    rng = np.random.default_rng(11)
    names = [f"class_{i:02d}" for i in range(24)]
    before = [[900 if i == j else int(rng.integers(0, 9)) for j in range(24)] for i in range(24)]
    after = [[*row] for row in before]
    after[3][3], after[3][7], after[11][11], after[11][2] = 300, 610, 500, 420
    edges = [round(-3 + 6 * i / 40, 3) for i in range(41)]
    bell = [math.exp(-((e + 0.075) ** 2) / 2) / 17 for e in edges[:-1]]
    hours = [f"{h:02d}:00" for h in range(24)]
    charts = (
        {"kind": "matching", "name": "payment_method", "pairs": [["card", "1", 0.99], ["invoice", "2", 0.98], ["wallet", "3", 0.97], ["cash", "cash", 0.6], ["cash", "3", 0.4]]},
        {"kind": "histogram", "name": "balance", "edges": edges, "reference": bell, "current": [b * (0.7 if i < 20 else 1.3) for i, b in enumerate(bell)]},
        {"kind": "heatmap", "name": "null rate", "rows": ["crm", "billing", "device-service"], "columns": hours, "values": [[0.01] * 24, [0.02] * 9 + [0.4] * 15, [None, *[0.0] * 23]], "format": "share"},
        {"kind": "intervals", "name": "change of recall", "rows": [{"label": "all", "value": -0.2, "low": -0.24, "high": -0.16}, {"label": "without C2", "value": -0.02, "low": -0.05, "high": 0.01}]},
        {"kind": "texts", "reference": ["where is my parcel", "cancel my order please"], "current": ["WHERE IS MY PARCEL", "CANCEL MY ORDER PLEASE"]},
        {"kind": "bars", "name": "null rate by source", "categories": ["crm", "billing"], "reference": [0.011, 0.02], "current": [0.41, 0.021], "format": "share"},
        {"kind": "table", "columns": ["host", "rows", "agreement"], "rows": [["a-1", 1200, 1.0], ["a-2", 1180, 0.61]]},
    )  # fmt: skip
    found = tuple(
        evidence(i, c["kind"], f"{c['kind']} speaks for it, at a length that needs more than one line on a usual screen of eighty columns", supports=("category_recode",), chart=c)
        for i, c in enumerate(charts, 1)
    )  # fmt: skip
    quiet = Evidence(
        "E90",
        "recode",
        "data",
        NOBODY,
        "no other column was recoded (r > 0.98)",
        None,
        0.02,
        None,
        (),
        ("feature_swap",),
    )
    long = "a long description of something that somebody changed, with more words than fit"
    everything = ("probes.audit", "probes.parity", "telemetry.metrics")
    first = Hypothesis(1, "category_recode", "data", Subject("feature", ("payment_method",)), 0.97, "confirmed", explained=Explained(0.61, 0.52, 0.7, "repair_replay"),
                       evidence_for=("E1", "E2"), evidence_against=("E3",), not_checked=everything, onset=ONSET, change="C0", chain=("payment_method", "prediction", "recall"),
                       remedies=(Remedy("mitigate", f"Map payment_method back: {long}", True, 0.11), Remedy("fix", f"Restore the old codes: {long}", False, 0.11), Remedy("prevent", f"Contract: {long}", True)),
                       weights={"prior": -2.1, "E1": 5.2, "E2": 1.0, "E3": -0.6})  # fmt: skip
    second = Hypothesis(2, "silent_nulls", "data", Subject("source", ("crm",)), 0.88, "confirmed", explained=Explained(0.33, 0.25, 0.41, "surrogate_replay"),
                        evidence_for=("E6",), evidence_against=("E7",), not_checked=everything, weights={"prior": -1.7, "E6": 3.7})  # fmt: skip
    third = Hypothesis(
        3,
        "fallback_overload",
        "integration",
        NOBODY,
        0.2,
        "possible",
        role="consequence",
        evidence_for=("E4",),
        evidence_against=("E5",),
        not_checked=everything,
    )
    return Diagnosis(
        incident=IncidentRef(f"Recall fell twice in one day: {long}", "multiclass", "5e" * 32),
        symptom=Symptom("recall_at_precision_90", 0.71, 0.51, -0.2, -0.24, -0.16, True, ONSET, "immature"),
        verdict="cause_found",
        layers={"data": 0.92, "model": 0.01, "integration": 0.04, "unknown": 0.03},
        hypotheses=(first, second, third, Hypothesis(4, "concept_drift", "data", NOBODY, 0.01, "possible")),
        ruled_out=tuple(RuledOut(m, None, (c,)) for c in ("reproduction", "parity", "quantile_relation") for m in ("wrong_version", "unit_change", "feature_swap", "time_shift")),
        not_checked=tuple(NotChecked(m, n) for n in everything for m in ("label_noise", "retry_storm", "memory_leak", "stale_index")),
        next_evidence=(NextEvidence("probes.parity", ("category_recode", "silent_nulls", "stale_features"), 0.4),),
        safeguard_gaps=(SafeguardGap("data_contract", ("crm", "billing"), ("E6",)),),
        evidence=(*found, quiet),
        changes=tuple(AlignedChange(f"C{i}", f"2026-11-18T0{i}:00:00Z", "deploy", f"service-{i}", long, None, 0.9 - 0.1 * i) for i in range(5)),
        run=Run("0.1.0", 3.3, 300.0, sources(SourceStatus("telemetry.metrics", "failed", None, long))),
        charts={
            "metric": over_time("recall_at_precision_90", 0.71, 0.51, 0.03),
            "confusion": {"kind": "confusion", "classes": names, "reference": before, "current": after},
            "slices": {"kind": "slices", "metric": "recall", "rows": [{"name": f"{n} and a longer condition on another column", "n": 900, "before": 0.7, "after": 0.2 + 0.05 * i} for i, n in enumerate(("country = DE", "device = tablet", "age in (30, 40]"))]},
            "waterfall": {"kind": "waterfall", "metric": "recall", "start": 0.71, "end": 0.51, "steps": [{"label": "recode", "value": -0.12}, {"label": "nulls", "value": -0.07}]},
        },
    )  # fmt: skip


@cache
def quotes() -> Diagnosis:
    """The huge diagnosis with every text replaced by two thousand characters that take six each in HTML."""
    made, text = huge(), '"' * 2000

    def quoted(value: Any) -> Any:
        if isinstance(value, str):
            return text
        if isinstance(value, (tuple, list)):
            return type(value)(quoted(v) for v in value)
        return (
            {k: v if k == "kind" else quoted(v) for k, v in value.items()}
            if isinstance(value, dict)
            else value
        )

    return replace(
        made,
        incident=IncidentRef(text, text, text),
        hypotheses=tuple(replace(h, subject=Subject("feature", (text,) * 9), chain=(text,) * 40) for h in made.hypotheses),
        evidence=tuple(replace(e, statement=text, check=text, chart=quoted(e.chart)) for e in made.evidence),
        ruled_out=tuple(RuledOut(f"{i}{text}", None, (f"{i}{text}",)) for i in range(900)),
        not_checked=tuple(NotChecked(f"{i}{text}", f"{i}{text}") for i in range(900)),
        changes=tuple(replace(c, entity=text, description=text, ref=text) for c in made.changes),
        charts={k: quoted(v) for k, v in made.charts.items()},
    )  # fmt: skip


CASES = {
    f.__name__: f
    for f in (unit_change, two_causes, undecided, quiet, services, hostile, huge, quotes, bare)
}
