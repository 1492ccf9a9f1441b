"""What the incident asks to measure, what can be measured instead, and why that is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ruleout.profile import Case, Metric, Outputs, Which, known_metric, same_metric, task_has

Floats = NDArray[np.float64]
SHIFT = "output_shift"
"""What is measured where labels are missing."""

_FEWEST = 30
"""Answers in each window from which their distributions are compared, as many as labels."""

_WINDOWS: tuple[Which, Which] = ("reference", "current")


def answers_to(case: Case, metric: Metric) -> bool:
    """Whether a metric is the one that the incident asks for, under whatever name."""
    asked = case.incident.symptom.metric
    if metric.name == SHIFT:
        return False
    return asked is None or same_metric(asked, metric)


def instead(case: Case, metric: Metric) -> str:
    """That a metric stands for the one that the incident asks for, and why; empty where it is that one."""
    asked = case.incident.symptom.metric
    if answers_to(case, metric) or (asked is None and case.task == "none"):
        return ""
    name = asked or case.metric.name
    told = known_metric(name)
    if told is None:
        why = ", which the rows cannot give"
    elif not task_has(case.task, told):
        why = f", which the task {case.task} does not have"
    else:
        why = f", which cannot be measured: {unlabelled(case)}" if metric.name == SHIFT else ""
    return f"it stands for {name}{why}"


def unmeasured(case: Case) -> tuple[str, str]:
    """Why there is neither a metric nor a shift of the answers, and the part of the incident that would help."""
    columns = case.incident.data.columns
    roles = {"target": columns.target, "prediction": _answer_column(case)}
    lacks = [f"data.columns.{role}" for role, column in roles.items() if column is None]
    answers = few_answers(case)
    why = [unlabelled(case), *([answers] if answers else [])]
    return f"the metric cannot be computed in both windows: {', and '.join(why)}", (
        lacks[0] if lacks else "labels"
    )


def few_answers(case: Case) -> str | None:
    """What is said of windows with too few answers to compare; None where both have enough."""
    counts = {w: answered(case.outputs(w)) for w in _WINDOWS}
    windows = [w for w, count in counts.items() if count < _FEWEST]
    if not windows:
        return None
    if _answer_column(case) is None:
        return "no column of predictions is declared"
    return f"fewer than {_FEWEST} answers in the {_listed(windows)}"


def unlabelled(case: Case) -> str:
    """Why no metric of labels can be computed."""
    if case.incident.data.columns.target is None:
        return "no column of labels is declared"
    windows = [w for w in _WINDOWS if not case.labelled(w)]
    if not windows:
        return "it has no value in one of them"
    return f"fewer than {_FEWEST} answers have a label in the {_listed(windows)}"


def answer_values(outputs: Outputs) -> Floats:
    """One number per answer (n,): the score, else the decision (a class code or a value)."""
    if outputs.score is not None:
        return outputs.score
    return outputs.decision.astype(float)


def answered(outputs: Outputs) -> int:
    """How many rows have an answer."""
    values = answer_values(outputs)
    return int((np.isfinite(values) & (values != -1)).sum())


def _answer_column(case: Case) -> str | None:
    columns = case.incident.data.columns
    return columns.prediction or columns.score or next(iter(columns.scores.values()), None)


def _listed(windows: list[Which]) -> str:
    return f"{' and '.join(windows)} window{'s' if len(windows) > 1 else ''}"
