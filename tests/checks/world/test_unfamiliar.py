"""Texts in words, and numbers beyond a range, that the reference hardly has."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ruleout.incident._model import Columns, DataSpec, Incident, SymptomSpec, TableSpec
from ruleout.profile import Case, build_case
from served_world import abstained, cleared, findings, windows
from served_world import case_of as tabular

KNOWN = [f"{a}{b}" for a in ("bill", "refund", "login", "ship", "pack", "card", "late") for b in ("", "s", "ed", "er", "ing")]  # fmt: skip
SLANG = [f"{a}{b}" for a in ("yolo", "sheesh", "rizz", "bussin", "cringe") for b in ("", "y", "ity", "o", "az")]  # fmt: skip


def window(rng: np.random.Generator, slang: float, wrong: float, *, there: bool) -> pl.DataFrame:
    """Texts, of which a share `slang` is in new words; answers are wrong there (or anywhere) as often as `wrong`."""
    n = 1500
    new = rng.random(n) < slang
    texts = [
        " ".join(rng.choice(SLANG if odd else KNOWN, 5)) + " " + str(rng.choice(KNOWN))
        for odd in new
    ]
    label = rng.integers(0, 2, n)
    where = new if there else np.ones(n, dtype=bool)
    flip = where & (rng.random(n) < wrong) | (rng.random(n) < 0.04)
    return pl.DataFrame({"body": texts, "queue": label, "said": np.where(flip, 1 - label, label)})


def case_of(reference: pl.DataFrame, current: pl.DataFrame) -> Case:
    """A case of texts alone with a real symptom."""
    columns = Columns(target="queue", prediction="said", text="body", positive=1)
    data = DataSpec(TableSpec(frame=reference), TableSpec(frame=current), columns)
    case = build_case(
        Incident(title="t", task="binary", symptom=SymptomSpec(metric="accuracy"), data=data)
    )
    case.significant = True
    return case


@pytest.mark.parametrize(
    ("slang", "there", "found"), [(0.5, True, True), (0.5, False, False), (0.0, False, False)]
)
def test_harm_in_new_words_is_a_shift_of_inputs(slang: float, there: bool, found: bool) -> None:
    """New words are told where the harm lies in texts that hold them, not where it is everywhere."""
    rng = np.random.default_rng(4)
    reference = window(rng, 0.0, 0.0, there=True)
    case = case_of(reference, window(rng, slang, 0.4, there=there))
    told = findings(case, "unseen_words")
    assert ("unseen_words.harm" in told) is found
    if found:
        assert told["unseen_words.harm"].supports == ("covariate_shift",)
        conditional = findings(case, "shift_decomposition")
        assert "shift_decomposition.conditional" not in conditional


def test_new_words_without_labels_say_nothing() -> None:
    """Where the loss is not known, no harm is placed."""
    rng = np.random.default_rng(5)
    case = case_of(window(rng, 0.0, 0.0, there=True), window(rng, 0.5, 0.4, there=True))
    case.significant = False
    assert "covariate_shift" in abstained(case, "unseen_words")
    assert cleared(case, "unseen_words") == set()


@pytest.mark.parametrize(
    ("far", "there", "found"), [(0.3, True, True), (0.3, False, False), (0.0, True, False)]
)
def test_harm_beyond_a_range_is_a_shift_of_inputs(far: float, there: bool, found: bool) -> None:
    """Rows beyond all that an input was are told where they are answered wrongly and the others as ever."""
    rng = np.random.default_rng(6)
    reference, current = windows(rng)
    out = rng.random(current.height) < far
    amount = np.where(out, 8 + rng.random(current.height) * 4, current["amount"].to_numpy())
    wrong = (out if there else np.ones(current.height, dtype=bool)) & (
        rng.random(current.height) < 0.6
    )
    said = np.where(wrong, 1 - current["label"].to_numpy(), current["said"].to_numpy())
    current = current.with_columns(amount=pl.Series(amount), said=pl.Series(said))
    told = findings(tabular(reference, current), "unseen_range")
    assert ("unseen_range.harm" in told) is found
    if found:
        assert told["unseen_range.harm"].subject.names == ("amount",)
        assert told["unseen_range.harm"].effect > 0.6


def test_one_value_beyond_a_range_is_a_default() -> None:
    """A number that stands for many rows was put there, whoever they are."""
    rng = np.random.default_rng(7)
    reference, current = windows(rng)
    out = rng.random(current.height) < 0.3
    said = np.where(out, 1 - current["label"].to_numpy(), current["said"].to_numpy())
    current = current.with_columns(
        amount=pl.when(pl.Series(out)).then(99.0).otherwise(pl.col("amount")), said=pl.Series(said)
    )
    assert findings(tabular(reference, current), "unseen_range") == {}
