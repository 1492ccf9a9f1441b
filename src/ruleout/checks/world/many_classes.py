"""Disagreement of labels with answers where there are too many classes to model each.

Rule: the answers served now are distributed as before, yet labels disagree with them more often. If the rate of
disagreement rose alike for every answered class, and the labels given instead are spread over all classes, labels
became noisy; if it rose for a few classes that turn into one other, a map of labels (or the meaning of those
classes) changed. Assumes sound answers: the reproduction checks speak to that.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Abstained, Clear, Finding, Outcome, Subject
from ruleout._registry import check
from ruleout.profile import Case

Floats = NDArray[np.float64]
MODES = ("label_noise", "corrupted_labels", "concept_drift")
_FEW = 20
_LEAST_ROWS = 15
_LEAST_RISE = 0.02


class Spread(NamedTuple):
    """How the added disagreement lies over the answered classes."""

    rise: float
    """Added share of rows whose label is not the answer."""

    answers_moved: float
    """Total variation of the answers' distribution, less what chance gives."""

    uneven: float
    """Share of the added disagreement beyond an equal rise of every class."""

    one_way: float
    """Of the disagreeing rows of a class, the mean share that its commonest other label has."""


@check(
    "disagreement_by_class",
    layer="data",
    rung="world",
    looks_for=MODES,
    needs=("data.reference", "data.current", "labels"),
)
def disagreement_by_class(case: Case, rng: np.random.Generator) -> Iterable[Outcome]:
    """How is the added disagreement of labels with answers spread over more than 20 classes?"""
    del rng
    if len(case.classes) <= _FEW:
        return
    found = spread(case)
    label = case.incident.data.columns.target or "target"
    if found is None or found.answers_moved > 0.1:
        yield Abstained(MODES, "the answers themselves moved, or too few rows are labelled")
        return
    if found.rise < _LEAST_RISE:
        yield Clear(
            MODES,
            Subject(),
            "labels agree with the answers as before",
            _LEAST_RISE,
            "classes.agree",
        )
        return
    kind = "many_alike" if found.uneven < 0.5 and found.one_way < 0.4 else "many_uneven"
    where = (
        "alike over the classes"
        if kind == "many_alike"
        else "in some classes far more than in others"
    )
    told = (
        f"labels disagree with {found.rise:.1%} more of the answers, {where} (the commonest other label takes "
        f"{found.one_way:.0%}), while the answers themselves are distributed as before"
    )
    yield Finding(
        f"label_residual.{kind}",
        Subject("label", (label,)),
        told,
        found.rise,
        found.rise / 0.01,
        None,
        min(1.0, 0.6 + found.rise),
        MODES,
        ("covariate_shift", "prior_shift"),
    )


def spread(case: Case) -> Spread | None:
    """Where the added disagreement lies; None without enough rows in both windows."""
    size = len(case.classes)
    rates, counts, answers = [], [], []
    for which in ("reference", "current"):
        truth, said = case.truth(which), case.outputs(which).decision
        known = (truth != -1) & (said != -1)
        if known.sum() < 200:
            return None
        n = np.bincount(said[known].astype(int), minlength=size).astype(float)
        wrong = np.bincount(said[known].astype(int), weights=(truth != said)[known], minlength=size)
        rates.append(wrong / np.maximum(n, 1))
        counts.append(n)
        answers.append(n / n.sum())
    big = (counts[0] >= _LEAST_ROWS) & (counts[1] >= _LEAST_ROWS)
    if big.sum() < 5:
        return None
    weight = counts[1][big] / counts[1][big].sum()
    risen = rates[1][big] - rates[0][big]
    rise = float(weight @ risen)
    noise = (
        rates[1][big] * (1 - rates[1][big]) / counts[1][big]
        + rates[0][big] * (1 - rates[0][big]) / counts[0][big]
    )
    excess = float(weight @ np.maximum((risen - rise) ** 2 - noise, 0.0))
    moved = 0.5 * float(np.abs(answers[1] - answers[0]).sum())
    chance = 0.4 * float(np.sqrt(size * (1 / counts[0].sum() + 1 / counts[1].sum())))
    return Spread(
        rise, moved - chance, float(np.sqrt(excess)) / max(abs(rise), 1e-9), _one_way(case)
    )


def _one_way(case: Case) -> float:
    """Mean share of the commonest wrong label among the wrong labels of each answered class."""
    truth, said = case.truth("current"), case.outputs("current").decision
    wrong = (truth != said) & (truth != -1) & (said != -1)
    shares, weights = [], []
    for code in np.unique(said[wrong]):
        others = truth[wrong & (said == code)].astype(int)
        if len(others) >= 8:
            shares.append(float(np.bincount(others).max() / len(others)))
            weights.append(len(others))
    return float(np.average(shares, weights=weights)) if shares else 0.0
