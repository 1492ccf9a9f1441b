"""`python -m ruleout.bench.attribution [shares|wider|details|slices|estimates|losses|labels|graphs|speed] [--cases N] [--seed N] [--peer NAME=COMMAND] [--write PAGE]`.

Compares what is said with what is known: shares of a change and of its inputs, planted slices, metrics without labels, drift against spoilt
labels, mechanisms of a causal graph; and what a large decomposition costs. A peer is a command line that reads a folder a line and answers in JSON; see `benchmarks/peers`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ruleout import _arguments
from ruleout.bench.attribution import (
    _details,
    _estimates,
    _graphs,
    _labels,
    _losses,
    _shares,
    _slices,
    _speed,
    _wider,
)
from ruleout.bench.attribution._peers import Peer
from ruleout.bench.attribution._write import markdown, place

_COMPARED = (
    "shares", "wider", "details", "slices", "estimates", "losses", "labels", "graphs", "speed",
)  # fmt: skip


def tables(what: str, many: int, seed: int, peers: Sequence[Peer]) -> str:
    """The tables of one comparison, as Markdown."""
    by_method = {"slices": _slices, "estimates": _estimates, "losses": _losses, "graphs": _graphs}
    if what in by_method:
        asked = by_method[what]
        return markdown(asked.by_method(asked.run(many, seed, peers)))
    if what == "speed":
        return markdown(_speed.run(seed, peers))
    if what == "wider":
        found = _wider.run(many, seed)
        return "\n\n".join(markdown(_wider.by(found, c)) for c in ("metric", "kind"))
    if what == "details":
        return markdown(_details.by_way(_details.run(many, seed)))
    if what == "labels":
        return markdown(_labels.by_truth(_labels.run(many, seed)))
    told = _shares.run(many, seed, peers)
    return f"{markdown(_shares.by_method(told))}\n\n{markdown(_shares.by_kind(told))}"


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables, and write them into a page when asked to."""
    parser = argparse.ArgumentParser(
        prog="python -m ruleout.bench.attribution",
        description="Compare what the attribution says with what is known.",
    )
    parser.add_argument(
        "what",
        nargs="?",
        default="shares",
        choices=_COMPARED,
    )
    parser.add_argument("--cases", type=int, default=50)
    parser.add_argument("--seed", type=_arguments.seed_word, default=1)
    parser.add_argument("--peer", action="append", default=[], help="NAME=COMMAND; may be repeated")
    parser.add_argument(
        "--write", metavar="PAGE[#PLACE]", help="a page to put the tables into, between its marks"
    )
    chosen = parser.parse_args(argv)
    peers = [Peer(told) for told in chosen.peer]
    try:
        text = tables(chosen.what, chosen.cases, chosen.seed, peers)
    finally:
        for peer in peers:
            peer.close()
    print(text)  # noqa: T201 - the table is what was asked for
    if chosen.write:
        page, _, spot = chosen.write.partition("#")
        size = (
            f"seed {chosen.seed}"
            if chosen.what == "speed"
            else f"{chosen.cases} cases, seed {chosen.seed}"
        )
        place(Path(page), spot or chosen.what, f"{size}:\n\n{text}")


if __name__ == "__main__":
    main()
