"""Reading diffs, and weighing changes against each other."""

from __future__ import annotations

from collections import Counter

import pytest

from ruleout.attribution.services._diffs import read_diff
from ruleout.attribution.services._suspects import Scene, suspects
from ruleout.sources._changes import Change

GUARD = "-\tif user == nil {\n-\t\treturn guest\n-\t}\n \treturn user.Name\n"
MOVED = (
    "-\tfor _, c := range all {\n-\t\tsum += c.price * c.count\n-\t}\n"
    "+\tfor _, c := range all {\n+\t\tsum += costOf(c)\n+\t}\n"
    "+func costOf(c item) float64 {\n+\treturn c.price * c.count\n+}\n"
)


@pytest.mark.parametrize(
    ("diff", "word"),
    [
        (GUARD, "guards lost"),
        ("-timeout: 5000\n+timeout: 200\n", "constant"),
        ("-  level: info\n+  level: debug\n", "setting"),
        ("-\tORDER BY score LIMIT 50\n+\tORDER BY score\n", "lost: LIMIT"),
        (" for _, id := range ids {\n+\titem := store.FetchItem(ctx, id)\n }\n", "in a loop"),
        ('-\t"title": text,\n+\t"name": text,\n', "renamed"),
        ("-\tregisterHandlers(registry)\n", "registerHandlers"),
        ("+ALTER TABLE users DROP COLUMN age\n", "brings"),
        ("-\tfor i := 0; i < n; i++ {\n+\tfor i := 0; i <= n; i++ {\n", "operator"),
        ("-\tclient.Call(true)\n+\tclient.Call(false)\n", "switched off"),
        ("+\tsessionCache[key] = value\n", "keeps"),
        ("-\tawait queue.flush()\n+\tqueue.flush()\n", "guards lost"),
    ],
)
def test_what_a_diff_breaks_is_named(diff: str, word: str) -> None:
    """Lost guards, changed constants and added work are found and named."""
    risk = read_diff(diff, "services/user/main.go")
    assert risk.score >= 0.8
    assert any(word in reason for reason in risk.reasons)


@pytest.mark.parametrize(
    "diff",
    [
        MOVED,
        '-\tlog.Printf("got %d", n)\n+\tlogger.Info("got", "n", n)\n',
        "-// old words\n+// new words\n",
        "-.button { color: #fff; }\n+.button { color: #123456; }\n",
    ],
)
def test_a_diff_that_moves_code_about_is_no_risk(diff: str) -> None:
    """Moved code, other log lines, comments and colours score far below a lost guard."""
    assert read_diff(diff, "services/user/main.go").score < 0.5 * read_diff(GUARD, "a.go").score


def test_a_small_constant_weighs_less_than_a_large_one() -> None:
    """A cache of 60,000 instead of 50,000 entries is less of a risk than one of 500."""
    small = read_diff("-size: 50000\n+size: 60000\n", "c.yaml")
    large = read_diff("-size: 50000\n+size: 500\n", "c.yaml")
    assert small.score < 0.5 < large.score


def _scene(onset: float = 1000.0, *, gradual: bool = False) -> Scene:
    return Scene(
        (onset,), gradual, {"pay": 0.9}, frozenset({"pay"}), Counter({"nil": 3, "guest": 2})
    )


def _change(name: str, at: float, entity: str, diff: str = "", kind: str = "deploy") -> Change:
    return Change(name, at, kind, entity, "tidy", f"ref-{name}", diff)


def test_the_change_that_lost_a_guard_where_it_hurts_comes_first() -> None:
    """Place and content beat being the most recent."""
    events = [
        _change("C1", 900.0, "pay", GUARD),
        _change("C2", 990.0, "web", MOVED),
        _change("C3", 960.0, "pay", MOVED),
    ]
    assert suspects(events, _scene())[0].change.id == "C1"


def test_what_came_after_the_onset_did_not_do_it() -> None:
    """A risky change after the symptom began ranks below a harmless one before it."""
    events = [_change("C1", 900.0, "pay", MOVED), _change("C2", 1500.0, "pay", GUARD)]
    assert suspects(events, _scene())[0].change.id == "C1"


def test_a_creeping_symptom_looks_further_back() -> None:
    """A change two hours back is blamed more when the symptom crept."""
    event = [_change("C1", 1000.0, "pay", GUARD)]
    slow = suspects(event, _scene(8200.0, gradual=True))[0].score
    assert slow > suspects(event, _scene(8200.0))[0].score + 1


def test_a_commit_and_its_deploy_are_one_suspect() -> None:
    """Events of one reference are judged together: the commit's diff at the deploy's time."""
    commit = Change("C1", 500.0, "commit", "services/pay/a.go", "tidy", "abc", GUARD)
    deploy = Change("C2", 950.0, "deploy", "pay", "v2", "abc", None)
    only = suspects([commit, deploy], _scene())
    assert len(only) == 1
    assert only[0].change.id == "C2"
    assert only[0].ids == ("C1", "C2")
    assert only[0].risk.score >= 0.8
