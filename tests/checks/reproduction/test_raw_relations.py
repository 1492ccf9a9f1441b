"""What a logged image, text or vector is of the right one."""

from __future__ import annotations

import numpy as np
import polars as pl

from ruleout.checks.reproduction._raw_relations import (
    image_relation,
    text_relation,
    vector_relation,
)
from ruleout.profile._pixels import encode_png

TEXTS = [f"Where is parcel {i}, please? It was due on day {i % 7}." for i in range(40)]


def pictures(seed: int = 0, n: int = 40) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (n, 4, 4, 3))
    return [np.kron(c, np.ones((8, 8, 1))) for c in coarse]


def encoded(values: list[np.ndarray]) -> pl.Series:
    return pl.Series("photo", [encode_png(v) for v in values], dtype=pl.Binary)


def test_equal_texts_do_not_differ() -> None:
    """Nothing is said of texts that are the same."""
    assert not text_relation(pl.Series(TEXTS), pl.Series(TEXTS)).differ.any()


def test_texts_are_told_by_what_was_done_to_them() -> None:
    """Cutting, lower-casing, losing and exchanging texts are told apart."""
    for logged, mode in (
        ([t[:20] for t in TEXTS], "context_truncation"),
        ([t.lower() for t in TEXTS], "tokenizer_mismatch"),
        ([None for _ in TEXTS], "silent_nulls"),
        (TEXTS[1:] + TEXTS[:1], "stale_features"),
        ([t.replace("e", "3") for t in TEXTS], "tokenizer_mismatch"),
    ):
        told = text_relation(pl.Series(logged, dtype=pl.String), pl.Series(TEXTS))
        assert told.mode == mode
        assert told.differ.all()


def test_an_unknown_change_of_texts_is_less_sure() -> None:
    """What is no known damage only shows that something differs."""
    told = text_relation(pl.Series([t.replace("e", "3") for t in TEXTS]), pl.Series(TEXTS))
    assert told.sure < 1.0


def test_images_are_told_by_what_was_done_to_them() -> None:
    """Exchanged channels, unreadable files, missing ones and those of other rows are told apart."""
    right = pictures()
    for logged, mode, words in (
        (encoded([p[:, :, ::-1] for p in right]), "image_preprocessing", "red and blue exchanged"),
        (
            pl.Series([b"not an image"] * 40, dtype=pl.Binary),
            "image_preprocessing",
            "unreadable",
        ),
        (pl.Series([None] * 40, dtype=pl.Binary), "silent_nulls", "missing"),
        (encoded(right[1:] + right[:1]), "stale_features", "those of other rows"),
    ):
        told = image_relation(logged, encoded(right))
        assert (told.mode, told.words) == (mode, words)


def test_another_encoding_of_the_same_pixels_is_no_difference() -> None:
    """Files are compared by what they show, not by their bytes."""
    right = pictures()
    again = pl.Series([encode_png(p, level=1) for p in right], dtype=pl.Binary)
    assert not image_relation(again, encoded(right)).differ.any()


def test_vectors_are_told_by_what_was_done_to_them() -> None:
    """Another encoder, zeros and vectors of other rows are told apart; rounding is none of them."""
    rng = np.random.default_rng(3)
    right = rng.normal(size=(40, 8))
    turn = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    whole = pl.Series(right.tolist())
    assert vector_relation(pl.Series((right @ turn).tolist()), whole).mode == "embedding_mismatch"
    assert vector_relation(pl.Series(np.zeros((40, 8)).tolist()), whole).mode == "silent_nulls"
    assert vector_relation(pl.Series(np.roll(right, 1, 0).tolist()), whole).mode == "stale_features"
    assert not vector_relation(pl.Series(right.astype(np.float32).tolist()), whole).differ.any()
