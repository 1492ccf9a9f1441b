"""Texts cut at a limit, empty texts, and one text in place of many.

Rule for cuts: a length (in characters or words) that no current text exceeds although many
reference texts do, and at which as many texts pile up as should have been longer; or, where only some texts
were cut, one at which as many pile up as are missing beyond it. Shorter texts by themselves (weekends, another channel) leave no pile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._records import Abstained, Clear, Finding, Outcome, RepairPlan, Subject
from ruleout._registry import check
from ruleout.checks.inputs._locate import Located, locate
from ruleout.checks.inputs._text_chart import texts_chart
from ruleout.profile import Case
from ruleout.profile._text import TextSample
from ruleout.profile._unstructured import texts
from ruleout.stats._twosample import proportions

Floats = NDArray[np.float64]

MODES = ("context_truncation", "silent_nulls")
_LEAST_LONG = 0.02
_LEAST_PILE = 8
_LEAST_RISE = 0.01
_LEAST_TEXTS = 60
_CLEAR_PILE = 0.05


class Cut(NamedTuple):
    """A limit at which texts were cut."""

    unit: str
    limit: int
    expected: float
    """Share of reference texts that are longer."""

    piled: float
    """Share of the current texts in scope that are exactly at the limit."""

    beyond: float
    """Share of them that are longer still."""

    where: Located


@check(
    "text_length",
    layer="integration",
    rung="inputs",
    looks_for=MODES,
    needs=("data.reference", "data.current", "data.columns.text"),
)
def text_length(case: Case, rng: np.random.Generator) -> Iterable[Outcome]:
    """Look for cut, empty and repeated texts in each text column."""
    del rng
    for name in case.of_kind("text"):
        if case.reference.has(name) and case.current.has(name):
            yield from _column(case, name)


def _column(case: Case, name: str) -> Iterator[Outcome]:
    before, now = texts(case, "reference", name), texts(case, "current", name)
    if not len(before.rows) or not len(now.rows):
        return
    subject = Subject("feature", (name,))
    cut = find_cut(case, before, now)
    if cut is not None:
        yield _cut_finding(case, name, now, cut)
    elif min(_written(before), _written(now)) < _LEAST_TEXTS:
        why = f"fewer than {_LEAST_TEXTS} texts in {name} in one of the windows"
        yield Abstained(("context_truncation",), why, "data.columns.text")
    else:
        text = f"texts in {name} pile up at no length that longer reference texts go beyond"
        yield Clear(("context_truncation",), subject, text, _LEAST_LONG, "text.length")
    losses = [f for f in (_empty(case, name, before, now), _repeated(case, name, before, now)) if f]
    yield from losses
    if not losses:
        text = f"{name} has no more empty and no more equal texts than before"
        yield Clear(("silent_nulls",), subject, text, _LEAST_RISE, "text.empty")


def _written(sample: TextSample) -> int:
    """Texts that are neither missing nor empty."""
    return int((np.nan_to_num(sample.statistics["length"]) > 0).sum())


def find_cut(case: Case, before: TextSample, now: TextSample) -> Cut | None:
    """The limit with the largest pile in excess of the reference's, if it is a limit."""
    found = [
        cut
        for unit in ("length", "tokens")
        if (cut := _cut_in(case, before.statistics[unit], now, unit)) is not None
    ]
    return max(found, key=lambda cut: (cut.piled * cut.where.rows.mean(), cut.unit), default=None)


def _cut_in(case: Case, old: Floats, now: TextSample, unit: str) -> Cut | None:
    old, new = np.nan_to_num(old), np.nan_to_num(now.statistics[unit])
    top = int(new.max())
    if top < 2:
        return None
    at_old = np.bincount(old.astype(int), minlength=top + 2)[: top + 1] / len(old)
    at_new = np.bincount(new.astype(int), minlength=top + 1)[: top + 1] / len(new)
    # A cut at whole words leaves some texts a few characters short, and stripping one more.
    limit = int(np.argmax((at_new - at_old) * (np.arange(top + 1) > np.median(old) / 4)))
    longer = float((old > limit).mean())
    slack = 1 if unit == "length" else 0
    piled = (new >= limit - slack) & (new <= limit)
    if longer < _LEAST_LONG or piled.sum() < _LEAST_PILE:
        return None
    usual = float(((old >= limit - slack) & (old <= limit)).mean())
    if piled.mean() - usual < max(_LEAST_LONG / 2, 0.5 * usual):
        return None
    reach = np.where(new >= limit - slack, piled.astype(float), np.nan)
    where = locate(case, now.rows, reach)
    beyond = float((new[where.rows] > limit).mean())
    share = float(piled[where.rows].mean())
    if piled[where.rows].sum() < _LEAST_PILE:
        return None
    whole = beyond <= 0.1 * longer and share >= 0.4 * longer
    if not whole and not _of_some(now, piled, (usual, share, beyond), longer):
        return None
    return Cut(unit, limit, longer, share, beyond, where)


def _of_some(
    now: TextSample, piled: NDArray[np.bool_], shares: tuple[float, float, float], longer: float
) -> bool:
    """Whether a part of the texts was cut, told by nothing else: what piles up is what is missing beyond.

    Other writers leave no pile at one length, and one text in place of many piles up as the same text.
    """
    usual, share, beyond = shares
    risen = share - usual
    if risen < max(_CLEAR_PILE, 4 * usual) or not 0.6 <= (risen + beyond) / longer <= 1.4:
        return False
    same = now.texts.filter(pl.Series(piled))
    return same.n_unique() > 0.5 * len(same)


def _cut_finding(case: Case, name: str, now: TextSample, cut: Cut) -> Finding:
    subject = Subject("feature", (name,))
    unit = "characters" if cut.unit == "length" else "words"
    text = (
        f"{cut.piled:.1%} of the texts in {name} are exactly {cut.limit} {unit} long "
        f"{cut.where.words} and {'none is' if cut.beyond < 0.005 else f'{cut.beyond:.1%} are'} longer; "
        f"{cut.expected:.1%} of the reference's are"
    )
    options = {"unit": cut.unit, "limit": cut.limit}
    return Finding(
        signal="text.cut",
        subject=subject,
        statement=text,
        statistic=float(cut.limit),
        effect=cut.piled / max(np.sqrt(cut.piled / len(now.rows)), 1e-6),
        p_value=None,
        strength=float(np.clip(cut.expected / 0.1, 0.3, 1.0)),
        supports=("context_truncation",),
        against=("covariate_shift", "tokenizer_mismatch", "concept_drift"),
        scope=cut.where.scope,
        onset=cut.where.onset,
        repairs=(RepairPlan("text_cut", subject, cut.where.scope, options),),
        chart=texts_chart(case, name, now.rows[cut.where.rows]),
    )


def _empty(case: Case, name: str, before: TextSample, now: TextSample) -> Finding | None:
    masks = before.statistics["empty"] > 0, now.statistics["empty"] > 0
    return _loss(case, name, now, ("text.empty", "are empty"), masks)


def _repeated(case: Case, name: str, before: TextSample, now: TextSample) -> Finding | None:
    """One text that is common now and was not: a default, an error message, a template."""
    full = pl.Series(now.statistics["empty"] == 0)
    counts = now.texts.filter(full).value_counts(sort=True, name="n")
    if not counts.height or int(counts["n"][0]) < 8:
        return None
    tied = counts.filter(pl.col("n") == counts["n"][0]).get_column(counts.columns[0])
    common = str(tied.sort()[0])
    masks = tuple(
        np.asarray((s.texts == common).fill_null(value=False).to_numpy()) for s in (before, now)
    )
    shown = common if len(common) <= 40 else common[:37] + "..."
    return _loss(case, name, now, ("text.repeated", f"are {shown!r}"), (masks[0], masks[1]))


def _loss(
    case: Case,
    name: str,
    now: TextSample,
    what: tuple[str, str],
    masks: tuple[NDArray[np.bool_], NDArray[np.bool_]],
) -> Finding | None:
    old, new = float(masks[0].mean()), float(masks[1].mean())
    sizes = float(len(masks[0])), float(len(masks[1]))
    test = proportions((float(masks[0].sum()), float(masks[1].sum())), sizes)
    if new - old < max(_LEAST_RISE, 0.5 * old) or test.p_value > 1e-4:
        return None
    where = locate(case, now.rows, masks[1].astype(float))
    scattered = "" if where.rows.all() else f" ({where.inside:.1%} {where.words})"
    subject = Subject("feature", (name,))
    return Finding(
        signal=what[0],
        subject=subject,
        statement=f"{new:.1%} of the texts in {name} {what[1]}{scattered}; {old:.1%} were",
        statistic=new - old,
        effect=(new - old) / max(np.sqrt(new * (1 - new) / sizes[1]), 1e-3),
        p_value=test.p_value,
        strength=float(np.clip((new - old) / 0.08, 0.15, 1.0)),
        supports=("silent_nulls",),
        against=("concept_drift", "covariate_shift", "fallback_overload", "adversarial_shift"),
        scope=where.scope,
        onset=where.onset,
        repairs=(RepairPlan("text_loss", subject, where.scope, {"signal": what[0]}),),
        chart=texts_chart(case, name, now.rows[masks[1]]),
    )
