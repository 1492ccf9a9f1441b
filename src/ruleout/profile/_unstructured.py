"""One door to what images, texts and vectors look like in a case; each window is measured once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.profile._case import Case, Which
from ruleout.profile._embedding import (
    EmbeddingSample,
    EmbeddingSpace,
    embedding_sample,
    fit_space,
)
from ruleout.profile._image import EDGES, ImageSample, image_sample, measure, sample_rows
from ruleout.profile._image import SAMPLE as IMAGES
from ruleout.profile._pixels import Picture
from ruleout.profile._representation import (
    Representation,
    fit_features,
    fit_representation,
    image_details,
    image_features,
    raw_features,
)
from ruleout.profile._text import TextSample, text_sample

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

LIMITS = {"image": IMAGES, "text": 20_000, "embedding": 20_000}
"""Rows of one frame that are turned into numbers; the others are NaN."""


class Fitted:
    """A representation of one column, fitted on the reference window of a case."""

    def __init__(self, name: str, representation: Representation) -> None:
        self.representation = representation
        self.names = tuple(f"{name}:{i}" for i in range(representation.size))
        """One name per number."""

        self._known: dict[bytes, Singles] = {}

    def transform(self, series: pl.Series) -> Floats:
        """(n, k) numbers for n values; NaN rows where a value was not looked at or is unreadable."""
        if self.representation.kind == "image":
            details = self._pictures(series)
            return self.representation.project(details[:, : len(self.representation.axes)])
        return self.representation.apply(series, limit=LIMITS[self.representation.kind])

    def wide(self, series: pl.Series) -> Singles:
        """(n, r) raw features for n values, for what can use many; NaN as in `transform`."""
        kind = self.representation.kind
        if kind == "image":
            return self._pictures(series)
        raw, rows = raw_features(kind, series, LIMITS[kind], self.representation.width)
        looked = np.empty(raw.shape, np.float32)
        np.multiply(raw, self.representation.weight, out=looked, casting="same_kind")
        if len(rows) == len(series):
            return looked
        out = np.full((len(series), raw.shape[1]), np.nan, np.float32)
        out[rows] = looked
        return out

    def stand_ins(self, pictures: Sequence[Picture | None]) -> list[bytes]:
        """Bytes that stand for pictures that are measured but never encoded; only `self` reads them."""
        sample = measure(pictures, [None] * len(pictures), np.arange(len(pictures)), len(pictures))
        tokens = [
            b""
            if p is None
            else b"stand-in " + _digest(p.pixels.tobytes() + repr(p.pixels.shape).encode())
            for p in pictures
        ]
        self.remember(tokens, sample)
        return tokens

    def remember(self, encoded: Iterable[bytes | None], sample: ImageSample) -> None:
        """Keep the features of images that have been measured, by their content."""
        for data, details in zip(encoded, image_details(sample), strict=True):
            self._known[_digest(data)] = details

    def _pictures(self, series: pl.Series) -> Singles:
        """Each picture is decoded once in the life of a case, however often it is replayed."""
        rows = sample_rows(len(series), LIMITS["image"])
        encoded = [d if isinstance(d, bytes) else None for d in series.gather(rows).to_list()]
        digests = [_digest(data) for data in encoded]
        fresh = {d: data for d, data in zip(digests, encoded, strict=True) if d not in self._known}
        if fresh:
            column = pl.Series("fresh", list(fresh.values()), dtype=pl.Binary)
            self.remember(fresh.values(), image_sample(column, limit=len(fresh)))
        if not len(rows):
            return np.empty((0, len(self.representation.axes) + EDGES), np.float32)
        known = np.stack([self._known[digest] for digest in digests])
        out = np.full((len(series), known.shape[1]), np.nan, np.float32)
        out[rows] = known
        return out


def _digest(data: object) -> bytes:
    return blake2b(data if isinstance(data, bytes) else b"", digest_size=16).digest()


def fit(case: Case, name: str) -> Fitted:
    """The representation of an image, text or embedding column, fitted on the reference.

    Raises:
        MissingExtra: for images that need Pillow when it is not installed.
        ValueError: when the column is of another kind.
    """
    kind = case.kind(name)
    if kind == "image":
        return _fit_images(case, name)
    if kind not in {"text", "embedding"}:
        raise ValueError(
            f"{name!r} is {kind}; a representation stands for images, texts or vectors"
        )
    return Fitted(name, fit_representation(kind, _series(case, "reference", name)))


def _fit_images(case: Case, name: str) -> Fitted:
    samples: dict[Which, ImageSample] = {
        "reference": images(case, "reference", name),
        "current": images(case, "current", name),
    }
    fitted = Fitted(name, fit_features("image", image_features(samples["reference"])))
    for which, sample in samples.items():
        encoded = _series(case, which, name).gather(sample.rows).to_list()
        fitted.remember(encoded, sample)
    return fitted


def looked_at(case: Case, which: Which) -> NDArray[np.int64]:
    """Rows of a window whose images, texts and vectors are all turned into numbers."""
    rows = case.table(which).rows
    wanted = [LIMITS[kind] for kind in ("image", "text", "embedding") if case.of_kind(kind)]
    return sample_rows(rows, min(wanted, default=rows))


def images(case: Case, which: Which, name: str) -> ImageSample:
    """The images of one window that are looked at, decoded once.

    Raises:
        MissingExtra: when their format needs Pillow and it is not installed.
    """
    key = f"images {which} {name}"
    if key not in case.cache:
        case.cache[key] = image_sample(_series(case, which, name))
    sample: ImageSample = case.cache[key]
    return sample


def texts(case: Case, which: Which, name: str) -> TextSample:
    """The texts of one window that are looked at, measured once."""
    key = f"texts {which} {name}"
    if key not in case.cache:
        case.cache[key] = text_sample(_series(case, which, name))
    sample: TextSample = case.cache[key]
    return sample


def embeddings(case: Case, which: Which, name: str) -> EmbeddingSample:
    """The vectors of one window that are looked at, in the reference's dimension."""
    key = f"embeddings {which} {name}"
    if key not in case.cache:
        width = (
            None if which == "reference" else embeddings(case, "reference", name).vectors.shape[1]
        )
        case.cache[key] = embedding_sample(_series(case, which, name), dimension=width)
    sample: EmbeddingSample = case.cache[key]
    return sample


def space(case: Case, name: str) -> EmbeddingSpace:
    """What ordinary vectors of the reference look like."""
    key = f"embedding space {name}"
    if key not in case.cache:
        case.cache[key] = fit_space(embeddings(case, "reference", name).vectors)
    fitted: EmbeddingSpace = case.cache[key]
    return fitted


def _series(case: Case, which: Which, name: str) -> pl.Series:
    return case.table(which).frame.get_column(name)
