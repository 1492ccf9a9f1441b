"""The Python door: what may be given, and what the answer can be turned into."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import polars as pl
import pytest

import ruleout
from linked_world import ROLES, broken, quiet


@pytest.fixture(scope="module")
def answer() -> ruleout.Answer:
    """The diagnosis of a changed unit."""
    reference, current = broken(pl.col("income") * 1000, n=2000)
    return ruleout.diagnose(reference=reference, current=current, task="binary", **ROLES)


@pytest.mark.parametrize("ending", [".html", ".json", ".md"])
def test_the_ending_chooses_the_format(answer: ruleout.Answer, tmp_path: Path, ending: str) -> None:
    """A saved report is what the method of that format gives, and its path comes back."""
    place = answer.save(tmp_path / f"report{ending}")
    written = {".html": answer.to_html, ".json": answer.to_json, ".md": answer.to_markdown}
    assert place.read_text(encoding="utf-8") == written[ending]()


def test_an_unknown_ending_is_refused_with_the_known(
    answer: ruleout.Answer, tmp_path: Path
) -> None:
    """The error names the file and the endings that there are, and nothing is written."""
    with pytest.raises(ValueError, match=r"report\.pdf.*\.html, \.json, \.md"):
        answer.save(tmp_path / "report.pdf")
    assert not list(tmp_path.iterdir())


def test_the_answer_prints_as_a_report(answer: ruleout.Answer) -> None:
    """As text, it names the cause's input, without control codes of a terminal."""
    told = str(answer)
    assert "income" in told
    assert "\x1b" not in told


def test_a_prompt_shows_one_line(answer: ruleout.Answer) -> None:
    """At a prompt, an answer is a line with its verdict, not all evidence and charts."""
    shown = repr(answer)
    assert answer.verdict in shown
    assert answer.hypotheses[0].failure_mode in shown
    assert len(shown) < 120
    assert "\n" not in shown


def test_a_notebook_shows_a_page(answer: ruleout.Answer) -> None:
    """In a notebook the answer is HTML that names the cause."""
    shown = answer._repr_html_()
    assert shown.lstrip().startswith("<")
    assert "income" in shown


def test_the_page_needs_nothing_from_elsewhere(answer: ruleout.Answer) -> None:
    """The saved page loads no script, style or image from anywhere."""
    page = answer.to_html()
    assert "<script src" not in page
    assert "<link rel" not in page
    assert 'src="http' not in page


def test_short_cuts_are_the_diagnosis(answer: ruleout.Answer) -> None:
    """Verdict and hypotheses of the answer are those of its diagnosis and of its JSON."""
    told = json.loads(answer.to_json())
    assert answer.verdict == answer.diagnosis.verdict == told["verdict"]
    assert [h.failure_mode for h in answer.hypotheses] == [
        h["failure_mode"] for h in told["hypotheses"]
    ]


def test_neither_or_both_of_folder_and_tables_is_an_error(tmp_path: Path) -> None:
    """Either a folder or tables: nothing, and both at once, are refused."""
    frame = pl.DataFrame({"x": [1]})
    with pytest.raises(TypeError, match="either an incident folder"):
        ruleout.diagnose()
    with pytest.raises(TypeError, match="either an incident folder"):
        ruleout.diagnose(tmp_path, current=frame)


def test_a_folder_takes_no_roles(tmp_path: Path) -> None:
    """Roles beside a folder are refused by name, with the place where they belong."""
    with pytest.raises(TypeError, match=r"target: .*incident\.yaml"):
        ruleout.diagnose(tmp_path, target="y")


def test_a_folder_without_an_incident_is_named(tmp_path: Path) -> None:
    """A folder in which there is no incident is an error that names it."""
    with pytest.raises(ruleout.IncidentError, match=tmp_path.name):
        ruleout.diagnose(tmp_path)


def test_an_absent_column_is_named() -> None:
    """A role that points at no column is an error that says which."""
    reference, current = quiet(100)
    with pytest.raises(ruleout.IncidentError, match="outcome"):
        ruleout.diagnose(reference=reference, current=current, target="outcome")


def test_an_unknown_role_is_named() -> None:
    """A role that does not exist is an error that says which."""
    reference, current = quiet(100)
    with pytest.raises(ruleout.IncidentError, match="tarket"):
        ruleout.diagnose(reference=reference, current=current, tarket="label")


def test_paths_and_frames_are_one(tmp_path: Path) -> None:
    """Tables given as files are diagnosed as the frames that they hold."""
    told = []
    reference, current = quiet(500)
    for name, frame in (("reference", reference), ("current", current)):
        frame.write_parquet(tmp_path / f"{name}.parquet")
    paths = tmp_path / "reference.parquet", tmp_path / "current.parquet"
    for one, two in ((reference, current), paths):
        made = ruleout.diagnose(reference=one, current=two, task="binary", **ROLES)
        told.append([(h.failure_mode, h.probability) for h in made.hypotheses])
    assert told[0] == told[1]


@pytest.mark.parametrize("name", ruleout.__all__)
def test_every_public_name_is_there(name: str) -> None:
    """What the package lists can be had from it, and is listed with its home."""
    assert getattr(ruleout, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A name that the package does not have is an error that lists those it has."""
    with pytest.raises(AttributeError, match=r"'nothing'.*diagnose"):
        _ = ruleout.nothing


def test_importing_the_package_is_light() -> None:
    """The heavy parts are imported on first use, not with the package."""
    code = (
        "import sys, ruleout; print([m for m in ('polars', 'rich', 'numpy') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize("seed", [-1, "x", None, 1.5])
def test_a_seed_is_a_whole_number(seed: object) -> None:
    """Another one is refused by its value."""
    reference, current = quiet()
    with pytest.raises(ruleout.IncidentError, match=f"seed is {seed!r}; it must be a whole number"):
        ruleout.diagnose(reference=reference, current=current, seed=seed, **ROLES)


def test_the_table_of_forms_is_true(
    answer: ruleout.Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every Python expression in the documentation's table of forms works on what `diagnose` returns."""
    page = (Path(__file__).parents[1] / "docs" / "report.md").read_text(encoding="utf-8")
    table = page.partition("| form | command | Python |")[2].partition("\n\n")[0]
    cells = [line.split("|")[3] for line in table.splitlines() if line.count("|") == 4]
    told = [code for cell in cells for code in re.findall(r"`([^`]+\))`", cell)]
    assert len(told) == 7
    monkeypatch.chdir(tmp_path)
    for code in told:
        eval(code, {"diagnosis": answer})  # noqa: S307 - it is our own page
    assert {p.name for p in tmp_path.iterdir()} == {"report.html", "ticket.md", "diagnosis.json"}


def test_a_chart_becomes_a_picture(answer: ruleout.Answer) -> None:
    """The documentation says where the charts are and what draws one."""
    from ruleout import postmortem

    drawn = [c for c in answer.diagnosis.charts.values() if c["kind"] == "metric_over_time"]
    assert postmortem.svg(drawn[0]).startswith("<svg")


def test_lazy_frames_are_taken_without_a_warning() -> None:
    """Nothing asks a lazy frame for its columns in the way that polars calls expensive."""
    reference, current = (frame.lazy() for frame in quiet(n=300))
    with warnings.catch_warnings():
        warnings.simplefilter("error", pl.exceptions.PerformanceWarning)
        answer = ruleout.diagnose(reference=reference, current=current, **ROLES)
    assert answer.diagnosis.incident.task == "binary"
