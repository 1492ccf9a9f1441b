"""Change events and probes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ruleout._errors import IncidentError, RuleoutError, SourceError
from ruleout.incident import from_frames, load
from ruleout.sources import (
    Change,
    check_keys,
    load_audit,
    load_changes,
    load_golden,
    load_parity,
    reference_and_current,
)
from ruleout.sources._changes import meant_to_disturb

EVENTS = pl.DataFrame(
    {
        "timestamp": ["2026-01-02T00:00:00Z", "2026-01-01", "2026-01-01"],
        "kind": ["deploy", "Config ", "flag"],
        "entity": ["ranker", "store", None],
        "description": ["v7", None, "on"],
        "ref": ["abc", None, None],
    }
)
ROWS = pl.DataFrame({"id": [1, 2], "y": [0, 1], "x": [0.5, 0.6]})


def changes(source: Any) -> tuple[Change, ...]:
    return load_changes(from_frames(ROWS, ROWS.clone(), changes=source))


def test_changes_are_numbered_in_order_of_time() -> None:
    """Events are sorted by time, those of one instant in their own order, and numbered from C1."""
    assert changes(EVENTS) == (
        Change("C1", 1767225600.0, "config", "store", ""),
        Change("C2", 1767225600.0, "flag", "", "on"),
        Change("C3", 1767312000.0, "deploy", "ranker", "v7", "abc"),
    )


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
def test_the_forms_of_changes(tmp_path: Path, form: str) -> None:
    """CSV, JSON lines and Parquet hold the same events."""
    file = tmp_path / f"changes.{form}"
    getattr(EVENTS, f"write_{form}")(file)
    assert changes(file) == changes(EVENTS)


def test_no_changes() -> None:
    """An incident without a source of changes has none; nor has an empty table."""
    assert load_changes(from_frames(ROWS, ROWS.clone())) == ()
    assert changes(EVENTS.head(0)) == ()


@pytest.mark.parametrize(
    ("column", "told"),
    [
        (pl.lit("deply").alias("kind"), r"row 1: kind is 'deply'.*did you mean 'deploy'"),
        (pl.lit(None).alias("kind"), r"row 1: kind is None"),
        (pl.lit("soon").alias("timestamp"), r"row 1: timestamp is 'soon'"),
    ],
)
def test_wrong_events(column: pl.Expr, told: str) -> None:
    """An event of an unknown kind or time is named by its row."""
    with pytest.raises(SourceError, match=told):
        changes(EVENTS.with_columns(column))


def test_a_missing_column_of_changes() -> None:
    """A missing column is named, and the nearest that is there."""
    with pytest.raises(SourceError, match=r"'entity' is missing.*did you mean 'entty'"):
        changes(EVENTS.rename({"entity": "entty"}))


def test_probes_are_loaded() -> None:
    """Parity, golden set and audit are read as frames; those not given are None."""
    probes = {
        "parity": {"offline": ROWS, "key": "id"},
        "golden": {"inputs": ROWS, "expected": "y"},
        "audit": {"labels": ROWS, "key": "id", "label": "y"},
    }
    incident = from_frames(ROWS, ROWS.clone(), **probes)
    for probe in (load_parity, load_golden, load_audit):
        found = probe(incident)
        assert found is not None
        assert found.equals(ROWS)
        assert probe(from_frames(ROWS, ROWS.clone())) is None
    check_keys(incident, reference_and_current(incident))


@pytest.mark.parametrize(
    ("probe", "told"),
    [
        ({"parity": {"offline": ROWS, "key": "idd"}}, r"probes\.parity\.key is 'idd'.*did you mean 'id'"),
        ({"golden": {"inputs": ROWS, "expected": "yy"}}, r"probes\.golden\.expected is 'yy'.*'y'"),
        ({"audit": {"labels": ROWS, "key": "id", "label": "z"}}, r"probes\.audit\.label is 'z'"),
        ({"audit": {"labels": "none.csv", "key": "id", "label": "z"}}, r"probes\.audit\.labels: .*does not exist"),
    ],
)  # fmt: skip
def test_wrong_probes(probe: dict[str, Any], told: str) -> None:
    """A probe without its key, label or file is refused by its key in the incident."""
    incident = from_frames(ROWS, ROWS.clone(), **probe)
    with pytest.raises(RuleoutError, match=told):
        [found(incident) for found in (load_parity, load_golden, load_audit)]


def test_a_probe_that_joins_nothing() -> None:
    """A key that the probe has and the incident's tables lack is a mistake."""
    incident = from_frames(
        ROWS, ROWS.clone(), parity={"offline": ROWS.rename({"id": "key"}), "key": "key"}
    )
    with pytest.raises(IncidentError, match=r"probes\.parity\.key is 'key'; neither"):
        check_keys(incident, reference_and_current(incident))


@pytest.mark.data
def test_shared_data_changes(data_folder: Path) -> None:
    """The changes of real service incidents load, every one of them with a known kind."""
    files = sorted(data_folder.glob("services/rootcausebench/*/incident.yaml"))
    assert sum(len(load_changes(load(file))) for file in files) > 100


@pytest.mark.parametrize(
    ("kind", "description", "meant"),
    [
        ("flag", '{"flag": "upsell_dry_run", "change": "on->off"}', 0.0),
        ("flag", "use_migrated_index on for all", 0.0),
        ("flag", "chaos_latency_10pct on", 1.0),
        ("flag", "load test on scoring", 1.0),
        ("scale", "failover dry run of the primary", 1.0),
        ("scale", "size M -> M (maintenance restart)", 0.3),
        ("calendar", "maintenance of the store", 1.0),
        ("calendar", "campaign for one clinic starts (planned, two weeks)", 0.0),
        ("calendar", "load test before the campaign", 1.0),
        ("calendar", "planned work on the store", 1.0),
        ("deploy", "chaos", 0.0),
    ],
)
def test_the_name_of_a_flag_announces_nothing(kind: str, description: str, meant: float) -> None:
    """A flag that is called after a migration switches code; what people write may announce a test, or a restart of every day."""
    assert meant_to_disturb(kind, description) == meant
