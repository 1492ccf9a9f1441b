"""Faults in images, text and embeddings."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._errors import need
from ruleout.prevention.inject._choose import blend, start
from ruleout.prevention.inject._registry import Dosage, InjectionError, injector
from ruleout.prevention.inject._scene import Answers, Event, Scene, Truth

_Pixels = NDArray[np.float64]


def _resampled(pixels: _Pixels, dose: float) -> _Pixels:
    image: Any = need("PIL.Image", extra="images")
    height, width = pixels.shape[:2]
    small = max(4, round(min(height, width) * (1 - 0.9 * dose)))
    picture = image.fromarray(pixels.astype(np.uint8))
    back = picture.resize((small, small), 0).resize((width, height), 0)
    return np.asarray(back, dtype=np.float64)


def _cropped(pixels: _Pixels, dose: float) -> _Pixels:
    image: Any = need("PIL.Image", extra="images")
    height, width = pixels.shape[:2]
    top, left = round(height * 0.4 * dose), round(width * 0.4 * dose)
    inner = pixels[top : height - top, left : width - left]
    picture = image.fromarray(inner.astype(np.uint8)).resize((width, height))
    return np.asarray(picture, dtype=np.float64)


_PREPROCESS: dict[str, Callable[[_Pixels, float], _Pixels]] = {
    "bgr": lambda x, _d: x[:, :, ::-1],
    "resize": _resampled,
    "crop": _cropped,
    "dark": lambda x, d: x * (1.0 - 0.8 * d),
    "normalise": lambda x, d: 128.0 + (x - 128.0) * (1.0 - 0.85 * d),
    "rotate": lambda x, _d: np.rot90(x),
    "inverted": lambda x, _d: 255.0 - x,
}


@injector("image_preprocessing", variants=tuple(_PREPROCESS))
def image_preprocessing(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Prepare pixels in another way than in training."""
    name = scene.base.image
    if name is None:
        raise InjectionError(f"{scene.base.name} has no image column")
    mask = dosage.schedule.mask(scene.base, scene.seen, rng)
    change = _PREPROCESS[str(dosage.variant)]
    old = scene.seen[name].to_list()
    new = [
        _encode(change(_decode(b), dosage.dose)) if hit else b
        for b, hit in zip(old, mask, strict=True)
    ]
    at = start(scene, dosage) or 0.0
    event = Event(at - 60.0, "deploy", "image-service", "Upgrade image decoding library")
    return (
        scene.see({name: pl.Series(name, new, dtype=pl.Binary)})
        .log(event)
        .blame(
            Truth(
                "image_preprocessing",
                "feature",
                (name,),
                accepted=(("pipeline", ()), ("none", ())),
                onset=at,
                notes=str(dosage.variant),
            )
        )
    )


def _decode(data: bytes) -> _Pixels:
    image: Any = need("PIL.Image", extra="images")
    return np.asarray(image.open(io.BytesIO(data)).convert("RGB"), dtype=np.float64)


def _encode(pixels: _Pixels) -> bytes:
    image: Any = need("PIL.Image", extra="images")
    buffer = io.BytesIO()
    clean = np.ascontiguousarray(np.clip(pixels, 0, 255).astype(np.uint8))
    image.fromarray(clean).save(buffer, format="JPEG", quality=90)
    return buffer.getvalue()


def _text(scene: Scene) -> str:
    if scene.base.text is None:
        raise InjectionError(f"{scene.base.name} has no text column")
    return scene.base.text


@injector("tokenizer_mismatch", variants=("pieces", "unknown", "joined"))
def tokenizer_mismatch(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Read the text with another tokenizer than the model was trained with."""
    name = _text(scene)
    mask = dosage.schedule.mask(scene.base, scene.seen, rng)
    seed = int(rng.integers(2**32))
    model = scene.model

    def read(frame: pl.DataFrame) -> pl.Series:
        picks = np.random.default_rng(seed)
        words = [str(v or "").split() for v in frame[name].to_list()]
        return pl.Series(
            name, [_retoken(w, str(dosage.variant), dosage.dose, picks) for w in words]
        )

    def answer(seen: pl.DataFrame, _given: Answers) -> Answers:
        return model.answer(seen.with_columns(read(seen)))

    moved = scene.serve(mask, answer)
    if "token_count" in scene.seen.columns:
        counts = read(scene.seen).str.count_matches(r"\S+").cast(pl.Int64)
        unknown = read(scene.seen).str.count_matches("unk").cast(pl.Int64)
        moved = moved.see(
            {
                "token_count": blend(scene.seen["token_count"], counts, mask),
                "unknown_tokens": blend(scene.seen["unknown_tokens"], unknown, mask),
            }
        )
    at = start(scene, dosage) or 0.0
    event = Event(at - 60.0, "deploy", "tokenizer", "Update tokenizer package")
    return moved.log(event).blame(
        Truth(
            "tokenizer_mismatch",
            "feature",
            (name,),
            accepted=(
                ("feature", ("token_count", "unknown_tokens")),
                ("model", ()),
                ("pipeline", ()),
                ("none", ()),
            ),
            onset=at,
            notes=str(dosage.variant),
        )
    )


def _retoken(words: list[str], how: str, dose: float, picks: np.random.Generator) -> str:
    out: list[str] = []
    for word in words:
        hit = picks.random() < 0.2 + 0.75 * dose
        if not hit or len(word) < 3:
            out.append(word)
        elif how == "pieces":
            cut = len(word) // 2
            out.extend((word[:cut], word[cut:]))
        elif how == "unknown":
            out.append("unk")
        elif out:
            out[-1] += word
        else:
            out.append(word)
    return " ".join(out)


@injector("context_truncation", variants=("head", "tail"))
def context_truncation(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Cut texts at a length: long inputs lose their end or their beginning."""
    name = _text(scene)
    mask = dosage.schedule.mask(scene.base, scene.seen, rng)
    old = scene.seen[name]
    lengths = old.str.len_chars().fill_null(0).to_numpy()
    limit = max(4, int(np.quantile(lengths, 1.0 - 0.9 * dosage.dose)))
    cut = old.str.head(limit) if dosage.variant == "head" else old.str.tail(limit)
    moved = {name: blend(old, cut, mask)}
    if "token_count" in scene.seen.columns:
        counts = cut.str.count_matches(r"\S+").cast(pl.Int64)
        moved["token_count"] = blend(scene.seen["token_count"], counts, mask)
    return scene.see(moved).blame(
        Truth(
            "context_truncation",
            "feature",
            (name,),
            accepted=(("feature", ("token_count",)), ("pipeline", ()), ("none", ())),
            onset=start(scene, dosage),
            notes=f"{limit} characters",
        )
    )


@injector("embedding_mismatch", variants=("rotated", "permuted", "scaled", "noise"))
def embedding_mismatch(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Encode with another encoder than the index and the model were built with."""
    name = scene.base.embedding
    if name is None:
        raise InjectionError(f"{scene.base.name} has no embedding column")
    x = np.array(scene.seen[name].to_list(), dtype=np.float64)
    width = x.shape[1]
    if dosage.variant == "permuted":
        moved = x[:, rng.permutation(width)]
    elif dosage.variant == "scaled":
        moved = x * np.exp(rng.normal(0, 2.0 * dosage.dose, width)) * 8.0
    elif dosage.variant == "noise":
        moved = x + rng.normal(0, 3.0 * dosage.dose, x.shape) * x.std(axis=0)
    else:
        turn, _ = np.linalg.qr(rng.normal(size=(width, width)))
        moved = x @ turn
    mask = dosage.schedule.mask(scene.base, scene.seen, rng)
    mixed = np.where(mask[:, None], moved, x)
    at = start(scene, dosage) or 0.0
    event = Event(at - 60.0, "model", "encoder", "Encoder alias moved")
    return (
        scene.see({name: pl.Series(name, mixed.tolist(), dtype=scene.seen[name].dtype)})
        .log(event)
        .blame(
            Truth(
                "embedding_mismatch",
                "feature",
                (name,),
                accepted=(("pipeline", ()), ("model", ()), ("none", ())),
                onset=at,
                notes=str(dosage.variant),
            )
        )
    )
