"""Undoing things: repairs, replay, joint causes."""

from ruleout.experiments._replay import explain, replayed_outputs
from ruleout.experiments._undo import Bench
from ruleout.experiments._undone import Undone

__all__ = ["Bench", "Undone", "explain", "replayed_outputs"]
