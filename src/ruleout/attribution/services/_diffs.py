"""What a diff may break, read from its text: lost guards, changed constants, added work.

A refactoring moves tokens about; a regression loses or gains some. So the removed and the added lines
are compared as bags of tokens, with comments and log statements left out, and what remains is scored.
Nothing is filtered on the description: "tidy" and "refactor" stand on culprits too.
"""

from __future__ import annotations

import re
from collections import Counter
from math import log
from typing import NamedTuple

_COMMENT = re.compile(r"^\s*(//|#(?!include)|\*|/\*|--\s|<!--)|//\s.*$")
_LOGGING = re.compile(r"\b(log|logger|logging|slog|console|print[fl]?n?|LOG_[A-Z]+)\b\s*[.(]")
_COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}\b|\b\d+px\b")
_LITERAL = re.compile(r"[\"'`]([A-Za-z_][\w./-]{2,})[\"'`]")
_TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|\d+(?:\.\d+)?")
_CALL = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*\(")
_LOOP = re.compile(r"\b(for|while|foreach|forEach|map|range)\b")
_QUIET_PATH = re.compile(
    r"(^|/)(docs?|documentation|tests?|testdata|spec)/|_test\.|\.test\.|\.spec\.|\.md$|\.css$|\.scss$|\.svg$"
    r"|(^|/)(\.github|\.circleci)/|codeowners|readme|license|changelog|\.golangci",
    re.IGNORECASE,
)
_GUARD = {
    "if", "nil", "null", "none", "try", "except", "catch", "finally", "assert", "defer", "close", "cancel",
    "unless", "guard", "optional", "isnull", "ok", "await", "async", "go",
}  # fmt: skip
_SHELTER = re.compile(
    r"limit|batch|chunk|cache|timeout|deadline|retry|backoff|pool|throttl|lock|mutex|semaphore|where|index|"
    r"valid|check|auth|escape|encode|decode|register|migrat|default|fallback|close|page|paginat|debounce|dedup|"
    r"evict|expire|ttl|release|unlock|drain|sanitize|authori|permission",
    re.IGNORECASE,
)
_GROWS = re.compile(r"\w\[[^\]]+\]\s*=[^=]|\bappend\(|\.(push|append|add|put|set)\(", re.IGNORECASE)
_HOLDS = re.compile(
    r"cache|history|buffer|registry|global|static|seen|pending|sessions", re.IGNORECASE
)
_WORK = re.compile(
    r"query|select|fetch|exec|find|load|request|put|insert|update|delete|scan|send|publish|open|read|write|"
    r"sleep|wait|lock|compile|render|serializ|marshal|dial|connect|getitem|call|invoke|lookup|search",
    re.IGNORECASE,
)

_HARM = re.compile(
    r"\b(drop|alter|truncate|revoke|panic|exit|abort|sleep|unsafe|throw|raise)\b|\bgo func\b|while\s*\(?\s*true"
    r"|replicas?:|\bregex|\bre\.compile|MustCompile",
    re.IGNORECASE,
)


class Risk(NamedTuple):
    """How much a diff may have broken, and by what."""

    score: float
    """From 0 (nothing that runs) to about 3."""

    reasons: tuple[str, ...]
    touched: str = ""
    """The tokens that it took away or brought."""


def read_diff(diff: str | None, path: str) -> Risk:
    """Risk of a diff.

    Args:
        diff: its text; unified or a fragment. None or empty when it is not known.
        path: the file, or whatever the change says it touched.
    """
    quiet = bool(_QUIET_PATH.search(path))
    if not diff or not diff.strip():
        return Risk(0.1 if quiet else 0.4, ("its diff is not known",))
    removed, added, context = _lines(diff)
    if not removed and not added:
        return Risk(0.1, ("nothing that runs was changed",))
    reasons = [
        *_lost(removed, added),
        *_constants(removed, added),
        *_literals(removed, added),
        *_details(removed, added),
        *_work(removed, added, context),
    ]
    score = sum(weight for weight, _ in sorted(reasons, reverse=True)[:4])
    if quiet:
        score *= 0.2
    before, after = _bag(removed), _bag(added)
    touched = " ".join(sorted((before - after) | (after - before)))
    texts = tuple(text for _, text in sorted(reasons, reverse=True)[:3])
    return Risk(min(score, 3.0), texts, touched)


def _lines(diff: str) -> tuple[list[str], list[str], list[str]]:
    removed: list[str] = []
    added: list[str] = []
    context: list[str] = []
    for line in diff.splitlines():
        if line.startswith(("+++", "---", "@@", "diff ", "index ")):
            continue
        body = line[1:] if line[:1] in "+-" else line
        code = _COLOUR.sub("", _COMMENT.sub("", body)).rstrip()
        if not code.strip() or _LOGGING.search(code):
            continue
        (removed if line.startswith("-") else added if line.startswith("+") else context).append(
            code
        )
    return removed, added, context


def _bag(lines: list[str]) -> Counter[str]:
    return Counter(token for line in lines for token in _TOKEN.findall(line))


def _lost(removed: list[str], added: list[str]) -> list[tuple[float, str]]:
    """Guards and shelters that were there and are not any more."""
    before, after = _bag(removed), _bag(added)
    lost = before - after
    gained_calls = {c for line in added for c in _CALL.findall(line)} - {
        c for line in removed for c in _CALL.findall(line)
    }
    # A helper that takes a guard's place usually keeps it; without any newcomer it is gone.
    kept = 0.35 if gained_calls else 1.0
    found = []
    guards = sorted(token for token in lost if token.lower() in _GUARD)
    if guards:
        found.append((1.5 * kept, f"guards lost: {', '.join(guards[:4])}"))
    calls = sorted(
        {c for line in removed for c in _CALL.findall(line)}
        - set(after)
        - {token for token in lost if token.lower() in _GUARD}
    )
    shelter = sorted(token for token in lost if _SHELTER.search(token) and token not in guards)
    if shelter:
        found.append((1.3 if not gained_calls else 0.6, f"lost: {', '.join(shelter[:4])}"))
    if calls and not gained_calls:
        found.append((1.2, f"no longer called: {', '.join(calls[:4])}"))
    return found


def _literals(removed: list[str], added: list[str]) -> list[tuple[float, str]]:
    """Names in quotes that were replaced by others: whoever still uses the old one breaks."""
    before = Counter(name for line in removed for name in _LITERAL.findall(line))
    after = Counter(name for line in added for name in _LITERAL.findall(line))
    gone, come = sorted(before - after), sorted(after - before)
    if not gone or not come:
        return []
    return [(0.9, f"renamed: {', '.join(gone[:3])} -> {', '.join(come[:3])}")]


def _details(removed: list[str], added: list[str]) -> list[tuple[float, str]]:
    """Small edits that change much: a comparison, a switch, something left out, something never freed."""
    found = []
    old = {" ".join(_TOKEN.findall(line)): line for line in removed}
    for line in added:
        before = old.get(" ".join(_TOKEN.findall(line)))
        if before is not None and _signs(before) != _signs(line):
            found.append((0.9, f"operator: {before.strip()[:60]} -> {line.strip()[:60]}"))
    lost, gained = _bag(removed) - _bag(added), _bag(added) - _bag(removed)
    if {"true", "True"} & set(lost) and {"false", "False"} & set(gained):
        found.append((0.8, "switched off"))
    if {"false", "False"} & set(lost) and {"true", "True"} & set(gained):
        found.append((0.8, "switched on"))
    if removed and not added:
        found.append((0.5, f"left out: {removed[0].strip()[:60]}"))
    hoards = [line for line in added if _GROWS.search(line) and _HOLDS.search(line)]
    if hoards and not any(_GROWS.search(line) for line in removed):
        found.append((0.8, f"keeps: {hoards[0].strip()[:60]}"))
    return found


def _signs(line: str) -> list[str]:
    """The comparisons and operators of a line, in order; brackets and commas are style."""
    return re.findall(r"[<>=!&|+*/%^-]+", line)


def _constants(removed: list[str], added: list[str]) -> list[tuple[float, str]]:
    """Numbers and settings whose value has changed, by how much."""
    found = []
    pairs = {_key(line): line for line in removed if re.search(r"\d|[:=]", line)}
    for line in added:
        old = pairs.get(_key(line))
        if old is None or old == line:
            continue
        then, now = _numbers(old), _numbers(line)
        if then and now and len(then) == len(now) and then != now:
            ratio = max(abs(_log(b) - _log(a)) for a, b in zip(then, now, strict=True))
            weight = min(0.2 + 0.8 * ratio, 2.2)
            found.append((weight, f"constant: {old.strip()[:60]} -> {line.strip()[:60]}"))
        elif "(" not in line and re.search(r"^\s*[\w.\"'-]+\s*[:=]", line):
            found.append((1.0, f"setting: {old.strip()[:60]} -> {line.strip()[:60]}"))
    return found


def _key(line: str) -> str:
    """A line without its values: what two versions of one statement share."""
    setting = re.match(r"\s*([\w.\"'-]+)\s*:?[:=]\s", line)
    if setting:
        return setting.group(1)
    return re.sub(
        r"\d+(\.\d+)?|\b(Nano|Micro|Milli)?[Ss]econds?\b|\bMinutes?\b|\b\w+(?=\s*[,:=])", "", line
    ).strip()


def _numbers(line: str) -> list[float]:
    """The numbers of a line, durations in seconds."""
    units = {
        "millisecond": 1e-3,
        "microsecond": 1e-6,
        "minute": 60.0,
        "hour": 3600.0,
        "ms": 1e-3,
        "m": 60.0,
    }
    found = []
    for number, unit in re.findall(
        r"(?<![\w.])(\d+(?:\.\d+)?)(?:\s*\*?\s*(?:time\.)?(Millisecond|Microsecond|Second|Minute|Hour|ms|s|m)s?\b)?",
        line,
    ):
        found.append(float(number) * units.get(unit.lower(), 1.0))
    return found


def _log(value: float) -> float:
    return log(abs(value) + 1e-3)


def _work(removed: list[str], added: list[str], context: list[str]) -> list[tuple[float, str]]:
    """Calls that do I/O and were not made before; more when they are made in a loop."""
    before = {c for line in removed for c in _CALL.findall(line)}
    gained = sorted({c for line in added for c in _CALL.findall(line)} - before)
    work = [name for name in gained if _WORK.search(name)]
    statements = [
        line for line in added if re.search(r"\bSELECT\b|\bINSERT\b|\bUPDATE\b|https?://", line)
    ]
    harm = sorted({m.group(0).strip() for line in added if (m := _HARM.search(line))})
    harm = [word for word in harm if not any(word in line for line in removed)]
    bad = [(1.0, f"brings: {', '.join(harm[:3])}")] if harm else []
    if not work and not statements:
        return bad
    loop = any(_LOOP.search(line) for line in added + context)
    what = ", ".join(work[:4]) or statements[0].strip()[:60]
    weight = (0.9 if statements else 0.4) + (0.7 if loop else 0.0)
    return [*bad, (weight, f"new work{' in a loop' if loop else ''}: {what}")]
