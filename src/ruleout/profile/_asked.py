"""Whether the metric that an incident asks for is a slip of the pen."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from ruleout._errors import IncidentError
from ruleout.incident import Incident
from ruleout.profile._metric import METRICS, SYNONYMS, known_metric, plain_name, task_has

_ALIKE, _LENGTHS = 0.8, 2
"""Likeness of a slip to the word that was meant, and by how many letters their lengths may differ."""

_OTHERS = frozenset(
    {
        "ap", "arp", "auprc", "cer", "ece", "f2", "fbeta", "gmean", "kappa", "ks", "lift", "map", "mase", "maxerror",
        "mcc", "medae", "mpe", "mrr", "msle", "ndcg", "pauc", "prauc", "rmsle", "rmspe", "smape", "wape", "wer",
        "wmape",
    }
)  # fmt: skip
"""Metrics of the trade that are not computed here, though some look like one that is."""


def check_metric(incident: Incident, reported: Collection[str] | None) -> None:
    """Refuse a `symptom.metric` that is nearly a metric of the task and that nobody reports.

    A name that is like none is no mistake: it may be a metric that only its owner can compute.

    Args:
        incident: with its task settled.
        reported: metrics of the telemetry; None where that could not be read.

    Raises:
        IncidentError: names the file, the key, the value and the metric that was meant.
    """
    name = incident.symptom.metric
    if name is None or reported is None or incident.task == "none" or name in reported:
        return
    plain = plain_name(name)
    if known_metric(name) is not None or plain in _OTHERS:
        return
    words = {**{plain_name(m): m for m in METRICS}, **SYNONYMS}
    options = [
        word
        for word, metric in words.items()
        if task_has(incident.task, metric) and abs(len(word) - len(plain)) <= _LENGTHS
    ]
    near = difflib.get_close_matches(plain, options, n=1, cutoff=_ALIKE)
    if near:
        raise IncidentError(
            f"{incident.file}: symptom.metric is {name!r}; that is no metric of the task "
            f"{incident.task} and none that telemetry reports; did you mean {words[near[0]]!r}?"
        )
