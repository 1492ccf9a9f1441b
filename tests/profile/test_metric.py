"""A metric prepared for many weightings is the metric."""

import numpy as np
import pytest

from ruleout.profile import Outputs, known_metric, names_quality
from ruleout.profile._metric import METRICS


@pytest.mark.parametrize("name", sorted(METRICS))
def test_a_prepared_metric_weighs_as_the_metric_does(name: str) -> None:
    """For bootstrap counts, with unknown truths and answers among the rows, both ways agree to rounding."""
    rng = np.random.default_rng(0)
    metric, n = METRICS[name], 2_000
    truth: np.ndarray = rng.integers(-1, 2, n).astype(np.int32)
    score = rng.random(n)
    score[:20] = np.nan
    said = np.stack([1 - score, score], axis=1)
    outputs = Outputs((score > 0.4).astype(np.int32), score, said)
    if metric.parts.__name__ == "_regression":
        truth = rng.normal(size=n)
        truth[:20] = np.nan
        outputs = Outputs(truth + rng.normal(size=n))
    value = metric.weighed(truth, outputs)
    for weight in (np.ones(n), rng.poisson(1, n).astype(float), np.zeros(n)):
        expected = metric.value(truth, outputs, weight)
        np.testing.assert_allclose(value(weight), expected, rtol=1e-12, equal_nan=True)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("accuracy", "accuracy"),
        ("dashboard_accuracy", "accuracy"),
        ("live-AUC", "auc"),
        ("Balanced Accuracy", "balanced_accuracy"),
        ("model.balanced_accuracy", "balanced_accuracy"),
        ("accuracy_job_lag", None),
        ("latency_p95_ms", None),
        ("", None),
    ],
)
def test_a_metric_is_known_whoever_reports_it(name: str, meant: str | None) -> None:
    """Prefixes of whoever shows it are left out; a name that goes on is about something else."""
    assert known_metric(name) == meant


@pytest.mark.parametrize(
    ("name", "quality"),
    [
        ("live_accuracy", True),
        ("mean_absolute_error", True),
        ("mean_abs_error_1h", True),
        ("forecast_mae_24h", True),
        ("error_rate", False),
        ("error_rate_5m", False),
        ("clock_bias", False),
        ("latency_p95_ms", False),
        (None, False),
    ],
)
def test_what_services_report_of_themselves_is_no_quality_of_answers(
    name: str | None, quality: bool
) -> None:
    """An alarm on errors per request is a service's; one on accuracy is the tables', whoever raises it."""
    assert names_quality(name) is quality
