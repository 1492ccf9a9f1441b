"""Incidents from frames and arguments, their columns, and their task."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from ruleout._errors import IncidentError
from ruleout.incident import check_columns, from_frames, infer_task

FRAME = pl.DataFrame({"y": [0, 1], "p": [0.1, 0.9]})


def test_frames_stand_where_paths_do() -> None:
    """Polars and pandas frames arrive in the incident as they are, with the roles beside them."""
    pandas = pd.DataFrame({"y": [0, 1]})
    incident = from_frames(FRAME, pandas, target="y", score="p", positive=np.int64(1), windows=None)
    assert incident.data.reference is not None
    assert incident.data.current is not None
    assert incident.data.reference.frame is FRAME
    assert incident.data.current.frame is pandas
    assert incident.data.columns.positive == 1
    assert incident.title


def test_the_other_parts_are_as_in_a_file() -> None:
    """Probes, models, telemetry and changes take the shapes of the file, with frames and paths for tables."""
    incident = from_frames(
        "a.parquet",
        Path("b.parquet"),
        target="y",
        model="m.onnx",
        threshold=0.4,
        audit={"labels": FRAME, "key": "id", "label": "y"},
        telemetry={"metrics": [FRAME, "more.parquet"], "kpis": ["sales"]},
        changes=FRAME,
        metric="accuracy",
        noticed_at=pd.Timestamp("2026-01-02", tz="UTC"),
        windows={"reference": ("2026-01-01", "2026-01-02"), "current": (1767312000, 1767398400)},
    )
    assert incident.models["current"].threshold == 0.4
    assert incident.telemetry.metrics[0] is FRAME
    assert incident.changes is not None
    assert incident.symptom.noticed_at == 1767312000.0
    assert incident.current_window is not None
    assert incident.data.current is not None
    assert incident.data.current.uri == "b.parquet"


def test_a_mistyped_argument_is_named() -> None:
    """An unknown role is refused with the nearest one."""
    with pytest.raises(IncidentError, match="did you mean 'target'"):
        from_frames(FRAME, FRAME, targt="y")


def test_a_frame_in_the_wrong_place_is_named_not_printed() -> None:
    """A value that makes no sense is shown by its type, not by its rows."""
    with pytest.raises(
        IncidentError, match=r"data\.columns\.target is a DataFrame; it must be a name"
    ):
        from_frames(FRAME, FRAME, target=FRAME)


def test_a_column_that_neither_table_has() -> None:
    """A column that neither table has is a mistake, named with its key and the nearest column."""
    incident = from_frames("a.csv", "b.csv", features=["amount", "devise"])
    with pytest.raises(IncidentError, match=r"features\[1\] is 'devise'.*did you mean 'device'"):
        check_columns(incident, ["amount", "device"], ["amount", "device"])


def test_a_column_that_one_table_lacks_is_evidence() -> None:
    """A feature that vanished, or labels that have not arrived, are not mistakes of the incident."""
    incident = from_frames("a.csv", "b.csv", target="y", features=["amount"])
    check_columns(incident, ["amount", "y"], ["other"])
    check_columns(incident, None, ["amount", "y"])
    check_columns(incident, None, None)


@pytest.mark.parametrize(
    "named",
    [
        {"scores": {"cat": "p_cta"}},
        {"sources": {"crm": ["p_cta"]}},
        {"graph": [["p_cat", "p_cta"]]},
        {"timestamp": "p_cta"},
    ],
)
def test_every_kind_of_column_name_is_checked(named: dict[str, object]) -> None:
    """Roles, class scores, sources and graph are all checked."""
    with pytest.raises(IncidentError, match=r"'p_cta'.*did you mean 'p_cat'"):
        check_columns(from_frames("a.csv", "b.csv", **named), ["p_cat"], ["p_cat"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("target", "prediction", "task"),
    [
        (["a", "b", "a"], None, "binary"),
        (["a", "b", "c"], None, "multiclass"),
        ([True, False], None, "binary"),
        ([0, 1, 1], None, "binary"),
        ([0.0, 1.0, None], None, "binary"),
        ([0, 1, 2], None, "multiclass"),
        ([0, 1, 2], [0.5, 1.2, 2.0], "regression"),
        ([0.5, 1.5], None, "regression"),
        ([0, 1], [0.2, 0.8], "regression"),
        (list(range(300)), None, "regression"),
        (list(range(100)), list(range(100)), "multiclass"),
        (list(range(0, 1000, 10)), list(range(0, 1000, 10)), "regression"),
        ([None, None], ["a", "b"], "binary"),
        ([None], None, "none"),
        (None, None, "none"),
    ],
)
def test_the_values_tell_the_task(
    target: list[object] | None, prediction: list[object] | None, task: str
) -> None:
    """Texts, booleans and few whole numbers are classes; other numbers are a regression."""
    series = [None if values is None else pl.Series("x", values) for values in (target, prediction)]
    assert infer_task(*series) == task
