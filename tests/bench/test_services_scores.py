"""The analysis of services on labelled incidents of real systems."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ruleout.bench.services import reliability, score_case, table

ROOT = Path(os.environ.get("RULEOUT_DATA", "../shared/data")) / "services"
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not (ROOT / "truth.json").exists(), reason=f"no incidents under {ROOT}"),
]


@pytest.mark.parametrize(
    ("family", "least"), [("petshop/low", 0.85), ("nezha/ob", 0.8), ("rootcausebench", 0.8)]
)
def test_the_first_entity_is_mostly_right(family: str, least: float) -> None:
    """On labelled incidents the first entity named is right as often as the published best, and no planted change is believed."""
    truth = json.loads((ROOT / "truth.json").read_text())
    names = [name for name in sorted(truth) if name.startswith(family)]
    scores = [score_case(ROOT / name, truth[name], name) for name in names]
    assert sum(one.rank == 1 for one in scores) / len(scores) >= least
    assert all(one.decoy < 0.5 for one in scores)
    assert f"| {scores[0].system} | all |" in table(scores)
    assert "Brier" in reliability(scores)
