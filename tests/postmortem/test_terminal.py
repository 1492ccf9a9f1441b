import io
import re
from collections.abc import Callable
from dataclasses import replace

import diagnoses
import pytest
from rich.cells import cell_len
from rich.console import Console

from ruleout._records import Diagnosis, Remedy
from ruleout.postmortem import terminal

Make = Callable[[], Diagnosis]
EVERY = pytest.mark.parametrize("make", diagnoses.CASES.values(), ids=diagnoses.CASES)


def shown(diagnosis: Diagnosis, width: int = 80, **options: object) -> str:
    text = io.StringIO()
    terminal(diagnosis, Console(file=text, width=width, **options))
    return text.getvalue()


@EVERY
@pytest.mark.parametrize("width", [80, 120, 140, 200])
def test_fits_one_screen(make: Make, width: int) -> None:
    """Whatever the diagnosis holds, it takes at most 40 lines and no line is too wide."""
    lines = shown(make(), width).splitlines()
    assert len(lines) <= 40
    assert max(map(cell_len, lines)) <= width


def test_uses_the_width() -> None:
    """At 200 columns the ledger stands beside the hypotheses and less is cut."""
    narrow, wide = shown(diagnoses.unit_change(), 80), shown(diagnoses.unit_change(), 200)
    assert len(wide.splitlines()) < len(narrow.splitlines())
    assert wide.count("…") < narrow.count("…")


def test_says_the_verdict_first() -> None:
    """The first lines name mode, subject, probability and explained share."""
    head = " ".join(shown(diagnoses.unit_change()).splitlines()[:3])
    for part in ("CAUSE FOUND", "Change of unit or scale", "weight_g", "93%", "96%", "accuracy"):
        assert part in head


@pytest.mark.parametrize(
    ("make", "honest"),
    [
        (diagnoses.undecided, "No single cause can be named"),
        (diagnoses.quiet, "within its usual variation"),
        (diagnoses.bare, "No cause can be named"),
    ],
)
def test_has_its_own_words_for_not_knowing(make: Make, honest: str) -> None:
    """A tie, a quiet week and an empty incident do not sound like a cause."""
    text = shown(make())
    assert honest in text
    assert "CAUSE FOUND" not in text


def test_tells_the_ledger() -> None:
    """What was ruled out stands with its check, what was not looked at with its need."""
    text = " ".join(shown(diagnoses.unit_change(), 200).split())
    assert "ruled out 12 modes" in text
    assert "(by reproduction)" in text
    assert "not looked 5 modes" in text
    assert "needs probes.audit" in text


def test_names_failed_sources() -> None:
    """A source that could not be read is said, with its reason."""
    assert "golden.parquet: no such file" in shown(diagnoses.undecided())


@EVERY
def test_plain_in_a_pipe(make: Make) -> None:
    """A pipe gets no control character, not even when the incident's text holds some."""
    assert not any(ord(c) < 32 and c != "\n" for c in shown(make()))


@EVERY
def test_colour_only_repeats(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR changes no character of the text."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = shown(make(), force_terminal=True, color_system="truecolor")
    monkeypatch.setenv("NO_COLOR", "1")
    plain = shown(make(), force_terminal=True, color_system="truecolor")
    assert "\x1b[31m" not in plain
    assert stripped(coloured) == stripped(plain)


def stripped(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@EVERY
def test_ascii_where_the_terminal_knows_no_more(make: Make) -> None:
    """An ASCII terminal gets ASCII, sparkline included."""
    raw = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    terminal(make(), Console(file=raw, width=80))
    raw.flush()
    assert raw.buffer.getvalue().isascii()
    assert all(len(line) <= 80 for line in raw.buffer.getvalue().splitlines())


def test_every_verdict_has_an_ascii_sign_of_its_own() -> None:
    """None of them looks like a sign that could not be shown."""
    signs = {}
    for make in (diagnoses.unit_change, diagnoses.undecided, diagnoses.quiet):
        raw = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
        terminal(make(), Console(file=raw, width=80))
        raw.flush()
        signs[make().verdict] = raw.buffer.getvalue()[:1]
    assert signs == {"cause_found": b"*", "inconclusive": b"+", "no_incident": b"o"}


def test_markup_is_not_interpreted() -> None:
    """Text that looks like the terminal library's markup is printed as it is."""
    assert "[bold red]" in shown(diagnoses.hostile(), 200)


def test_names_two_causes() -> None:
    """Two faults at once are both in the verdict."""
    head = " ".join(shown(diagnoses.two_causes(), 200).split())
    assert "payment_method: 97% likely" in head
    assert "Beside it, Silent nulls or sentinels in source crm: 88% likely" in head


def test_role_is_told() -> None:
    """What only makes it worse is not taken for a second root cause."""
    text = " ".join(shown(diagnoses.services()).split())
    assert "[supported, amplifier]" in text
    assert "Beside it" not in text


def test_prevention_comes_from_the_catalogue_when_nothing_better_is_known() -> None:
    """The screen always says what would have prevented the cause."""
    made = diagnoses.unit_change()
    first = replace(made.hypotheses[0], remedies=())
    text = shown(replace(made, hypotheses=(first,)), 200)
    assert "prevent    State the unit in the feature's name or schema" in text


def test_nothing_irreversible_while_undecided() -> None:
    """Until a cause is found, the next observation comes first, and only what can be taken back is offered."""
    made = diagnoses.undecided()
    remedies = (
        Remedy("mitigate", "Route to the previous model", reversible=True),
        Remedy("mitigate", "Delete the labels", reversible=False),
        Remedy("fix", "Retrain", reversible=True),
    )
    first = replace(made.hypotheses[0], remedies=remedies)
    text = " ".join(shown(replace(made, hypotheses=(first, *made.hypotheses[1:])), 200).split("│"))
    text = " ".join(text.split())
    assert "do now Get a re-adjudicated sample of labels (probes.audit) before changing" in text
    assert "If it is Concept drift in label is_fraud: Route to the previous model" in text
    assert "Delete the labels" not in text
    assert "Retrain" not in text


def test_no_chain_while_undecided() -> None:
    """How a cause reaches the symptom is said of found causes only."""
    made = diagnoses.undecided()
    first = replace(made.hypotheses[0], chain=("label", "precision"), change="C1")
    assert "label → precision" not in shown(replace(made, hypotheses=(first,)), 200)


def test_a_long_metric_name_is_whole() -> None:
    """Which metric it is must not be guessed, whatever its name takes."""
    case = diagnoses.unit_change()
    for name in ("http_request_duration_seconds_p95", "output_shift", "精度精度精度精度精度精度"):
        moved = replace(case, symptom=replace(case.symptom, metric=name))
        assert name in shown(moved).replace(" ", "")
        assert max(map(cell_len, shown(moved).splitlines())) <= 80


def test_two_causes_are_told_to_the_end() -> None:
    """The verdict is not cut where the screen has room."""
    lines = shown(diagnoses.two_causes()).splitlines()
    head = lines[: lines.index("")]
    assert not any(line.endswith("…") for line in head[1:])


def test_a_window_without_a_number_has_no_change() -> None:
    """Where the metric cannot be had now, nothing is said of a change."""
    case = diagnoses.unit_change()
    lost = replace(case.symptom, current=None, change=None, low=None, high=None)
    line = next(li for li in shown(replace(case, symptom=lost)).splitlines() if "unknown" in li)
    assert line.count("unknown") == 1
