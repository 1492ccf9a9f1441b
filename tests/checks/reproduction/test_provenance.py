"""What is known of rows whose answers do not follow: changes that name them, and files they were made with."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ruleout._records import Finding

sys.path.insert(0, str(Path(__file__).parents[1]))
from systems import DAY, System, healthy, run, supported


@dataclass
class Change:
    """A change as the sources deliver it."""

    id: str
    at: float
    entity: str
    kind: str = "deploy"
    description: str = ""
    ref: str | None = None


def _halved_on(hosts: tuple[str, ...]) -> System:
    """A system whose scores are halved on some hosts from the middle of the window on."""
    system = healthy()
    late = np.arange(system.rows) >= system.rows // 2
    hit = np.isin(system.current["host"].to_numpy(), hosts) & late
    return system.serve(system.current["score"].to_numpy() * 0.5, hit)


@pytest.mark.parametrize(
    ("description", "hosts", "named"),
    [
        ("discount rule on for the pool b, c", ("b", "c"), True),
        ("discount rule on for the pool b", ("b", "c"), False),
        ("discount rule on for the pool b, c, d", ("b", "c"), False),
        ("model v6 rolled out on b, c", ("b", "c"), False),
        ("discount rule on everywhere", ("b", "c"), False),
    ],
)
def test_a_change_that_names_the_hosts_that_are_hit_did_it(
    description: str, hosts: tuple[str, ...], *, named: bool
) -> None:
    """All of them and no other, then, and not by another model."""
    case = _halved_on(hosts).case()
    at = float(case.current.time[0]) + 2 * DAY
    case.changes = (Change("C1", at - 600, "pricing", "flag", description),)
    outcomes = run(case, "change_by_name")
    assert supported(outcomes) == ({"change_regression"} if named else set())
    if named:
        assert next(o for o in outcomes if isinstance(o, Finding)).subject.names == ("pricing",)


def test_a_change_that_came_later_did_not() -> None:
    """What was changed a day after the answers did is not why."""
    case = _halved_on(("b", "c")).case()
    at = float(case.current.time[0]) + 3 * DAY
    case.changes = (Change("C1", at, "pricing", "flag", "discount rule on for b, c"),)
    assert not supported(run(case, "change_by_name"))


def _edition(values: np.ndarray) -> System:
    """A system whose scores are another row's wherever its rules came from an edition called bad or the empty file."""
    system = healthy()
    system.frames["reference"] = system.frames["reference"].with_columns(
        edition=np.where(np.arange(system.rows) % 2, "a1", "b2")
    )
    system.change(edition=values)
    wrong = np.isin(values, ("c3", "e3b0c44298fc"))
    return system.serve(system.rng.permutation(system.current["score"].to_numpy()), wrong)


def test_an_edition_that_comes_and_goes_is_badly_written() -> None:
    """Every few hours the bad file is in place; in between all is well."""
    turn = (np.arange(3_000) // 100) % 2
    case = _edition(np.where(turn, "c3", "a1")).case(segments=("edition",))
    outcomes = run(case, "artifact_in_turns")
    assert supported(outcomes) == {"malformed_artifact"}


def test_a_machine_beside_others_is_no_edition() -> None:
    """What serves side by side with the others takes no turns."""
    side = np.random.default_rng(3).random(3_000) < 0.4
    case = _edition(np.where(side, "c3", "a1")).case(segments=("edition",))
    assert not supported(run(case, "artifact_in_turns"))


def test_the_digest_of_nothing_is_known() -> None:
    """Rows served with an empty file need not come in turns."""
    side = np.random.default_rng(3).random(3_000) < 0.4
    case = _edition(np.where(side, "e3b0c44298fc", "a1")).case(segments=("edition",))
    outcomes = run(case, "artifact_in_turns")
    assert supported(outcomes) == {"malformed_artifact"}
    assert "empty file" in next(o for o in outcomes if isinstance(o, Finding)).statement


@pytest.mark.parametrize(
    ("description", "mode"),
    [
        ("inference runtime 1.23, int8 kernels", "runtime_numerics"),
        ("score calibrator refreshed", "calibration_change"),
        ("weekly retraining", "bad_retrain"),
        ("image tag latest", "wrong_version"),
        ("new icons", None),
    ],
)
def test_what_a_change_says_it_did_is_heard(description: str, mode: str | None) -> None:
    """Words of the one change made as answers began to differ; a day earlier they say nothing."""
    system = healthy()
    late = np.arange(system.rows) >= system.rows // 2
    noisy = np.clip(
        system.current["score"].to_numpy() + system.rng.normal(0, 0.1, system.rows), 0, 1
    )
    case = system.serve(noisy, late).case()
    at = float(case.current.time[0]) + 2 * DAY
    for when, heard in ((at - 600, {mode} - {None}), (at - DAY, set())):
        case.changes = (Change("C1", when, "scorer", "deploy", description),)
        assert supported(run(case, "change_that_says")) == heard
