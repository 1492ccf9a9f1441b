"""Damage behind the log: answers say what the model saw."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from unstructured import CLASSES, mails

from ruleout._records import Clear, Finding
from ruleout.checks.inputs.served_as import served_as
from ruleout.profile import Case, Outputs, Predictor
from ruleout.stats._garble import GARBLINGS


def _answer(frame: pl.DataFrame) -> Outputs:
    """A model of three classes that listens to whole words."""
    text = frame.get_column("mail")
    lean = [
        text.str.contains(r"\b(Parcel|Delivery|Basket)\b").cast(pl.Float64).to_numpy(),
        text.str.contains(r"\b(Refund|Invoice|Payment)\b").cast(pl.Float64).to_numpy(),
        text.str.contains(r"\b(please|thanks)\b").cast(pl.Float64).to_numpy(),
    ]
    weight = np.exp(1.5 * np.column_stack(lean))
    shares = weight / weight.sum(axis=1, keepdims=True)
    return Outputs(shares.argmax(axis=1).astype(np.int32), None, shares)


def _served(seen: Callable[[str], str], warmth: float = 1.0) -> Case:
    """Logged texts are sound; the current answers are those for what the model saw."""
    case = mails(11)
    frame = case.current.frame
    text = pl.Series("mail", [seen(t) for t in frame["mail"].to_list()])
    now = _answer(frame.with_columns(text))
    shares = now.scores**warmth if now.scores is not None else None
    if shares is not None:
        shares = shares / shares.sum(axis=1, keepdims=True)
    now = Outputs(now.decision, None, shares)
    case.served = {"reference": _answer(case.reference.frame), "current": now}
    case.predictor = Predictor("model", 1.0, _answer)
    case.significant = True
    assert len(case.classes) == len(CLASSES)
    return case


def test_answers_to_upper_cased_texts_are_recognised() -> None:
    """Logged texts are as ever; the answers are those for upper-cased ones, and that is said."""
    outcome, acquittal = served_as(_served(GARBLINGS["upper"].damage), np.random.default_rng(0))
    assert isinstance(acquittal, Finding)
    assert "wrong_version" in acquittal.against
    assert isinstance(outcome, Finding)
    assert outcome.supports == ("tokenizer_mismatch",)
    assert outcome.statistic > 0.9
    assert outcome.repairs[0].options["served"] is True


def test_answers_to_cut_texts_are_recognised() -> None:
    """A model that only read the first words answers accordingly."""
    case = _served(lambda t: " ".join(t.split()[:6]))
    outcome, _ = served_as(case, np.random.default_rng(0))
    assert isinstance(outcome, Finding)
    assert outcome.supports[0] in {"context_truncation", "tokenizer_mismatch"}


def test_a_recalibrated_model_saw_sound_texts() -> None:
    """Flatter scores are a line through the old answers, not those of any damage."""
    outcomes = list(served_as(_served(lambda t: t, warmth=0.3), np.random.default_rng(0)))
    assert not [o for o in outcomes if isinstance(o, Finding)]


def test_answers_that_follow_from_the_log_clear() -> None:
    """What the model answers for logged texts is what was served: no tokenizer stands between."""
    case = _served(lambda t: t)
    (outcome,) = served_as(case, np.random.default_rng(0))
    assert isinstance(outcome, Clear)
    assert outcome.modes == ("tokenizer_mismatch",)
