"""Is the new loss the work of a few actors, and do they keep just below the threshold?

Rule: over every column that could name an actor (many values, few rows each), the share of the excess loss that its ten
worst values carry, against losses shuffled over rows, and against the same share in the reference. Bunching of
scores below the decision threshold sharpens it. Assumes labels. Reference: McCrary (2008) for bunching.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl

from ruleout._records import Abstained, Clear, Finding, Outcome, RepairPlan, Scope, Subject
from ruleout._registry import check
from ruleout.checks.inputs._defaults import WORDS, names_edition
from ruleout.checks.world._view import NO_HARM, View, view
from ruleout.profile import Case
from ruleout.stats._concentration import Concentration, bunching, concentration
from ruleout.stats._prior import Codes

MODES = ("adversarial_shift",)
_FEW = 10
_OFTEN = 15
_SEVERAL = 3
"""So many actors with so many rows are no customers who each come once."""

LEAST_ACTORS = 50


@check(
    "adversaries",
    layer="data",
    rung="world",
    looks_for=MODES,
    needs=("data.reference", "data.current", "data.columns.target"),
)
def adversaries(case: Case, rng: np.random.Generator) -> Iterable[Outcome]:
    """Look for concentration of the excess loss in few values of a column with many."""
    if case.significant is False:
        return [Abstained(MODES, NO_HARM)]
    seen = view(case)
    if seen is None:
        return [Abstained(MODES, "fewer than 200 labelled rows in a window", "data.columns.target")]
    columns = [name for name in actor_columns(case) if _many(case, seen, name)]
    if not columns:
        return [
            Abstained(
                MODES,
                "no column names actors (50 values or more, several rows each)",
                "data.columns.segments",
            )
        ]
    found = [outcome for name in columns for outcome in _column(case, seen, name, rng)]
    if found:
        return sorted(found, key=lambda f: -f.strength)[:1]
    text = f"the loss lies no more with few values of {', '.join(columns[:4])} than chance and the reference have it"
    return [Clear(MODES, Subject(), text, 0.3, "adversaries.spread")]


def actor_columns(case: Case) -> tuple[str, ...]:
    """Columns of both windows that may name actors: declared or not, but with no other role."""
    roles = case.incident.data.columns
    taken = {
        roles.id,
        roles.timestamp,
        roles.target,
        roles.prediction,
        roles.score,
        roles.weight,
        roles.label_available_at,
        *roles.scores.values(),
        *case.told_again,
        *case.numeric,
        *case.of_kind("text", "image", "embedding"),
    }
    return tuple(
        name
        for name, dtype in case.current.frame.schema.items()
        if name not in taken
        and not names_edition(name)  # many and short-lived, and nobody's actors
        and case.reference.has(name)
        and (dtype in (pl.String, pl.Categorical, pl.Enum) or dtype.is_integer())
    )


def _codes(case: Case, seen: View, name: str) -> tuple[Codes, Codes]:
    return (
        case.codes("reference", name)[seen.reference.rows],
        case.codes("current", name)[seen.current.rows],
    )


def _many(case: Case, seen: View, name: str) -> bool:
    codes = _codes(case, seen, name)[1]
    known = codes[codes >= 0]
    counts = np.sort(np.unique(known, return_counts=True)[1])
    # Where nearly everybody comes once, the few who come again and again are worth a look.
    again = len(counts) <= 0.9 * len(known) or int((counts[-_FEW:] >= _OFTEN).sum()) >= _SEVERAL
    return len(counts) >= LEAST_ACTORS and again


def _column(case: Case, seen: View, name: str, rng: np.random.Generator) -> Iterator[Finding]:
    before, now = _codes(case, seen, name)
    old, new = before >= 0, now >= 0
    base = float(seen.reference.loss.mean())
    found = concentration(
        now[new].astype(np.int64), seen.current.loss[new], base, rng=rng, top=_FEW
    )
    usual = concentration(
        before[old].astype(np.int64), seen.reference.loss[old], base, rng=rng, top=_FEW, draws=1
    )
    if found.p_value > 0.02 or found.top_share < 0.3 or found.row_share > 0.3:
        return
    common = usual.top_excess * new.sum() / max(old.sum(), 1)
    if found.top_excess < 1.5 * common or found.top_share < 2.0 * found.row_share:
        return
    worst = _culprits(now[new].astype(np.int64), seen.current.loss[new] - base, found)
    actors = tuple(case.vocabulary(name)[k] for k in worst)
    if all(a.strip().lower() in WORDS for a in actors):
        return  # "no value" is nobody
    odds, z = _bunched(case, seen)
    text = (
        f"{len(actors)} values of {name} ({', '.join(actors[:3])}{' ...' if len(actors) > 3 else ''}) carry "
        f"{found.top_share:.0%} of the excess loss with {found.row_share:.1%} of the rows (Gini {found.gini:.2f})"
    )
    near = (
        f"; scores bunch below the threshold ({odds:.1f} times as often as in the reference)"
        if z > 3 and odds > 1.3
        else ""
    )
    subject, scope = Subject("segment", tuple(sorted(actors))), Scope(column=name, values=actors)
    yield Finding(
        signal="adversaries.concentration",
        subject=subject,
        statement=text + near,
        statistic=found.gini,
        effect=found.top_share,
        p_value=found.p_value,
        strength=float(np.clip(found.top_share + (0.2 if near else 0.0), 0.0, 1.0)),
        supports=MODES,
        against=("concept_drift", "label_noise"),
        scope=scope,
        repairs=(RepairPlan("keep", subject, scope),),
    )


def _culprits(
    actor: Codes, excess: np.ndarray[tuple[int], np.dtype[np.float64]], found: Concentration
) -> list[int]:
    """Of the worst actors, those that carry at least a tenth of what the very worst carries."""
    total = np.bincount(actor, weights=excess)
    return [int(k) for k in found.top if total[k] >= 0.1 * total[found.top[0]]]


def _bunched(case: Case, seen: View) -> tuple[float, float]:
    before, now = seen.reference.outputs.score, seen.current.outputs.score
    if before is None or now is None or case.threshold is None:
        return 1.0, 0.0
    width = 0.5 * float(np.std(before)) or 0.05
    return bunching(before, now, case.threshold, width=min(width, 0.1))
