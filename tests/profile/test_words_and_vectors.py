"""Text and vectors as numbers."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ruleout.profile._embedding import embedding_sample, embedding_statistics, fit_space
from ruleout.profile._representation import fit_representation
from ruleout.profile._text import hashed, text_statistics, unknown_share, words


def test_signs_of_damage_are_counted() -> None:
    """Mojibake, question marks, entities, escapes and percent codes each show in their column."""
    texts = pl.Series(["CafÃ© noir", "caf? ol?e", "a &amp; b", "x\\u00e9y", "100%20b", "plain"])
    told = text_statistics(texts)
    for row, name in enumerate(["mojibake", "replacement", "entity", "escape", "percent"]):
        assert told[name][row] > 0
        assert told[name][5] == 0


def test_empty_texts_have_no_shares() -> None:
    """Null and blank texts are empty; their shares are unknown, not zero."""
    told = text_statistics(pl.Series([None, "   ", "a b"], dtype=pl.String))
    assert told["empty"].tolist() == [1.0, 1.0, 0.0]
    assert told["length"].tolist() == [0.0, 0.0, 3.0]
    assert np.isnan(told["upper"][:2]).all()


def test_lengths_and_tokens() -> None:
    """Characters are counted, not bytes, and tokens by white space."""
    told = text_statistics(pl.Series(["héllo wörld", "a  b"]))
    assert told["length"].tolist() == [11.0, 4.0]
    assert told["tokens"].tolist() == [2.0, 2.0]
    assert told["token_length"][0] == pytest.approx(5.0)


def test_equal_words_have_equal_codes_wherever_they_stand() -> None:
    """The hash of a word depends on its letters alone, and on case only when asked."""
    bag = words(pl.Series(["one two", None, "", "Two one, one"]))
    assert bag.text.tolist() == [0, 0, 3, 3, 3]
    assert bag.codes[0] == bag.codes[3] == bag.codes[4]
    assert bag.codes[1] == bag.codes[2]
    exact = words(pl.Series(["two", "Two"]), fold=False)
    assert exact.codes[0] != exact.codes[1]


def test_unknown_words_are_shares_of_words() -> None:
    """Half unknown is 0.5, a text without words is NaN."""
    vocabulary = np.unique(words(pl.Series(["known words"])).codes)
    share = unknown_share(words(pl.Series(["known stranger", "!!", "known"])), vocabulary)
    assert share[0] == 0.5
    assert np.isnan(share[1])
    assert share[2] == 0.0


def test_hashing_keeps_counts() -> None:
    """Two texts of the same words have the same vector; others differ."""
    vectors = hashed(words(pl.Series(["b a", "a b", "c d"])), 64)
    assert np.array_equal(vectors[0], vectors[1])
    assert not np.array_equal(vectors[0], vectors[2])


def test_vectors_of_other_lengths_are_missing() -> None:
    """Null, short and NaN vectors become NaN rows; their length is told."""
    column = pl.Series([[1.0, 2.0], None, [1.0], [float("nan"), 1.0], [3.0, 4.0]])
    sample = embedding_sample(column)
    assert sample.dimensions.tolist() == [2, 0, 1, 2, 2]
    assert np.isnan(sample.vectors[[1, 2, 3]]).all()
    assert sample.vectors[4].tolist() == [3.0, 4.0]


def test_a_rotated_space_has_no_neighbours() -> None:
    """Vectors of the space have near neighbours in the reference, rotated ones have not."""
    rng = np.random.default_rng(0)
    base = rng.normal(size=(600, 3)) @ rng.normal(size=(3, 32)) + 0.05 * rng.normal(size=(600, 32))
    space = fit_space(base[:300])
    turn = np.linalg.qr(rng.normal(size=(32, 32)))[0]
    own = embedding_statistics(base[300:], space)
    other = embedding_statistics(base[300:] @ turn, space)
    assert np.median(own["nearest"]) > 0.9
    assert np.median(other["nearest"]) < 0.8
    assert np.median(other["in_span"]) < 0.8 < np.median(own["in_span"])


def test_a_representation_tells_topics_apart() -> None:
    """Texts of two topics fall apart in the fitted numbers; empty ones stay finite or NaN."""
    rng = np.random.default_rng(1)
    topics = (["ship", "sail", "sea", "wind"], ["bread", "oven", "flour", "salt"])
    texts = [" ".join(rng.choice(topics[i % 2], 6)) for i in range(200)]
    fitted = fit_representation("text", pl.Series("t", texts))
    numbers = fitted.apply(pl.Series("t", texts))
    gap = numbers[::2].mean(axis=0) - numbers[1::2].mean(axis=0)
    assert np.linalg.norm(gap) > 1.0
    assert numbers.shape == (200, fitted.size)
    assert np.isfinite(fitted.apply(pl.Series("t", ["", None], dtype=pl.String))).all()


def test_a_representation_is_the_same_each_time() -> None:
    """Fitting twice gives the same axes, signs included."""
    rng = np.random.default_rng(2)
    column = pl.Series(rng.normal(size=(100, 8)).tolist())
    first, second = (fit_representation("embedding", column) for _ in range(2))
    assert np.array_equal(first.axes, second.axes)
