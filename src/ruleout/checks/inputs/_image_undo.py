"""Undoing a suspected damage to images, and how far that brings the current ones back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout.checks.inputs._image_features import (
    DAMAGES,
    features,
    own_features,
    undone_features,
    zoom,
)
from ruleout.profile._image import ImageSample
from ruleout.stats._picture import EXACT, grayscale
from ruleout.stats._tone import Tone, tones
from ruleout.stats._views import Separation, separation

Floats = NDArray[np.float64]

_WORDS = {
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
    "letterbox": "squeezed between bars",
    "shift": "shifted",
}


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

    @property
    def restored(self) -> float:
        """Share of the separation that goes away, in [0, 1]."""
        gap = self.before.auc - 0.5
        return float(np.clip(1.0 - (self.after.auc - 0.5) / gap, 0.0, 1.0)) if gap > 0 else 0.0


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


def undo(pair: Pair, transform: str) -> Undoing | None:
    """The best way of undoing one kind of damage, or None when there is none to try."""
    plain = pair.tell_apart()
    tried = [
        Undoing(name, words, options, plain, pair.tell_apart(before, now))
        for name, words, options, before, now in _attempts(pair, transform)
    ]
    # A richer relation must earn its parameters: each later attempt has to be clearly better.
    best: Undoing | None = None
    for one in tried:
        if best is None or one.after.auc < best.after.auc - 1.5 * one.after.error:
            best = one
    return best


Attempt = tuple[str, str, Mapping[str, Any], Floats | None, Floats | None]


def _attempts(pair: Pair, transform: str) -> Iterator[Attempt]:
    if transform in EXACT:
        undone = undone_features(pair.now, transform)
        yield transform, _WORDS[transform], {"transform": transform}, None, undone
    elif transform == "grayscale":
        yield _replayed(pair, transform, "grayscale", {}, grayscale)
    elif transform == "crop":
        for keep in (0.9, 0.75, 0.6, 0.5, 0.375):
            words = f"cropped to the central {keep:.0%}"
            yield _replayed(pair, transform, words, {"keep": keep}, _zoomed(keep))
    elif transform in {"letterbox", "shift"}:
        yield _replayed(pair, transform, _WORDS[transform], {}, DAMAGES[transform])
    else:
        yield from _toned(pair)


def _zoomed(keep: float) -> Callable[[Floats], Floats]:
    return lambda x: zoom(x, keep)


def _replayed(
    pair: Pair,
    transform: str,
    words: str,
    options: Mapping[str, Any],
    damage: Callable[[Floats], Floats],
) -> Attempt:
    """What loses information is not undone in the current but done to the reference images."""
    thumbs = damage(pair.before.thumbnails.astype(float))
    before = features(thumbs, pair.before.statistics["edge_orientation"])
    return (
        transform,
        _WORDS.get(transform, words),
        {"transform": transform, **options},
        before,
        None,
    )


def _toned(pair: Pair) -> Iterator[Attempt]:
    old = pair.before.thumbnails.astype(float)
    new = pair.now.thumbnails.astype(float)
    n, m = len(old), len(new)
    for tone in tones(old.reshape(n, -1, 3), new.reshape(m, -1, 3), pair.weight):
        undone = features(tone.undo(new), pair.now.statistics["edge_orientation"])
        # What was clipped cannot be brought back, so the same values are clipped in the reference.
        lossy = tone.undo(tone.apply(old))
        before = features(lossy, pair.before.statistics["edge_orientation"])
        yield "tone", tone.words, _tone_options(tone), before, undone


def _tone_options(tone: Tone) -> dict[str, Any]:
    return {
        "transform": "tone",
        "gain": list(tone.gain),
        "offset": list(tone.offset),
        "power": tone.power,
    }
