"""A version that began to answer beside the old ones, and the loss that came with it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Abstained, Clear, Finding, Outcome, RepairPlan, Scope, Subject
from ruleout._registry import check
from ruleout.checks.inputs._defaults import names_file, words_of
from ruleout.checks.reproduction._generation import log_of
from ruleout.checks.world.new_category import loss_share
from ruleout.profile import Case

Mask = NDArray[np.bool_]
MODES = ("mixed_versions",)
_VERSIONS = frozenset(
    {"version", "build", "tag", "release", "revision", "checkpoint", "weights", "ver", "sha"}
)
"""Words of columns that tell which edition of a model answered."""

_INDEXES = frozenset({"index", "indices", "indexes"})

_CARRIED = 0.6
"""Share of the rise in loss that rows of the new version carry."""

_FEW, _MOST = 0.02, 0.95
"""Shares of rows between which one version answers beside another."""

_PURE = 0.9
"""Share of the rows of a machine that one version answers, where machines tell the versions apart."""


@check(
    "new_version",
    layer="infrastructure",
    rung="reproduction",
    looks_for=(*MODES, "malformed_artifact"),
    needs=("data.columns.segments", "labels"),
)
def new_version(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Does a version that the reference never had answer a part of the requests, and bring the loss?

    Needs neither a model nor that answers follow from inputs. A version that answers everybody from some time on is a
    release, and no mixture.
    """
    del rng
    if log_of(case) is not None:
        yield Abstained(
            MODES, "versions of a language model's log are compared by what they are of"
        )
        return
    names = [n for n in case.segments if n not in case.features and words_of(n) & _VERSIONS]
    if not names:
        yield Abstained(MODES, "no segment tells which version answered", "data.columns.segments")
        return
    if loss_share(case, np.ones(case.current.rows, dtype=bool)) is None:
        yield Abstained(MODES, "the loss has not risen: no version can have brought it")
        return
    for name in names:
        found = _beside(case, name)
        if found is None:
            told = f"no version in {name} is new beside others and brings the loss"
            yield Clear(MODES, Subject("segment", (name,)), told, 1 - _CARRIED)
        else:
            yield from found


def _beside(case: Case, name: str) -> tuple[Finding, Finding] | None:
    before, now = case.codes("reference", name), case.codes("current", name)
    words = case.vocabulary(name)
    new = [k for k in range(len(words)) if (now == k).any() and not (before == k).any()]
    rows = np.isin(now, new)
    if not _FEW < rows.mean() < _MOST or not _old_goes_on(rows, case):
        return None
    share = loss_share(case, rows)
    if share is None or share < _CARRIED:
        return None
    values = tuple(words[k] for k in new)
    machines = _machines(case, name, rows)
    told = (
        f"{name} {', '.join(values[:4])} was never seen before, answers {rows.mean():.1%} of the rows beside the others, "
        f"and carries {share:.0%} of the rise in loss"
        + (f": {machines.column} {', '.join(machines.values[:6])}" if machines else "")
    )
    scope = Scope(column=name, values=values)
    subject = Subject("host", machines.values) if machines else Subject("model", values)
    if names_file(name) or words_of(name) & _INDEXES:
        # What is looked up is written anew again and again; a model's version it is not.
        finding = Finding(
            "version.of_a_file", Subject("segment", values), told, float(rows.mean()), share * 10, None, 1.0,
            ("malformed_artifact",), against=(), scope=scope, repairs=(),
        )  # fmt: skip
        return finding, _explains(told, rows, share)
    finding = Finding(
        "version.beside", subject, told, float(rows.mean()), share * 10, None, 1.0,
        (*MODES, "bad_retrain"), against=(), scope=scope, repairs=(RepairPlan("keep", subject, scope),),
    )  # fmt: skip
    return finding, _explains(told, rows, share)


def _explains(told: str, rows: Mask, share: float) -> Finding:
    """What the rise of the loss in rows of one new version speaks against."""
    return Finding(
        "version.explains", Subject(), told, float(rows.mean()), share * 10, None, 1.0, (),
        against=("new_category", "covariate_shift", "concept_drift", "label_noise", "corrupted_labels"),
    )  # fmt: skip


def _old_goes_on(rows: Mask, case: Case) -> bool:
    """Whether older versions still answer once the new one does; without times nobody can say that they do not."""
    time = case.current.time
    if time is None:
        return True
    order = np.argsort(time, kind="stable")
    later = rows[order][int(rows[order].argmax()) :]
    return float((~later).mean()) > _FEW


def _machines(case: Case, name: str, rows: Mask) -> Scope | None:
    """The values of another segment that the new version answers, where these tell the versions apart."""
    for other in case.segments:
        if other == name or other in case.features:
            continue
        codes, words = case.codes("current", other), case.vocabulary(other)
        shares = {k: float(rows[codes == k].mean()) for k in np.unique(codes[codes >= 0])}
        hit = [k for k, share in shares.items() if share > _PURE]
        if hit and all(share > _PURE or share < 1 - _PURE for share in shares.values()):
            return Scope(column=other, values=tuple(words[k] for k in hit))
    return None
