"""Inputs that stand still for each entity, and values that come again in other rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from linked_world import Frames, made, quiet, served
from ruleout.profile import Case
from served_world import findings


def members(hold: float, *, rows_again: bool = False, seed: int = 5) -> Frames:
    """The quiet world of 300 members who come about ten times a window.

    In `hold` of the current visits the income is what the member had on the visit before.
    """
    rng = np.random.default_rng(seed)
    frames = [
        f.with_columns(pl.Series("member", [f"m{k}" for k in rng.integers(0, 300, f.height)]))
        for f in quiet()
    ]
    now = frames[1]
    if rows_again:
        now = now[np.sort(np.r_[np.arange(now.height), rng.integers(0, now.height, 900)])]
    before = pl.col("income").shift(1).over("member")
    held = pl.Series(rng.random(now.height) < hold)
    now = now.with_columns(pl.when(held & before.is_not_null()).then(before).otherwise("income"))
    return frames[0], served(now)


def of_members(frames: Frames, **more: Any) -> Case:
    """Their case, members named as segments."""
    return made(frames, segments=["region", "member"], **more)


def test_an_input_that_each_member_keeps_is_stale() -> None:
    """A store that serves what it last computed for the member repeats it from visit to visit."""
    told = findings(of_members(members(0.8)), "freshness")
    stale = [f for f in told.values() if f.subject.names == ("income",)]
    assert stale
    assert all(f.supports == ("stale_features",) for f in stale)


def test_rows_that_come_again_are_no_standing_still() -> None:
    """Whole rows served twice repeat every input: that is a matter of rows, not of one store."""
    told = findings(of_members(members(0.0, rows_again=True)), "freshness")
    assert not [f for f in told.values() if "stale_features" in f.supports]


def test_members_who_come_with_their_own_values_are_quiet() -> None:
    """Nothing stands still where nothing was held."""
    assert findings(of_members(members(0.0)), "freshness") == {}
