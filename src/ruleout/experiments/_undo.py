"""Trying the repairs that hypotheses propose, each once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ruleout import experiments as package
from ruleout._errors import RuleoutError
from ruleout._records import Explained, RepairPlan
from ruleout._registry import REPAIRS, load_all
from ruleout.experiments._replay import explain
from ruleout.experiments._undone import Undone
from ruleout.profile import Case

T = TypeVar("T")


class Bench:
    """Applies repair plans to a case and remembers what came out."""

    def __init__(self, case: Case) -> None:
        load_all(package, "ruleout.repairs")
        self.case = case
        self.refused: dict[str, str] = {}
        """Why a plan could not be carried out, by repair id."""
        self._undone: list[tuple[RepairPlan, Undone | None]] = []
        self._explained: list[tuple[RepairPlan, Explained | None]] = []

    def undone(self, plan: RepairPlan) -> Undone | None:
        """The world with the plan's fault undone; None (noted in `refused`) if it cannot be."""
        for known, made in self._undone:
            if known == plan:
                return made
        made = self._attempt(plan, lambda: REPAIRS[plan.repair].run(self.case, plan))
        self._undone.append((plan, made))
        return made

    def explained(self, plan: RepairPlan) -> Explained | None:
        """Share of the symptom that the plan takes away."""
        for known, told in self._explained:
            if known == plan:
                return told
        made = self.undone(plan)
        told = None if made is None else self._attempt(plan, lambda: explain(self.case, made))
        self._explained.append((plan, told))
        return told

    def together(self, first: RepairPlan, second: RepairPlan) -> Explained | None:
        """Share of the symptom that both plans take away at once; None where they cannot be joined.

        Two repairs join when each puts back columns of its own.
        """
        one, two = self.undone(first), self.undone(second)
        if one is None or two is None or not _columns_only(one) or not _columns_only(two):
            return None
        if set(one.features) & set(two.features):
            return None
        both = Undone(features={**one.features, **two.features}, keep=_kept(one.keep, two.keep))
        return self._attempt(second, lambda: explain(self.case, both))

    def _attempt(self, plan: RepairPlan, act: Callable[[], T | None]) -> T | None:
        """What `act` gives; None, with the reason in `refused`, where it raises."""
        try:
            return act()
        except RuleoutError as error:
            self.refused[plan.repair] = str(error)
        except Exception as error:
            # A repair or plug-in may raise anything; one that fails is not undone, and the report says so.
            if os.environ.get("RULEOUT_DEBUG") == "raise":
                raise
            self.refused[plan.repair] = f"crashed: {type(error).__name__}: {error}"
        return None

    def best(self, mode: str, plans: Sequence[RepairPlan]) -> tuple[RepairPlan, Explained] | None:
        """Of the plans that undo `mode`, the one that explains most."""
        return max(self._worked(mode, plans), key=lambda f: f[1].fraction, default=None)

    def fullest(self, mode: str, plans: Sequence[RepairPlan]) -> RepairPlan | None:
        """Of the plans that explain as much as the best but for chance, the one that leaves most rows to look at."""
        found = self._worked(mode, plans)
        least = max((told.low for _, told in found), default=0.0)
        fair = [(plan, told) for plan, told in found if told.fraction >= least]
        most = max(fair, key=lambda f: (self._left(f[0]), f[1].fraction), default=None)
        return None if most is None else most[0]

    def _worked(self, mode: str, plans: Sequence[RepairPlan]) -> list[tuple[RepairPlan, Explained]]:
        """The plans that undo `mode` and could be carried out, with what each explains."""
        able = [p for p in plans if p.repair in REPAIRS and mode in REPAIRS[p.repair].undoes]
        told = [(plan, self.explained(plan)) for plan in able]
        return [(plan, explained) for plan, explained in told if explained is not None]

    def _left(self, plan: RepairPlan) -> float:
        """Share of the current rows that hold what the plan put right."""
        undone = self.undone(plan)
        if undone is None or undone.damaged is not None:
            return 0.0
        if undone.weight is not None or undone.reference_weight is not None:
            return 0.0
        return 1.0 if undone.keep is None else float(undone.keep.mean())


def _columns_only(undone: Undone) -> bool:
    others = (undone.outputs, undone.truth, undone.weight, undone.reference_weight, undone.damaged)
    return bool(undone.features) and all(part is None for part in others)


def _kept(one: NDArray[np.bool_] | None, two: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    if one is None or two is None:
        return one if two is None else two
    return np.asarray(one & two)
