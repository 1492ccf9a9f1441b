from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from ruleout._records import AlignedChange, Checked, Finding, Onset, Subject
from ruleout.hypotheses import Candidate, align_changes, leading_change, number, sharpest_onset
from ruleout.hypotheses._propose import Numbered
from ruleout.incident import from_frames
from ruleout.profile import Case, build_case, iso
from served_world import START, windows

DAY = 86_400.0
HIT = START + 9 * DAY


def deployed(*hours: float) -> Case:
    """Ten days of rows with a deploy so many hours after the ninth day began."""
    reference, current = windows(np.random.default_rng(0), 300)
    begin = datetime.fromtimestamp(HIT, UTC)
    events = pl.DataFrame(
        {
            "timestamp": [(begin + timedelta(hours=h)).isoformat() for h in hours],
            "kind": ["deploy"] * len(hours),
            "entity": [f"service{i}" for i in range(len(hours))],
            "description": ["released"] * len(hours),
        }
    )
    return build_case(
        from_frames(
            reference,
            current,
            task="binary",
            timestamp="ts",
            target="label",
            prediction="said",
            changes=events,
        )
    )


def onset(hours: float = 0.0, width: float = 1.0) -> Onset:
    at = HIT + 3600 * hours
    return Onset(iso(at), iso(at - 1800 * width), iso(at + 1800 * width))


def test_the_change_at_the_onset_is_the_one() -> None:
    """Of a deploy an hour before the onset and one days earlier, the near one is the likelier by far."""
    far, near = align_changes(deployed(-1.0, -150.0), onset())
    assert near.alignment > 0.8
    assert far.alignment < 0.05
    assert list(leading_change([near, far])) == [near.id]


def test_a_change_after_its_effect_is_not_the_cause() -> None:
    """A deploy that came a day after the onset does not align with it."""
    (late,) = align_changes(deployed(24.0), onset())
    assert late.alignment < 0.05
    assert leading_change([late]) == {}


def test_with_many_deploys_nearness_proves_nothing() -> None:
    """Where something is deployed every half hour, no single deploy stands out at the onset."""
    told = align_changes(deployed(*np.arange(-100, 24, 0.5)), onset())
    assert sum(c.alignment for c in told) < 1
    assert max(c.alignment for c in told) < 0.3
    assert leading_change(told) == {}


def test_a_vague_onset_aligns_with_less() -> None:
    """The wider the onset's interval, the less a near change is worth."""
    case = deployed(-1.0)
    sharp, vague = (align_changes(case, onset(width=w))[0].alignment for w in (1.0, 40.0))
    assert sharp > vague


def test_without_an_onset_nothing_aligns() -> None:
    """Changes are still listed, each with no alignment."""
    told = align_changes(deployed(-1.0, 2.0), None)
    assert [c.alignment for c in told] == [0.0, 0.0]


def test_without_changes_nothing_is_listed() -> None:
    """An incident without changes has none aligned."""
    case = deployed(-1.0)
    case.changes = ()
    assert align_changes(case, onset()) == ()


@pytest.mark.parametrize("alignment", [0.49, 0.0])
def test_no_change_leads_below_one_half(alignment: float) -> None:
    """A change that fits no better than all else together is not named."""
    assert leading_change([AlignedChange("c1", "t", "deploy", "s", "", None, alignment)]) == {}
    assert leading_change([]) == {}


def candidate(probability: float, when: Onset) -> Candidate:
    found = Finding("s", Subject(), "t", 1.0, 1.0, None, 1.0, ("unit_change",), (), onset=when)
    rows: list[Numbered] = number([Checked("c", "data", "inputs", (found,))])
    return Candidate("unit_change", Subject(), rows, probability=probability)


def test_the_sharper_onset_of_a_leading_cause_dates_the_incident() -> None:
    """An input's own onset is taken when its hypothesis leads and it is sharper than the metric's."""
    case, metric = deployed(-1.0), onset(3.0, 12.0)
    assert sharpest_onset(case, [candidate(0.9, onset())], metric) == onset()
    assert sharpest_onset(case, [candidate(0.9, onset())], None) == onset()
    assert sharpest_onset(case, [candidate(0.2, onset())], metric) == metric
    assert sharpest_onset(case, [candidate(0.9, onset(0, 40.0))], metric) == metric


def test_a_fault_from_the_first_row_does_not_date_itself() -> None:
    """An input broken from the start of the window leaves the dating to the metric."""
    case = deployed(-1.0)
    assert sharpest_onset(case, [candidate(0.9, onset(-24.0))], None) is None
