"""Checks of texts and vectors: they name what was done, where, and stay quiet on what is harmless."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from unstructured import case_of, frame, mails, vectors

from ruleout._records import Clear, Finding
from ruleout.checks.inputs._foreign import foreign
from ruleout.checks.inputs._text_counters import counted
from ruleout.checks.inputs.embedding_space import embedding_space
from ruleout.checks.inputs.text_damage import text_damage
from ruleout.checks.inputs.text_length import text_length
from ruleout.checks.reproduction._view import judgeable
from ruleout.incident import Columns, DataSpec, Incident, TableSpec
from ruleout.profile import Case, build_case
from ruleout.stats._garble import GARBLINGS


def _findings(check: object, case: Case) -> list[Finding]:
    outcomes = list(check(case, np.random.default_rng(0)))  # type: ignore[operator]
    return [o for o in outcomes if isinstance(o, Finding)]


@pytest.mark.parametrize(
    "name",
    ["lower", "upper", "no_punctuation", "percent", "no_spaces", "pieces", "unknown", "reversed"],
)
def test_a_damage_is_named(name: str) -> None:
    """The damage that was done is the one in the plan, and accounts for the difference."""
    (finding,) = _findings(text_damage, mails(1, GARBLINGS[name].damage))
    assert finding.supports == ("tokenizer_mismatch",)
    assert finding.repairs[0].options["damage"] == name
    assert finding.statistic > 0.6


def test_damage_of_one_app_is_found_there() -> None:
    """Half the rows suffer: the scope is the segment value that they share."""
    where = lambda f: (f["app"] == "web").to_numpy()  # noqa: E731
    (finding,) = _findings(text_damage, mails(2, str.upper, where))
    assert (finding.scope.column, finding.scope.values) == ("app", ("web",))


@pytest.mark.parametrize("shorter", [False, True])
def test_ordinary_and_shorter_texts_are_no_damage(shorter: bool) -> None:
    """A weekend's shorter texts are neither cut nor garbled."""
    case = mails(3, shorter=shorter)
    assert not _findings(text_damage, case)
    assert not _findings(text_length, case)
    modes = [o.modes for o in text_length(case, np.random.default_rng(0)) if isinstance(o, Clear)]
    assert ("context_truncation",) in modes


@pytest.mark.parametrize("cut", [lambda t: t[:50], lambda t: " ".join(t.split()[:8])])
def test_a_limit_is_found(cut: object) -> None:
    """Texts pile up at the limit, in characters or in words."""
    (finding,) = _findings(text_length, mails(4, cut))  # type: ignore[arg-type]
    assert finding.signal == "text.cut"
    assert finding.statistic in {50.0, 8.0}


def test_a_limit_in_one_app_is_found_there() -> None:
    """Other rows may be longer: the limit holds inside the scope."""
    where = lambda f: (f["app"] == "ios").to_numpy()  # noqa: E731
    (finding,) = _findings(text_length, mails(5, lambda t: t[:50], where))
    assert (finding.signal, finding.scope.values) == ("text.cut", ("ios",))


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_a_limit_of_some_requests_is_found(share: float) -> None:
    """What piles up at one length is what is missing beyond it, though nothing tells which texts were cut."""
    where = lambda f: np.random.default_rng(2).random(f.height) < share  # noqa: E731
    (finding,) = _findings(text_length, mails(8, lambda t: t[:40], where))
    assert (finding.signal, finding.statistic) == ("text.cut", 40.0)
    assert "are longer" in finding.statement


@pytest.mark.parametrize("near", [7, 10])
def test_a_handful_of_texts_of_one_length_is_no_limit(near: int) -> None:
    """Of texts that happen to be equally long some come within an hour; a pile is more than that."""
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefgh "))
    sizes = rng.integers(20, 180, 2400)
    sizes[[*range(1800, 1800 + near * 8, 8), *rng.choice(500, 8, replace=False) + 1200]] = 60
    mail = pl.Series(["".join(letters[rng.integers(0, 9, size)]) for size in sizes])
    before, now = frame(rng, 1200, 1.7e9), frame(rng, 1200, 1.7e9 + 86_400)
    case = case_of(
        before.with_columns(mail=mail[:1200]), now.with_columns(mail=mail[1200:]), text="mail"
    )
    assert bool(_findings(text_length, case)) == (near >= 8)


@pytest.mark.parametrize(("text", "signal"), [("", "text.empty"), ("N/A", "text.repeated")])
def test_lost_texts_are_silent_nulls(text: str, signal: str) -> None:
    """Empty texts and one default text are lost values."""
    where = lambda f: np.arange(f.height) % 5 == 0  # noqa: E731
    (finding,) = _findings(text_length, mails(6, lambda _: text, where))
    assert (finding.signal, finding.supports) == (signal, ("silent_nulls",))


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x @ np.linalg.qr(np.random.default_rng(0).normal(size=(24, 24)))[0],
        lambda x: x * 9.0,
        lambda x: x / np.linalg.norm(x, axis=1, keepdims=True),
    ],
)
def test_vectors_of_another_space_are_seen(change: object) -> None:
    """Rotated, scaled and normalised vectors left the reference's space."""
    (finding,) = _findings(embedding_space, vectors(1, change))  # type: ignore[arg-type]
    assert finding.supports == ("embedding_mismatch",)


@pytest.mark.parametrize("mix", [None, (0.8, 0.1, 0.1)])
def test_another_mix_stays_in_the_space(mix: tuple[float, float, float] | None) -> None:
    """More vectors of one class are no other encoder."""
    assert not _findings(embedding_space, vectors(2, mix=mix))


@pytest.mark.parametrize(
    ("change", "mode"),
    [(lambda x: x * 0, "silent_nulls"), (lambda x: np.repeat(x[:1], len(x), 0), "stale_features")],
)
def test_vectors_that_carry_nothing(change: object, mode: str) -> None:
    """Zero vectors are lost values, one repeated vector is a stale one."""
    (finding,) = _findings(embedding_space, vectors(3, change))  # type: ignore[arg-type]
    assert finding.supports == (mode,)


@pytest.mark.parametrize("rotated", [True, False])
def test_rows_of_foreign_vectors_are_known(*, rotated: bool) -> None:
    """Vectors of another encoder have no neighbours, and nobody knows what is answered to them; others stay known."""
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(24, 24)))[0]
    half = np.arange(300) % 2 == 0
    case = vectors(14, lambda x: np.where(half[:, None] & rotated, x @ turn, x))
    odd = foreign(case)
    assert odd[half].mean() > 0.9 if rotated else not odd.any()
    assert odd[~half].mean() < 0.1
    assert (judgeable(case) == ~odd).all()


@pytest.mark.parametrize("noise", [0.0, 40.0])
def test_a_count_of_words_is_no_aggregate_of_its_own(noise: float) -> None:
    """A column that counts the words of the text beside it is known as such; one that has a mind of its own is not."""
    rng = np.random.default_rng(3)
    case = mails(15)
    frames = [
        table.frame.with_columns(
            n=pl.col("mail").str.count_matches(r"\S+") + noise * rng.random(table.rows)
        )
        for table in (case.reference, case.current)
    ]
    told = counted(case_of(frames[0], frames[1], text="mail"))
    assert told == ({"n"} if noise == 0 else set())


@pytest.mark.parametrize(("place", "found"), [("pod", True), ("shop", False)])
def test_vectors_of_some_machines_alone_are_of_another_encoder(place: str, found: bool) -> None:
    """Vectors a little shorter on one pod are that pod's doing, as requests are dealt by lot; in one shop they may be its own."""
    case = vectors(4)
    frames = [table.frame.rename({"app": place}) for table in (case.reference, case.current)]
    rng = np.random.default_rng(5)
    loose = [
        np.array(f["vector"].to_list()) + 1.5 * rng.normal(size=(f.height, 24)) for f in frames
    ]
    frames[0] = frames[0].with_columns(vector=pl.Series(loose[0].tolist()))
    there = (frames[1][place] == frames[1][place].min()).to_numpy()
    made = np.where(there[:, None], 0.8 * loose[1], loose[1])
    frames[1] = frames[1].with_columns(vector=pl.Series(made.tolist()))
    columns = Columns(
        timestamp="at", target="label", prediction="answer", segments=(place,), embedding="vector"
    )
    data = DataSpec(TableSpec(frame=frames[0]), TableSpec(frame=frames[1]), columns)
    told = _findings(embedding_space, build_case(Incident("made", "multiclass", data=data)))
    assert [f.repairs[0].repair for f in told] == (["keep"] if found else [])
