"""Who is blamed of those who see the same: onlookers, callers, callees that tell it by another name, sources."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import shop

from ruleout._records import Subject
from ruleout.attribution.services import ServicesResult, analyse
from ruleout.attribution.services._accused import accused
from ruleout.attribution.services._beneath import beneath
from ruleout.attribution.services._elsewhere import elsewhere
from ruleout.attribution.services._held_up import borne_out
from ruleout.attribution.services._hypothesise import between
from ruleout.attribution.services._load import offered
from ruleout.attribution.services._metrics import _SCHEMA
from ruleout.attribution.services._records import ServiceHypothesis, Signal
from ruleout.attribution.services._views import asked_instead, passed_below, retried
from ruleout.incident import SymptomSpec
from ruleout.sources.telemetry import empty_logs

SECONDS = np.arange(shop.START, shop.END, 5.0)
LATE = shop.FAULT <= SECONDS
CALLS = (("front", "cart"), ("cart", "store"))
Levels = dict[tuple[str, str], tuple[float, float]]


def _run(
    folder: Path,
    levels: Levels,
    symptom: tuple[str | None, str],
    topology: tuple[tuple[str, str], ...] = CALLS,
) -> ServicesResult:
    """Metrics that step from one level to another; entities of one metric and level share their noise."""
    rows = []
    for (entity, metric), (usual, now) in levels.items():
        rng = np.random.default_rng(int(usual * 1000) % 997)
        shape = np.where(LATE, now * (1 + 0.3 * rng.random(len(SECONDS))), usual)
        values = shape + max(0.03 * usual, 1e-4) * rng.standard_normal(len(SECONDS))
        rows += [(t, entity, metric, v) for t, v in zip(SECONDS, values, strict=True)]
    schema = ["timestamp", "entity", "metric", "value"]
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(folder / "m.parquet")
    spec = SymptomSpec(metric=symptom[1], entity=symptom[0], noticed_at=shop.FAULT + 60)
    incident = shop.incident(folder, metrics=("m.parquet",), topology=topology, symptom=spec)
    return analyse(incident, np.random.default_rng(0))


def _row(entity: str, metric: str, kind: str, clue: str | None = None, **more: object) -> dict:
    usual = {"level": 1.0, "now": 4.0, "middle_now": 4.0, "up": 9.0, "down": 0.0, "score": 3.0}
    rest = {"host": False, "sign": 1, "alone": 1.0, "idle": False}
    return {"entity": entity, "metric": metric, "kind": kind, "clue": clue} | usual | rest | more


def _table(*rows: dict) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=_SCHEMA)


def _signal(entity: str, name: str, weight: float) -> Signal:
    return Signal(entity, name, weight, {"slow_dependency": 1.0}, "told", weight, weight)


def _lines(*messages: str) -> pl.DataFrame:
    n = len(messages)
    columns = {"entity": ["cart"] * n, "severity": ["WARN"] * n, "message": list(messages)}
    return pl.DataFrame({"time": [1.0] * n, **columns}) if n else empty_logs()


PATH: Levels = {
    ("front", "error_ratio"): (0.0, 0.2),
    ("front", "latency_p95_ms"): (80.0, 80.0),
    ("front", "cpu_cores"): (0.4, 0.4),
    ("cart", "error_ratio"): (0.0, 0.5),
    ("cart", "latency_p95_ms"): (40.0, 40.0),
    ("cart", "cpu_cores"): (0.7, 0.7),
    ("store", "latency_p95_ms"): (11.0, 11.0),
    ("store", "cpu_cores"): (0.5, 0.5),
}


@pytest.mark.parametrize("told", [True, False])
def test_who_only_looks_on_is_no_cause(tmp_path: Path, told: bool) -> None:
    """What measures the front end's answers from outside shows the symptom, and has no part in it."""
    probe = {("probe", m): PATH["front", m] for m in ("error_ratio", "latency_p95_ms")}
    levels = PATH | probe | {(who, "requests"): (50.0, 50.0) for who in ("front", "probe")}
    result = _run(tmp_path, levels, ("front", "error_ratio"), CALLS if told else ())
    assert "probe" not in {name for name, _ in result.ranking}
    assert result.ranking


def test_who_works_beside_the_known_calls_may_be_the_cause(tmp_path: Path) -> None:
    """An entity that nobody is known to call, and that measures its own processor, stays a suspect."""
    other = {("batch", m): PATH["front", m] for m in ("error_ratio", "latency_p95_ms", "cpu_cores")}
    result = _run(tmp_path, PATH | other, ("front", "error_ratio"))
    assert "batch" in {name for name, _ in result.ranking}


def test_a_callee_that_tells_its_time_by_another_name_is_found(tmp_path: Path) -> None:
    """Only the front measures the symptom's own metric; its callee loses as much, in milliseconds."""
    levels = {
        ("front", "first_answer_latency_p95_s"): (0.4, 3.0),
        ("engine", "answer_latency_p95_ms"): (350.0, 2900.0),
        ("words", "lookup_latency_p95_ms"): (12.0, 12.0),
    }
    edges = (("front", "engine"), ("front", "words"))
    result = _run(tmp_path, levels, ("front", "first_answer_latency_p95_s"), edges)
    assert result.ranking[0][0] == "engine"


def test_spans_that_add_the_time_beneath_a_caller_excuse_it() -> None:
    """A front that adds nothing of its own, by its spans, loses by itself only what is not measured beneath it."""
    told = [
        _signal("front", "symptom_flow", 7.0),
        *(_signal(name, "added_time", 2.3) for name in ("a", "b", "c")),
    ]
    edges = {("front", name) for name in "abc"}
    (flow, *_) = borne_out(told, ["front", "a", "b", "c"], edges)
    assert flow.weight < 2.0
    assert (
        borne_out([*told, _signal("front", "added_time", 5.0)], ["front"], edges)[0].weight == 7.0
    )
    assert borne_out(told[:2], ["front", "a"], edges)[0].weight == 7.0


def test_a_column_that_names_entity_and_metric_is_the_symptom(tmp_path: Path) -> None:
    """A symptom told by the name of a wide table's column is that entity's metric."""
    result = _run(tmp_path, PATH, (None, "cart_error_ratio"))
    assert result.symptom.significant
    assert _run(tmp_path, PATH, (None, "nobody_error_ratio")).symptom.significant is None


@pytest.mark.parametrize("metric", ["breaker_state.store", "cart_requests"])
def test_a_breaker_that_trips_is_told_of_the_call(tmp_path: Path, metric: str) -> None:
    """Calls that are withheld from a sound callee are told of both ends, the caller first: the breaker is its."""
    seen = _run(tmp_path, PATH | {("cart", metric): (0.0, 2.0)}, ("front", "error_ratio")).seen
    assert seen is not None
    held = ServiceHypothesis("resilience_mistrip", Subject("service", ("store",)), 0.5)
    slow = replace(held, failure_mode="slow_dependency")
    (told, kept) = between(seen, [held, slow])
    assert told.subject == Subject("edge", ("cart", "store"))
    assert kept == slow


def test_a_callee_that_a_quota_refuses_excuses_its_caller() -> None:
    """Refusals that the callee counts apart are no failures of its own, and all of its caller's."""
    table = _table(
        _row("front", "error_ratio", "error"),
        _row("words", "failures", "error", score=0.2),
        _row("words", "upstream_429", "saturation", "quota"),
    )
    told = [_signal("front", "symptom_flow", 6.5), _signal("words", "metric.saturation", 1.7)]
    after: dict[str, float] = {}
    for one in beneath(told, table, {("front", "words")}, "error"):
        after[one.entity] = after.get(one.entity, 0.0) + one.weight
    assert after["words"] > after["front"]


def test_lines_of_refusals_are_about_who_is_refused() -> None:
    """That a quota is hit, in the front's lines, is its callee's where the callee counts it."""
    errors = _lines(*["call failed: 429 from provider"] * 6)
    table = _table(_row("words", "upstream_429", "saturation", "quota"))
    said = [
        one for one in elsewhere(table, errors, "front", frozenset()) if one.mode == "rate_limited"
    ]
    assert [one.entity for one in said] == ["words"]
    calm = elsewhere(_table(), errors, "front", frozenset())
    assert [one.entity for one in calm if one.mode == "rate_limited"] == ["front"]


@pytest.mark.parametrize(
    ("line", "contended"),
    [("pod cart-7 was evicted", True), ("sequence group is preempted, kv blocks are short", False)],
)
def test_entries_of_a_cache_are_evicted_without_any_neighbour(line: str, contended: bool) -> None:
    """Copies are evicted by a machine that is contended; sequences and entries of caches are by their service."""
    told = elsewhere(_table(), _lines(*[line] * 6), "cart", frozenset())
    assert ("noisy_neighbour" in {one.mode for one in told}) is contended


def test_more_records_come_from_the_first_that_counts_them() -> None:
    """Steps that all work through more records are loaded by their source; where a step makes them, nobody is asked more."""
    edges = {("join", "extract"), ("score", "join")}

    def told(**now: float) -> list[Signal]:
        rows = [_row(n, "rows_out", "other", level=100.0, middle_now=v) for n, v in now.items()]
        return offered(_table(*rows), None, np.zeros(0), edges, "score")

    (one,) = told(extract=450.0, join=440.0, score=430.0)
    assert (one.entity, one.modes) == ("extract", {"traffic_surge": 1.0})
    assert told(extract=101.0, join=450.0, score=440.0) == []


def _again(working: float) -> pl.DataFrame:
    """The front asks the store five times as often by trying again, and an aide that needs the store fails."""
    grown = {"level": 100.0, "middle_now": 500.0}
    return _table(
        _row("front", "client_attempts.store", "other", about="store", **grown),
        _row("front", "client_retries", "other", "retries", level=0.0, middle_now=390.0),
        _row("store", "requests", "traffic", **grown),
        _row("store", "cpu_cores", "cpu", level=0.5, middle_now=working),
        _row("aide", "errors", "error"),
        _row("aide", "requests", "traffic", level=100.0, middle_now=40.0, sign=-1),
    )


def test_who_is_asked_again_and_again_stands_in_for_nobody() -> None:
    """A store that its callers' second tries keep down is no fallback of who fails for want of it."""
    edges = {("front", "store"), ("front", "aide"), ("aide", "store")}
    (one,) = retried(_again(0.98))
    assert (one.entity, one.of) == ("store", "front")
    signals = [_signal("store", "metric.latency", 4.0)]
    assert asked_instead(signals, _again(0.98), edges) == signals
    # Who works no more than before is tried again because it fails: that is no storm.
    assert retried(_again(0.6)) == []


def test_calls_that_only_a_breaker_withholds_are_its_own() -> None:
    """Where a callee is as it was and no call that was made fails, the breaker between them is at fault."""
    breaker = _row("cart", "breaker_state.store", "error", "breaker", about="store")
    still = _row("store", "errors", "error", score=0.0)
    told = [_signal("cart", "symptom_flow", 6.0), _signal("store", "unreached", 3.0)]

    def modes(*rows: dict) -> dict[str, str]:
        found = passed_below(told, _table(still, *rows), "error", frozenset())
        return {s.name: max(s.modes, key=s.modes.__getitem__) for s in found if s.entity == "store"}

    held = dict.fromkeys(("unreached", "seen_below"), "resilience_mistrip")
    assert modes(breaker) == held
    failing = _row("cart", "client_errors.store", "error", about="store")
    assert modes(breaker, failing) == {
        "unreached": "slow_dependency",
        "seen_below": "network_fault",
    }


def test_whom_lines_call_slow_and_who_measures_nothing_is_accused() -> None:
    """A provider that measures nothing of ours is slow by its callers' word, where they seldom said so before."""
    slow = _lines(*[f"mailer POST /send took {n} ms" for n in range(30, 60)])
    (one,) = accused(slow, _lines("mailer POST /send took 9 ms"), {"mailer"}, {"mailer"})
    assert (one.entity, one.modes) == ("mailer", {"slow_dependency": 1.0})
    assert accused(slow, empty_logs(), {"mailer"}, set()) == []
    usual = _lines(*[f"mailer POST /send took {n} ms" for n in range(1, 20)])
    assert accused(slow, usual, {"mailer"}, {"mailer"}) == []
    assert accused(slow, usual, {"mailer"}, {"mailer"}, length=0.1) != []
