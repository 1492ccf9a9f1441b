import re
from collections.abc import Callable

import diagnoses
import pytest

from ruleout._records import Diagnosis
from ruleout.postmortem import markdown, mimebundle
from ruleout.postmortem._markdown import safe

Make = Callable[[], Diagnosis]
EVERY = pytest.mark.parametrize("make", diagnoses.CASES.values(), ids=diagnoses.CASES)


@EVERY
def test_tables_keep_their_columns(make: Make) -> None:
    """No text of the incident adds a cell: unescaped pipes are the same in every row of a table."""
    width = 0
    for line in markdown(make()).splitlines():
        bars = len(re.findall(r"(?<!\\)\|", line))
        assert not line.startswith("|") or not width or bars == width
        width = bars if line.startswith("|") else 0


@EVERY
def test_is_short(make: Make) -> None:
    """A ticket is about a page, whatever the diagnosis holds."""
    assert len(markdown(make()).splitlines()) < 120
    assert len(markdown(make())) < 30_000


def test_every_action_has_a_done_test() -> None:
    """An action says when it is done, with the metric and the value to see."""
    actions = markdown(diagnoses.unit_change()).partition("## Actions")[2].partition("##")[0]
    assert "accuracy is back near 0.904" in actions
    assert "owner" in actions


def test_html_and_markup_are_escaped() -> None:
    """Tags, links, pipes, mentions and addresses of the incident arrive as plain text."""
    text = markdown(diagnoses.hostile())
    assert "<script" not in text
    assert "<img" not in text
    assert "@all" not in safe("ping @all")


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("a|b *c* <d>", r"a\|b \*c\* &lt;d&gt;"),
        ("[e](http://f)", r"\[e\](http://&#8203;f)"),
        ("hours_watched_30d", "hours_watched_30d"),
        ("_id and __x__", r"\_id and \_\_x\_\_"),
        ("#12 costs $5", r"#&#8203;12 costs \$5"),
        ("change -0.1 (-0.2 to +0.1)", "change -0.1 (-0.2 to +0.1)"),
    ],
)
def test_only_what_markdown_reads_is_escaped(given: str, written: str) -> None:
    """Text stays legible as it is written: nothing is escaped without need."""
    assert safe(given) == written


def test_bundle_has_three_forms() -> None:
    """A notebook front end can choose HTML, Markdown or plain text."""
    bundle = mimebundle(diagnoses.quiet())
    assert list(bundle) == ["text/html", "text/markdown", "text/plain"]
    assert "NO INCIDENT" in bundle["text/plain"]
