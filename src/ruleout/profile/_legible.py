"""Declared columns of which nothing can be read: a source that is there and says nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ruleout._records import SourceStatus
from ruleout.profile import _unstructured
from ruleout.profile._case import Case, Which

Mask = NDArray[np.bool_]
Reader = Callable[[Case, Which, str], Mask]
"""(case, window, column) -> whether each value that was looked at can be read."""

_WINDOWS: tuple[Which, Which] = ("reference", "current")
_GOLDEN = "probes.golden"


def illegible(case: Case) -> Iterator[SourceStatus]:
    """One status for each declared column of which a window has no value that can be read.

    `empty` where no value is there, `failed` where values are there and none reads as its role has it.
    """
    for role, name, read, what in _readers(case):
        # When the reference's labels became final is asked by nobody.
        for which in _WINDOWS[1:] if role == "label_available_at" else _WINDOWS:
            table = case.table(which)
            if not table.rows or not table.has(name) or read(case, which, name).any():
                continue
            if table.frame.get_column(name).null_count() == table.rows:
                told = f"{name} has no value in data.{which}"
                yield SourceStatus(f"data.columns.{role}", "empty", 0, told)
            else:
                told = f"no value of {name} in data.{which} {what}"
                yield SourceStatus(f"data.columns.{role}", "failed", None, told)
            break
    yield from _golden(case)


def _readers(case: Case) -> Iterator[tuple[str, str, Reader, str]]:
    """(role, column, reader, what an illegible value does not do) of each declared column."""
    columns = case.incident.data.columns
    answers = case.task in ("regression", "ranking")
    plain = {
        "target": (columns.target, _label, "is a label of the task"),
        "prediction": (
            columns.prediction,
            _number if answers else _present,
            "reads as a number" if answers else "is there",
        ),
        "score": (columns.score, _number, "reads as a number"),
        "timestamp": (columns.timestamp, _instant, "reads as an instant"),
        "label_available_at": (columns.label_available_at, _number, "reads as an instant"),
        "text": (columns.text, _present, "is there"),
    }
    for role, (name, read, what) in plain.items():
        if name is not None:
            yield role, name, read, what
    for name in case.representations:
        if case.kind(name) == "image":
            yield "image", name, _decoded, "decodes as an image"
        elif case.kind(name) == "embedding":
            yield "embedding", name, _vector, "is a vector of numbers"


def _label(case: Case, which: Which, name: str) -> Mask:
    del name
    truth = case.truth(which)
    return np.asarray(np.isfinite(truth) if truth.dtype.kind == "f" else truth != -1)


def _present(case: Case, which: Which, name: str) -> Mask:
    return np.asarray(case.table(which).frame.get_column(name).is_not_null().to_numpy())


def _number(case: Case, which: Which, name: str) -> Mask:
    return np.asarray(np.isfinite(case.table(which).numeric(name)))


def _instant(case: Case, which: Which, name: str) -> Mask:
    time = case.table(which).time
    return _number(case, which, name) if time is None else np.asarray(np.isfinite(time))


def _decoded(case: Case, which: Which, name: str) -> Mask:
    return np.asarray(_unstructured.images(case, which, name).statistics["decoded"] > 0)


def _vector(case: Case, which: Which, name: str) -> Mask:
    vectors = _unstructured.embeddings(case, which, name).vectors
    return np.asarray(np.isfinite(vectors).any(axis=1))


def _golden(case: Case) -> Iterator[SourceStatus]:
    """A golden set without what is served now: its inputs are there, and nothing to compare with them."""
    probe = case.incident.golden
    if case.golden is None or probe is None or probe.served in case.golden.columns:
        return
    told = f"the golden set has no column {probe.served!r} of what is served now"
    yield SourceStatus(f"{_GOLDEN}.served", "failed", None, told)
