"""What fitting would gain on held-out data sets and held-out families of modes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ruleout.bench.fit._design import Design
from ruleout.bench.fit._judge import compared, data_set, families
from ruleout.hypotheses import load_calibration

_FEW = 40
_FIGURES = {
    "top1_identifiable": "top-1",
    "top3_identifiable": "top-3",
    "null_right": "benign called benign",
    "false_accusation": "false accusations",
    "brier": "Brier",
    "ece": "ECE",
    "ece_identifiable": "ECE where the truth can be told",
}
_WAYS = {
    "uncalibrated": "shipped weights, no calibration",
    "shipped": "as shipped",
    "lapse": "shipped weights, lapse refitted",
    "calibrated": "shipped weights, all of the calibration refitted",
    "fitted": "weights and lapse refitted",
}


def fitting(designs: Sequence[Design]) -> Iterator[str]:
    """Figures out of fold; nothing for a run that kept no designs."""
    if len(designs) < _FEW:
        return
    how = load_calibration()
    yield "## Fitted probabilities"
    yield ""
    yield (
        f"On the {len(designs)} incidents of all corpora above. A data set, or four neighbouring modes of the catalogue, is left "
        "out, weights and calibration are fitted on the rest, and the left-out incidents are answered. Refitted weights keep "
        "their signs and are pulled to the shipped ones. `ruleout fit --check` prints this for incidents of your own."
    )
    yield ""
    for name, fold in (("data set", data_set), ("family of modes", families)):
        yield f"| {name} left out | " + " | ".join(_FIGURES.values()) + " |"
        yield "|---" * (len(_FIGURES) + 1) + "|"
        for way, told in compared(designs, fold).items():
            values = " | ".join(f"{told[key]:.3f}" for key in _FIGURES)
            yield f"| {_WAYS[way]} | {values} |"
        yield ""
    yield (
        f"Shipped calibration: temperature {how.temperature:g}, log-odds of something else {how.unknown:g}, lapse {how.lapse:g}. "
        "Figures `as shipped` are not out of fold where the shipped calibration was fitted on the same incidents."
    )
    yield ""
