"""Windows that are told a minute wrong, and evidence averaged over several looks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shop

from ruleout.attribution.services import Signal, analyse
from ruleout.attribution.services._shift import averaged
from ruleout.incident import Window


@pytest.mark.parametrize("wrong", [-60.0, 0.0, 60.0])
def test_a_minute_wrong_changes_nothing(tmp_path: Path, wrong: float) -> None:
    """The service that got slower is named first, surely, whether the told beginning is early, right or late."""
    shop.spans(np.random.default_rng(5), own={"cart": 40.0}).write_parquet(
        tmp_path / "spans.parquet"
    )
    told = shop.incident(tmp_path, traces=("spans.parquet",))
    start, end = shop.FAULT + wrong, shop.END + wrong
    moved = replace(
        told,
        reference_window=Window(shop.START, start - 30),
        current_window=Window(start, end),
    )
    entity, probability = analyse(moved, np.random.default_rng(0)).ranking[0]
    assert entity == "cart"
    assert probability > 0.8


def test_evidence_of_one_look_alone_counts_a_part() -> None:
    """A signal seen in one look of four has a quarter of its weight; modes are shared by weight."""
    once = Signal("a", "added_time", 4.0, {"network_fault": 1.0}, "one", 1.0, 1.0)
    often = Signal("b", "added_time", 2.0, {"cpu_saturation": 1.0}, "two", 1.0, 1.0)
    other = often._replace(weight=6.0, modes={"network_fault": 1.0}, statement="three")
    found = {one.entity: one for one in averaged([[once, often], [other], [often], [often]])}
    assert found["a"].weight == 1.0
    assert found["b"].weight == 3.0
    assert found["b"].statement == "three"
    assert found["b"].modes == {"cpu_saturation": 0.5, "network_fault": 0.5}
