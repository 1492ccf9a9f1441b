"""Counts of tokens that no longer follow from the texts beside which they are logged.

Rule: a column that follows from the logged text in the reference (words, characters, punctuation;
R2 of 0.9 or more on rows not fitted) and no longer does so now was counted on something else than
the logged text: another tokenizer, or the text cut at a limit. A column that was always 0 and now
counts a part of the words is one of words that the tokenizer does not know. Texts with words that the
reference never had are left out, since any tokenizer cuts those up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ruleout._records import Finding, Outcome, RepairPlan, Subject
from ruleout._registry import check
from ruleout.checks.inputs._locate import Located, locate
from ruleout.checks.inputs._text_chart import texts_chart
from ruleout.checks.inputs._text_counters import Counter, counters, side, tallies
from ruleout.profile import Case

MODES = ("tokenizer_mismatch", "context_truncation")
_LEAST_RISE = 0.05
_LEAST_RATIO = 0.05
_LEAST_SHARE = 0.25
_BEHIND = (
    "unit_change",
    "covariate_shift",
    "precision_loss",
    "wrong_version",
    "bad_retrain",
    "runtime_numerics",
    "threshold_change",
    "calibration_change",
    "class_weight_change",
    "fallback_overload",
    "concept_drift",
    "class_map_mismatch",
)


@check(
    "text_tokens",
    layer="model",
    rung="inputs",
    looks_for=MODES,
    needs=("data.reference", "data.current", "data.columns.text"),
)
def text_tokens(case: Case, rng: np.random.Generator) -> Iterable[Outcome]:
    """Compare what is counted beside each text with the text itself."""
    del rng
    for name in case.of_kind("text"):
        if case.reference.has(name) and case.current.has(name):
            yield from _column(case, name)


def look(case: Case, name: str) -> tuple[Counter, Located] | None:
    """What no longer follows from the texts of a column, and where; looked for once."""
    key = f"text tokens {name}"
    if key not in case.cache:
        case.cache[key] = _look(case, name)
    found: tuple[Counter, Located] | None = case.cache[key]
    return found


def _look(case: Case, name: str) -> tuple[Counter, Located] | None:
    before, now = side(case, "reference", name), side(case, "current", name)
    follow = list(counters(case, before, now))
    risen = [c for c in follow if c.off.mean() - c.usual > _LEAST_RISE and _by(c) > _LEAST_RATIO]
    risen += [c for c in tallies(case, before, now, follow) if c.off.mean() > _LEAST_RISE]
    if not risen:
        return None
    worst = max(risen, key=lambda c: (bool(c.expected.any()), float(c.off.mean())))
    where = locate(case, worst.rows, worst.off.astype(float))
    return (worst, where) if worst.off[where.rows].mean() >= _LEAST_SHARE else None


def _column(case: Case, name: str) -> Iterator[Outcome]:
    looked = look(case, name)
    if looked is None:
        return
    worst, where = looked
    yield _finding(case, name, worst, where)
    told = f"{worst.name} was not counted on the logged {name}: what was read is not what is logged"
    yield Finding(
        "text.read_otherwise", Subject(), told, float(worst.off.mean()), float(worst.off.mean()),
        None, 1.0, (), against=_BEHIND,
    )  # fmt: skip


def _by(found: Counter) -> float:
    """By what share of itself the usual count that is off, is off."""
    gap = np.abs(found.value[found.off] - found.expected[found.off])
    return float(np.median(gap / np.maximum(np.abs(found.expected[found.off]), 1e-9)))


def _finding(case: Case, name: str, found: Counter, where: Located) -> Finding:
    share = float(found.off[where.rows].mean())
    inside = found.off & where.rows
    limit = _limit(found, where)
    if limit is not None:
        mode, how = MODES[1], f"never more than {limit:g}, however long the text is"
    elif found.expected.any():
        ratio = float(np.median(found.value[inside] / np.maximum(found.expected[inside], 1.0)))
        mode, how = MODES[0], f"{ratio:.2g} times what the same text had in the reference"
    else:
        mode, how = MODES[0], "above 0, where it never was"
    subject = Subject("feature", (name,))
    return Finding(
        signal="text.tokens",
        subject=subject,
        statement=f"{found.name} beside {name} is {how}, {where.words} ({share:.0%} of these rows)",
        statistic=share,
        effect=share / max(np.sqrt(share * (1 - share) / max(int(where.rows.sum()), 1)), 1e-3),
        p_value=None,
        strength=float(np.clip(share / 0.4, 0.4, 1.0)),
        supports=(mode,),
        against=("covariate_shift", "concept_drift", "unit_change"),
        scope=where.scope,
        onset=where.onset,
        repairs=(RepairPlan("intended_answers", subject, where.scope, {"read": name}),),
        chart=texts_chart(case, name, found.rows[inside]),
    )


def _limit(found: Counter, where: Located) -> float | None:
    """The count at which texts are cut: what is off is all of one size, and what is shorter is right."""
    inside = found.off & where.rows
    if not found.expected.any() or inside.sum() < 8:
        return None
    top = float(np.median(found.value[inside]))
    alike = float((np.abs(found.value[inside] - top) <= 1).mean())
    longer = float((found.expected[inside] > top).mean())
    return top if alike > 0.9 and longer > 0.9 else None
