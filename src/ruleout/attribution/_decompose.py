"""The decomposition of an incident's symptom, ready for a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ruleout.attribution._detail import DetailShare, divide, movers
from ruleout.checks.world._view import Split, View, split, view
from ruleout.checks.world.decomposition import waterfall
from ruleout.profile import Case
from ruleout.stats._decompose import Decomposition

LEAST_OVERLAP = 0.05
"""Effective share of the reference rows under the weights; below, nothing is concluded from them."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """Why the metric moved, when nothing is broken."""

    metric: str
    parts: Decomposition
    """Class balance, inputs, outcome given inputs, unseen inputs; they add up to the change."""

    features: tuple[DetailShare, ...]
    """The inputs' part by input, largest first; adds up to `parts.covariates.value`."""

    sources: tuple[DetailShare, ...]
    """The same by declared source; empty without sources."""

    concluded: bool
    """Whether the windows overlap enough for the parts to be believed."""

    caution: str
    """Why not, or an empty text."""

    chart: Mapping[str, Any]
    """Waterfall of the parts, for the report."""

    def sentences(self) -> tuple[str, ...]:
        """What a person should read, largest part first."""
        named = {
            "class balance": self.parts.balance,
            "inputs": self.parts.covariates,
            "outcome given inputs": self.parts.conditional,
            "unseen inputs": self.parts.unseen,
        }
        ordered = sorted(named.items(), key=lambda item: -abs(item[1].value))
        told = [
            f"{name}: {s.value:+.4g} [{s.low:+.4g}, {s.high:+.4g}] of {self.parts.change.value:+.4g}"
            for name, s in ordered
            if s.value
        ]
        return (*told, self.caution) if self.caution else tuple(told)


def decompose(case: Case) -> Attribution | None:
    """Split the change of a case's metric; None when a window has fewer than 200 labelled rows or no inputs."""
    seen, parts = view(case), split(case)
    if seen is None or parts is None:
        return None
    caution = _caution(parts)
    return Attribution(
        metric=case.metric.name,
        parts=parts.parts,
        features=_divided(case, seen, parts, None),
        sources=_divided(case, seen, parts, sources)
        if (sources := case.incident.data.sources)
        else (),
        concluded=not caution,
        caution=caution,
        chart=waterfall(case, parts),
    )


def _divided(
    case: Case, seen: View, parts: Split, sources: Mapping[str, tuple[str, ...]] | None
) -> tuple[DetailShare, ...]:
    p = parts.parts
    if p.covariates.low <= 0 <= p.covariates.high:
        return ()  # nothing that could be divided
    codes = seen.reference.truth.astype(np.int64) if len(parts.factor) else None
    return divide(
        (seen.reference.x, seen.reference.loss),
        p.weight,
        movers(seen.owner, p.ratio.gain, sources),
        p.covariates,
        rng=case.rng("world detail"),
        base=None if codes is None else np.where(codes >= 0, parts.factor[codes], 1.0),
        categorical=seen.categorical,
    )


def _caution(parts: Split) -> str:
    p = parts.parts
    if p.overlap < LEAST_OVERLAP:
        return (
            f"the weighted reference is worth only {p.overlap:.1%} of its rows: the windows overlap too little to say "
            "how much of the change lies in the inputs"
        )
    if p.supported < 0.5:
        return f"only {p.supported:.0%} of the current rows have counterparts in the reference"
    return ""
