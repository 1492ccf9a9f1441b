"""What every injector promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from served_system import system

from ruleout import modes
from ruleout.prevention.inject import (
    InjectionError,
    Scene,
    Schedule,
    inject,
    injectors,
)

MODES = sorted(injectors())
NEEDS = {"image_preprocessing": "images", "target_leakage": "a table without text"}
TABULAR = [m for m in MODES if m not in NEEDS]
VARIANTS = [(m, v) for m in TABULAR for v in injectors()[m].variants]
SERVING = {
    "calibration_change",
    "change_regression",
    "class_map_mismatch",
    "hardware_fault",
    "mixed_versions",
    "runtime_numerics",
    "threshold_change",
    "tokenizer_mismatch",
    "wrong_version",
}
LABELS = {"label_noise", "corrupted_labels", "evaluation_bug", "immature_labels"}


def _bytes(scene: Scene) -> bytes:
    """Everything that reaches the log, as bytes."""
    answers = scene.answers()
    parts = [scene.reference, scene.world, scene.seen, scene.recorded.to_frame()]
    blobs = [p.serialize() for p in parts] + [answers.decision.tobytes()]
    if answers.chances is not None:
        blobs.append(answers.chances.tobytes())
    return b"".join(blobs) + repr(scene.events).encode() + repr(scene.truths).encode()


def _changed(mode: str, variant: str | None = None, seed: int = 1) -> tuple[Scene, Scene]:
    base = system()
    rng = np.random.default_rng(seed)
    return Scene.of(base), inject(mode, base, rng=rng, dose=0.9, variant=variant)


@pytest.mark.parametrize("mode", MODES)
def test_every_injector_names_a_mode_of_the_catalogue(mode: str) -> None:
    """An injector is registered under a failure mode that the catalogue knows."""
    assert modes.mode(mode).id == mode


@pytest.mark.parametrize(("mode", "variant"), VARIANTS)
def test_the_fault_is_in_the_output(mode: str, variant: str) -> None:
    """After an injection at least one of rows, answers and labels differs from the healthy system."""
    healthy, hurt = _changed(mode, variant)
    same = (
        hurt.seen.equals(healthy.seen)
        and hurt.recorded.equals(healthy.recorded)
        and hurt.reference.equals(healthy.reference)
        and np.array_equal(hurt.answers().decision, healthy.answers().decision)
        and np.array_equal(hurt.answers().chances, healthy.answers().chances)
        and hurt.unlogged is None
    )
    assert not same


@pytest.mark.parametrize("mode", TABULAR)
def test_the_same_seed_gives_the_same_bytes(mode: str) -> None:
    """Two injections from one state of the generator agree byte for byte."""
    assert _bytes(_changed(mode)[1]) == _bytes(_changed(mode)[1])


@pytest.mark.parametrize("mode", MODES)
def test_dose_zero_leaves_the_data_alone(mode: str) -> None:
    """A dose of zero returns the healthy system and accuses nobody."""
    scene = inject(mode, system(), rng=np.random.default_rng(0), dose=0.0)
    assert scene.truths == ()
    assert _bytes(scene) == _bytes(Scene.of(system()))


@pytest.mark.parametrize("mode", TABULAR)
def test_the_truth_names_what_is_there(mode: str) -> None:
    """The truth carries the mode and names columns, hosts or values that the tables hold."""
    scene = _changed(mode)[1]
    truth = scene.truths[-1]
    assert truth.mode == mode
    if truth.kind in {"feature", "label"}:
        assert set(truth.names) <= set(scene.seen.columns)
    if truth.kind == "host":
        assert set(truth.names) <= set(scene.seen["host"].to_list())


@pytest.mark.parametrize("mode", sorted(SERVING))
def test_serving_faults_leave_the_logged_features_clean(mode: str) -> None:
    """What breaks after the features does not touch the logged features, save what counts tokens."""
    healthy, hurt = _changed(mode)
    assert hurt.seen.equals(healthy.seen)
    assert not np.array_equal(hurt.answers().decision, healthy.answers().decision)


@pytest.mark.parametrize("mode", sorted(LABELS))
def test_label_faults_leave_the_world_and_the_answers_alone(mode: str) -> None:
    """A fault of the ground truth changes recorded labels only; an audit would see the true ones."""
    healthy, hurt = _changed(mode)
    assert hurt.world.equals(healthy.world)
    assert np.array_equal(hurt.answers().decision, healthy.answers().decision)
    assert not hurt.recorded.equals(hurt.world["y"])


@pytest.mark.parametrize(
    "mode", ["unit_change", "silent_nulls", "category_recode", "stale_features"]
)
def test_path_faults_hit_what_the_model_reads_not_the_world(mode: str) -> None:
    """Corrupted inputs reach the model and the log; recomputing from raw gives the world."""
    healthy, hurt = _changed(mode)
    assert hurt.world.equals(healthy.world)
    column = hurt.truths[-1].names[0]
    assert not hurt.seen[column].equals(healthy.seen[column])


@pytest.mark.parametrize("mode", [m for m in TABULAR if injectors()[m].slices])
def test_an_onset_spares_the_rows_before_it(mode: str) -> None:
    """With an onset in the middle, the first third of the rows is logged as it was."""
    base = system()
    rng = np.random.default_rng(2)
    hurt = inject(mode, base, rng=rng, dose=0.9, schedule=Schedule(onset=0.6))
    rows = 300
    before, after = base.current.head(rows), hurt.seen.head(rows)
    if mode == "immature_labels":
        pytest.skip("labels are immature by their age, whatever the schedule")
    if mode == "train_serve_skew":
        pytest.skip("two code paths differ from the launch on")
    shared = [c for c in before.columns if c not in {"request_id", "arm"}]
    assert after.select(shared).equals(before.select(shared))
    assert hurt.recorded.head(rows).equals(base.current["y"].head(rows))
    healthy = base.model.answer(base.current).decision[:rows]
    assert np.array_equal(hurt.answers().decision[:rows], healthy)


def test_one_host_spares_the_others() -> None:
    """A schedule on one host leaves the rows of the others alone."""
    base = system()
    schedule = Schedule(column="host", values=("h2",))
    hurt = inject(
        "unit_change", base, rng=np.random.default_rng(0), target=("amount",), schedule=schedule
    )
    moved = (hurt.seen["amount"] != base.current["amount"]).to_numpy()
    assert set(hurt.seen["host"].to_numpy()[moved]) == {"h2"}


def test_a_share_of_entities_is_hit_whole() -> None:
    """A partial rollout hits all rows of an entity or none, the same ones every time."""
    base = system()
    hit = Schedule(share=0.5).mask(base, base.current, np.random.default_rng(0))
    again = Schedule(share=0.5).mask(base, base.current, np.random.default_rng(9))
    assert np.array_equal(hit, again)
    per_entity = (
        pl.DataFrame({"k": base.current["account_id"], "h": hit})
        .group_by("k")
        .agg(pl.col("h").n_unique())
    )
    assert per_entity["h"].max() == 1
    assert 0.35 < hit.mean() < 0.65


def test_a_ramp_hits_more_rows_later() -> None:
    """A ramp grows from few rows to nearly all."""
    base = system()
    hit = Schedule(ramp=True).mask(base, base.current, np.random.default_rng(0))
    assert hit[:300].mean() + 0.4 < hit[-300:].mean()


def test_a_pulse_ends() -> None:
    """A pulse leaves the rows after its end alone."""
    base = system()
    hit = Schedule(onset=0.2, end=0.4).mask(base, base.current, np.random.default_rng(0))
    assert hit.any()
    assert not hit[-300:].any()


def test_a_prior_shift_keeps_what_a_class_looks_like() -> None:
    """After a prior shift the base rate moves and the features of each class do not."""
    healthy, hurt = _changed("prior_shift", "up")
    gap = {}
    for y in (0, 1):
        a = healthy.world.filter(pl.col("y") == y)["amount"].to_numpy()
        b = hurt.world.filter(pl.col("y") == y)["amount"].to_numpy()
        gap[y] = abs(a.mean() - b.mean()) / a.std()
    assert abs(healthy.world["y"].mean() - hurt.world["y"].mean()) > 0.1
    assert max(gap.values()) < 0.2


def test_a_threshold_change_keeps_the_scores() -> None:
    """Decisions move, scores do not."""
    healthy, hurt = _changed("threshold_change", "up")
    assert np.array_equal(healthy.answers().chances, hurt.answers().chances)
    assert hurt.answers().decision.mean() < healthy.answers().decision.mean()


def test_fanout_repeats_rows_under_one_id() -> None:
    """Fan-out adds rows and no ids, and each copy is the row itself."""
    healthy, hurt = _changed("join_fanout", "slice")
    assert hurt.seen.height > healthy.seen.height
    assert hurt.seen["request_id"].n_unique() == healthy.seen.height
    assert hurt.seen.unique(["request_id", "amount", "host"]).height == healthy.seen.height


def test_immature_labels_say_when_they_are_final() -> None:
    """Rows whose label is not final yet carry an instant after the last row, and count as negative."""
    base = system()
    hurt = inject("immature_labels", base, rng=np.random.default_rng(0), dose=0.9)
    assert hurt.available is not None
    late = hurt.available > base.seconds(hurt.seen).max()
    assert late.any()
    assert hurt.recorded.to_numpy()[late].max() == 0
    assert hurt.recorded.to_numpy()[~late].tolist() == base.current["y"].to_numpy()[~late].tolist()


def test_two_faults_compose() -> None:
    """A second fault is added to the first, and both are on record."""
    rng = np.random.default_rng(0)
    first = inject("unit_change", system(), rng=rng, target=("amount",), variant="milli")
    both = inject("label_noise", first, rng=rng, dose=0.8)
    assert [t.mode for t in both.truths] == ["unit_change", "label_noise"]
    assert both.seen["amount"].equals(first.seen["amount"])


@pytest.mark.parametrize("task", ["multiclass", "regression"])
@pytest.mark.parametrize(
    "mode", ["label_noise", "corrupted_labels", "concept_drift", "hardware_fault"]
)
def test_other_tasks_are_hurt_too(mode: str, task: str) -> None:
    """The injectors that do not need a threshold work on classes and numbers."""
    base = system(task)
    hurt = inject(mode, base, rng=np.random.default_rng(4), dose=0.9)
    moved = not hurt.recorded.equals(base.current["y"])
    answered = not np.array_equal(hurt.answers().decision, base.model.answer(base.current).decision)
    assert moved or answered


def test_an_unknown_mode_is_refused_with_a_suggestion() -> None:
    """The message names the mode and the nearest one that exists."""
    with pytest.raises(InjectionError, match=r"unit_chnge.*unit_change"):
        inject("unit_chnge", system(), rng=np.random.default_rng(0))


def test_a_dose_out_of_range_is_refused() -> None:
    """The message shows the dose and its range."""
    with pytest.raises(InjectionError, match=r"1\.5.*\[0, 1\]"):
        inject("unit_change", system(), rng=np.random.default_rng(0), dose=1.5)


def test_a_system_without_a_clock_cannot_be_shifted() -> None:
    """What the system lacks is said, with the way out."""
    base = replace(system(), hours={})
    with pytest.raises(InjectionError, match="no clock column"):
        inject("time_shift", base, rng=np.random.default_rng(0))
