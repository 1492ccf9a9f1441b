"""Running checks: what is missing abstains by name, and a crash is an abstention with its text."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator

from ruleout import checks as package
from ruleout._errors import RuleoutError
from ruleout._records import Abstained, Checked, Clear, Outcome
from ruleout._registry import CHECKS, CheckSpec, load_all
from ruleout.profile import Case, Which

FEWEST_ROWS = 30
"""Rows in each window below which no test sees anything."""

RUNGS = ("symptom", "measurement", "reproduction", "inputs", "world", "path")


def ladder() -> list[CheckSpec]:
    """All registered checks, in the order of the ladder."""
    load_all(package, "ruleout.checks")
    return sorted(CHECKS.values(), key=lambda spec: (RUNGS.index(spec.rung), spec.id))


def run_checks(case: Case, rungs: tuple[str, ...] = RUNGS) -> Iterator[Checked]:
    """Run every check of the given rungs on a case."""
    for spec in ladder():
        if spec.rung in rungs:
            yield run_check(spec, case)


def run_check(spec: CheckSpec, case: Case) -> Checked:
    """Run one check; its crash is an outcome, not a silence."""
    started = time.process_time()
    missing = [need for need in spec.needs if not available(case, need)]
    outcomes: tuple[Outcome, ...]
    if missing:
        outcomes = (Abstained(spec.looks_for, f"no {' and no '.join(missing)}", missing[0]),)
    else:
        try:
            outcomes = tuple(_sound(spec, case, spec.run(case, case.rng(spec.id))))
        except RuleoutError as error:
            outcomes = (Abstained(spec.looks_for, str(error)),)
        except Exception as error:
            # A check or plug-in may raise anything; the report must say that it did not look.
            if os.environ.get("RULEOUT_DEBUG") == "raise":
                raise
            outcomes = (Abstained(spec.looks_for, f"crashed: {type(error).__name__}: {error}"),)
    done = Checked(spec.id, spec.layer, spec.rung, outcomes, time.process_time() - started)
    if os.environ.get("RULEOUT_TRACE"):
        _trace(done)
    return done


def _sound(spec: CheckSpec, case: Case, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """The outcomes; of windows with hardly a row, what was not seen is not ruled out. A probe speaks for itself."""
    few = None if any(n.startswith("probes.") for n in spec.needs) else _thin_window(case)
    for outcome in outcomes:
        if few is not None and isinstance(outcome, Clear):
            why = f"fewer than {FEWEST_ROWS} rows in data.{few}: too few to rule anything out"
            yield Abstained(outcome.modes, why, f"data.{few}")
        else:
            yield outcome


def _thin_window(case: Case) -> Which | None:
    windows: tuple[Which, Which] = ("reference", "current")
    return next((w for w in windows if case.table(w).rows < FEWEST_ROWS), None)


def _trace(done: Checked) -> None:
    sys.stderr.write(f"{done.check} ({done.seconds:.2f} s)\n")
    for outcome in done.outcomes:
        sys.stderr.write(f"    {outcome}\n")


def available(case: Case, need: str) -> bool:  # noqa: PLR0911 - one line a kind of need
    """Whether the case has the part of an incident called `need`."""
    columns = case.incident.data.columns
    head, _, rest = need.partition(".")
    if need in ("data.reference", "data.current"):
        return case.table(rest).rows > 0  # type: ignore[arg-type]
    if head == "models":
        return rest in case.models if rest else bool(case.models)
    if head == "probes":
        frame = {"parity": case.parity, "golden": case.golden, "audit": case.audit}[rest]
        return frame is not None and frame.height > 0
    if head == "changes":
        return bool(case.changes)
    if need == "predictor":
        return case.predictor is not None
    if need == "labels":
        return case.labelled("reference") and case.labelled("current")
    if need.startswith("data.columns."):
        # A score says what was answered as well as a decision does, and a ranking logs nothing else.
        names = {"prediction": ("prediction", "score", "scores")}.get(rest[8:], (rest[8:],))
        return any(getattr(columns, name, None) for name in names)
    if head == "data":
        return bool(getattr(case.incident.data, rest, None))
    if head == "telemetry":
        return bool(getattr(case.incident.telemetry, rest, None))
    return False
