"""Small incidents of images, texts and vectors, made of nothing but numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from ruleout.incident import Columns, DataSpec, Incident, TableSpec
from ruleout.profile import Case, build_case
from ruleout.profile._pixels import encode_png

CLASSES = ("boots", "hat", "shirt")
NOUNS = ("Parcel", "Refund", "Invoice", "Account", "Delivery", "Voucher", "Basket", "Payment")
VERBS = ("arrived", "is missing", "was charged twice", "cannot be opened", "has been cancelled")
TAILS = (
    "please help!",
    "since Monday.",
    "for order 4711, thanks.",
    "in 2024?",
    "again...",
    "(urgent)",
)


def frame(rng: np.random.Generator, rows: int, start: float) -> pl.DataFrame:
    """Times, a segment and a class for each row."""
    time = np.sort(rng.uniform(0, 86_400, rows)) + start
    return pl.DataFrame(
        {
            "at": pl.from_epoch(pl.Series((time * 1e6).astype(np.int64)), time_unit="us"),
            "app": rng.choice(["ios", "web"], rows),
            "label": rng.choice(CLASSES, rows),
        }
    ).with_columns(answer=pl.col("label"))


def case_of(before: pl.DataFrame, now: pl.DataFrame, **roles: str) -> Case:
    """A case of two frames with a label, an answer, a time and the segment `app`."""
    columns = Columns(
        timestamp="at", target="label", prediction="answer", segments=("app",), **roles
    )
    data = DataSpec(TableSpec(frame=before), TableSpec(frame=now), columns)
    return build_case(Incident("made", "multiclass", data=data))


def picture(rng: np.random.Generator, label: str) -> np.ndarray:
    """A warm floor below, a cool wall above, and a blob whose place depends on the class."""
    side = 32
    y, x = np.mgrid[0:side, 0:side] / side
    image = np.stack([90 + 90 * y, 100 + 30 * y, 150 - 70 * y], axis=2)
    cx, cy = {"boots": (0.35, 0.75), "hat": (0.4, 0.3), "shirt": (0.6, 0.5)}[label]
    cx, cy = cx + rng.normal(0, 0.08), cy + rng.normal(0, 0.08)
    blob = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 0.02)[..., None]
    colour = rng.uniform([60, 20, 10], [250, 140, 120])
    image = image * (1 - blob) + colour * blob + rng.normal(0, 4, image.shape)
    return np.asarray(np.clip(image + rng.normal(0, 10), 0, 255))


def photos(
    seed: int,
    rows: tuple[int, int] = (400, 300),
    change: Callable[[np.ndarray], np.ndarray] | None = None,
    where: Callable[[pl.DataFrame], np.ndarray] | None = None,
    mix: tuple[float, float, float] | None = None,
) -> Case:
    """Two windows of pictures; those of the current one `where` a mask says are changed."""
    rng = np.random.default_rng(seed)
    before, now = frame(rng, rows[0], 1.7e9), frame(rng, rows[1], 1.7e9 + 86_400)
    if mix is not None:
        now = now.with_columns(label=pl.Series(rng.choice(CLASSES, rows[1], p=mix)))
    hit = np.zeros(rows[1], bool) if change is None else np.ones(rows[1], bool)
    if where is not None:
        hit = where(now)
    old = [encode_png(picture(rng, label)) for label in before["label"]]
    new = []
    for label, damaged in zip(now["label"], hit, strict=True):
        pixels = picture(rng, label)
        new.append(encode_png(np.clip(change(pixels), 0, 255) if damaged and change else pixels))
    return case_of(
        before.with_columns(photo=pl.Series(old, dtype=pl.Binary)),
        now.with_columns(photo=pl.Series(new, dtype=pl.Binary)),
        image="photo",
    )


def sentence(rng: np.random.Generator) -> str:
    """An ordinary complaint."""
    return f"{rng.choice(NOUNS)} {rng.integers(1, 99)} {rng.choice(VERBS)} {rng.choice(TAILS)}"


def mails(
    seed: int,
    change: Callable[[str], str] | None = None,
    where: Callable[[pl.DataFrame], np.ndarray] | None = None,
    rows: tuple[int, int] = (500, 400),
    shorter: bool = False,
) -> Case:
    """Two windows of texts; those of the current one `where` a mask says are changed."""
    rng = np.random.default_rng(seed)
    before, now = frame(rng, rows[0], 1.7e9), frame(rng, rows[1], 1.7e9 + 86_400)

    def text(brief: bool) -> str:
        many = 1 if brief else int(rng.integers(1, 4))
        return " ".join(sentence(rng) for _ in range(many))

    old = [text(brief=False) for _ in range(rows[0])]
    new = [text(brief=shorter and bool(rng.random() < 0.5)) for _ in range(rows[1])]
    hit = np.ones(rows[1], bool) if where is None else where(now)
    if change is not None:
        new = [change(t) if h else t for t, h in zip(new, hit, strict=True)]
    return case_of(
        before.with_columns(mail=pl.Series(old)), now.with_columns(mail=pl.Series(new)), text="mail"
    )


def vectors(
    seed: int,
    change: Callable[[np.ndarray], np.ndarray] | None = None,
    mix: tuple[float, float, float] | None = None,
) -> Case:
    """Two windows of vectors with one cluster a class."""
    rng = np.random.default_rng(seed)
    before, now = frame(rng, 400, 1.7e9), frame(rng, 300, 1.7e9 + 86_400)
    if mix is not None:
        now = now.with_columns(label=pl.Series(rng.choice(CLASSES, 300, p=mix)))
    axes = rng.normal(size=(4, 24))
    centres = {name: rng.normal(size=24) for name in CLASSES}

    def some(labels: pl.Series) -> np.ndarray:
        middle = np.stack([centres[name] for name in labels])
        return np.asarray(middle + rng.normal(size=(len(labels), 4)) @ axes)

    old, new = some(before["label"]), some(now["label"])
    if change is not None:
        new = change(new)
    return case_of(
        before.with_columns(vector=pl.Series(old.tolist())),
        now.with_columns(vector=pl.Series(new.tolist())),
        embedding="vector",
    )
