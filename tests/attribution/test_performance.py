import numpy as np
import polars as pl
import pytest

from ruleout.attribution import decompose, estimate_performance, expected_labels
from served_world import case_of, rows, windows


def test_decomposition_of_a_case_adds_up() -> None:
    """Parts add up to the change, the inputs' part to its shares, and a waterfall is drawn."""
    rng = np.random.default_rng(1)
    reference = rows(4000, rng)
    pool = rows(16_000, rng, start=reference["ts"].max().timestamp(), days=2)
    weight = np.exp(-1.8 * np.abs(pool["amount"].to_numpy()))
    pick = np.sort(rng.choice(pool.height, 4000, replace=False, p=weight / weight.sum()))
    told = decompose(case_of(reference, pool[pick.tolist()]))
    assert told is not None
    p = told.parts
    assert (
        p.balance.value + p.covariates.value + p.conditional.value + p.unseen.value
        == pytest.approx(p.change.value)
    )
    assert sum(s.value for s in told.features) == pytest.approx(p.covariates.value)
    assert told.features[0].name == "amount"
    assert told.chart["kind"] == "waterfall"
    assert told.concluded
    assert told.sentences()[0].startswith("inputs:")


def test_poor_overlap_is_said() -> None:
    """Windows without common inputs are not concluded from, and the caution says why."""
    rng = np.random.default_rng(2)
    reference, current = windows(rng, 1500)
    told = decompose(
        case_of(reference, current.with_columns(pl.col("amount") + 50, pl.col("age") - 50))
    )
    assert told is not None
    assert not told.concluded
    assert "overlap" in told.caution or "counterparts" in told.caution


def test_missing_labels_are_estimated() -> None:
    """Without current labels the accuracy is estimated near its true value, with a warning that drift would go unseen."""
    rng = np.random.default_rng(3)
    reference, current = windows(rng)
    real = float((current["label"] == current["said"]).mean())
    hidden = current.with_columns(pl.lit(None, dtype=pl.Int64).alias("label"))
    told = estimate_performance(case_of(reference, hidden))
    assert told is not None
    assert told.estimate.low <= real <= told.estimate.high
    assert told.known == 0
    assert "unnoticed" in told.caution


def test_known_labels_that_contradict_are_a_warning() -> None:
    """When the few known labels disagree with their scores, the estimate says that it is too favourable."""
    rng = np.random.default_rng(4)
    reference, current = windows(rng)
    flip = rng.random(current.height) < 0.4
    label = np.where(flip, 1 - current["label"].to_numpy(), current["label"].to_numpy())
    few = np.arange(current.height) % 8 == 0
    partly = current.with_columns(pl.Series("label", label)).with_columns(
        pl.when(pl.Series(few)).then(pl.col("label")).otherwise(None).alias("label")
    )
    told = estimate_performance(case_of(reference, partly))
    assert told is not None
    assert "too favourable" in told.caution
    sound = current.with_columns(
        pl.when(pl.Series(few)).then(pl.col("label")).otherwise(None).alias("label")
    )
    healthy = estimate_performance(case_of(reference, sound))
    assert healthy is not None
    assert healthy.caution == ""


def test_late_labels_are_filled_in() -> None:
    """Expected labels are the known ones where known, and probabilities elsewhere with the right mean."""
    rng = np.random.default_rng(5)
    reference, current = windows(rng)
    late = current.with_columns(
        pl.when(pl.int_range(pl.len()) < 3000).then(pl.col("label")).otherwise(None).alias("label")
    )
    filled = expected_labels(case_of(reference, late))
    assert filled is not None
    assert (filled[:3000] == current["label"][:3000].to_numpy()).all()
    assert filled[3000:].mean() == pytest.approx(float(current["label"][3000:].mean()), abs=0.04)


def test_open_rows_are_expected_by_their_age() -> None:
    """Positives become known within days and negatives at the end: an open row is the less likely positive the older it is."""
    rng = np.random.default_rng(6)
    windows_ = []
    for frame in windows(rng, 6000):
        days = np.where(frame["label"] == 1, rng.exponential(0.5, frame.height).clip(0, 1.9), 1.9)
        wait = pl.Series((days * 86_400e6).astype(np.int64)).cast(pl.Duration("us"))
        windows_.append(frame.with_columns(arrived=frame["ts"] + wait))
    reference, current = windows_
    read = current["ts"].max()
    here = pl.col("arrived") <= read
    late = current.with_columns(label=pl.when(here).then("label"))
    filled = expected_labels(case_of(reference, late, arrives="arrived"))
    blind = expected_labels(case_of(reference, late))
    assert filled is not None
    assert blind is not None
    true, still = current["label"].to_numpy(), late["label"].is_null().to_numpy()
    assert filled.mean() == pytest.approx(true.mean(), abs=0.02)
    assert blind.mean() > true.mean() + 0.08  # by scores alone, what was to come is counted twice
    older = still & (np.arange(len(true)) < 3000)
    assert filled[older].mean() == pytest.approx(true[older].mean(), abs=0.03)
    provisional = late.with_columns(pl.col("label").fill_null(0))  # open rows read as negative
    again = expected_labels(case_of(reference, provisional, arrives="arrived"))
    assert again is not None
    assert again.mean() == pytest.approx(true.mean(), abs=0.02)
