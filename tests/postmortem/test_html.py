import re
from collections.abc import Callable
from html.parser import HTMLParser

import diagnoses
import pytest

from ruleout._records import Diagnosis
from ruleout.postmortem import html, notebook

Make = Callable[[], Diagnosis]
EVERY = pytest.mark.parametrize("make", diagnoses.CASES.values(), ids=diagnoses.CASES)
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Collects tags, addresses and text, and that every element is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.words: list[str] = []
        self.stack: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [
            v or "" for k, v in attrs if k in {"src", "href", "xlink:href", "action"}
        ]
        self.handlers += [k for k, _ in attrs if k.startswith("on")]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@EVERY
def test_stays_under_two_megabytes(make: Make) -> None:
    """A report opens quickly whatever the diagnosis holds."""
    assert len(html(make()).encode()) < 2_000_000


@EVERY
def test_loads_nothing_and_runs_nothing(make: Make) -> None:
    """No script, no handler, no address but places in the page and pictures inside it."""
    page = Page(html(make()))
    assert not page.tags & {"script", "iframe", "object", "embed", "link", "form", "base"}
    assert not page.handlers
    assert all(a.startswith(("#", "data:image/")) for a in page.addresses)
    assert not re.search(r"url\(|@import|https?://(?!evil)", html(make()))


@EVERY
def test_is_well_formed(make: Make) -> None:
    """Every element is closed, in order, and no sign stands bare."""
    assert not re.search(r"<(?![a-z/!])", html(make()) + notebook(make()))
    assert not Page(html(make())).stack
    assert not Page(notebook(make())).stack


@EVERY
def test_repeats_byte_for_byte(make: Make) -> None:
    """The same diagnosis gives the same page."""
    assert html(make()) == html(make())


def test_hostile_text_stays_text() -> None:
    """Column names, telemetry and chart data cannot become markup."""
    for text in (html(diagnoses.hostile()), notebook(diagnoses.hostile())):
        page = Page(text)
        assert not page.tags & {"script", "b2"}
        assert "onerror" in "".join(page.words)
        assert "\x1b" not in text
        assert "\u202e" not in text


def test_forbids_scripts_itself() -> None:
    """The page carries a policy that allows styles and inline pictures only."""
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in html(diagnoses.quiet())


def test_verdict_comes_before_proof_and_ledger() -> None:
    """The page reads as a case: verdict, what to do, proof, hypotheses, ledger."""
    text = html(diagnoses.unit_change())
    parts = ("undoing it takes away 96%", 'id="do"', 'id="proof"', 'id="hypotheses"', 'id="ledger"')
    assert sorted(parts, key=text.index) == list(parts)


def test_shows_the_charts_of_the_case() -> None:
    """Each chart is a picture with a title and a description, evidence charts cite their row."""
    text = html(diagnoses.unit_change())
    assert text.count("<svg") == text.count("<desc>") >= 8
    assert "E3</span> weight_g: quantiles now against the reference" in text
    assert text.count("data:image/png;base64,") == 12


def test_weights_stand_in_the_evidence_table() -> None:
    """One row per piece of evidence with its weight for each leading hypothesis."""
    table = html(diagnoses.unit_change()).partition('id="evidence"')[2]
    row = table.partition("<b>E3</b>")[2].partition("</tr>")[0]
    assert "+5.40" in row
    assert "-1.90" in row


def test_notebook_styles_are_scoped() -> None:
    """Every rule of the fragment names the class that encloses it, so the notebook keeps its looks."""
    text = notebook(diagnoses.unit_change())
    style = text.partition("<style>")[2].partition("</style>")[0]
    selectors = [s for block in style.split("}")[:-1] for s in block.partition("{")[0].split(",")]
    assert selectors
    assert all(s.strip().startswith(".ruleout") for s in selectors)
    assert not re.search(r"<(html|body|head|main)\b", text)
