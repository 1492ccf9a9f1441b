"""What a language model's log tells: editions of its parts that are new, how answers ended, and the loss of either."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.profile import PARTS, Case, Role, Which, generation_columns, numeric_array, text_series
from ruleout.stats._twosample import proportions

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_RARE = 0.01
"""Share of the reference up to which a value counts as new."""

_LEAST_SHARE = 0.03
_LEAST_ROWS = 20
_MOST_EDITIONS = 60
_SURE = 4.0
"""Standard errors from which a difference of the mean loss counts."""

_JUDGED = 0.85
"""Share of one answer from which a log tells how answers were judged, not what they were."""

_LEAST_KNOWN = 30
_OFTEN_NEW = 0.3
"""Share of the reference's second half in editions that the first half lacks: builds of every day are no news."""

_BETTER = 12.0
"""Sum of squares in units of the noise by which a step at another time must tell the loss better."""

_BESIDE = 0.1
"""Share of current rows without a new edition from which on they are compared with the others."""


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NOTHING = _set(
    "none no false 0 ok pass passed allow allowed null safe nan success 200 clean off n"
) | {""}
_SOUND = _set("true 1 ok yes valid success succeeded 200 pass passed none y") | {""}
_FILTERED = _set(
    "content_filter content-filter contentfilter filtered safety refusal refused blocked guardrail declined policy"
    " guardrail_intervened moderation prohibited_content recitation"
)
_CUT = _set(
    "length max_tokens max_output_tokens max_length truncated model_length token_limit context_length_exceeded"
)
_BROKEN = _set("error tool_error tool_call_error malformed_function_call")
"""Values of logged outcomes, as services write them."""


class Part(NamedTuple):
    """A part of which the current rows name an edition that the reference hardly has."""

    role: Role
    column: str
    values: tuple[str, ...]
    rows: Mask
    """Current rows (n,) of new editions."""

    share: float
    explained: float | None
    """Share of the rise in mean loss that goes with them, all parts weighed together; None without labels."""

    z: float
    replaced: tuple[str, ...]
    """Editions that were common before and are hardly seen now."""


class Ending(NamedTuple):
    """A way for answers to end badly that has become more common."""

    role: Role
    column: str
    what: str
    values: tuple[str, ...]
    """Values of the column that say so, as text."""

    rows: Mask
    before: float
    now: float
    z: float
    explained: float | None
    with_part: Part | None
    """The new edition that it comes with, and hardly ever without."""


class Loss(NamedTuple):
    """What rows lose, and by how much more than before."""

    before: Floats
    now: Floats
    rise: float
    """Rise of the mean, above 0."""


class Log(NamedTuple):
    """All of it."""

    roles: Mapping[Role, tuple[str, ...]]
    judged: bool
    """Labels tell how answers were judged, and nothing was predicted."""

    loss: Loss | None
    """None without labels, or where it did not rise."""

    parts: tuple[Part, ...]
    endings: tuple[Ending, ...]


def log_of(case: Case) -> Log | None:
    """What the log tells; None where it is none of a language model."""
    if "generation log" not in case.cache:
        case.cache["generation log"] = _log_of(case)
    found: Log | None = case.cache["generation log"]
    return found


def _log_of(case: Case) -> Log | None:
    columns = case.incident.data.columns
    taken = {columns.id, columns.timestamp, columns.target, columns.prediction, columns.score}
    both = [
        n
        for n in case.current.frame.columns
        if case.reference.has(n) and n not in taken and n not in (columns.text, columns.embedding)
    ]
    roles = generation_columns(both)
    if not roles:
        return None
    by_judgement = _judged(case)
    loss = _loss(case, judged=by_judgement)
    parts = _weighed([p for r in PARTS for n in roles.get(r, ()) for p in _new(case, r, n)], loss)
    return Log(roles, by_judgement, loss, parts, tuple(_endings(case, roles, parts, loss)))


def judged(case: Case) -> bool:
    """Whether this is a log of a language model whose labels tell how answers were judged."""
    log = log_of(case)
    return log is not None and log.judged


def _judged(case: Case) -> bool:
    """Whether there are two classes, and nearly one answer to everything."""
    if len(case.classes) != 2:
        return False
    said = [case.outputs(which).decision.astype(float) for which in ("reference", "current")]
    known = np.concatenate([d[d >= 0] for d in said])
    if not len(known):
        return False
    return float(np.unique(known, return_counts=True)[1].max()) / len(known) >= _JUDGED


def _loss(case: Case, *, judged: bool) -> Loss | None:
    """Per-row loss of both windows (n,): where answers were judged, whether badly."""
    before, now = case.loss("reference"), case.loss("current")
    if judged:
        truths = (case.truth(w).astype(float) for w in ("reference", "current"))
        before, now = (np.where(t < 0, np.nan, 1.0 - t) for t in truths)
    if min(int(np.isfinite(x).sum()) for x in (before, now)) < _LEAST_KNOWN:
        return None
    rise = float(np.nanmean(now) - np.nanmean(before))
    return Loss(before, now, rise) if rise > 0 else None


def tells_editions(case: Case, column: str) -> bool:
    """Whether a new edition would show: the reference names few, and not new ones all the time."""
    before, now = (text_series(t.frame, column) for t in (case.reference, case.current))
    if not before.count() or not now.count():
        return False
    if max(before.n_unique(), now.n_unique()) > _MOST_EDITIONS:
        return False
    half = len(before) // 2
    known = before[:half].drop_nulls().unique().to_list()
    fresh = (~before[half:].is_in(known)).fill_null(value=False).to_numpy()
    return bool(fresh.mean() <= _OFTEN_NEW) if len(fresh) else False


def tells_endings(case: Case, column: str) -> bool:
    """Whether a column of both windows tells how answers ended: by few values, some of them known."""
    both = [text_series(t.frame, column).drop_nulls() for t in (case.reference, case.current)]
    return all(len(s) > 0 and s.n_unique() <= _MOST_EDITIONS for s in both)


def _new(case: Case, role: Role, column: str) -> Iterator[Part]:
    if not tells_editions(case, column):
        return
    before, now = (text_series(t.frame, column) for t in (case.reference, case.current))
    old, new = (dict(s.drop_nulls().value_counts().iter_rows()) for s in (before, now))
    n_old, n_new = sum(old.values()), sum(new.values())
    values = tuple(
        sorted(
            value
            for value, count in new.items()
            if old.get(value, 0) <= _RARE * n_old
            and count >= max(_LEAST_ROWS, _LEAST_SHARE * n_new)
        )
    )
    if not values:
        return
    rows = np.asarray(now.is_in(list(values)).fill_null(value=False).to_numpy())
    replaced = tuple(
        sorted(
            v for v, c in old.items() if c > 0.1 * n_old and new.get(v, 0) < 0.5 * c / n_old * n_new
        )
    )
    yield Part(role, column, values, rows, float(rows.mean()), None, 0.0, replaced)


def _weighed(parts: list[Part], loss: Loss | None) -> tuple[Part, ...]:
    """The parts with the share of the rise that each takes in a common linear model of the rows' loss."""
    if not parts or loss is None:
        return tuple(parts)
    size = [len(loss.before), len(loss.now)]
    y = np.concatenate([loss.before, loss.now])
    current = np.repeat([0.0, 1.0], size)
    held = [np.concatenate([np.zeros(size[0]), p.rows.astype(float)]) for p in parts]
    any_new = np.logical_or.reduce([p.rows for p in parts])
    columns = [np.ones_like(y), *held]
    if (~any_new).mean() >= _BESIDE:
        columns.append(current)
    known = np.isfinite(y)
    x, y = np.stack(columns, axis=1)[known], y[known]
    step = _earlier_step(x, y, int(np.isfinite(loss.before).sum()))
    if step is not None:
        x = np.column_stack([x, step])
    slope, error, _ = _fitted(x, y)
    return tuple(
        p._replace(explained=float(slope[k] * p.share / loss.rise), z=float(slope[k] / error[k]))
        for k, p in enumerate(parts, start=1)
    )


def _fitted(x: Floats, y: Floats) -> tuple[Floats, Floats, float]:
    """Least squares: slopes, their standard errors, and the sum of squares that is left."""
    inverse = np.linalg.pinv(x.T @ x, hermitian=True)
    slope = inverse @ (x.T @ y)
    left = float(np.sum((y - x @ slope) ** 2))
    return slope, np.sqrt(np.maximum(left / len(y) * np.diag(inverse), 1e-18)), left


def _earlier_step(x: Floats, y: Floats, start: int) -> Floats | None:
    """A step of the loss at another time than any edition's, where rows tell it better than all editions do.

    Rows are in order of time within their window, the current ones from `start`. An edition that came in the
    middle of somebody else's fault holds more of the loss than the rows before it, and is not to blame.
    """
    n = len(y) - start
    cuts = start + np.unique(np.linspace(0.0, 0.9 * n, 46).astype(int))
    plain = np.ones((len(y), 1))
    steps = [np.column_stack([plain, np.arange(len(y)) >= cut]) for cut in cuts]
    left = np.array([_fitted(one, y)[2] for one in steps])
    best = int(left.argmin())
    _, _, with_parts = _fitted(x, y)
    noise = with_parts / len(y)
    return steps[best][:, 1] if (with_parts - left[best]) / noise > _BETTER else None


def _endings(
    case: Case, roles: Mapping[Role, tuple[str, ...]], parts: tuple[Part, ...], loss: Loss | None
) -> Iterator[Ending]:
    for role, column, what, words in _bad_values(case, roles):
        before = _holds(case, "reference", column, words)
        now = _holds(case, "current", column, words)
        if now.sum() < _LEAST_ROWS:
            continue
        test = proportions((before.sum(), now.sum()), (len(before), len(now)))
        risen = float(now.mean() - before.mean())
        if risen < max(0.01, 0.3 * before.mean()) or test.p_value > 1e-5:
            continue
        part = next((p for p in parts if _comes_with(now, before, p)), None)
        z = risen / np.sqrt(max(now.mean() * (1 - now.mean()), 1e-4) / len(now))
        yield Ending(
            role, column, what, words, now, float(before.mean()), float(now.mean()), float(z),
            _explained(now, risen, loss), part,
        )  # fmt: skip


def _comes_with(now: Mask, before: Mask, part: Part) -> bool:
    inside = float(now[part.rows].mean()) if part.rows.any() else 0.0
    beside = float(now[~part.rows].mean()) if (~part.rows).any() else float(before.mean())
    usual = float(before.mean())
    return inside > 3 * beside and beside - usual < 0.3 * (inside - usual)


def _explained(flagged: Mask, risen: float, loss: Loss | None) -> float | None:
    if loss is None:
        return None
    known = np.isfinite(loss.now)
    if not (flagged & known).any() or not (~flagged & known).any():
        return None
    apart = loss.now[flagged & known].mean() - loss.now[~flagged & known].mean()
    return float(risen * apart / loss.rise)


def _bad_values(
    case: Case, roles: Mapping[Role, tuple[str, ...]]
) -> Iterator[tuple[Role, str, str, tuple[str, ...]]]:
    """Columns and the values of them that say that an answer ended badly."""
    refused, failed = "were refused or blocked", "failed in a tool"
    for column in roles.get("refused", ()):
        yield "refused", column, refused, _said(case, column, _NOTHING, other=True)
    for column in roles.get("tool_failed", ()):
        name = column.lower()
        good = "invalid" not in name and any(word in name for word in ("valid", "ok", "status"))
        yield (
            "tool_failed",
            column,
            failed,
            _said(case, column, _SOUND if good else _NOTHING, other=True),
        )
    for column in roles.get("finish", ()):
        yield "refused", column, "were stopped by a filter", _said(case, column, _FILTERED)
        yield "finish", column, "were cut at a limit", _said(case, column, _CUT)
        yield "tool_failed", column, "ended in an error", _said(case, column, _BROKEN)
    answer = case.incident.data.columns.prediction
    if answer is not None and case.current.frame.schema.get(answer) == pl.String:
        yield "refused", answer, refused, _said(case, answer, _FILTERED)


def _said(
    case: Case, column: str, words: frozenset[str], *, other: bool = False
) -> tuple[str, ...]:
    """Values of a current column that are among some words, or among no such words."""
    found = text_series(case.current.frame, column).drop_nulls().unique()
    if len(found) > _MOST_EDITIONS:
        return ()
    return tuple(sorted(v for v in found.to_list() if (v.strip().lower() in words) != other))


def _holds(case: Case, which: Which, column: str, words: tuple[str, ...]) -> Mask:
    text = text_series(case.table(which).frame, column)
    return np.asarray(text.is_in(list(words)).fill_null(value=False).to_numpy())


def size_of(case: Case, log: Log) -> tuple[str, Floats, Floats] | None:
    """The column of the sizes of contexts, and its values in both windows."""
    for column in log.roles.get("context_size", ()):
        before, now = (numeric_array(t.frame, column) for t in (case.reference, case.current))
        if np.isfinite(before).sum() >= 100 and np.isfinite(now).sum() >= 100:
            return column, before, now
    return None
