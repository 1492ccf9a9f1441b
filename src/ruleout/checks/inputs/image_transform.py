"""Images that were turned, recoloured, cropped or re-toned on their way to the model.

Rule: reference images are damaged in every known way; the shares of these views among the current
images (balanced by class) say which damage is there and in how many rows. Then it is undone: a
classifier that could tell current from reference images must no longer be able to. A new mix of
products moves pixels too, but no single inverse takes all of it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Abstained, Clear, Finding, Outcome, RepairPlan, Subject
from ruleout._registry import check
from ruleout.checks.inputs._balance import balance
from ruleout.checks.inputs._defaults import words_of
from ruleout.checks.inputs._image_chart import images_chart
from ruleout.checks.inputs._image_features import (
    MIRROR,
    damaged_views,
    own_features,
    sound,
)
from ruleout.checks.inputs._image_undo import Pair, Undoing, undo
from ruleout.checks.inputs._locate import Located, locate
from ruleout.profile import Case
from ruleout.profile._image import ImageSample
from ruleout.profile._unstructured import images
from ruleout.stats._calendar import hours
from ruleout.stats._picture import EXACT
from ruleout.stats._views import AS_IS, Recogniser, Separation, Shares, fit_recogniser, strangeness

Floats = NDArray[np.float64]

MODES = ("image_preprocessing",)
LEAST_IMAGES = 60
_LEAST_SHARE = 0.08
_LEAST_INSIDE = 20
_RESTORED = 0.5
_PATH = frozenset({
    "fw", "firmware", "version", "build", "release", "sdk", "app", "host", "replica", "pod", "node", "box", "edge", "gateway",
    "decoder", "codec", "encoder", "runtime", "library", "worker", "uploader", "pipeline",
})  # fmt: skip
"""Words of columns that name a part of the way from camera to model."""

_PART_OF_DAY = 0.6
"""Share of the reference's hours up to which a window is one of hours of its own."""

_PLAIN, _ELSEWHERE = 0.85, 0.35
"""How plainly images of one place must differ from their classes, and what part of that others may."""


@check(
    "image_transform",
    layer="model",
    rung="inputs",
    looks_for=MODES,
    needs=("data.reference", "data.current", "data.columns.image"),
)
def image_transform(case: Case, rng: np.random.Generator) -> Iterable[Outcome]:
    """Look for known damages in each image column and undo them."""
    del rng
    for name in case.of_kind("image"):
        if case.reference.has(name) and case.current.has(name):
            yield from _column(case, name)


class Looked(NamedTuple):
    """What looking for transforms in one image column brought."""

    pair: Pair
    apart: Separation
    """Current against reference images as they came."""

    smallest: float
    """Share of damaged rows that would have shown."""

    found: tuple[Located, Undoing, float] | None


def look(case: Case, name: str) -> Looked | int:
    """Compare the sound images of both windows, once per case; their number if they are too few."""
    key = f"image transform {name}"
    if key not in case.cache:
        case.cache[key] = _look(case, name, case.rng(key))
    looked: Looked | int = case.cache[key]
    return looked


def comparable(case: Case, name: str) -> tuple[ImageSample, ImageSample, Floats]:
    """Sound images of the classes that both windows have, and the reference's weights.

    A window of a few hours is compared with these hours of the reference: nights are darker than days.
    """
    before, now = images(case, "reference", name), images(case, "current", name)
    before, now = before.only(sound(before)), now.only(sound(now))
    before = before.only(_at_these_hours(case, before, now))
    weights = balance(case, before.rows, now.rows)
    used = weights.reference > 0
    return before.only(used), now.only(weights.current > 0), weights.reference[used]


def _at_these_hours(case: Case, before: ImageSample, now: ImageSample) -> NDArray[np.bool_]:
    """Reference images (n,) of the hours that the current ones are of; all, where those are few or of most of the day."""
    every = np.ones(len(before.rows), dtype=bool)
    times = case.reference.time, case.current.time
    if times[0] is None or times[1] is None:
        return every
    usual, these = hours(times[0][before.rows]), hours(times[1][now.rows])
    if len(np.unique(these)) > _PART_OF_DAY * len(np.unique(usual)):
        return every
    alike = np.isin(usual, these)
    return np.asarray(alike) if alike.sum() >= LEAST_IMAGES else every


def _look(case: Case, name: str, rng: np.random.Generator) -> Looked | int:
    before, now, weight = comparable(case, name)
    if min(len(before.rows), len(now.rows)) < LEAST_IMAGES:
        return min(len(before.rows), len(now.rows))
    pair = Pair(before, now, weight, int(rng.integers(2**32)))
    views = damaged_views(before)
    recogniser = fit_recogniser(views, rng, weight)
    shares = recogniser.shares(own_features(now), rng)
    found = _found(case, pair, views, shares)
    return Looked(pair, pair.tell_apart(), _smallest(recogniser), found)


def _column(case: Case, name: str) -> Iterator[Outcome]:
    looked = look(case, name)
    if isinstance(looked, int):
        yield too_few(name, looked)
    elif looked.found is not None:
        yield _finding(case, name, looked.pair, looked.found)
    elif looked.apart.auc - 0.5 < 3.0 * looked.apart.error:
        text = (
            f"current images in {name} cannot be told from reference images of the same classes "
            f"(AUC {looked.apart.auc:.2f}), so nothing turned, recoloured, cropped or re-toned them"
        )
        subject = Subject("feature", (name,))
        yield Clear((), subject, text, looked.smallest, "image.transform")
    else:
        yield from _otherwise(case, name, looked.pair)


def _otherwise(case: Case, name: str, pair: Pair) -> Iterator[Finding]:
    """Images of one place alone that are unlike any of their classes, whatever was done to them.

    No known transform takes it back, so what happened has no name; that it happened there, and to all images, has.
    """
    rng = np.random.default_rng(pair.seed)
    apart = strangeness(own_features(pair.before), own_features(pair.now), rng, pair.weight)
    where = locate(case, pair.now.rows, apart)
    if where.scope.column is None or min(where.rows.sum(), (~where.rows).sum()) < _LEAST_INSIDE:
        return
    inside, outside = (
        Pair(pair.before, pair.now.only(rows), pair.weight, pair.seed).tell_apart()
        for rows in (where.rows, ~where.rows)
    )
    if inside.auc < _PLAIN or outside.auc - 0.5 > _ELSEWHERE * (inside.auc - 0.5):
        return
    subject = Subject("feature", (name,))
    text = (
        f"images in {name} are unlike the reference's of the same classes {where.words} (AUC of telling them apart "
        f"{inside.auc:.2f}, {outside.auc:.2f} elsewhere), and no known transform takes that back"
    )
    prepared = _prepares(where.scope.column)
    against = ("new_category", "concept_drift", "corrupted_labels", "label_noise")
    yield Finding(
        signal="image.prepared" if prepared else "image.otherwise",
        subject=subject,
        statement=text,
        statistic=inside.auc,
        effect=(inside.auc - 0.5) / inside.error,
        p_value=None,
        strength=float(np.clip((inside.auc - _PLAIN) / (0.97 - _PLAIN), 0.3, 1.0)),
        supports=MODES if prepared else (*MODES, "covariate_shift"),
        against=(*against, "covariate_shift") if prepared else against,
        scope=where.scope,
        onset=where.onset,
        repairs=(RepairPlan("keep", subject, where.scope),),
        chart=images_chart(case, name, pair.now.rows[where.rows]),
    )


def _prepares(column: str) -> bool:
    """Whether a column names what images pass through, rather than where they are taken."""
    return bool(words_of(column) & _PATH)


def too_few(name: str, images: int) -> Abstained:
    """What to say when there is too little to compare."""
    reason = f"{images} comparable images in {name}; at least {LEAST_IMAGES} a window are needed"
    return Abstained(MODES, reason, "data.columns.image")


def _found(
    case: Case, pair: Pair, views: dict[str, Floats], shares: Shares
) -> tuple[Located, Undoing, float] | None:
    """The damage with the largest share, where it is, and what undoing it brings."""
    harmed = [n for n in shares.names if n not in {AS_IS, MIRROR}]
    total = shares.of(*harmed)[0]
    order = sorted(harmed, key=lambda n: -shares.of(n)[0])
    if shares.of(MIRROR)[1] > 0.5:
        order.insert(0, MIRROR)
    elif total < _LEAST_SHARE:
        return None
    best: tuple[Located, Undoing, float] | None = None
    for suspect in order[:3]:
        if shares.of(suspect)[0] < _LEAST_SHARE / 2:
            break
        tried = _tried(case, pair, views, suspect)
        if tried is not None and (best is None or _worth(tried) > _worth(best)):
            best = tried
    return best


def _worth(found: tuple[Located, Undoing, float]) -> float:
    return found[1].restored * found[2]


def _tried(
    case: Case, pair: Pair, views: dict[str, Floats], suspect: str
) -> tuple[Located, Undoing, float] | None:
    view, undone = views[suspect], None
    # The first pass only knows the kind of damage; the second knows how strong it is.
    for _ in range(2):
        where = locate(case, pair.now.rows, membership(pair, views[AS_IS], view))
        inside = Pair(pair.before, pair.now.only(where.rows), pair.weight, pair.seed)
        if len(inside.now.rows) < _LEAST_INSIDE:
            return None
        undone = undo(inside, suspect)
        if undone is None or undone.before.auc - 0.5 < 3.0 * undone.before.error:
            return None
        if suspect in EXACT:
            break
        view = undone.view
    if undone is None or undone.restored < _RESTORED or where.inside < 0.4:
        return None
    return where, undone, float(np.clip(where.inside, 0.0, 1.0))


def membership(pair: Pair, plain: Floats, view: Floats) -> Floats:
    """(n,) how damaged each current image looks: mean 0 for sound images, 1 for damaged ones."""
    rng = np.random.default_rng(pair.seed)
    two = fit_recogniser({AS_IS: plain, "damaged": view}, rng, pair.weight)
    low, high = two.means[0, 1], two.means[1, 1]
    if high == low:  # damage that no feature shows
        return np.full(len(pair.now.rows), np.nan)
    return np.asarray((two.answers(own_features(pair.now))[:, 1] - low) / (high - low))


def _smallest(recogniser: Recogniser) -> float:
    """Share of damaged rows that would have shown, for the damage hardest to see of the common ones."""
    noise = np.sqrt(2.0) * recogniser.noise.mean(axis=1)
    gaps = [
        recogniser.separation(name)
        for name in recogniser.names
        if name not in {AS_IS, MIRROR, "flip_vertical"}
    ]
    return float(np.clip(2.5 * noise.mean() / max(min(gaps), 1e-3), 0.02, 1.0))


def _finding(case: Case, name: str, pair: Pair, found: tuple[Located, Undoing, float]) -> Finding:
    where, undone, share = found
    subject = Subject("feature", (name,))
    sureness = float(np.clip((undone.restored - 0.3) / 0.5, 0.0, 1.0))
    spread = float(np.clip((share - 0.3) / 0.4, 0.0, 1.0))
    text = (
        f"images in {name} are {undone.words} {where.words} (about {share:.0%} of these rows): "
        f"undoing it makes them look like the reference again "
        f"(AUC of telling them apart {undone.before.auc:.2f} -> {undone.after.auc:.2f})"
    )
    return Finding(
        signal="image.transform",
        subject=subject,
        statement=text,
        statistic=undone.restored,
        effect=(undone.before.auc - 0.5) / undone.before.error,
        p_value=None,
        strength=max(0.1, sureness * spread),
        supports=MODES,
        against=("covariate_shift", "new_category", "concept_drift", "fallback_overload"),
        scope=where.scope,
        onset=where.onset,
        repairs=(RepairPlan("image_inverse", subject, where.scope, undone.options),),
        chart=images_chart(case, name, pair.now.rows[where.rows]),
    )
