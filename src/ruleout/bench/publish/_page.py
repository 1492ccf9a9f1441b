"""The page: tables and charts from a run's folder, and what they mean."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruleout import modes
from ruleout._errors import RuleoutError
from ruleout.bench._run import ABOUT, DESIGNS, RESULTS
from ruleout.bench._score import Result, read_results, write_results
from ruleout.bench.corpus import manifest_recipes
from ruleout.bench.fit._design import Design, read_designs
from ruleout.bench.publish import _charts as charts
from ruleout.bench.publish import _figures as figures
from ruleout.bench.publish._fitting import fitting

_TARGETS = (
    ("top-1", "at least 0.92"),
    ("top-3", "at least 0.98"),
    ("false accusations", "at most 1%"),
    ("ECE where the truth can be told", "at most 0.04"),
    ("right at 90% coverage", "at least 0.97"),
    ("both of two causes", "at least 0.80"),
)
_MAPPINGS = {
    "most recent change": "change event nearest to the start of the current window: model -> wrong version, schema -> schema "
    "change, calendar or chaos -> planned event, others -> change regression; no change log, no answer",
    "largest PSI": "feature of the largest population stability index -> covariate shift of it; calm below 0.2",
    "largest KS": "feature of the largest KS distance -> covariate shift of it; calm where none is significant",
    "largest z-score": "numeric feature whose mean moved most -> covariate shift of it; calm below 3",
    "commonest cause": "the three commonest causes of these very incidents, always; subject of the largest PSI",
    "random": "three modes of the catalogue and features by chance",
    "evidently": "0.7.23, DataDriftPreset: drifted input -> covariate shift, drifted target -> prior shift; calm when nothing drifts",
    "nannyml": "0.13.1, univariate drift and AlertCountRanker: input with alerts -> covariate shift; calm without alerts",
    "dowhy": "0.14, distribution_change of the row-wise error: input -> covariate shift, the error's own mechanism -> concept "
    "drift; 800 rows and 10 inputs; never calm",
    "wherefore": "0.4.0, served features against the parity probe by key: its patterns -> the modes of the same meaning; "
    "without a parity probe no answer",
}


@dataclass(frozen=True)
class Corpus:
    """A folder of a run, read."""

    name: str
    results: list[Result]
    designs: list[Design]
    about: Mapping[str, Any]
    peers: Mapping[str, list[Result]]


def read(folder: Path) -> Corpus:
    """Read what `bench run` (or `bench score --out`) wrote.

    Raises:
        RuleoutError: there are no results.
    """
    if not (folder / RESULTS).is_file():
        raise RuleoutError(
            f"{folder} has no {RESULTS}; write it with 'ruleout bench run --out {folder}'"
        )
    about = folder / ABOUT
    designs = folder / DESIGNS
    return Corpus(
        folder.name,
        read_results(folder / RESULTS),
        read_designs(designs) if designs.is_file() else [],
        json.loads(about.read_text(encoding="utf-8")) if about.is_file() else {},
        {
            p.stem.removeprefix("peer-").replace("_", " "): read_results(p)
            for p in sorted(folder.glob("peer-*.jsonl"))
        },
    )


def write_page(folder: Path, out: Path, also: Sequence[Path] = ()) -> Path:
    """Write `out/benchmark.md`, its charts and its results in `out/benchmark/`, from the run in `folder`.

    Args:
        folder: what `ruleout bench run` wrote; the page's main figures.
        out: folder of the page.
        also: scored corpora for rows of their own, such as the one the engine was developed on.
    """
    main, others = read(folder), [read(f) for f in also]
    pictures = out / "benchmark"
    pictures.mkdir(parents=True, exist_ok=True)
    for old in pictures.glob("*.svg"):
        old.unlink()
    # Beside the page, so that anyone can count again.
    write_results(pictures / RESULTS, sorted(main.results, key=lambda r: r.name))
    page = "\n".join([*_text(main, others, _Pictures(pictures)), ""])
    target = out / "benchmark.md"
    target.write_text(page, encoding="utf-8")
    return target


class _Pictures:
    """Writes charts and says how the page shows them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def show(self, name: str, picture: str, told: str) -> str:
        (self.folder / f"{name}.svg").write_text(picture + "\n", encoding="utf-8")
        return f"![{told}](benchmark/{name}.svg)"


def _text(main: Corpus, others: Sequence[Corpus], pictures: _Pictures) -> Iterator[str]:
    yield from _head(main, others)
    yield from _modes(main, pictures)
    yield from _groups(main, pictures)
    yield from _certainty(main, pictures)
    yield from _hard(main)
    yield from _cost(main)
    yield from _peers(main, pictures)
    yield from fitting([d for c in (main, *others) for d in c.designs])
    yield from _mistakes(main)
    yield from _reading()


def table(rows: Sequence[Mapping[str, str]], first: str, names: Sequence[str]) -> Iterator[str]:
    """A Markdown table: one row a name, columns as in the first row."""
    columns = list(rows[0]) if rows else []
    yield f"| {first} | " + " | ".join(columns) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    for name, row in zip(names, rows, strict=True):
        yield f"| {name} | " + " | ".join(row[c] for c in columns) + " |"
    yield ""


def _head(main: Corpus, others: Sequence[Corpus]) -> Iterator[str]:
    about = main.about
    yield "# Benchmark"
    yield ""
    yield (
        "Incidents with known causes, made by injecting faults into real and generated systems, and what `ruleout` says of "
        "them. This page is generated; every number on it comes from the results of the run below."
    )
    yield ""
    yield "```"
    yield str(about.get("command", "ruleout bench run"))
    yield "ruleout bench publish RUN"
    yield "```"
    yield ""
    yield (
        f"Version {about.get('version', '?')}, {about.get('date', '?')}, manifest {about.get('manifest', '?')}, seed "
        f"{about.get('seed', '?')}: of the manifest's {len(manifest_recipes()):,} lines {about.get('asked', len(main.results))} "
        f"were asked for, {about.get('made', len(main.results))} could be made so that the fault hurts, and "
        f"{len(main.results)} are scored."
    )
    yield ""
    for corpus in (main, *others):
        if corpus.about.get("note"):
            yield f"- `{corpus.name}`: {corpus.about['note']}"
    yield ""
    corpora = [main, *others]
    told = [figures.headline(c.results) for c in corpora]
    flipped = [{c.name: row[key] for c, row in zip(corpora, told, strict=True)} for key in told[0]]
    yield from table(flipped, "figure", list(told[0]))
    yield (
        "Top-1 asks for mode *and* subject, on incidents of one cause that can be told from the evidence handed over. "
        "Intervals are 95%, from resampling modes."
    )
    yield ""
    aims = [{"aim": aim, "reached": told[0][key]} for key, aim in _TARGETS]
    yield from table(aims, "aim of this benchmark", [key for key, _ in _TARGETS])


def _modes(main: Corpus, pictures: _Pictures) -> Iterator[str]:
    yield "## By failure mode"
    yield ""
    single = [r for r in main.results if r.second is None]
    groups = figures.by([r for r in single if r.identifiable], lambda r: (r.mode,))
    layers = figures.by(single, lambda r: (r.layer,))
    for layer in layers:
        some = {m: g for m, g in groups.items() if g[0].layer == layer}
        for k in range(0, len(some), 24):
            part = dict(list(some.items())[k : k + 24])
            title = f"Found first: {'nothing to blame' if layer == 'none' else layer}"
            name = f"modes-{layer}" + (f"-{k // 24 + 1}" if k else "")
            yield pictures.show(name, charts.intervals(title, part, figures.right), title)
    yield ""
    rows = [
        {
            "n": str(len(g)),
            "top-1": str(figures.share(g, figures.right)),
            "top-3": f"{figures.share(g, figures.in_three).value:.2f}",
            "mode": f"{figures.share(g, lambda r: r.right_mode).value:.2f}",
            "taken for": _taken(g),
        }
        for g in groups.values()
    ]
    yield from table(rows, "mode", [f"`{m}`" for m in groups])


def _taken(results: Sequence[Result]) -> str:
    wrong = [r.answer for r in results if not r.right_mode]
    counted = sorted(
        {w: wrong.count(w) for w in wrong}.items(), key=lambda item: (-item[1], item[0])
    )
    return ", ".join(f"{name} {n}" for name, n in counted[:3])


def _groups(main: Corpus, pictures: _Pictures) -> Iterator[str]:
    single = figures.faults(main.results)
    keys = (
        ("layer", lambda r: (r.layer,)),
        ("data set", lambda r: (r.dataset,)),
        ("kind of model", lambda r: (r.model,)),
    )
    for what, key in keys:
        groups = figures.by(single, key)
        yield f"## By {what}"
        yield ""
        title = f"Found first, by {what}"
        name = f"by-{what.replace(' ', '-')}"
        yield pictures.show(name, charts.intervals(title, groups, figures.right), title)
        yield ""
        rows = [
            {
                "n": str(len(g)),
                "top-1": str(figures.share(g, figures.right)),
                "top-3": str(figures.share(g, figures.in_three)),
            }
            for g in groups.values()
        ]
        yield from table(rows, what, list(groups))


def _certainty(main: Corpus, pictures: _Pictures) -> Iterator[str]:
    yield "## Do the probabilities mean what they say?"
    yield ""
    clear = [r for r in main.results if r.identifiable]
    yield pictures.show("reliability", charts.reliability(clear), "Reliability plot")
    yield pictures.show("risk", charts.risk(clear), "Risk against coverage")
    yield ""
    yield "Both charts and the table hold the incidents whose truth can be told; where two modes cannot be parted by anybody, "
    yield "they share their mass, and either counts as right."
    yield ""
    bins = figures.reliability(clear)
    rows = [{"said": f"{b.said:.2f}", "right": f"{b.seen:.2f}", "n": str(b.n)} for b in bins]
    yield from table(rows, "bin", [str(k + 1) for k in range(len(bins))])


def _hard(main: Corpus) -> Iterator[str]:
    yield "## Herrings, missing sources, two causes"
    yield ""
    single = figures.faults(main.results)
    tagged = figures.by(single, lambda r: r.tags)
    plain = [r for r in single if not r.tags]
    groups = {"nothing special": plain, **tagged}
    rows = [
        {
            "n": str(len(g)),
            "top-1": str(figures.share(g, figures.right)),
            "top-3": str(figures.share(g, figures.in_three)),
        }
        for g in groups.values()
    ]
    yield from table(
        rows, "incidents", [f"`{name}`" if name in tagged else name for name in groups]
    )
    yield (
        "`herring`: coincident deploys and a large harmless drift beside the fault. `no_...`: that part was not handed over; "
        "`kit_bare` is two tables and nothing else."
    )
    yield ""
    yield from _twins(main)
    two = figures.doubles(main.results)
    if two:
        either = figures.share(two, figures.right)
        both = figures.share(two, lambda r: r.both)
        yield f"Two causes at once ({len(two)} incidents): one of them first {either}, both among the first three {both}."
        yield ""
    vague = [r for r in main.results if not r.identifiable and not r.null and r.second is None]
    if vague:
        told = figures.share(vague, figures.right)
        yield f"Causes that the evidence handed over cannot part from their like ({len(vague)}): one of the like first {told}."
        yield ""


def _cost(main: Corpus) -> Iterator[str]:
    """Time and memory, and what the whole manifest would take."""
    yield "## Time and memory"
    yield ""
    each = sum(r.seconds for r in main.results) / max(len(main.results), 1)
    groups = figures.by(main.results, lambda r: (r.dataset,))
    slow = sorted(groups.items(), key=lambda item: -_mean(item[1]))[:3]
    yield (
        f"A diagnosis takes {each:.1f} s of CPU on average (windows of 1,000 to 12,000 rows), most on "
        + ", ".join(f"{name} ({_mean(g):.1f} s)" for name, g in slow)
        + f"; the process that made them one after the other peaked at {max((r.megabytes for r in main.results), default=0):.0f} MB."
    )
    made = main.about.get("make_cpu")
    if made:
        making = float(made) / max(int(main.about.get("made", 1)), 1)
        whole = len(manifest_recipes()) * (each + making) / 60
        yield (
            f"Making an incident takes {making:.1f} s, so that the whole manifest takes about {whole:.0f} minutes of CPU: "
            f"{whole / 2:.0f} minutes on two cores."
        )
    yield ""


def _mean(results: Sequence[Result]) -> float:
    return sum(r.seconds for r in results) / max(len(results), 1)


def _twins(main: Corpus) -> Iterator[str]:
    """Pairs that one observation parts, with it and without."""
    tagged = figures.by(main.results, lambda r: r.tags)
    rows, names = [], []
    for part in ("audit", "parity", "model"):
        modes_told = {r.mode for r in tagged.get(f"kit_with_{part}", [])}
        without = [r for r in tagged.get(f"kit_no_{part}", []) if r.mode in modes_told]
        sides = (tagged.get(f"kit_with_{part}", []), without)
        if all(sides):
            told = [figures.share(side, lambda r: r.answer == r.mode) for side in sides]
            names.append(part)
            rows.append({"n": str(len(sides[0])), "with it": str(told[0]), "without": str(told[1])})
    if rows:
        yield "Causes that one observation parts from their like: how often the very cause comes first."
        yield ""
        yield from table(rows, "observation", names)


def _peers(main: Corpus, pictures: _Pictures) -> Iterator[str]:
    if not main.peers:
        return
    yield "## Beside other methods, on the same incidents"
    yield ""
    ours = {r.name: r for r in main.results}
    peers = {n: [r for r in told if r.name in ours] for n, told in main.peers.items()}
    listed = sorted(
        ((n, told) for n, told in peers.items() if figures.faults(told)),
        key=lambda item: -figures.share(figures.faults(item[1]), figures.right).value,
    )
    groups = {"ruleout": figures.faults(main.results)} | {n: figures.faults(r) for n, r in listed}
    title = "Mode and subject found first"
    yield pictures.show("peers", charts.intervals(title, groups, figures.right), title)
    yield ""
    rows = [figures.peer_row(r, ours) for _, r in listed]
    own = figures.peer_row(main.results, ours)
    yield from table([own, *rows], "method", ["**ruleout**", *(n for n, _ in listed)])
    yield (
        "Drift detectors name columns and not causes. `subject alone` asks only whether the first column named is one that was "
        "hit, whatever the cause, on incidents that hit columns, labels or segments. What a method cannot answer counts as no answer."
    )
    yield ""
    known = [n for n, _ in listed if n in _MAPPINGS]
    yield from table([{"how its answers were read": _MAPPINGS[n]} for n in known], "method", known)


def _mistakes(main: Corpus) -> Iterator[str]:
    yield "## The worst mistakes"
    yield ""
    yield "Accusations of the innocent first, then the surest wrong answers."
    yield ""
    rows = [_mistake(r) for r in figures.worst(main.results)]
    if rows:
        names = [f"`{r.name}`" for r in figures.worst(main.results)]
        yield from table(rows, "incident", names)


def _mistake(r: Result) -> dict[str, str]:
    true = f"{r.mode} {_names(r.subject)}" + (f" + {r.second}" if r.second else "")
    place = f"place {r.right_rank}" if r.right_rank else "not listed"
    why = r.failure or r.because or "no evidence was found for anything"
    known = modes.load().get(r.answer)
    said = f"{r.answer} {_names(r.answered)} ({r.probability:.2f})" if known else "nothing"
    return {
        "system": f"{r.dataset}, {r.model}",
        "true": _plain(true),
        "said": _plain(said),
        "the truth was": place,
        "because": _plain(why),
    }


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:2]) + (" ..." if len(names) > 2 else "")


def _plain(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ").strip()


def _reading() -> Iterator[str]:
    yield "## How to read this"
    yield ""
    yield (
        "- The incidents come from injectors of this product. Faults of another author, and incidents from the field, will be "
        "answered worse; rows for other corpora stand beside the main ones where they were scored.\n"
        "- A line of the manifest asks for cause, data set, model, dose, schedule and evidence; where the fault does not hurt "
        "there, later attempts take a stronger dose and then another data set of the same mode. Data sets and injectors are "
        "those the engine was developed with; the seed of a published run is not.\n"
        "- Incidents seen in traces and metrics alone are scored on a page of their own: [services](services.md).\n"
        "- `ruleout bench manifest` writes all lines, `ruleout bench run --part all` runs them, `--part tenth` every tenth "
        "of each cause; peers run from `benchmarks/peers` in environments of their own."
    )
