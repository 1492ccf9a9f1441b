"""What is known of the rows whose answers do not follow: a change that names them, the file they were made with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

import numpy as np

from ruleout._records import Finding, Outcome, RepairPlan, Subject
from ruleout._registry import check
from ruleout.checks.reproduction._hit import Hit, hit
from ruleout.checks.reproduction._repairs import acquits, described, intended_answers
from ruleout.checks.reproduction._stories import known_model
from ruleout.checks.reproduction._view import SERVED
from ruleout.profile import Case, ChangeEvent, text_series
from ruleout.stats._alternation import turns

_EMPTY = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "d41d8cd98f00b204e9800998ecf8427e",
)
"""Digests of an empty file: SHA-256 (FIPS 180-4), SHA-1 and MD5 (RFC 1321)."""

_LEAST_DIGITS = 6

_MODEL = re.compile(
    r"\b(model|weights|checkpoint|artefact|artifact|v\d+|versions?|roll(ed|ing)?[ -]?(back|out)|retrain\w*|refit\w*"
    r"|calibrat\w*|labels?|classes|runtime|driver|kernels?|precision|quanti\w*|int8|fp16|float16|firmware|gpu|hardware"
    r"|replaced|tokeni\w*)\b",
    re.IGNORECASE,
)
"""Words of changes that put another model, or the same one otherwise computed, on these machines."""

_SHIPPED = frozenset({"deploy", "config", "flag", "commit"})
_BEFORE = 0.05
"""Share of the window by which a change may come before its first effect."""


@check(
    "change_by_name",
    layer="integration",
    rung="reproduction",
    looks_for=("change_regression",),
    needs=("data.columns.prediction", "changes"),
)
def change_by_name(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Do answers fail to follow exactly where a change, made as they began to, says that it was made?"""
    del rng
    found = hit(case)
    if found is None or not found.place.contrast or known_model(case):
        return
    change = _named(case, found)
    if change is None:
        return
    told = (
        f"answers do not follow{described(found.place.scope)}, and just there, just then, this was changed: "
        f"{change.entity}, {change.description}"
    )
    hosts = {part.strip() for part in change.entity.replace(";", ",").split(",")}
    values = found.place.scope.values
    subject = (
        Subject("host", values) if hosts <= set(values) else Subject("change", (change.entity,))
    )
    yield Finding(
        "change.names_scope", subject, told, found.share, found.place.contrast, None, 1.0,
        ("change_regression",),
        scope=found.place.scope, onset=found.place.onset, repairs=(intended_answers(found, subject),),
    )  # fmt: skip
    others = ("hardware_fault", "calibration_change", "fallback_overload", "mixed_versions", "runtime_numerics")  # fmt: skip
    yield acquits("change.explains", told, 10.0, others)


_SAYS = (
    (
        "runtime",
        "runtime_numerics",
        (
            r"runtimes?|drivers?|compilers?|kernels?|cuda|cudnn|onnxruntime|tensorrt|int8|fp16|bf16|float16|quanti[sz]\w*"
            r"|precision|numeric format|execution engine|inference engine"
        ),
    ),
    ("recalibrated", "calibration_change", r"calibrat\w*|post-?process\w*"),
    ("retrained", "bad_retrain", r"retrain\w*|newly trained|trained on"),
    (
        "replaced",
        "wrong_version",
        r"roll(ed)?[ -]?back|reverted|image tag|latest|rebuilt|re-?packaged",
    ),
)
"""How people write of what they did to what answers; words of another trade (a wrong guess) cost little."""


@check(
    "change_that_says",
    layer="model",
    rung="reproduction",
    looks_for=("runtime_numerics", "calibration_change", "bad_retrain", "wrong_version"),
    needs=("data.columns.prediction", "changes"),
)
def change_that_says(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Do answers fail to follow from just when a change was made whose words say what it may have done to them?

    Used where answers themselves leave several faults open; the words of a log prove nothing.
    """
    del rng
    found = hit(case)
    if found is None or known_model(case):
        return
    low, high = _when(case, found)
    near = [c for c in case.changes if low <= c.at <= high]
    for signal, mode, words in _SAYS:
        said = [
            c
            for c in near
            if re.search(rf"\b({words})\b", f"{c.entity} {c.description}", re.IGNORECASE)
        ]
        if len(said) != 1:
            continue
        told = (
            f"answers do not follow since this was changed: {said[0].entity}, {said[0].description}"
        )
        yield Finding(
            f"change.{signal}", SERVED, told, found.share, found.replay.z, None, 1.0, (mode,),
            against=tuple(other for _, other, _ in _SAYS if other != mode),
            scope=found.place.scope, onset=found.place.onset, repairs=(intended_answers(found),),
        )  # fmt: skip


def names_a_model(change: ChangeEvent) -> bool:
    """Whether a change says that it put another model, or the same one otherwise computed, where it was made."""
    return tells_of_a_model(f"{change.entity} {change.description}")


def tells_of_a_model(words: str) -> bool:
    """Whether words of a change tell of another model, or of how one is computed."""
    return _MODEL.search(words) is not None


def _named(case: Case, found: Hit) -> ChangeEvent | None:
    """The one change near the onset whose words name every value that is hit and no spared one."""
    scope, time = found.place.scope, case.current.time
    if scope.column is None or time is None or not len(time):
        return None
    low, high = _when(case, found)
    others = set(case.vocabulary(scope.column)) - set(scope.values)
    near = []
    for change in case.changes:
        text = f"{change.entity} {change.description}"
        if change.kind not in _SHIPPED or not low <= change.at <= high or names_a_model(change):
            continue
        if all(_says(text, v) for v in scope.values) and not any(_says(text, v) for v in others):
            near.append(change)
    return near[0] if len(near) == 1 else None


def _when(case: Case, found: Hit) -> tuple[float, float]:
    """Seconds between which a change may have begun what is found."""
    known = np.zeros(1) if case.current.time is None else case.current.time
    known = known[np.isfinite(known)]
    room = _BEFORE * float(np.ptp(known))
    onset = found.place.onset
    if onset is None:
        return float(known.min()) - room, float(known.min()) + room
    low, high = (datetime.fromisoformat(v).timestamp() for v in (onset.low, onset.high))
    return low - room, high


def _says(text: str, value: str) -> bool:
    """Whether a text holds a value as a word of its own."""
    return re.search(rf"(?<![\w-]){re.escape(value)}(?![\w-])", text) is not None


@check(
    "artifact_in_turns",
    layer="integration",
    rung="reproduction",
    looks_for=("malformed_artifact",),
    needs=("data.columns.prediction", "data.columns.segments"),
)
def artifact_in_turns(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Do answers fail to follow with one edition of a file that comes and goes, or that is known to be empty?

    Hosts and regions serve side by side; editions of a generated file follow each other. Two generators, one of
    which writes it badly, make good and bad editions in turns.
    """
    del rng
    found = hit(case)
    if found is None or not found.place.contrast:
        return
    column, values = found.place.scope.column, found.place.scope.values
    if column is None:
        return
    text = text_series(case.current.frame, column)
    empty = [v for v in values if _of_nothing(v)]
    if empty and len(empty) == len(values):
        words, signal = f"{', '.join(values)} is the digest of an empty file", "artifact.empty"
    else:
        new = not bool(text_series(case.reference.frame, column).is_in(list(values)).any())
        seen = turns(text.is_in(list(values)).fill_null(False).to_numpy(), case.current.time)
        if seen is None or not new:
            return
        words = f"it comes and goes {seen.bad} times, and was never seen before"
        signal = "artifact.turns"
    told = f"answers do not follow{described(found.place.scope)}: {words}"
    subject = Subject("segment", values)
    yield Finding(
        signal, subject, told, found.share, found.place.contrast, None, 1.0, ("malformed_artifact",),
        scope=found.place.scope, onset=found.place.onset,
        repairs=(RepairPlan("intended_answers", subject, found.place.scope, {"model": found.replay.name}),),
    )  # fmt: skip
    others = (
        "hardware_fault",
        "runtime_numerics",
        "mixed_versions",
        "fallback_overload",
        "new_category",
    )
    yield acquits("artifact.explains", told, 10.0, others)


def _of_nothing(value: str) -> bool:
    """Whether a text is the digest of an empty file, or its first digits."""
    plain = value.lower().removeprefix("sha256:").removeprefix("sha1:").removeprefix("md5:")
    return len(plain) >= _LEAST_DIGITS and any(digest.startswith(plain) for digest in _EMPTY)
