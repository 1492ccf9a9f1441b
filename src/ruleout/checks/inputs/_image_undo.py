"""Undoing a suspected damage to images, and how far that brings the current ones back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout.checks.inputs._image_features import (
    DAMAGES,
    damaged_features,
    features,
    letterbox,
    own_features,
    undone_features,
    zoom,
)
from ruleout.profile._image import ImageSample
from ruleout.stats._picture import EXACT
from ruleout.stats._tone import Tone, tones
from ruleout.stats._views import Separation, restored, separation

Floats = NDArray[np.float64]

WORDS = {
    "channels_bgr": "red and blue exchanged",
    "channels_grb": "red and green exchanged",
    "channels_rbg": "green and blue exchanged",
    "channels_gbr": "channels rotated (green, blue, red)",
    "channels_brg": "channels rotated (blue, red, green)",
    "rotate_90": "turned by 90 degrees anticlockwise",
    "rotate_180": "turned by 180 degrees",
    "rotate_270": "turned by 90 degrees clockwise",
    "flip_vertical": "upside down (mirrored)",
    "flip_horizontal": "mirrored left to right",
    "invert": "inverted (negative)",
    "grayscale": "without colour",
    "shift": "shifted",
}
"""What each transform does to images: completes "images are ..."."""


class Undoing(NamedTuple):
    """One suspected damage, undone (or, where it cannot be, done to the reference)."""

    transform: str
    words: str
    options: Mapping[str, Any]
    """What the repair needs."""

    before: Separation
    """Current against reference images as they came."""

    after: Separation
    """... and with the damage undone."""

    view: Floats
    """Features of the reference's images under exactly this damage."""

    @property
    def restored(self) -> float:
        """Share of the separation that goes away, in [0, 1]."""
        return restored(self.before, self.after)


class Pair(NamedTuple):
    """Sound images of both windows with the weights of the reference's."""

    before: ImageSample
    now: ImageSample
    weight: Floats
    seed: int
    """So that every attempt is judged by the same classifier."""

    def tell_apart(self, before: Floats | None = None, now: Floats | None = None) -> Separation:
        """Separation of features, by default those of the images as they came."""
        return separation(
            own_features(self.before) if before is None else before,
            own_features(self.now) if now is None else now,
            np.random.default_rng(self.seed),
            self.weight,
        )


class _Attempt(NamedTuple):
    transform: str
    words: str
    options: Mapping[str, Any]
    before: Floats | None
    now: Floats | None
    view: Floats


def undo(pair: Pair, transform: str) -> Undoing | None:
    """The best way of undoing one kind of damage, or None when there is none to try."""
    plain = pair.tell_apart()
    tried = [
        Undoing(a.transform, a.words, a.options, plain, pair.tell_apart(a.before, a.now), a.view)
        for a in _attempts(pair, transform)
    ]
    # A richer relation must earn its parameters: each later attempt has to be clearly better.
    best: Undoing | None = None
    for one in tried:
        if best is None or one.after.auc < best.after.auc - 1.5 * one.after.error:
            best = one
    return best


def _attempts(pair: Pair, transform: str) -> Iterator[_Attempt]:
    if transform in EXACT:
        view = damaged_features(pair.before, transform)
        options = {"transform": transform}
        undone = undone_features(pair.now, transform)
        yield _Attempt(transform, WORDS[transform], options, None, undone, view)
    elif transform == "crop":
        for keep in (0.875, 0.75, 0.625, 0.5, 0.375):
            words = f"cropped to the central {keep:.0%}"
            yield _replayed(pair, transform, words, {"keep": keep}, _zoomed(keep))
    elif transform == "letterbox":
        for band in (0.875, 0.75, 0.625, 0.5):
            words = f"squeezed to {band:.0%} of their height between bars"
            yield _replayed(pair, transform, words, {"band": band}, _banded(band))
    elif transform in {"shift", "grayscale"}:
        yield _replayed(pair, transform, WORDS[transform], {}, DAMAGES[transform])
    else:
        yield from _toned(pair)


def _zoomed(keep: float) -> Callable[[Floats], Floats]:
    return lambda x: zoom(x, keep)


def _banded(band: float) -> Callable[[Floats], Floats]:
    return lambda x: letterbox(x, band)


def _replayed(
    pair: Pair,
    transform: str,
    words: str,
    options: Mapping[str, Any],
    damage: Callable[[Floats], Floats],
) -> _Attempt:
    """What loses information is not undone in the current but done to the reference images."""
    before = features(damage(pair.before.thumbnails.astype(float)))
    options = {"transform": transform, **options}
    return _Attempt(transform, words, options, before, None, before)


def _toned(pair: Pair) -> Iterator[_Attempt]:
    old = pair.before.thumbnails.astype(float)
    new = pair.now.thumbnails.astype(float)
    n, m = len(old), len(new)
    for tone in tones(old.reshape(n, -1, 3), new.reshape(m, -1, 3), pair.weight):
        changed = tone.apply(old)
        # What was clipped cannot be brought back, so the same values are clipped in the reference.
        before = features(tone.undo(changed))
        undone = features(tone.undo(new))
        options = _tone_options(tone)
        yield _Attempt("tone", tone.words, options, before, undone, features(changed))


def _tone_options(tone: Tone) -> dict[str, Any]:
    return {
        "transform": "tone",
        "gain": list(tone.gain),
        "offset": list(tone.offset),
        "power": tone.power,
    }
