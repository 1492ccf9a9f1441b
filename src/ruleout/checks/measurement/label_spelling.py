"""Are labels or predictions written otherwise than before: case, spaces, number format?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl

from ruleout._records import Clear, Finding, Outcome, RepairPlan, Subject
from ruleout._registry import check
from ruleout.checks.measurement._labels import label_subject
from ruleout.profile import Case
from ruleout.sources._labels import label_text

_MOST_CLASSES = 2_000


@check(
    "label_spelling",
    layer="data",
    rung="measurement",
    looks_for=("evaluation_bug",),
    needs=("data.columns.target", "data.columns.prediction"),
)
def label_spelling(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Find spellings of the current window that the reference writes in another way."""
    del rng
    columns = case.incident.data.columns
    if not case.classes:
        return
    looked = False
    for name in (columns.target, columns.prediction):
        if name is None or not (case.current.has(name) and case.reference.has(name)):
            continue
        looked = True
        table = respelled(case, name)
        if table:
            yield _finding(case, name, table)
            return
    if looked:
        told = "labels and predictions are spelled as in the reference"
        yield Clear((), label_subject(case), told, 1.0, "labels.spelled")


def respelled(case: Case, name: str) -> Mapping[str, str]:
    """Spellings of a current label column that stand for one of the reference's, with that one."""
    before = _spellings(case.reference.frame, name) | set(case.classes[:0])
    after = _spellings(case.current.frame, name)
    fresh = sorted(after - before)
    if not fresh or not before or max(len(after), len(before)) > _MOST_CLASSES:
        return {}
    plain: dict[str, list[str]] = {}
    for old in sorted(before):
        plain.setdefault(normal(old), []).append(old)
    return {new: plain[normal(new)][0] for new in fresh if len(plain.get(normal(new), ())) == 1}


def normal(text: str) -> str:
    """A label without case, outer spaces, separators and trailing zeros; truth values as digits."""
    bare = " ".join(text.casefold().replace("_", " ").replace("-", " ").split())
    try:
        number = float(text)
    except ValueError:
        return {"true": "1", "false": "0"}.get(bare, bare)
    return str(int(number)) if number == int(number) else repr(number)


def _spellings(frame: pl.DataFrame, name: str) -> set[str]:
    return set(label_text(frame.get_column(name)).drop_nulls().unique().to_list())


def _finding(case: Case, name: str, table: Mapping[str, str]) -> Finding:
    text = label_text(case.current.frame.get_column(name))
    share = int(text.is_in(list(table)).sum()) / max(case.current.rows, 1)
    shown = ", ".join(f"{new!r} for {old!r}" for new, old in list(table.items())[:3])
    subject = label_subject(case)
    plan = RepairPlan("normalise_labels", subject, options={"column": name, "table": dict(table)})
    return Finding(
        "labels.spelling",
        Subject("label", (name,)) if name != case.incident.data.columns.target else subject,
        f"{share:.1%} of {name} is spelled otherwise than in the reference ({shown})",
        share,
        share * float(np.sqrt(case.current.rows)),
        None,
        min(1.0, 0.3 + share * 4),
        ("evaluation_bug",),
        against=("concept_drift", "new_category", "label_noise"),
        repairs=(plan,),
    )
