"""What a language model's log tells of its parts: template, provider, policy, tool, context, index."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import ruleout
from ruleout._records import Finding, Outcome
from ruleout.incident import Incident
from ruleout.incident._model import Columns, DataSpec, SymptomSpec, TableSpec
from ruleout.profile import Case, build_case

sys.path.insert(0, str(Path(__file__).parents[1]))
from systems import abstained, cleared, run, supported, undone

CHECKS = ("editions", "endings", "context_size", "retrieval", "token_counts")
Log = dict[str, Any]


def _log(rng: np.random.Generator, rows: int = 3_000) -> Log:
    topic = rng.choice(["billing", "login", "refund"], rows)
    refused = rng.random(rows) < 0.01
    return {
        "topic": topic,
        "prompt_hash": np.full(rows, "t1", dtype=object),
        "system_fingerprint": np.full(rows, "fp-a", dtype=object),
        "finish_reason": np.full(rows, "stop", dtype=object),
        "prompt_tokens": np.exp(rng.normal(6.3, 0.5, rows)).astype(int),
        "refused": refused,
        "tool_error": rng.random(rows) < 0.02,
        "doc_age_days": rng.gamma(2, 9, rows),
        "top1_similarity": rng.normal(0.75, 0.08, rows),
        "n_chunks": rng.integers(4, 8, rows),
        "chars": np.zeros(rows),
        "unk_tokens": rng.poisson(0.2, rows),
        "right": (rng.random(rows) < 0.86) & ~refused,
    }


def _with_texts(log: Log, rng: np.random.Generator) -> Log:
    """Contexts whose tokens are those of their texts, and of a template of 40."""
    chars = np.exp(rng.normal(7.6, 0.5, len(log["topic"]))).round()
    log["chars"] = chars
    log["prompt_tokens"] = (40 + chars / 4 + rng.normal(0, 4, len(chars))).astype(int)
    return log


def _frame(log: Log, start: float) -> pl.DataFrame:
    rows = len(log["topic"])
    other = {"billing": "login", "login": "refund", "refund": "billing"}
    said = [t if ok else other[t] for t, ok in zip(log["topic"], log["right"], strict=True)]
    kept = {
        k: v.astype(str) if v.dtype == object else v
        for k, v in log.items()
        if k not in ("topic", "right")
    }
    return pl.DataFrame(
        {"ts": start + np.linspace(0, 3e5, rows), **kept, "intent": log["topic"], "said": said}
    )


def _frames(
    spoil: Callable[[Log, np.ndarray[Any, Any], np.random.Generator], None],
) -> dict[str, pl.DataFrame]:
    rng = np.random.default_rng(3)
    before, now = (_with_texts(_log(rng), rng) for _ in range(2))
    late = np.arange(len(now["topic"])) > 0.35 * len(now["topic"])
    spoil(now, late, rng)
    return {"reference": _frame(before, 1.7e9), "current": _frame(now, 1.7005e9)}


def _case(frames: dict[str, pl.DataFrame]) -> Case:
    roles = Columns(timestamp="ts", target="intent", prediction="said")
    tables = {name: TableSpec(frame=frame) for name, frame in frames.items()}
    return build_case(
        Incident(
            title="test",
            task="multiclass",
            symptom=SymptomSpec(metric="accuracy"),
            data=DataSpec(columns=roles, **tables),
        )
    )


def _lose(now: Log, rows: np.ndarray[Any, Any], rng: np.random.Generator, share: float) -> None:
    now["right"] &= ~(rows & (rng.random(len(rows)) < share))


def _template(now: Log, late: np.ndarray[Any, Any], rng: np.random.Generator) -> None:
    now["prompt_hash"][late] = "t2"
    _lose(now, late, rng, 0.2)


def _template_that_is_refused(
    now: Log, late: np.ndarray[Any, Any], rng: np.random.Generator
) -> None:
    now["prompt_hash"][late] = "t2"
    now["refused"] |= late & (rng.random(len(late)) < 0.2)
    now["right"] &= ~now["refused"]


def _provider(now: Log, late: np.ndarray[Any, Any], rng: np.random.Generator) -> None:
    hit = late & (rng.random(len(late)) < 0.5)
    now["system_fingerprint"][hit] = "fp-b"
    _lose(now, hit, rng, 0.35)


def _guardrail(now: Log, late: np.ndarray[Any, Any], rng: np.random.Generator) -> None:
    now["prompt_hash"][np.arange(len(late)) > 0.7 * len(late)] = "t2"  # a harmless release
    now["refused"] |= late & (rng.random(len(late)) < 0.2)
    now["finish_reason"][now["refused"]] = "content_filter"
    now["right"] &= ~now["refused"]


def _tool(now: Log, late: np.ndarray[Any, Any], rng: np.random.Generator) -> None:
    now["tool_error"] |= late & (rng.random(len(late)) < 0.25)
    _lose(now, now["tool_error"], rng, 0.9)


def _cut(now: Log, late: np.ndarray[Any, Any], rng: np.random.Generator) -> None:
    long = late & (now["prompt_tokens"] > 650)
    now["prompt_tokens"][long] = 650
    _lose(now, long, rng, 0.6)


def _cut_after_counting(now: Log, late: np.ndarray[Any, Any], rng: np.random.Generator) -> None:
    _lose(now, late & (now["prompt_tokens"] > 900), rng, 0.8)


def _old_index(now: Log, late: np.ndarray[Any, Any], rng: np.random.Generator) -> None:
    now["doc_age_days"][late] += 12
    _lose(now, late, rng, 0.2)


def _part_of_index(now: Log, late: np.ndarray[Any, Any], rng: np.random.Generator) -> None:
    hit = late & (now["topic"] == "refund")
    now["n_chunks"][hit] = rng.integers(0, 3, hit.sum())
    _lose(now, hit, rng, 0.6)


def _newest_missing(now: Log, late: np.ndarray[Any, Any], rng: np.random.Generator) -> None:
    old = now["doc_age_days"]
    now["doc_age_days"] = np.where(late & (old < 9), old + 9, old)
    _lose(now, late, rng, 0.15)


def _other_tokenizer(now: Log, late: np.ndarray[Any, Any], rng: np.random.Generator) -> None:
    now["prompt_tokens"][late] = (40 + now["chars"][late] / 3.4).astype(int)
    _lose(now, late, rng, 0.2)


def _other_vocabulary(now: Log, late: np.ndarray[Any, Any], rng: np.random.Generator) -> None:
    now["unk_tokens"][late] += rng.poisson(1.5, late.sum())
    _lose(now, late, rng, 0.2)


def _other_encoder(now: Log, late: np.ndarray[Any, Any], rng: np.random.Generator) -> None:
    now["top1_similarity"][late] -= 0.25
    _lose(now, late, rng, 0.25)


FAULTS = {
    "tokenizer_mismatch": (_other_tokenizer, "prompt_tokens"),
    "prompt_change": (_template, "prompt_hash"),
    "provider_model_change": (_provider, "system_fingerprint"),
    "guardrail_overblock": (_guardrail, "refused"),
    "schema_change": (_tool, "tool_error"),
    "context_truncation": (_cut, "prompt_tokens"),
    "stale_index": (_old_index, "doc_age_days"),
    "embedding_mismatch": (_other_encoder, "top1_similarity"),
}
OTHERS = {*FAULTS, "concept_drift"}


def _found(outcomes: list[Outcome]) -> list[Finding]:
    return [o for o in outcomes if isinstance(o, Finding) and o.supports]


@pytest.mark.parametrize("mode", FAULTS)
def test_each_fault_is_told_by_its_own_column(mode: str) -> None:
    """The fault's mode is supported, with the column that tells it, and no other column is blamed."""
    spoil, column = FAULTS[mode]
    found = _found(run(_case(_frames(spoil)), *CHECKS))
    assert {f.subject.names[0] for f in found} in ({column}, {"finish_reason"})
    assert mode in supported(list(found))


@pytest.mark.parametrize(
    ("spoil", "signal", "mode"),
    [
        (_part_of_index, "retrieval.fewer", "stale_index"),
        (_newest_missing, "retrieval.older", "stale_index"),
        (_other_vocabulary, "tokens.unknown", "tokenizer_mismatch"),
    ],
)
def test_faults_that_show_in_another_way(spoil: Any, signal: str, mode: str) -> None:
    """A part of an index, its newest documents, a vocabulary: each has a sign of its own."""
    found = _found(run(_case(_frames(spoil)), *CHECKS))
    assert [(f.signal, f.supports) for f in found] == [(signal, (mode,))]


def test_a_longer_template_is_no_other_tokenizer() -> None:
    """The same number of tokens more for each text leaves the tokens of a character alone."""

    def longer(now: Log, late: np.ndarray[Any, Any], rng: np.random.Generator) -> None:
        now["prompt_tokens"][late] += 300
        _lose(now, late, rng, 0.2)

    outcomes = run(_case(_frames(longer)), "token_counts")
    assert supported(outcomes) == set()
    assert cleared(outcomes) == {"tokenizer_mismatch"}


@pytest.mark.parametrize("stops", [True, False])
def test_an_index_that_is_no_longer_built(stops: bool) -> None:
    """One build lasts where a new one came every few hours; daily builds by themselves are no fault."""
    frames = _frames(lambda *_: None)
    for name, frame in frames.items():
        build = ((frame["ts"] - 1.7e9) // 40_000).cast(pl.Int64)
        last = 9 if stops else 10**6
        frames[name] = frame.with_columns(
            kb_build="kb-" + build.clip(0, last).cast(pl.String).str.zfill(3)
        )
    found = _found(run(_case(frames), *CHECKS))
    assert [f.signal for f in found] == (["index.frozen"] if stops else [])


def test_judged_answers_have_no_class_balance() -> None:
    """Where nearly every answer is one and the label judges it, refusals count by how they were judged."""

    def judged(frames: dict[str, pl.DataFrame]) -> Case:
        tables = {
            name: TableSpec(
                frame=frame.with_columns(
                    good=(frame["intent"] == frame["said"]).cast(pl.Int64),
                    self_check=(~frame["refused"]).cast(pl.Int64),
                )
            )
            for name, frame in frames.items()
        }
        roles = Columns(timestamp="ts", target="good", prediction="self_check", positive=1)
        symptom = SymptomSpec(metric="accuracy")
        data = DataSpec(columns=roles, **tables)
        return build_case(Incident(title="test", task="binary", symptom=symptom, data=data))

    case = judged(_frames(_guardrail))
    found = _found(run(case, *CHECKS))
    assert "guardrail_overblock" in supported(list(found))
    worse = judged(_frames(_template))
    assert "the metric itself" in abstained(run(worse, "shift_decomposition"))


def test_contexts_that_are_cut_after_they_were_counted() -> None:
    """Loss that rose for long contexts alone is a cut at a limit, which no size shows."""
    found = _found(run(_case(_frames(_cut_after_counting)), *CHECKS))
    assert [f.signal for f in found] == ["context.step"]


def test_refusals_that_come_with_a_template_are_the_templates() -> None:
    """No filter is blamed for what one template alone makes the model say."""
    outcomes = run(_case(_frames(_template_that_is_refused)), *CHECKS)
    assert supported(outcomes) == {"prompt_change"}


def test_a_template_that_costs_nothing_is_cleared() -> None:
    """A release in the middle of somebody else's fault is not to blame for it."""
    outcomes = run(_case(_frames(_guardrail)), *CHECKS)
    assert "prompt_change" in cleared(outcomes)
    assert "provider_model_change" in cleared(outcomes)


def test_nothing_is_found_where_nothing_changed() -> None:
    """Two windows of one log support no mode."""
    outcomes = run(_case(_frames(lambda *_: None)), *CHECKS)
    assert supported(outcomes) == set()


def test_leaving_the_new_template_out_restores_the_metric() -> None:
    """The finding's own repair undoes the loss."""
    case = _case(_frames(_template))
    outcomes = run(case, "editions")
    assert undone(case, outcomes, "prompt_change") == pytest.approx(0.86, abs=0.03)


def test_the_answer_names_the_template() -> None:
    """End to end: from two tables to the mode and its column."""
    frames = _frames(_template)
    answer = ruleout.diagnose(
        reference=frames["reference"],
        current=frames["current"],
        target="intent",
        prediction="said",
        timestamp="ts",
    )
    first = answer.hypotheses[0]
    assert (first.failure_mode, first.subject.names) == ("prompt_change", ("prompt_hash",))


def test_columns_that_tell_nothing_rule_nothing_out() -> None:
    """A template that is another one in every row, empty refusals and unknown ages are no clears."""
    frames = {
        name: frame.with_columns(
            prompt_hash=pl.Series([f"{name}-{k}" for k in range(frame.height)]),
            refused=pl.lit(None, dtype=pl.Boolean),
            doc_age_days=pl.lit(None, dtype=pl.Float64),
            top1_similarity=pl.lit(None, dtype=pl.Float64),
        )
        for name, frame in _frames(_provider).items()
    }
    ruled_out = cleared(run(_case(frames), *CHECKS))
    unknown = {"prompt_change", "guardrail_overblock", "stale_index", "embedding_mismatch"}
    assert not unknown & ruled_out
