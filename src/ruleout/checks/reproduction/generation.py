"""What changed around a language model: its template, its provider, a policy, a tool, the context, the index.

Rule: an edition of a part that is new, whose rows lose more than the others by as much as the metric fell; answers
that are refused, or fail in a tool, more often than before with no new edition to blame; sizes of contexts that pile
up at a limit; documents that grow older, or no longer resemble the questions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Clear, Finding, Outcome, RepairPlan, Scope, Subject
from ruleout._registry import check
from ruleout.checks.inputs._locate import Located, locate
from ruleout.checks.reproduction._generation import (
    Ending,
    Log,
    Part,
    log_of,
    size_of,
    tells_editions,
    tells_endings,
)
from ruleout.checks.reproduction._repairs import acquits
from ruleout.profile import Case

Floats = NDArray[np.float64]

_SURE = 4.0
_LEAST_EXPLAINED = 0.25
_MOSTLY = 0.5
_LEAST_LONG = 0.02
_LEAST_PILE = 20
_APART = 0.35
_SHIFTED = 0.1

_PARTS = {
    "template": ("edition.template", "prompt_change", "the template"),
    "model": ("edition.model", "provider_model_change", "the model that answers"),
    "policy": ("edition.policy", "guardrail_overblock", "the policy"),
    "tool": ("edition.tool", "schema_change", "the tools' schema"),
    "index": ("edition.index", "stale_index", "the index"),
    "runtime": ("edition.runtime", "runtime_numerics", "the runtime"),
}
CLEARED = (
    "concept_drift", "covariate_shift", "prior_shift", "new_category", "label_noise", "corrupted_labels",
    "bad_retrain", "wrong_version", "mixed_versions", "calibration_change", "threshold_change", "runtime_numerics",
    "tokenizer_mismatch", "hardware_fault", "fallback_overload", "model_staleness", "category_recode",
    "silent_nulls", "partial_batch", "feature_swap", "selection_bias", "benign_mix", "class_map_mismatch", "change_regression",
    "join_loss", "precision_loss", "train_serve_skew", "unit_change", "stale_features", "feedback_loop",
    "adversarial_shift",
)  # fmt: skip
"""Modes that an explanation by the log's own words speaks against."""


@check(
    "editions",
    layer="integration",
    rung="reproduction",
    looks_for=(
        "prompt_change",
        "provider_model_change",
        "guardrail_overblock",
        "schema_change",
        "stale_index",
        "runtime_numerics",
    ),
)
def editions(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Do rows of a new template, model, policy, tool or index lose more than others?"""
    del rng
    log = log_of(case)
    if log is None:
        return
    blamed = [p for p in log.parts if _is_to_blame(case, p)]
    for role in ("template", "model", "policy", "tool"):
        looked = [c for c in log.roles.get(role, ()) if tells_editions(case, c)]
        if looked and not any(p.role == role for p in blamed):
            signal, mode, name = _PARTS[role]
            told = f"{', '.join(looked)}: no new edition of {name}, or none that costs anything"
            yield Clear((mode,), Subject(), told, 0.03, f"{signal}.same")
    for part in blamed:
        yield _edition(case, log, part)
        if (part.explained or 0.0) >= _MOSTLY:
            told = f"{part.explained:.0%} of the rise in loss goes with {part.column}"
            yield acquits("edition.explains", told, 10.0, CLEARED)


def _is_to_blame(case: Case, part: Part) -> bool:
    if part.explained is None:
        return case.significant is not False
    return part.z > _SURE and part.explained >= _LEAST_EXPLAINED


def _edition(case: Case, log: Log, part: Part) -> Finding:
    signal, mode, name = _PARTS[part.role]
    with_it = [e for e in log.endings if e.with_part is part]
    shown = ", ".join(part.values[:4])
    told = f"{name} ({part.column}) is {shown} in {part.share:.1%} of the rows, which hardly occurred before"
    if part.explained is not None:
        told += f"; {min(part.explained, 1.0):.0%} of the rise in loss goes with it"
    told += "".join(
        f"; {e.now:.1%} of the answers {e.what} ({e.before:.1%} before)" for e in with_it
    )
    subject = Subject("feature", (part.column,))
    if part.role == "model":
        subject = Subject("model", (part.column, *part.values[:2]))
    place = locate(case, np.arange(case.current.rows), part.rows.astype(float))
    scope = Scope(column=part.column, values=part.values)
    plan = (
        RepairPlan("keep", subject, scope)
        if not part.rows.all()
        else RepairPlan("intended_answers", subject, Scope())
    )
    # Without labels, endings that it comes with are the harm that can be seen.
    unlabelled = 0.9 if with_it else 0.5
    weight = (
        unlabelled if part.explained is None else float(np.clip(part.explained / 0.6, 0.3, 1.0))
    )
    return Finding(
        signal, subject, told, part.share, part.z, None, weight, (mode,),
        against=CLEARED, scope=scope, onset=place.onset, repairs=(plan,),
    )  # fmt: skip


@check(
    "endings",
    layer="integration",
    rung="reproduction",
    looks_for=("guardrail_overblock", "schema_change", "context_truncation"),
)
def endings(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Are answers refused, cut, or failed by a tool more often, with no new edition that it comes with?"""
    del rng
    log = log_of(case)
    if log is None:
        return
    looked = [c for c in log.roles.get("refused", ()) if tells_endings(case, c)]
    if looked and not any(e.role == "refused" for e in log.endings):
        told = f"no more refusals than before ({', '.join(looked)})"
        yield Clear(("guardrail_overblock",), Subject(), told, 0.01, "ending.refused.same")
    blamed = {id(p) for p in log.parts if _is_to_blame(case, p)}
    free = [e for e in log.endings if id(e.with_part) not in blamed and _costs(e)]
    for role in ("refused", "tool_failed", "finish"):
        some = [e for e in free if e.role == role]
        if some:
            most = max(e.explained or 0.0 for e in some)
            worst = next(e for e in some if (e.explained or 0.0) >= 0.9 * most)
            yield _ending(case, worst)
            if (worst.explained or 0.0) >= _MOSTLY:
                told = f"{worst.explained:.0%} of the rise in loss is of answers that {worst.what}"
                yield acquits("ending.explains", told, 10.0, CLEARED)


def _costs(ending: Ending) -> bool:
    return ending.explained is None or ending.explained >= _LEAST_EXPLAINED


def _ending(case: Case, ending: Ending) -> Finding:
    subject = Subject("feature", (ending.column,))
    place = locate(case, np.arange(case.current.rows), ending.rows.astype(float))
    told = (
        f"{ending.now:.1%} of the answers {ending.what} ({ending.column} = {', '.join(ending.values[:3])});"
        f" {ending.before:.1%} before"
    )
    if ending.explained is not None:
        told += f"; they carry {min(ending.explained, 1.0):.0%} of the rise in loss"
    modes = {
        "refused": ("guardrail_overblock",),
        "tool_failed": ("schema_change", "guardrail_overblock"),
        "finish": ("context_truncation",),
    }[ending.role]
    weight = 0.6 if ending.explained is None else float(np.clip(ending.explained / 0.6, 0.3, 1.0))
    scope = Scope(column=ending.column, values=ending.values)
    return Finding(
        f"ending.{ending.role}", subject, told, ending.now - ending.before, ending.z, None, weight, modes,
        against=CLEARED, scope=place.scope if place.scope.column else scope, onset=place.onset,
        repairs=(RepairPlan("keep", subject, scope),),
    )  # fmt: skip


class _Pile(NamedTuple):
    limit: float
    piled: float
    longer: float
    rows: NDArray[np.bool_]
    where: Located
    explained: float | None


@check("context_size", layer="integration", rung="reproduction", looks_for=("context_truncation",))
def context_size(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Do the sizes of contexts pile up at a limit that the reference's go beyond, or is loss a step in them?"""
    del rng
    log = log_of(case)
    sizes = None if log is None else size_of(case, log)
    if log is None or sizes is None:
        return
    column, before, now = sizes
    subject = Subject("feature", (column,))
    pile = _pile(case, log, before, now)
    if pile is None:
        yield from _steps(log, sizes)
        return
    told = (
        f"{pile.piled:.1%} of the contexts are at the limit of {pile.limit:g} ({column}) {pile.where.words} and none is longer;"
        f" {pile.longer:.1%} of the reference's are"
    )
    if pile.explained is not None:
        told += f"; they carry {min(pile.explained, 1.0):.0%} of the rise in loss"
    place = pile.where
    weight = 0.6 if pile.explained is None else float(np.clip(pile.explained / 0.5, 0.2, 1.0))
    yield Finding(
        "context.piled", subject, told, pile.limit, pile.piled * np.sqrt(len(now)), None, weight,
        ("context_truncation",), against=CLEARED, scope=place.scope, onset=place.onset,
    )  # fmt: skip
    if (pile.explained or 0.0) >= _MOSTLY:
        yield acquits("context.explains", told, 10.0, (*CLEARED, "prompt_change"))


def _pile(case: Case, log: Log, before: Floats, now: Floats) -> _Pile | None:
    """The size at which more contexts are than before, if in some place hardly any is larger."""
    known = np.isfinite(now)
    sizes, counts = np.unique(now[known], return_counts=True)
    old = np.searchsorted(np.sort(before[np.isfinite(before)]), sizes, "right")
    old = old - np.searchsorted(np.sort(before[np.isfinite(before)]), sizes, "left")
    excess = counts / known.sum() - old / np.isfinite(before).sum()
    most = int(np.argmax(excess * (sizes > np.nanmedian(before) / 4)))
    # Templates and separators leave some contexts a few units short of the limit.
    dense = (sizes <= sizes[most] * 1.005) & (excess > 0.2 * excess[most])
    limit = float(sizes[dense].max())
    piled = known & (now <= limit) & (now >= limit * 0.998)
    longer = float(np.nanmean(before > limit))
    usual = float(np.nanmean((before >= limit * 0.998) & (before <= limit)))
    if piled.sum() < _LEAST_PILE or longer < _LEAST_LONG:
        return None
    reach = np.where(known & (now >= limit * 0.998), piled.astype(float), np.nan)
    where = locate(case, np.arange(len(now)), reach)
    inside = where.rows & known
    share, beyond = float(piled[inside].mean()), float((now[inside] > limit).mean())
    if beyond > 0.1 * longer or share < 3 * usual + 0.3 * longer:
        return None
    rows = piled & where.rows
    return _Pile(limit, share, longer, rows, where, _carried(log, rows))


def _carried(log: Log, rows: NDArray[np.bool_]) -> float | None:
    if log.loss is None:
        return None
    base, loss = float(np.nanmean(log.loss.before)), log.loss.now
    known = np.isfinite(loss)
    return float((loss[rows & known] - base).sum() / (log.loss.rise * known.sum()))


def _steps(log: Log, sizes: tuple[str, Floats, Floats]) -> Iterator[Outcome]:
    """Loss that rose for long contexts alone: what exceeds the limit is lost after it was counted."""
    column, before, now = sizes
    subject = Subject("feature", (column,))
    told = f"loss did not rise for long contexts alone ({column})"
    if log.loss is None:
        return
    edges = np.nanquantile(before, np.linspace(0, 1, 11))
    old, new = (np.clip(np.searchsorted(edges, v, "right") - 1, 0, 9) for v in (before, now))
    losses = log.loss.before, log.loss.now
    known = np.isfinite(losses[0]) & np.isfinite(before), np.isfinite(losses[1]) & np.isfinite(now)
    means = [
        np.bincount(b[k], weights=x[k], minlength=10)
        / np.maximum(np.bincount(b[k], minlength=10), 1)
        for b, k, x in zip((old, new), known, losses, strict=True)
    ]
    weight = np.bincount(new[known[1]], minlength=10) / max(known[1].sum(), 1)
    rose = (means[1] - means[0]) * weight
    total = float(rose.sum())
    if total < 0.5 * log.loss.rise:
        yield Clear(("context_truncation",), subject, told, 0.1, "context.step.none")
        return
    for cut in range(9, 5, -1):
        inside, beside = (
            float(rose[cut:].sum() / total),
            rose[:cut] / np.maximum(weight[:cut], 1e-9),
        )
        per_row = float(rose[cut:].sum() / max(weight[cut:].sum(), 1e-9))
        if inside >= 0.75 and float(np.abs(beside).mean()) < 0.2 * per_row:
            text = f"{inside:.0%} of the rise in loss is of contexts of more than {edges[cut]:.4g} ({column})"
            yield Finding(
                "context.step",
                subject,
                text,
                inside,
                5.0,
                None,
                1.0,
                ("context_truncation",),
                against=CLEARED,
            )
            return
    yield Clear(("context_truncation",), subject, told, 0.1, "context.step.none")
