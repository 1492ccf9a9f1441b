"""Which failure mode an entity shows: what was measured and moved, what stood still, and what its logs say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from ruleout.attribution.services._kinds import clue_of, words
from ruleout.attribution.services._records import Signal
from ruleout.attribution.services._sayings import told
from ruleout.attribution.services._signals import (
    beyond_load,
    loads_of,
    matters,
    modes_of,
    much_stolen,
    only_waits,
    saturated,
    waits_of,
)

_MEASURED = {
    "cpu": "cpu_saturation",
    "memory": "memory_leak",
    "disk": "storage_fault",
    "accelerator": "accelerator_memory",
    "cache": "cache_storm",
}
"""Resources whose exhaustion would show in a metric of that kind."""

_STILL = 0.4
"""Evidence below this is as good as none."""

_CLEARED = 0.15
"""What is left of a mode whose metric was recorded and stood still."""

_TOLD = 8.0
"""Nats of a mode that all of an entity's error lines name."""

_NAMED = 7.0
"""Most that a metric named after a mechanism can weigh for its modes, in nats."""

_PLAIN = 0.6
_HALF = 1.0
"""Departure, on its log scale, that rare counts show by chance, and beyond it, at which it has half of that."""

_CONSEQUENCE = 0.3
"""What is left of a mechanism that a primary one at the same entity would bring about."""

_MAYBE = 0.7
"""What is left of it where memory merely creeps, and shows as much: few samples tell a creep from a step badly."""

_DEMAND = 1.3
"""By what factor an entity's own use of the processor must grow for throttling to be its own doing."""

_UNLOOKED = 0.7
"""Part of what speaks for the processor that goes to waiting where the processor was not measured."""

_TAKES = 1.5
"""Departure of stolen time from which on a machine gives its processor to others."""

_CREEPING = 0.75
"""Part of its rise that memory has made by the middle of the incident, below which it creeps."""

_FOLLOWING = {"metric.error", "metric.availability", "metric.latency", "symptom_flow"}
_REPEATED = 0.4
"""What is left of failures and of lost time as signs of a mode, where calls are made again and again."""

_TOLD_OF = ["quota", "contract", "refusals"]
"""Mechanisms of a callee that its callers count: how it turns them away."""

_OUTRIGHT = {
    "one_version",
    "one_young",
    "given_up",
    "asks_more",
    "own_pool",
    "asked_instead",
    "retried",
    "rows",
}
"""Signals that tell the mode as such, and not only who it is."""

_OF_TIME = {
    "added_time", "symptom_flow", "seen_below", "seen_by_callers", "beneath", "metric.latency", "behaviour",
}  # fmt: skip
"""Signals that a resource that ran out, or a mechanism that was named, explains."""

_SURELY = 1.5
"""Departure of failures from which on nobody doubts them."""

_STORM = 0.5
"""Second tries for each request from which on they are a storm."""

_OF_ANSWERS = {
    "schema_change",
    "rate_limited",
    "malformed_artifact",
    "guardrail_overblock",
    "hardware_fault",
}
_HEARSAY = 0.7
"""Modes of a callee that show in what its callers say of its answers, and what their lines weigh beside its own."""

_BENEATH = ["disk_wait", "disk_free", "device", "heat", "clock", "losses"]
_ITS_MACHINES = 0.7
"""Mechanisms that a service counts of the machine it runs on, and what is left of their weight for that."""

_TAKEN = ("cpu", "disk", "accelerator")
_BY_WORK = 0.8
"""What a nat of a resource that is taken takes of full pools and queues as signs of a mode, on a log scale."""

_ONLY_FAILS = ": fails in "
_QUEUES = 0.3
"""What a nat of a mechanism that makes requests wait takes of queues as signs of a mode, on a log scale."""

_MODEL_SERVER = {
    "inference",
    "model",
    "batch",
    "tokens",
    "ttft",
    "tpot",
    "onnx",
    "triton",
    "vllm",
    "predict",
}
_BY_ITSELF = 0.7
"""Part of the waiting of a model's server that is its runtime's, where its load and processor are as they were."""

_PLAINLY = 3.0


def mode_shares(
    signals: Sequence[Signal],
    entity: str,
    departed: pl.DataFrame,
    errors: pl.DataFrame,
    machine: str | None = None,
) -> dict[str, float]:
    """Failure modes of one entity with their shares, likeliest first; they sum to 1.

    Args:
        signals: of all entities.
        entity: whose modes are asked for.
        departed: all series, as `departures` returns them.
        errors: log lines of the incident that warn or fail.
        machine: of the one copy of the entity that suffers, where it is only one.
    """
    mine = [one for one in signals if one.entity == entity]
    own = departed.filter((pl.col("entity") == entity) & ~pl.col("host"))
    load = loads_of(departed).get(entity, 1.0)
    beneath = departed.filter(
        (pl.col("entity") == entity) & pl.col("host") & pl.col("clue").is_in(_BENEATH)
    )
    beneath = beneath.with_columns(pl.col("alone") * _ITS_MACHINES)
    named, lead = _named(pl.concat([_with_views(own, departed, entity), beneath]), load)
    quota = named.get("rate_limited", 0.0)
    weight = _weights(mine, sum(named.values()), lead, quota, fast=_fails_fast(own))
    for mode, nats in named.items():
        weight[mode] += nats
    if machine is not None and machine != entity:
        its = _named(departed.filter(pl.col("entity") == machine))[0]
        for mode, nats in its.items():
            weight[mode] += nats
        _by_its_machine(weight, mine, its)
    _tell_apart(weight, own)
    _on_the_machine(weight, entity, departed)
    _filled_by_work(weight, mine, own)
    # A machine is measured by what is measured of machines.
    looked = own if own.height else departed.filter(pl.col("entity") == entity)
    measured = set(looked.filter(pl.col("clue").is_null())["kind"])
    if "cpu" not in measured and machine is None:
        # Nobody looked at its processor: time of its own may as well be waiting.
        told_by_time = _UNLOOKED * weight.get("cpu_saturation", 0.0)
        weight["slow_dependency"] += told_by_time
        weight["cpu_saturation"] = weight.get("cpu_saturation", 0.0) - told_by_time
    moved = {one.name: one.weight for one in mine}
    for kind, mode in _MEASURED.items():
        if kind in measured and moved.get(f"metric.{kind}", 0.0) < _STILL and mode in weight:
            # It was measured and stood still: whatever took the time, this did not.
            weight["slow_dependency"] += (1 - _CLEARED) * weight[mode]
            weight[mode] *= _CLEARED
    if _serves_model(own):
        weight["slow_runtime"] += _BY_ITSELF * weight.get("slow_dependency", 0.0)
        weight["slow_dependency"] = (1 - _BY_ITSELF) * weight.get("slow_dependency", 0.0)
    for mode, share in _said(errors, entity, mine).items():
        weight[mode] += _TOLD * share
    total = sum(weight.values())
    if total <= 0:
        return {"slow_dependency": 1.0}
    ranked = sorted(weight.items(), key=lambda item: (-item[1], item[0]))
    return {mode: value / total for mode, value in ranked}


def _said(errors: pl.DataFrame, entity: str, mine: Sequence[Signal]) -> dict[str, float]:
    """What lines say of an entity: its own, or those of whoever counts its loss there where it is silent itself."""
    said = told(errors, entity)
    if said or (errors.height and errors.filter(pl.col("entity") == entity).height):
        return said
    of = max(
        (one for one in mine if one.name == "seen_below" and one.of), key=_weight, default=None
    )
    if of is None:
        return said
    return {
        mode: _HEARSAY * share for mode, share in told(errors, of.of).items() if mode in _OF_ANSWERS
    }


def _weight(one: Signal) -> float:
    return one.weight


def _serves_model(own: pl.DataFrame) -> bool:
    """Whether an entity's metrics are those of a model's server, and neither its load nor its processor has grown."""
    telling = [m for m in own["metric"] if len(set(words(m)) & _MODEL_SERVER) > 0]
    if not telling:
        return False
    busy = own.filter(
        (pl.col("kind").is_in(["cpu", "traffic"]))
        & (pl.col("sign") > 0)
        & (pl.col("score") > 1.0)
        & (pl.col("now") > _DEMAND * pl.col("level"))
    )
    return busy.is_empty()


def _with_views(own: pl.DataFrame, departed: pl.DataFrame, entity: str) -> pl.DataFrame:
    """An entity's series, less its waits for callees that have a trouble of their own, and with what callers say of it."""
    own_trouble = departed.filter(
        pl.col("about").is_null()
        & ~pl.col("clue").is_in(["in_flight", "limit"]).fill_null(value=False)
    )
    ill = set(own_trouble.filter(pl.col("score") > 1.0)["entity"])
    waits = pl.col("clue").is_in(["pool", "held", "late", "retries", "unreachable"])
    waits = (waits & pl.col("about").is_in(sorted(ill))).fill_null(value=False)
    told = departed.filter((pl.col("about") == entity) & pl.col("clue").is_in(_TOLD_OF))
    kept = own.with_columns(
        pl.when(waits)
        .then(_CONSEQUENCE * pl.col("alone"))
        .otherwise(pl.col("alone"))
        .alias("alone")
    )
    return pl.concat([kept, told])


def _named(own: pl.DataFrame, load: float = 1.0) -> tuple[dict[str, float], float]:
    """Nats for modes by the entity's departed series whose names tell a mechanism, beyond what its load accounts for.

    And those of the strongest mechanism that would make requests wait.
    """
    strongest: dict[str, tuple[float, bool, Mapping[str, float]]] = {}
    waits = set(own.filter(pl.col("kind") == "saturation")["clue"])
    asked = own.filter(pl.col("kind") == "traffic")["now"].max()
    telling = own.filter(pl.col("clue").is_not_null() & (pl.col("score") > _PLAIN))
    longer = waits_of(own)
    for row in telling.iter_rows(named=True):
        clue = clue_of(row["metric"])
        if only_waits(row, longer):
            continue
        # Of what may go either way, less tells a mechanism only where the clue says which.
        if clue is None or (clue.sign == 0 and row["sign"] < 0 and clue.down is clue.modes):
            continue
        nats = saturated(row["score"] - _PLAIN, _HALF, _NAMED) * matters(row) * row["alone"]
        nats *= beyond_load(row, load)
        if clue.name == "retries":
            nats *= _storming(row["now"], asked)
        if nats > strongest.get(clue.name, (0.0,))[0]:
            strongest[clue.name] = (
                nats,
                clue.primary,
                modes_of(row["kind"], row["metric"], row["sign"]),
            )
    if _slower(own):
        # Who is slow and full refuses work because of it, and ends what it does after its callers have left.
        strongest.pop("refused", None)
        strongest.pop("late_work", None)
    lead = max((nats for nats, primary, _ in strongest.values() if primary), default=0.0)
    weight: dict[str, float] = defaultdict(float)
    for nats, primary, modes in strongest.values():
        left = nats if primary or lead < nats / 2 else _CONSEQUENCE * nats
        for mode, share in modes.items():
            weight[mode] += left * share
    held = [nats for name, (nats, primary, _) in strongest.items() if primary and name not in waits]
    return weight, max(held, default=0.0)


def _storming(again: float, asked: object) -> float:
    """From 0.2 to 1: whether second tries are many beside what an entity is asked; 1 where that is not told.

    A tenth more calls, made again because somebody is slow, is patience and no storm.
    """
    if not isinstance(asked, float) or asked <= 0:
        return 1.0
    return float(np.clip(again / asked / _STORM, 0.2, 1.0))


def _slower(own: pl.DataFrame) -> bool:
    rows = own.filter(
        (pl.col("kind") == "latency") & (pl.col("sign") > 0) & pl.col("about").is_null()
    )
    return bool(rows.filter(pl.col("score") > 1.0).height)


def _tell_apart(weight: dict[str, float], own: pl.DataFrame) -> None:
    """Move weight between modes that take the same resource, by what else the entity shows.

    A collector of garbage takes processor for memory's sake; who is throttled without asking for more
    has a neighbour or a limit to thank for it.
    """
    moved = dict(own.group_by(pl.coalesce("clue", "kind")).agg(pl.col("score").max()).iter_rows())
    alike = weight.get("memory_leak", 0.0) > _MAYBE * weight.get("cpu_saturation", 0.0)
    kept = _CONSEQUENCE if moved.get("gc", 0.0) > 1.0 else _MAYBE if alike and _creeps(own) else 1.0
    if moved.get("memory", 0.0) > 1.0 and kept < 1:
        weight["memory_leak"] += (1 - kept) * weight.get("cpu_saturation", 0.0)
        weight["cpu_saturation"] = kept * weight.get("cpu_saturation", 0.0)
    if moved.get("throttled", 0.0) > 1.0:
        usage = own.filter(
            (pl.col("kind") == "cpu") & pl.col("clue").is_null() & (pl.col("level") > 0)
        )
        grown = (usage["now"] / usage["level"]).max() if usage.height else None
        if grown is not None:
            loser, winner = "noisy_neighbour", "cpu_saturation"
            if float(grown) < _DEMAND:  # type: ignore[arg-type]
                loser, winner = winner, loser
            weight[winner] += 0.6 * weight.get(loser, 0.0)
            weight[loser] = 0.4 * weight.get(loser, 0.0)


def _creeps(own: pl.DataFrame) -> bool:
    """Whether memory that grew much is still on its way, and the processor did not grow by far more.

    Half of a leak's incident sees far less than its end; what collects it never dwarfs what it collects.
    """
    rows = own.filter((pl.col("sign") > 0) & (pl.col("score") > 1.0) & (pl.col("level") > 0))
    grown = pl.col("now") / pl.col("level")
    way = (pl.col("middle_now") - pl.col("level")) / (pl.col("now") - pl.col("level"))
    memory = rows.filter((pl.col("kind") == "memory") & (grown > _DEMAND) & (way < _CREEPING))
    if memory.is_empty():
        return False
    most = float(memory.select(grown.max()).item())
    busy = rows.filter((pl.col("kind") == "cpu") & (grown > most**2))
    return busy.is_empty()


def _on_the_machine(weight: dict[str, float], entity: str, departed: pl.DataFrame) -> None:
    """Where a machine gives its processor to others, who is slow without asking more may be on it."""
    taken = departed.filter(
        (pl.col("clue") == "steal")
        & (pl.col("entity") != entity)
        & (pl.col("score") > _TAKES)
        & much_stolen()
    )
    asks = departed.filter(
        (pl.col("entity") == entity)
        & (pl.col("kind") == "cpu")
        & (pl.col("score") > 0.5)
        & (pl.col("now") > _DEMAND * pl.col("level"))
    )
    if taken.height and asks.is_empty():
        weight["noisy_neighbour"] += (1 - _CONSEQUENCE) * weight.get("slow_dependency", 0.0)
        weight["slow_dependency"] = _CONSEQUENCE * weight.get("slow_dependency", 0.0)


def _by_its_machine(
    weight: dict[str, float], mine: Sequence[Signal], its: Mapping[str, float]
) -> None:
    """Where one copy alone has no processor left, and its machine has a trouble of its own, that is what it lacks."""
    lead = max(its, key=lambda mode: (its[mode], mode), default=None)
    if lead is None or its[lead] < _STILL or not any(s.name == "one_instance" for s in mine):
        return
    for mode in ("cpu_saturation", "pool_exhaustion", "slow_dependency"):
        if mode != lead:
            weight[lead] += (1 - _CONSEQUENCE) * weight.get(mode, 0.0)
            weight[mode] = _CONSEQUENCE * weight.get(mode, 0.0)


def _filled_by_work(weight: dict[str, float], mine: Sequence[Signal], own: pl.DataFrame) -> None:
    """Leave little of queues and full pools where the entity's resources are taken: who waits for a place uses none.

    A pool that is too small, or a consumer that stopped, leaves the processor and the disk at rest; where they work
    more than their load accounts for, places are held because the work takes long.
    """
    if own["full"].fill_null(value=False).any():
        return
    taken = {
        mode: max((s.weight for s in mine if s.name == f"metric.{kind}"), default=0.0)
        for kind, mode in _MEASURED.items()
        if kind in _TAKEN
    }
    most = max(taken, key=lambda mode: (taken[mode], mode))
    left = float(np.exp(-_BY_WORK * max(taken[most] - _STILL, 0.0)))
    for mode in ("pool_exhaustion", "queue_backlog"):
        moved = (1 - left) * weight.get(mode, 0.0)
        if moved > 0:
            weight[mode] -= moved
            weight[most] += moved


def _fails_fast(own: pl.DataFrame) -> bool:
    """Whether an entity fails most requests by its own count and answers as quickly as ever: calls are made again for it."""
    rows = own.filter((pl.col("kind") == "error") & pl.col("about").is_null())
    failing = rows.filter((pl.col("sign") > 0) & (pl.col("score") > _SURELY))
    measured = own.filter((pl.col("kind") == "latency") & pl.col("about").is_null())
    return bool(failing.height and measured.height) and not _slower(own)


def _weights(
    mine: Sequence[Signal], named: float, lead: float, quota: float, *, fast: bool
) -> dict[str, float]:
    weight: dict[str, float] = defaultdict(float)
    # Code that behaves otherwise takes time and processor too; a slow machine reaches the same code.
    code = max((one.weight for one in mine if one.name == "behaviour"), default=0.0)
    if any(one.name == "one_instance" for one in mine):
        code = 0.0
    # A resource that ran out slows everything down that is measured beside it.
    resource = max((one.weight for one in mine if _names_resource(one)), default=0.0)
    resource = max(resource, named)
    # All copies run the same code: what only one of them does is not the code's doing.
    alone = max((one.weight for one in mine if one.name == "one_instance"), default=0.0)
    again = any(one.name == "asked_again" for one in mine) and not fast
    for one in mine:
        damped = _damped(one, (code, resource, named, alone), again=again)
        if one.name == "behaviour" and _ONLY_FAILS in one.statement:
            # Code that does nothing but fail is no other code where the entity counts what makes it fail.
            damped *= float(np.exp(-0.5 * max(lead, quota)))
        if one.name == "metric.saturation":
            # Where a disk, a device or a lookup of names fails, work queues up before it.
            damped *= float(np.exp(-_QUEUES * lead))
        for mode, share in one.modes.items():
            weight[mode] += one.weight * damped * share
    return weight


_OF_CODE = {
    "behaviour", "metric.error", "metric.availability", "symptom_flow", "seen_by_callers", "seen_below", "asked_instead",
}  # fmt: skip
"""What code may do; not where one copy of it alone does."""


def _damped(one: Signal, beside: tuple[float, float, float, float], *, again: bool) -> float:
    """What a signal's weight for modes is multiplied by, beside code, resources, mechanisms and single copies."""
    code, resource, named, alone = beside
    if one.name == "asked_again":
        return _TOLD if again else _PLAIN
    if one.name in _OUTRIGHT:
        return _PLAINLY
    damped = 1.0
    if one.name != "behaviour":
        damped = float(np.exp(-(0.15 if _names_resource(one) else 0.6) * code))
    if one.name in _OF_TIME:
        damped *= float(np.exp(-0.5 * resource))
    elif one.name in _FOLLOWING:
        # That it fails says less of why than what it names itself.
        damped *= float(np.exp(-0.5 * named))
    if again and one.name in _FOLLOWING:
        damped *= _REPEATED
    if one.name in _OF_CODE:
        damped *= float(np.exp(-0.5 * alone))
    return damped


def _names_resource(one: Signal) -> bool:
    return one.name in {f"metric.{kind}" for kind in _MEASURED} | {
        "metric.saturation",
        "silence",
        "unreached",
    }
