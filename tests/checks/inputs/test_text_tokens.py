"""What is counted beside a text must follow from the text that is logged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from unstructured import case_of, frame, sentence

from ruleout._records import Finding, Outcome
from ruleout.checks.inputs.text_tokens import text_tokens

Count = Callable[[str], float]


def pieces(text: str) -> float:
    """Words, and signs that stand by themselves."""
    return float(len(text.split()) + sum(c in "?!,.()" for c in text))


def looked(
    now: Count, *, before: Count = pieces, damage: Callable[[str], str] = str
) -> list[Outcome]:
    """What is found where `size` was counted by one function before and by another now."""
    rng = np.random.default_rng(5)
    windows = []
    for start, rows, count in ((1.7e9, 500, before), (1.7e9 + 86_400, 400, now)):
        mails = [" ".join(sentence(rng) for _ in range(rng.integers(1, 5))) for _ in range(rows)]
        if start > 1.7e9:
            mails = [damage(mail) for mail in mails]
        size = pl.Series("size", [count(mail) for mail in mails])
        windows.append(frame(rng, rows, start).with_columns(pl.Series("mail", mails), size))
    case = case_of(windows[0], windows[1], text="mail")
    return list(text_tokens(case, np.random.default_rng(0)))


def found(outcomes: list[Outcome]) -> list[Finding]:
    return [o for o in outcomes if isinstance(o, Finding) and o.supports]


def test_the_same_tokenizer_says_nothing() -> None:
    """Counts that follow from the texts as before are no finding."""
    assert not looked(pieces)


def test_more_pieces_of_the_same_text_are_another_tokenizer() -> None:
    """Words cut in two are counted twice, though the logged text is as ever."""
    outcomes = looked(lambda t: pieces(t) + sum(len(w) > 5 for w in t.split()))
    (one,) = found(outcomes)
    assert one.supports == ("tokenizer_mismatch",)
    assert one.subject.names == ("mail",)
    acquitted = [o for o in outcomes if isinstance(o, Finding) and not o.supports]
    assert "wrong_version" in acquitted[0].against


def test_one_size_for_all_longer_texts_is_a_cut() -> None:
    """Counts that stop at a number while texts go on were taken of cut texts."""
    (one,) = found(looked(lambda t: min(pieces(t), 12.0)))
    assert one.supports == ("context_truncation",)


def test_a_count_that_was_always_none_is_one_of_unknown_words() -> None:
    """A column that was 0 and now counts among the words says that the tokenizer does not know them."""
    (one,) = found(
        looked(lambda t: float(sum(len(w) > 4 for w in t.split())), before=lambda _: 0.0)
    )
    assert one.supports == ("tokenizer_mismatch",)


def test_counts_of_a_text_that_changed_itself_are_no_evidence() -> None:
    """Texts that lost their signs have fewer tokens, and the log shows both."""
    assert not found(looked(pieces, damage=lambda t: t.replace("!", "").replace(",", "")))


def test_a_number_that_never_followed_the_text_is_left_alone() -> None:
    """A column of its own may move as it likes."""
    noise = np.random.default_rng(9)
    before = lambda _: float(noise.normal())  # noqa: E731 - one draw a row
    assert not found(looked(lambda _: float(noise.normal() + 3.0), before=before))


def test_shares_that_follow_the_text_stay_quiet() -> None:
    """A share of a few hundredths has its own room for error, not that of whole counts."""

    def share(text: str) -> float:
        return 0.001 * sum(c in "?!,.()" for c in text)

    assert not looked(share, before=share)
