"""`ruleout bench`: make, manifest, score, run, publish."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ruleout import _arguments
from ruleout._errors import RuleoutError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ruleout bench", description="Make incidents with known causes, and score answers."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    _add_make(commands.add_parser("make", help="write incident folders and their truth.json"))
    _add_manifest(commands.add_parser("manifest", help="write down the incidents of the benchmark"))
    _add_score(commands.add_parser("score", help="diagnose a corpus and compare with the truth"))
    _add_run(commands.add_parser("run", help="make, score and compare with peers, as far as asked"))
    publish = commands.add_parser("publish", help="write the benchmark's page from a run's folder")
    publish.add_argument("folder", type=Path)
    publish.add_argument("--also", type=Path, action="append", default=[], metavar="DIR",
                         help="another scored corpus, for a row of its own")  # fmt: skip
    publish.add_argument("--out", type=Path, default=Path("docs"), help="folder of the page (docs)")
    return parser


def _add_make(make: argparse.ArgumentParser) -> None:
    make.add_argument("--out", type=Path, required=True, help="folder to write")
    make.add_argument("--n", type=int, default=200, help="incidents, spread over modes (200)")
    make.add_argument("--only", help="one failure mode or benign recipe")
    make.add_argument("--dataset", help="one data set")
    make.add_argument("--seed", type=_arguments.seed_word, default=1)
    make.add_argument("--rows", type=int, help="at most this many rows a window")
    make.add_argument("--manifest", type=Path, help="make the lines of this manifest instead")
    make.add_argument("--jobs", type=int, default=1, help="processes, with a manifest (1)")


def _add_manifest(manifest: argparse.ArgumentParser) -> None:
    manifest.add_argument(
        "--out", type=Path, required=True, help="file to write, a line an incident"
    )
    manifest.add_argument("--n", type=int, default=2_100, help="incidents, about (2100)")
    manifest.add_argument("--seed", type=_arguments.seed_word, default=1)
    manifest.add_argument(
        "--part", default="all", help="all, tenth, or a number of incidents (all)"
    )


def _add_score(score: argparse.ArgumentParser) -> None:
    score.add_argument("folder", type=Path)
    score.add_argument("--jobs", type=int, default=1, help="processes (1)")
    score.add_argument("--limit", type=int, help="at most so many incidents, spread evenly")
    score.add_argument("--only", help="one failure mode")
    score.add_argument("--seed", type=_arguments.seed_word, default=0)
    score.add_argument("--cli", action="store_true", help="call the command line for each")
    score.add_argument("--out", type=Path, help="results, one JSON object a line")
    score.add_argument("--designs", type=Path, help="what hypotheses heard, for 'ruleout fit'")
    score.add_argument("--resume", action="store_true", help="keep the results that --out holds")


def _add_run(run: argparse.ArgumentParser) -> None:
    run.add_argument("--out", type=Path, required=True, help="folder; a run that was cut goes on")
    run.add_argument("--part", default="tenth", help="all, tenth, or a number of incidents (tenth)")
    run.add_argument("--offset", type=int, default=0, help="other incidents of each cause (0)")
    run.add_argument("--seed", type=_arguments.seed_word, default=1, help="of the manifest (1)")
    run.add_argument("--jobs", type=int, default=1, help="processes (1)")
    run.add_argument("--rows", type=int, help="at most this many rows a window")
    run.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND",
                     help="a peer in its own environment, see benchmarks/peers")  # fmt: skip
    run.add_argument("--peer-limit", type=int, default=60, help="incidents for each peer (60)")
    run.add_argument("--floor", type=float, help="exit status 1 if fewer faults are found first")


def _make(options: argparse.Namespace) -> int:
    from ruleout.bench.corpus import make, make_recipes, modes, read_manifest

    if options.only is not None and options.only not in modes():
        raise RuleoutError(f"no recipe {options.only!r}; choose from {', '.join(modes())}")
    if options.manifest is not None:
        listed = read_manifest(options.manifest)
        truth = make_recipes(options.out, listed, jobs=options.jobs, rows=options.rows)
    else:
        truth = make(
            options.out,
            n=options.n,
            seed=options.seed,
            only=options.only,
            dataset=options.dataset,
            rows=options.rows,
        )
    sys.stdout.write(f"{len(truth)} incidents in {options.out}\n")
    return 0


def _manifest(options: argparse.Namespace) -> int:
    from ruleout.bench.corpus import manifest_recipes, sample, tenth, write_manifest

    listed = manifest_recipes(options.n, options.seed)
    part = _part(options.part)
    if part != "all":
        listed = tenth(listed) if part == "tenth" else sample(listed, int(part))
    write_manifest(options.out, listed, options.seed)
    sys.stdout.write(f"{len(listed)} incidents in {options.out}\n")
    return 0


def _part(word: str) -> str:
    if word not in {"all", "tenth"} and not (word.isdigit() and int(word) > 0):
        raise RuleoutError(f"--part is {word!r}; it is all, tenth, or a number of incidents")
    return word


def _run(options: argparse.Namespace) -> int:
    from ruleout.bench import _run as running
    from ruleout.bench import _score as scoring

    peers = [word.partition("=") for word in options.peer]
    for name, equals, command in peers:
        if not (name and equals and command):
            raise RuleoutError(f"--peer is {name!r}; write NAME=COMMAND")
    plan = running.Plan(
        seed=options.seed,
        part=_part(options.part),
        offset=options.offset,
        jobs=options.jobs,
        rows=options.rows,
        peers=tuple((name, command) for name, _, command in peers),
        peer_limit=options.peer_limit,
        words=_words(options),
    )
    results = running.run(options.out, plan)
    sys.stdout.write(scoring.report(results) + "\n")
    found = scoring.summary(results)["top1_identifiable"]
    if options.floor is not None and not found >= options.floor:
        sys.stderr.write(
            f"ruleout bench: {found:.3f} are found first, the floor is {options.floor}\n"
        )
        return 1
    return 0


def _words(options: argparse.Namespace) -> tuple[str, ...]:
    """The command as anyone could repeat it, without folders of this machine."""
    said = f"ruleout bench run --out RUN --part {options.part} --seed {options.seed}"
    if options.offset:
        said += f" --offset {options.offset}"
    return tuple(said.split())


def _publish(options: argparse.Namespace) -> int:
    from ruleout.bench import publish

    page = publish.write_page(options.folder, options.out, options.also)
    sys.stdout.write(f"{page}\n")
    return 0


def _score(options: argparse.Namespace) -> int:
    from ruleout.bench import _score as scoring

    if not (options.folder / "truth.json").is_file():
        raise RuleoutError(
            f"{options.folder} has no truth.json; make one with 'ruleout bench make'"
        )
    results = scoring.score_corpus(
        options.folder,
        limit=options.limit,
        only=options.only,
        jobs=options.jobs,
        command=options.cli,
        seed=options.seed,
        out=options.out,
        designs=options.designs,
        resume=options.resume,
    )
    sys.stdout.write(scoring.report(results) + "\n")
    return 0


_COMMANDS = {
    "make": _make,
    "manifest": _manifest,
    "publish": _publish,
    "run": _run,
    "score": _score,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run `ruleout bench`; exit status 2 for a wrong request."""
    options = _parser().parse_args(argv)
    try:
        return _COMMANDS[options.command](options)
    except RuleoutError as error:
        sys.stderr.write(f"ruleout bench: {error}\n")
        return 2
