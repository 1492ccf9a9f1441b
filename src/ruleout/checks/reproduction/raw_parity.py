"""Did images, texts and vectors arrive as they were meant: logged ones against recomputed ones?

Rule: the logged value and the recomputed one of the same request are compared; what differs in the
current window beyond the reference's share is told by what it is of the right one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import polars as pl

from ruleout._records import Clear, Finding, Outcome, RepairPlan, Subject
from ruleout._registry import check
from ruleout.checks.reproduction._locate import locate
from ruleout.checks.reproduction._raw_relations import (
    RawRelation,
    image_relation,
    text_relation,
    vector_relation,
)
from ruleout.checks.reproduction._repairs import described
from ruleout.checks.reproduction.feature_parity import parity_rows
from ruleout.profile import Case, Which
from ruleout.profile._image import sample_rows

MODES = (
    "image_preprocessing",
    "tokenizer_mismatch",
    "context_truncation",
    "embedding_mismatch",
    "silent_nulls",
    "stale_features",
    "train_serve_skew",
)
_LEAST = 30
_SEEN = 0.02
_MOST = {"image": 300, "text": 2_000, "embedding": 2_000}
_RELATION: dict[str, Callable[[pl.Series, pl.Series], RawRelation]] = {
    "image": image_relation,
    "text": text_relation,
    "embedding": vector_relation,
}


@check(
    "raw_parity",
    layer="model",
    rung="inputs",
    looks_for=MODES,
    needs=("probes.parity", "data.current"),
)
def raw_parity(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Compare logged images, texts and vectors with those recomputed from raw data."""
    del rng
    for name in case.of_kind("image", "text", "embedding"):
        now = _compared(case, name, "current")
        if now is None:
            continue
        rows, relation = now
        earlier = _compared(case, name, "reference")
        usual = 0.0 if earlier is None else float(earlier[1].differ.mean())
        share = float(relation.differ.mean())
        if share < max(_SEEN, 2.0 * usual) or relation.differ.sum() < 5:
            yield _same(name, case.kind(name), len(rows), share)
        else:
            yield _finding(case, name, rows, relation, usual)


def _compared(case: Case, name: str, which: Which) -> tuple[np.ndarray, RawRelation] | None:
    joined = parity_rows(case, which)
    if joined is None or not case.table(which).has(name) or name not in joined.offline.columns:
        return None
    pick = sample_rows(len(joined.rows), _MOST[case.kind(name)])
    if len(pick) < _LEAST:
        return None
    rows = joined.rows[pick]
    logged = case.table(which).frame.get_column(name).gather(rows)
    right = joined.offline.get_column(name).gather(pick)
    return rows, _RELATION[case.kind(name)](logged, right)


def _same(name: str, kind: str, n: int, share: float) -> Clear:
    text = f"{1 - share:.1%} of {n} recomputed values of {name} are the logged ones"
    # A text or an image may still be prepared otherwise behind the log.
    modes = ("embedding_mismatch", "stale_features") if kind == "embedding" else ()
    return Clear(modes, Subject("feature", (name,)), text, _SEEN, "parity.raw_same")


def _finding(
    case: Case, name: str, rows: np.ndarray, relation: RawRelation, usual: float
) -> Finding:
    place = locate(case, rows, relation.differ.astype(float))
    share, subject = float(relation.differ.mean()), Subject("feature", (name,))
    text = (
        f"{share:.1%} of the recomputed values of {name} are not the logged ones ({usual:.1%} in the "
        f"reference){described(place.scope)}: the logged ones are {relation.words}"
    )
    return Finding(
        signal="parity.raw",
        subject=subject,
        statement=text,
        statistic=share,
        effect=share * float(np.sqrt(len(rows))),
        p_value=None,
        strength=relation.sure * float(np.clip(share / 0.1, 0.5, 1.0)),
        supports=(relation.mode,),
        against=("covariate_shift", "concept_drift", "new_category", "fallback_overload"),
        scope=place.scope,
        onset=place.onset,
        repairs=(RepairPlan("parity_values", subject, place.scope),),
    )
