"""Whether the current window is the first that this model served."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Abstained, Finding, Outcome, Subject
from ruleout._registry import check
from ruleout.checks.inputs._departure import Departure, departures
from ruleout.checks.inputs._launch import with_window
from ruleout.profile import Case, iso

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_FIRST = 0.2
"""Share of the window that counts as its first rows."""

_LEAST = 50
_ALIKE = 0.5
"""Early rows are as bad as later ones from this share of the later rise on."""

_LEAST_ROWS = 300


@check(
    "from_launch",
    layer="model",
    rung="reproduction",
    looks_for=("train_serve_skew", "target_leakage"),
    needs=("models.current", "data.columns.timestamp"),
)
def from_launch(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Were the errors there from the first rows that a model served online?

    What was never right, a feature computed by another code path or one that knew the label
    offline, is wrong from the launch on; what breaks later has an onset of its own.
    """
    del rng
    modes = ("train_serve_skew", "target_leakage")
    time, spec = case.current.time, case.incident.models.get("current")
    deployed = spec.deployed_at if spec is not None else None
    loss = case.loss("current")
    known = np.isfinite(loss)
    if time is None or deployed is None or known.sum() < _LEAST_ROWS:
        yield Abstained(modes, "no record of when the model was deployed", "models.current")
        return
    length = float(time[-1] - time[0])
    if not with_window(case, deployed):
        yield Abstained(modes, f"the model was put to work at {iso(deployed)}, not with the window")
        return
    early = time <= time[0] + _FIRST * length
    moved = tuple(n for n, d in departures(case).items() if d.departed and _already(d, early))
    errors = _as_many(loss[known & early], loss[known & ~early], case)
    if not moved and not errors:
        yield Abstained(modes, "neither errors nor inputs were off from the first rows on")
        return
    what = "errors were as many" if errors else f"{', '.join(moved[:4])} had moved as far"
    yield Finding(
        "launch.first_rows",
        Subject() if errors else Subject("feature", moved),
        f"{what} from the first rows that the model served, at {iso(deployed)}",
        float(early.mean()),
        1.0,
        None,
        1.0,
        (),
        (),
    )


def _already(found: Departure, early: Mask) -> bool:
    """Whether an input's departure is as strong in the early rows (m,) as later."""
    if found.scope.since is not None or min(early.sum(), (~early).sum()) < _LEAST:
        return False
    rise = found.signal - found.level
    return float(rise[early].mean()) > _ALIKE * float(rise[~early].mean())


def _as_many(first: Floats, later: Floats, case: Case) -> bool:
    """Whether early losses (k,) are above the reference's as later ones are, within chance."""
    if min(len(first), len(later)) < _LEAST:
        return False
    error = math.sqrt(float(first.var()) / len(first) + float(later.var()) / len(later))
    rise = float(later.mean()) - float(np.nanmean(case.loss("reference")))
    missing = float(later.mean() - first.mean())
    return rise > 0 and (missing < 2.5 * error or missing < (1 - _ALIKE) * rise)
