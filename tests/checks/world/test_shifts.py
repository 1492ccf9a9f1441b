import numpy as np
import polars as pl
import pytest

from ruleout._records import Abstained, RepairPlan, Subject
from ruleout._registry import REPAIRS
from ruleout.experiments._undo import Bench
from served_world import abstained, answered, case_of, cleared, findings, outcomes, rows, windows


def resampled(
    frame: pl.DataFrame, weight: np.ndarray, rng: np.random.Generator, n: int = 4000
) -> pl.DataFrame:
    """Rows drawn by weight, in order of time."""
    pick = rng.choice(frame.height, n, replace=False, p=weight / weight.sum())
    return frame[np.sort(pick).tolist()]


def test_harmful_shift_of_inputs_is_named_with_its_share() -> None:
    """More rows near the boundary: the inputs explain most of the drop, and the shifted one is the subject."""
    rng = np.random.default_rng(1)
    reference = rows(4000, rng)
    pool = rows(16_000, rng, start=reference["ts"].max().timestamp(), days=2)
    current = resampled(pool, np.exp(-1.8 * np.abs(pool["amount"].to_numpy())), rng)
    case = case_of(reference, current)
    found = findings(case, "shift_decomposition")
    assert found["shift_decomposition.inputs"].subject == Subject("feature", ("amount",))
    assert found["shift_decomposition.inputs"].effect > 0.7
    assert "shift_decomposition.conditional" not in found
    assert {"concept_drift", "label_noise"} <= cleared(case, "label_residual")


def test_harmless_shift_is_not_accused() -> None:
    """Without a change of the metric a large shift is neither found nor ruled out: nothing was looked at."""
    rng = np.random.default_rng(2)
    reference, current = windows(rng)
    current = answered(current.with_columns(pl.col("visits") + 1.5), current["label"])
    case = case_of(reference, current, significant=False)
    assert findings(case, "shift_decomposition") == {}
    assert "covariate_shift" in abstained(case, "shift_decomposition")


def test_prior_shift_is_told_from_covariate_shift() -> None:
    """When classes look the same and only their shares moved, the class balance explains precision's fall."""
    rng = np.random.default_rng(3)
    reference = rows(4000, rng)
    pool = rows(20_000, rng, start=reference["ts"].max().timestamp(), days=2)
    current = resampled(pool, np.where(pool["label"].to_numpy() == 1, 0.12, 1.0), rng)
    case = case_of(reference, current, metric="precision")
    found = findings(case, "shift_decomposition")
    assert found["class_balance.shift"].supports == ("prior_shift",)
    assert found["class_balance.shift"].effect == pytest.approx(1.0, abs=0.2)
    assert "prior_shift" not in cleared(case, "shift_decomposition")
    assert {"concept_drift", "corrupted_labels"} <= cleared(case, "label_residual")


def test_a_changed_model_is_no_change_of_the_world() -> None:
    """When only the served answers got worse, labels still follow from inputs and the world's modes are cleared."""
    rng = np.random.default_rng(4)
    reference, current = windows(rng)
    score = rng.permutation(current["score"].to_numpy())
    current = current.with_columns(
        pl.Series("score", score), pl.Series("said", (score > 0.5).astype(int))
    )
    case = case_of(reference, current)
    assert {"concept_drift", "label_noise", "corrupted_labels"} <= cleared(case, "label_residual")
    assert {"covariate_shift", "prior_shift"} <= cleared(case, "shift_decomposition")


def test_reweighting_undoes_a_shift_of_inputs() -> None:
    """The repair's weighted reference reproduces most of the change, with an interval."""
    rng = np.random.default_rng(5)
    reference = rows(4000, rng)
    pool = rows(16_000, rng, start=reference["ts"].max().timestamp(), days=2)
    current = resampled(pool, np.exp(-1.8 * np.abs(pool["amount"].to_numpy())), rng)
    case = case_of(reference, current)
    told = Bench(case).explained(RepairPlan("reweight", Subject(), options={"to": "inputs"}))
    assert told is not None
    assert told.method == "reweighting"
    assert told.fraction > 0.6
    assert set(REPAIRS["reweight"].undoes) >= {"covariate_shift", "prior_shift", "seasonality"}


def test_benign_mix_explains_itself() -> None:
    """A harder region that sends more rows explains the change, and within regions nothing moved."""
    rng = np.random.default_rng(6)
    reference, current = windows(rng, 6000)

    def harder(frame: pl.DataFrame) -> pl.DataFrame:
        west = frame["region"].to_numpy() == "west"
        label = np.where(
            west & (rng.random(frame.height) < 0.35), 1 - frame["label"].to_numpy(), frame["label"]
        )
        return frame.with_columns(pl.Series("label", label))

    reference, current = harder(reference), harder(current)
    current = resampled(
        current, np.where(current["region"].to_numpy() == "west", 6.0, 1.0), rng, 2500
    )
    case = case_of(reference, current)
    found = findings(case, "benign_mix")["benign_mix.explains"]
    assert found.subject == Subject("segment", ("region",))
    assert found.effect > 0.75


@pytest.mark.parametrize(
    ("weight", "broken", "told"), [(4.0, False, True), (1.0, False, False), (4.0, True, False)]
)
def test_a_campaign_that_does_no_harm_is_a_mix(weight: float, broken: bool, told: bool) -> None:
    """Groups in other numbers are told where the metric held; nothing is told of usual ones, nor where more moved."""
    rng = np.random.default_rng(8)
    reference, current = windows(rng, 6000)
    current = resampled(current, np.where(current["region"] == "west", weight, 1.0), rng, 2500)
    if broken:
        current = current.with_columns(visits=pl.col("visits") + 2.0)
    found = findings(case_of(reference, current, significant=False), "benign_mix")
    assert ("benign_mix.harmless" in found) is told
    if told:
        assert found["benign_mix.harmless"].subject == Subject("segment", ("region",))
        assert not found["benign_mix.harmless"].against
        served_by = (f.rename({"region": "scoring_host"}) for f in (reference, current))
        case = case_of(*served_by, significant=False, segments=("scoring_host",))
        assert findings(case, "benign_mix") == {}


def test_mix_is_cleared_when_groups_got_worse() -> None:
    """When every region got worse, the mix explains nothing and is ruled out."""
    rng = np.random.default_rng(7)
    reference, current = windows(rng)
    flip = rng.random(current.height) < 0.15
    current = current.with_columns(
        pl.Series("label", np.where(flip, 1 - current["label"], current["label"]))
    )
    assert cleared(case_of(reference, current), "benign_mix") == {"benign_mix"}


def test_too_few_labels_abstain_by_name() -> None:
    """With 100 labelled rows the split is not attempted, and what it needs is named."""
    rng = np.random.default_rng(8)
    reference, current = windows(rng, 100)
    told = outcomes(case_of(reference, current), "shift_decomposition")
    assert isinstance(told[0], Abstained)
    assert told[0].needs == "data.columns.target"


def test_a_cut_in_the_log_is_told_from_a_shift() -> None:
    """Rows of one side of an input dropped from the log: untouched slices keep their absolute rate."""
    rng = np.random.default_rng(9)
    reference, current = (
        rows(6000, rng),
        rows(1500, rng, start=rows(1, rng)["ts"][0].timestamp() + 9e5, days=2),
    )
    current = current.filter(
        ~((pl.col("amount") > 0.0) & pl.Series(rng.random(current.height) < 0.85))
    )
    found = findings(case_of(reference, current), "selection")
    assert found["selection.lost"].subject == Subject("feature", ("amount",))
    assert "covariate_shift" in found["selection.lost"].against


def test_wide_tables_keep_the_telling_columns() -> None:
    """Of 400 noise columns and the world's own, the one that moved is still named."""
    rng = np.random.default_rng(10)
    reference = rows(2500, rng)
    pool = rows(12_000, rng, start=reference["ts"].max().timestamp(), days=2)
    current = resampled(pool, np.exp(-1.8 * np.abs(pool["amount"].to_numpy())), rng, n=2500)
    noise = [f"n{k}" for k in range(400)]

    def widened(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(pl.Series(n, rng.normal(size=frame.height)) for n in noise)

    case = case_of(
        widened(reference),
        widened(current),
        features=("amount", "age", "visits", "kind", *noise),
    )
    found = findings(case, "shift_decomposition")["shift_decomposition.inputs"]
    assert found.subject.names == ("amount",)


@pytest.mark.parametrize("rows_now", [0, 1, 250])
def test_small_and_empty_windows_never_crash(rows_now: int) -> None:
    """With few or no current rows, every check of this rung abstains or answers, and none crashes."""
    rng = np.random.default_rng(11)
    reference, current = windows(rng, 1000)
    case = case_of(reference, current.head(rows_now))
    for name in (
        "shift_decomposition",
        "label_residual",
        "new_category",
        "adversaries",
        "selection",
        "benign_mix",
        "season",
        "slow_decline",
        "recovered",
        "feedback",
        "worst_slices",
        "decision_drivers",
    ):
        outcomes(case, name)


def test_inputs_that_the_reference_never_had_are_not_cleared() -> None:
    """Where no reweighting reaches, that none reproduces the change acquits no shift of inputs."""
    rng = np.random.default_rng(31)
    reference, current = windows(rng, 4000)
    far = rng.random(current.height) < 0.35
    moved = current.with_columns(
        visits=pl.when(pl.Series(far)).then(pl.col("visits") + 30).otherwise(pl.col("visits"))
    )
    wrong = np.where(far, 0.5, 0.0)
    flip = rng.random(current.height) < wrong
    spoilt = moved.with_columns(said=pl.Series(np.where(flip, 1 - moved["said"], moved["said"])))
    case = case_of(reference, spoilt)
    assert "shift_decomposition.unseen" in findings(case, "shift_decomposition")
    assert "covariate_shift" not in cleared(case, "shift_decomposition")
