"""Texts that were re-cased, re-tokenised, stripped or wrongly decoded on their way to the model.

Rule: as for images. Reference texts are damaged in every known way; the shares of these views
among the current texts (balanced by class) say which damage is there and where. Then it is undone,
or done to the reference where it cannot be: current and reference must no longer be told apart.
Another language or topic moves words too, but no damage accounts for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Abstained, Clear, Finding, Outcome, RepairPlan, Subject
from ruleout._registry import check
from ruleout.checks.inputs._locate import Located, locate
from ruleout.checks.inputs._text_chart import texts_chart
from ruleout.checks.inputs._text_features import (
    LEAST_TEXTS,
    Texts,
    changed,
    comparable,
    damaged_views,
    features,
)
from ruleout.profile import Case
from ruleout.stats._garble import GARBLINGS
from ruleout.stats._views import AS_IS, Separation, fit_recogniser, restored, separation

Floats = NDArray[np.float64]

MODES = ("tokenizer_mismatch",)
_LEAST_SHARE = 0.08
_RESTORED = 0.5


class Damage(NamedTuple):
    """A damage, where it is, and how well undoing it works."""

    name: str
    where: Located
    before: Separation
    after: Separation

    @property
    def restored(self) -> float:
        """Share of the separation that goes away, in [0, 1]."""
        return restored(self.before, self.after)


class Looked(NamedTuple):
    """What looking for damage in one text column brought."""

    texts: Texts
    apart: Separation
    smallest: float
    damage: Damage | None


@check(
    "text_damage",
    layer="model",
    rung="inputs",
    looks_for=MODES,
    needs=("data.reference", "data.current", "data.columns.text"),
)
def text_damage(case: Case, rng: np.random.Generator) -> Iterable[Outcome]:
    """Look for known damages in each text column and undo them."""
    del rng
    for name in case.of_kind("text"):
        if case.reference.has(name) and case.current.has(name):
            yield from _column(case, name)


def look(case: Case, name: str) -> Looked | int:
    """Compare the texts of both windows, once per case; their number if they are too few."""
    key = f"text damage {name}"
    if key not in case.cache:
        case.cache[key] = _look(case, name, case.rng(key))
    looked: Looked | int = case.cache[key]
    return looked


def _look(case: Case, name: str, rng: np.random.Generator) -> Looked | int:
    side = comparable(case, name)
    if min(len(side.before), len(side.now)) < LEAST_TEXTS:
        return min(len(side.before), len(side.now))
    seed = int(rng.integers(2**32))
    views = damaged_views(side)
    own = features(side.now, side.vocabulary, own=False)
    apart = separation(views[AS_IS], own, np.random.default_rng(seed), side.weight)
    recogniser = fit_recogniser(views, rng, side.weight)
    shares = recogniser.shares(own, rng)
    noise = 2.5 * float(recogniser.noise.mean()) * np.sqrt(2.0)
    smallest = float(np.clip(noise, 0.02, 1.0))
    suspects = sorted((n for n in shares.names if n != AS_IS), key=lambda n: -shares.of(n)[0])
    best: Damage | None = None
    for suspect in suspects[:3]:
        if shares.of(suspect)[0] < _LEAST_SHARE:
            break
        tried = _tried(case, side, (views, own), suspect, seed)
        if tried is not None and (best is None or _worth(tried) > _worth(best)):
            best = tried
    return Looked(side, apart, smallest, best)


def _worth(damage: Damage) -> float:
    return damage.restored * min(damage.where.inside, 1.0)


def _tried(
    case: Case, side: Texts, data: tuple[dict[str, Floats], Floats], suspect: str, seed: int
) -> Damage | None:
    views, own = data
    pair = {AS_IS: views[AS_IS], suspect: views[suspect]}
    two = fit_recogniser(pair, np.random.default_rng(seed), side.weight)
    low, high = two.means[0, 1], two.means[1, 1]
    if high - low < 0.05:
        return None
    where = locate(case, side.rows_now, (two.answers(own)[:, 1] - low) / (high - low))
    if where.rows.sum() < 20 or where.inside < 0.4:
        return None
    before = separation(views[AS_IS], own[where.rows], np.random.default_rng(seed), side.weight)
    if before.auc - 0.5 < 3.0 * before.error:
        return None
    inverse = GARBLINGS[suspect].inverse
    if inverse is None:
        pair_after = views[suspect], own[where.rows]
    else:
        mended = changed(side.now.filter(where.rows), inverse)
        pair_after = views[AS_IS], features(mended, side.vocabulary, own=False)
    after = separation(*pair_after, np.random.default_rng(seed), side.weight)
    damage = Damage(suspect, where, before, after)
    return damage if damage.restored >= _RESTORED else None


def _column(case: Case, name: str) -> Iterator[Outcome]:
    looked = look(case, name)
    subject = Subject("feature", (name,))
    if isinstance(looked, int):
        reason = f"{looked} comparable texts in {name}; at least {LEAST_TEXTS} a window are needed"
        yield Abstained(MODES, reason, "data.columns.text")
    elif looked.damage is not None:
        yield _finding(case, name, looked, looked.damage)
    elif looked.apart.auc - 0.5 < 3.0 * looked.apart.error:
        text = (
            f"current texts in {name} cannot be told from reference texts of the same classes by "
            f"length, characters or words (AUC {looked.apart.auc:.2f})"
        )
        # Texts may still be damaged behind the log; only their answers can clear that.
        yield Clear((), subject, text, looked.smallest, "text.damage")


def _finding(case: Case, name: str, looked: Looked, damage: Damage) -> Finding:
    subject = Subject("feature", (name,))
    garbling, where = GARBLINGS[damage.name], damage.where
    how = "undoing it makes them" if garbling.inverse else "the reference treated so makes both"
    share = float(np.clip(where.inside, 0.0, 1.0))
    text = (
        f"texts in {name} are {garbling.words} {where.words} (about {share:.0%} of these rows): "
        f"{how} look alike (AUC of telling them apart {damage.before.auc:.2f} -> "
        f"{damage.after.auc:.2f})"
    )
    sureness = float(np.clip((damage.restored - 0.3) / 0.5, 0.0, 1.0))
    return Finding(
        signal="text.damage",
        subject=subject,
        statement=text,
        statistic=damage.restored,
        effect=(damage.before.auc - 0.5) / damage.before.error,
        p_value=None,
        strength=max(0.1, sureness * float(np.clip((share - 0.3) / 0.4, 0.0, 1.0))),
        supports=MODES,
        against=(
            "covariate_shift",
            "new_category",
            "concept_drift",
            "context_truncation",
            "fallback_overload",
        ),
        scope=where.scope,
        onset=where.onset,
        repairs=(RepairPlan("text_inverse", subject, where.scope, {"damage": damage.name}),),
        chart=texts_chart(case, name, looked.texts.rows_now[where.rows]),
    )
