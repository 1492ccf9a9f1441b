"""Checks of images: they name what was done, where, and stay quiet on what is harmless."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from unstructured import case_of, photos

from ruleout._records import Clear, Finding
from ruleout.checks.inputs.image_files import image_files
from ruleout.checks.inputs.image_texture import image_texture
from ruleout.checks.inputs.image_transform import image_transform
from ruleout.experiments.repairs.images import image_inverse
from ruleout.profile import Case
from ruleout.profile._image import image_sample
from ruleout.stats._degrade import blur
from ruleout.stats._mosaic import mosaic


def _findings(check: object, case: Case) -> list[Finding]:
    outcomes = list(check(case, np.random.default_rng(0)))  # type: ignore[operator]
    return [o for o in outcomes if isinstance(o, Finding)]


@pytest.mark.parametrize(
    ("change", "transform"),
    [
        (lambda x: x[..., ::-1], "channels_bgr"),
        (lambda x: x[..., [1, 2, 0]], "channels_gbr"),
        (np.rot90, "rotate_90"),
        (lambda x: np.rot90(x, 2), "rotate_180"),
        (lambda x: 255 - x, "invert"),
        (lambda x: x * 0.5, "tone"),
        (lambda x: 128 + (x - 128) * 0.4, "tone"),
    ],
)
def test_a_transform_is_named_and_undone(change: object, transform: str) -> None:
    """The transform that was applied is the one in the plan, and undoing it restores the images."""
    (finding,) = _findings(image_transform, photos(1, change=change))  # type: ignore[arg-type]
    assert finding.supports == ("image_preprocessing",)
    assert finding.repairs[0].options["transform"] == transform
    assert finding.statistic > 0.7
    assert finding.strength > 0.6
    assert finding.scope.column is None
    assert finding.subject.names == ("photo",)


def test_a_transform_of_one_app_is_found_there() -> None:
    """Half the rows suffer: the finding's scope is the segment value that they share."""
    case = photos(2, change=lambda x: x[..., ::-1], where=lambda f: (f["app"] == "ios").to_numpy())
    (finding,) = _findings(image_transform, case)
    assert (finding.scope.column, finding.scope.values) == ("app", ("ios",))


@pytest.mark.parametrize("always", [True, False])
def test_a_night_is_compared_with_nights(*, always: bool) -> None:
    """Dark images of a few hours are no damage where these hours were as dark before."""
    dark = lambda x: x * 0.5  # noqa: E731
    before = photos(12, rows=(60, 900), change=dark if always else None, where=_by_night)
    after = photos(13, rows=(60, 500), change=dark, where=_by_night)
    now = after.current.frame.filter(pl.Series(_by_night(after.current.frame)))
    assert now.height >= 60
    case = case_of(before.current.frame, now, image="photo")
    assert bool(_findings(image_transform, case)) != always


def _by_night(frame: pl.DataFrame) -> np.ndarray:
    return np.asarray((frame["at"].dt.hour() < 6).to_numpy())


def test_a_transform_that_began_inside_the_window_has_its_onset() -> None:
    """Rows before the onset are left out of the scope, within a few per cent."""
    case = photos(3, change=np.rot90, where=lambda f: np.arange(f.height) >= 180)
    (finding,) = _findings(image_transform, case)
    assert finding.scope.since is not None
    rows = case.scope_rows(finding.scope)
    assert abs(int(rows.argmax()) - 180) <= 12
    assert finding.onset is not None


@pytest.mark.parametrize("mix", [None, (0.7, 0.2, 0.1)])
def test_other_products_are_no_damage(mix: tuple[float, float, float] | None) -> None:
    """Neither a repeat nor another mix of classes is called a transform; the checks clear."""
    case = photos(4, mix=mix)
    assert not _findings(image_transform, case)
    assert not _findings(image_files, case)
    outcomes = list(image_texture(case, np.random.default_rng(0)))
    assert [o.signal for o in outcomes if isinstance(o, Clear)] == ["image.texture"]


def test_blur_is_named() -> None:
    """Blurred images keep their colours; the texture check names the loss."""
    case = photos(5, change=lambda x: blur(x, 1.2))
    (finding,) = _findings(image_texture, case)
    assert "blurred" in finding.statement
    assert finding.repairs[0].repair == "image_damage"


def test_blank_and_missing_images_are_counted_where_they_are() -> None:
    """Blank pictures of one app, and nulls, are findings of their own kind."""
    case = photos(
        6, change=lambda x: np.full_like(x, 127.0), where=lambda f: (f["app"] == "web").to_numpy()
    )
    (finding,) = _findings(image_files, case)
    assert finding.signal == "image.blank"
    assert finding.scope.values == ("web",)
    gone = pl.when(pl.int_range(pl.len()) % 4 == 0).then(None).otherwise(pl.col("photo"))
    case = photos(7)
    case.current.frame = case.current.frame.with_columns(photo=gone)
    (finding,) = _findings(image_files, case)
    assert (finding.signal, finding.supports) == ("image.missing", ("silent_nulls",))


def test_frames_that_are_empty_here_and_there_never_came() -> None:
    """Half of the frames black, the others sound, of all apps and hours: rather a default than a preparation."""
    case = photos(6, change=np.zeros_like, where=lambda f: np.arange(len(f)) * 7919 % 100 < 50)
    (finding,) = _findings(image_files, case)
    assert finding.signal == "image.blank_some"


def test_too_few_images_abstain() -> None:
    """Twenty images are no evidence; the check says how many it needs."""
    outcomes = list(image_transform(photos(8, rows=(20, 20)), np.random.default_rng(0)))
    assert "at least 60" in outcomes[0].reason  # type: ignore[union-attr]


def test_the_repair_brings_pixels_back() -> None:
    """With a model at hand the inverse is applied to the encoded bytes of the rows in scope."""
    turned, sound = photos(9, change=np.rot90), photos(9)
    (finding,) = _findings(image_transform, turned)
    turned.predictor = (
        sound.predictor.__class__("model", 1.0, lambda f: None) if sound.predictor else None
    )  # type: ignore[arg-type,return-value]
    undone = image_inverse(turned, finding.repairs[0])
    if turned.predictor is None:
        assert undone.damaged is not None
        return
    back = image_sample(undone.features["photo"]).thumbnails
    want = image_sample(sound.current.frame["photo"]).thumbnails
    assert np.abs(back - want).max() < 2.0


def test_a_size_that_lost_its_pixels_is_named() -> None:
    """Pictures shrunk and enlarged again by repeating pixels are told by their cells, and where."""
    case = photos(7, change=lambda x: mosaic(x, 10), where=lambda f: (f["app"] == "ios").to_numpy())
    found = {f.signal: f for f in _findings(image_texture, case)}
    told = found["image.mosaic"]
    assert told.supports == ("image_preprocessing",)
    assert (told.scope.column, told.scope.values) == ("app", ("ios",))
    assert told.repairs


def test_images_of_one_place_that_nothing_known_restores_are_told_there() -> None:
    """A cut that is off centre has no inverse here: that images of one app are unlike their classes is said all the same."""

    def cut(image: np.ndarray) -> np.ndarray:
        part = image[10:30, 2:14]
        return np.clip(np.repeat(np.repeat(part, 2, axis=0), 3, axis=1)[:32, :32] ** 1.02, 0, 255)

    case = photos(6, change=cut, where=lambda f: (f["app"] == "ios").to_numpy())
    (finding,) = _findings(image_transform, case)
    assert finding.signal == "image.prepared"
    assert (finding.scope.column, finding.scope.values) == ("app", ("ios",))
    assert finding.supports == ("image_preprocessing",)  # an app is on the way, and no place
    assert not _findings(image_transform, photos(6))
