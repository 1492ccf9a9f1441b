"""The command line: what it prints where, and with which exit status."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import resource
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import ruleout
from ruleout import _records as records
from ruleout._errors import IncidentError, MissingExtra, SourceError, Unreachable, Untrusted
from ruleout._records import Diagnosis
from ruleout.cli import _answer
from ruleout.cli._main import main
from ruleout.cli._progress import Progress
from ruleout.incident import Incident
from ruleout.postmortem._codec import decode

NOTHING = records.Subject()


def canned(incident: Incident) -> Diagnosis:
    """An inconclusive diagnosis of any incident."""
    return Diagnosis(
        incident=records.IncidentRef(incident.title, incident.task, "0" * 64),
        symptom=records.Symptom("accuracy", 0.9, 0.8, -0.1, -0.12, -0.08, True, None, "mature"),
        verdict="inconclusive",
        layers={"data": 0.4, "unknown": 0.6},
        hypotheses=(records.Hypothesis(1, "unit_change", "data", NOTHING, 0.4, "possible"),),
        ruled_out=(),
        not_checked=(),
        next_evidence=(),
        safeguard_gaps=(),
        evidence=(),
        changes=(),
        run=records.Run(ruleout.__version__, 0.1, 10.0, ()),
    )


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The engine's place is taken by one that notes what it was asked."""
    seen: list[dict[str, Any]] = []

    def diagnose(incident: Incident, **options: Any) -> Diagnosis:
        seen.append({"incident": incident, **options})
        return canned(incident)

    monkeypatch.setattr(_answer, "diagnose", diagnose)
    return seen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "incident.yaml").write_text(
        "title: Sinking ☂\ndata: {reference: a.parquet, current: b.parquet}\n"
    )
    return tmp_path


def fails_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def diagnose(incident: Incident, **options: Any) -> Diagnosis:
        raise error

    monkeypatch.setattr(_answer, "diagnose", diagnose)


def test_an_answer_on_the_terminal(
    calls: list[dict[str, Any]], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`diagnose FOLDER` prints the answer on standard output and nothing on standard error; the status is 0."""
    assert main(["diagnose", str(folder), "--trust-model", "--seed", "7"]) == 0
    printed = capsys.readouterr()
    assert "Sinking ☂" in printed.out
    assert printed.err == ""
    assert calls[0]["trust_model"] is True
    assert calls[0]["seed"] == 7


def test_files_are_written(
    calls: list[dict[str, Any]], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON, HTML and Markdown go to the files that are named; --quiet then leaves the terminal alone."""
    files = {form: folder / f"d.{form}" for form in ("json", "html", "markdown")}
    words = [word for form, file in files.items() for word in (f"--{form}", str(file))]
    assert main(["diagnose", str(folder / "incident.yaml"), *words, "--quiet"]) == 0
    assert decode(files["json"].read_text(encoding="utf-8")).incident.title == "Sinking ☂"
    assert "Sinking ☂" in files["markdown"].read_text(encoding="utf-8")
    assert files["html"].read_text(encoding="utf-8").lstrip().startswith("<!")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")


def test_json_on_standard_output(
    calls: list[dict[str, Any]], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--json -` puts JSON alone on standard output."""
    assert main(["diagnose", str(folder), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == 1


def test_quiet_without_files_still_answers(
    calls: list[dict[str, Any]], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--quiet alone does not swallow the only answer."""
    assert main(["diagnose", str(folder), "--quiet"]) == 0
    assert "Sinking" in capsys.readouterr().out


def test_tables_without_a_file(calls: list[dict[str, Any]]) -> None:
    """Tables and roles on the command line make the same incident as a file would."""
    words = shlex.split(
        "diagnose --reference a.parquet --current sqlite:///b.db --current-table t --target y --prediction p "
        "--score s --positive 1 --timestamp ts --features a,b --segments host --scores cat=p_cat,dog=p_dog "
        "--task binary --noticed-at 2026-01-01 --reference-window 2026-01-01 2026-01-02 --model m.onnx "
        "--threshold 0.4 --changes c.csv --label-available-at la"
    )
    assert main(words) == 0
    incident: Incident = calls[0]["incident"]
    columns = incident.data.columns
    assert incident.data.reference is not None
    assert incident.data.current is not None
    assert (incident.data.reference.uri, incident.data.current.table) == ("a.parquet", "t")
    assert (columns.target, columns.positive, columns.features) == ("y", 1, ("a", "b"))
    assert columns.scores == {"cat": "p_cat", "dog": "p_dog"}
    assert columns.label_available_at == "la"
    assert incident.models["current"].threshold == 0.4
    assert incident.reference_window is not None
    assert incident.symptom.noticed_at == 1767225600.0
    assert incident.changes is not None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["diagnose"], "nothing to diagnose"),
        (["diagnose", "nowhere"], "nowhere does not exist"),
        (["diagnose", "FOLDER", "--target", "y"], "--target describes tables"),
        (["diagnose", "FOLDER", "--json", "no/such/folder/d.json"], "--json is 'no/such/folder/d.json'"),
        (["diagnose", "FOLDER", "--json", "FOLDER"], "it is a folder"),
        (["diagnose", "FOLDER", "--html", "-"], "--html is '-'"),
        (["diagnose", "--reference", "a.csv", "--task", "binry"], "did you mean 'binary'?"),
        (["diagnose", "--reference", "a.csv", "--scores", "cat"], "CLASS=COLUMN"),
        (["diagnose", "--current", "a.csv", "--noticed-at", "soon"], "command line: symptom.noticed_at is 'soon'"),
        (["modes", "unit_chang"], "did you mean 'unit_change'?"),
        (["demo", "imges"], "imges"),
    ],
)  # fmt: skip
def test_mistakes_have_status_2(
    words: list[str],
    told: str,
    calls: list[dict[str, Any]],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A wrong command or incident is answered on standard error in one line, with status 2, before any work."""
    assert main([word.replace("FOLDER", str(folder)) for word in words]) == 2
    printed = capsys.readouterr()
    assert told in printed.err
    assert printed.err.startswith("ruleout: ")
    assert printed.out == ""
    assert not calls


def test_what_argparse_refuses_has_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    """No command, an unknown command or option and a seed that is none have status 2 as well."""
    for words in (
        [],
        ["diagnos"],
        ["diagnose", "--jsn", "x"],
        ["diagnose", "x", "--seed", "-1"],
        ["fit", "x", "--seed", "one"],
        ["inject", "x", "unit_change", "--out", "y", "--seed", "1.5"],
    ):
        with pytest.raises(SystemExit) as left:
            main(words)
        assert left.value.code == 2
    assert "diagnose" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (IncidentError("x"), 2),
        (Untrusted("x"), 2),
        (MissingExtra("x"), 2),
        (Unreachable("x"), 3),
        (SourceError("x"), 3),
        (KeyboardInterrupt(), 130),
        (ValueError("x"), 70),
    ],
)
def test_errors_and_their_status(
    error: BaseException, status: int, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    """A bad incident is 2, a source that cannot be read 3, an interruption 130, a bug 70."""
    fails_with(monkeypatch, error)
    assert main(["diagnose", str(folder)]) == status


def test_nothing_could_be_read(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where every source failed there is no diagnosis, status 3; where one was read there is, status 0."""
    failed = records.SourceStatus("telemetry.metrics", "failed", reason="m.parquet does not exist")
    read = records.SourceStatus("telemetry.logs", "ok", rows=5)
    for sources, status in (((failed,), 3), ((failed, read), 0), ((), 0)):

        def diagnose(incident: Incident, sources: Any = sources, **options: Any) -> Diagnosis:
            run = records.Run(ruleout.__version__, 0.1, 10.0, sources)
            return dataclasses.replace(canned(incident), run=run)

        monkeypatch.setattr(_answer, "diagnose", diagnose)
        assert main(["diagnose", str(folder)]) == status
        told = f"{folder / 'incident.yaml'}: no source could be read, so nothing was checked: telemetry.metrics: m.p"
        assert (told in capsys.readouterr().err) == (status == 3)


def test_a_bug_is_called_a_bug(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unforeseen error is said to be ruleout's own; its traceback is behind RULEOUT_DEBUG."""
    fails_with(monkeypatch, ZeroDivisionError("division by zero"))
    assert main(["diagnose", str(folder)]) == 70
    told = capsys.readouterr().err
    assert "a bug in ruleout" in told
    assert "Traceback" not in told
    monkeypatch.setenv("RULEOUT_DEBUG", "1")
    assert main(["diagnose", str(folder)]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_schema_and_modes(capsys: pytest.CaptureFixture[str]) -> None:
    """`schema` prints a JSON Schema, `modes` a line for every mode, `modes ID` all about one."""
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["$defs"]["Diagnosis"]
    assert main(["modes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 71
    assert main(["modes", "unit_change"]) == 0
    page = capsys.readouterr().out
    assert "D11" in page
    assert "What parts them:" in page


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` works for every command, and the top help lists them all."""
    for words in ([], ["diagnose"], ["init"], ["demo"], ["modes"], ["schema"], ["bench"]):
        with pytest.raises(SystemExit) as left:
            main([*words, "--help"])
        assert left.value.code == 0
        told = capsys.readouterr().out
        assert "usage: ruleout" in told
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"ruleout {ruleout.__version__}\n"


def ruleout_command(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-c",
        "import sys; from ruleout.cli._main import main; sys.exit(main())",
        *words,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_help_is_fast() -> None:
    """`ruleout --help` takes less than 0.3 s of CPU and imports nothing heavy."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ruleout_command("--help").returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < 0.3
    code = "import sys; import ruleout.cli._main; print({'numpy', 'polars', 'rich', 'yaml'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_reader_that_leaves() -> None:
    """`ruleout schema | head -1` ends without a complaint."""
    code = "import sys; from ruleout.cli._main import main; sys.exit(main(['schema']))"
    pipe = f'{sys.executable} -c "{code}" | head -c 1; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", pipe], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode in (0, 141)


def test_a_terminal_that_knows_only_ascii(folder: Path) -> None:
    """In a C locale, signs that cannot be shown are replaced; there is no traceback."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    (folder / "incident.yaml").write_text(
        "title: ☂\ntelemetry: {metrics: none.csv}\n", encoding="utf-8"
    )
    done = ruleout_command("diagnose", str(folder), env=environment)
    assert done.returncode in (0, 3)
    assert "Traceback" not in done.stderr


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_when_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that outlasts the user's patience is named on the terminal, and wiped at the end."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr("ruleout.cli._progress._PATIENCE_SECONDS", 0.0)
    with Progress(quiet=False) as progress:
        progress.timer.join()
        progress("undoing\nthe unit")
    assert "undoing the unit" in screen.getvalue()
    assert screen.getvalue().endswith("\r\x1b[K")


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_not_for_files_or_the_quiet(
    monkeypatch: pytest.MonkeyPatch, *, terminal: bool
) -> None:
    """Nothing is written when standard error is no terminal, or with --quiet."""
    screen = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr("ruleout.cli._progress._PATIENCE_SECONDS", 0.0)
    with Progress(quiet=terminal) as progress:
        progress.timer.join(0.05) if progress.timer.is_alive() else None
        progress("working")
    assert screen.getvalue() == ""


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rng = np.random.default_rng(0)
    for name in ("before", "after"):
        x = rng.normal(size=600)
        y = x + rng.normal(size=600) > 0
        p = 1 / (1 + np.exp(-2 * x))
        frame = {
            "x": x if name == "before" else x * 1000,
            "label": y,
            "score": p,
            "prediction": p > 0.5,
        }
        pl.DataFrame(frame).write_parquet(tmp_path / f"{name}.parquet")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_init_writes_an_incident_that_can_be_diagnosed(
    tables: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`init` says what it guessed and why, and what it wrote is diagnosed for real."""
    assert main(["init", "before.parquet", "after.parquet", "-o", "case", "--title", "Down"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"target +label: its name says so", told)
    assert "task: binary; features: 1 other column (x)" in told
    assert main(["diagnose", "case", "--json", "case/d.json", "--quiet"]) == 0
    diagnosis = decode((tables / "case" / "d.json").read_text())
    assert diagnosis.incident.task == "binary"
    assert main(["init", "before.parquet", "after.parquet", "-o", "my case"]) == 0
    assert capsys.readouterr().out.endswith("run: ruleout diagnose 'my case'\n")
    assert "run: ruleout diagnose 'my case'\n" in Path("my case/incident.yaml").read_text()
    assert main(["init", "before.parquet", "after.parquet", "-o", "case"]) == 2
    assert "--force" in capsys.readouterr().err
    assert main(["init", "before.parquet", "before.parquet", "-o", "other"]) == 2
    assert main(["init", "before.parquet", "none.parquet", "-o", "other"]) == 3


def test_the_three_ways_in_agree(tables: Path) -> None:
    """The folder and the command line give the same diagnosis; twice the same bytes, apart from the run."""
    Path("incident.yaml").write_text(
        "title: Reference against current\ndata:\n  reference: before.parquet\n  current: after.parquet\n"
        "  columns: {target: label, prediction: prediction, score: score, positive: true}\n"
    )
    options = shlex.split("--target label --prediction prediction --score score --positive true")
    found = []
    for words in (
        ["."],
        ["."],
        ["--reference", "before.parquet", "--current", "after.parquet", *options],
    ):
        assert main(["diagnose", *words, "--json", "d.json", "--quiet"]) == 0
        found.append(json.loads(Path("d.json").read_text()) | {"run": None})
    assert found[0] == found[1] == found[2]


def test_the_number_of_threads_does_not_matter(tables: Path) -> None:
    """One polars thread and two give the same JSON, byte for byte, apart from the run."""
    words = shlex.split(
        "diagnose --reference before.parquet --current after.parquet --target label --prediction prediction "
        "--score score --json -"
    )
    texts = []
    for threads in ("1", "2"):
        environment = {**os.environ, "POLARS_MAX_THREADS": threads, "PYTHONHASHSEED": threads}
        done = ruleout_command(*words, env=environment)
        assert done.returncode == 0, done.stderr
        texts.append(done.stdout.partition('\n  "run":')[0])
    assert texts[0] == texts[1]
    assert texts[0].startswith('{\n  "version": 1')


def test_the_package_runs_as_a_module() -> None:
    """`python -m ruleout` is the same command, for where the script is not on the path."""
    done = subprocess.run(
        [sys.executable, "-m", "ruleout", "--version"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stdout.split()[-1] == ruleout.__version__


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["diagnose", "before.parquet"], "before.parquet is a table, not an incident"),
        (
            ["diagnose", "--reference", "before.parquet"],
            "--current is missing; give the other table",
        ),
        (
            ["diagnose", "--current", "after.parquet"],
            "--reference is missing; give the other table",
        ),
        (["init", "before.parquet", "none.parquet"], "CURRENT: none.parquet has no rows"),
    ],
)
def test_says_what_to_give_instead(
    arguments: list[str], said: str, tables: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tables where an incident belongs, half of a pair and an empty table are named, with the way out."""
    pl.read_parquet(tables / "before.parquet").head(0).write_parquet(tables / "none.parquet")
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told


def test_init_names_the_features_and_the_tables(
    tables: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What will be taken for an input is told by name, and a report's title says which tables it is about."""
    wide = [pl.Series(f"f{i}", [0, 1] * 5) for i in range(14)]
    for name in ("before", "after"):
        pl.DataFrame(wide).write_parquet(tables / f"{name}-wide.parquet")
    assert main(["init", "before-wide.parquet", "after-wide.parquet", "-o", "wide"]) == 0
    assert "14 other columns (f0, f1, " in (told := capsys.readouterr().out)
    assert "and 2 more)" in told
    file = (tables / "wide" / "incident.yaml").read_text()
    assert "title: after-wide.parquet against before-wide.parquet" in file


def test_init_says_which_columns_hold_numbers_as_text(
    tables: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A decimal comma makes a column of categories out of one of numbers; codes and words are left alone."""
    frame = pl.DataFrame(
        {
            "amount": ["1.204,50", "88,24", "-3,10"] * 4,
            "^a.*$": [1.0, 2.0, 3.0] * 4,
            "zip": ["01000", "01001", "01002"] * 4,
            "list": ["1,2,3", "4,5,6", "7,8,9"] * 4,
        }
    )
    for name in ("before", "after"):
        frame.write_parquet(tables / f"{name}-comma.parquet")
    assert main(["init", "before-comma.parquet", "after-comma.parquet", "-o", "comma"]) == 0
    assert "numbers as text: amount; write them with a decimal point" in capsys.readouterr().out
