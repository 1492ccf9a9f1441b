"""Causal graphs in the forms that other tools keep them in, as pairs of cause and effect.

Understood are networkx graphs and what is built on them (CausalNex's `StructureModel`), DoWhy's models and graphs, files and
texts in DOT and GML, and lists of pairs. DOT and GML are read for their edges alone: attributes, ports and layout are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ruleout._errors import IncidentError

Edges = tuple[tuple[str, str], ...]
_SUFFIXES = (".dot", ".gv", ".gml")
_TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|/\*.*?\*/|^\#[^\n]*$)
      | (?P<arrow>->|--)
      | "(?P<quoted>(?:[^"\\]|\\.)*)"
      | (?P<mark>[{}\[\];,=:])
      | (?P<name>-[\d.]+|[^\s{}\[\];,=:"<>-]+(?:-[^\s{}\[\];,=:"<>-]+)*)""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)


def graph_file(graph: Any) -> str | None:
    """The path that a graph is given as; None for a text or an object."""
    if isinstance(graph, Path):
        return str(graph)
    named = isinstance(graph, str) and graph.lower().endswith(_SUFFIXES)
    return graph if named and "{" not in graph and "[" not in graph else None


def edges_of(graph: Any, folder: Path = Path()) -> Edges:
    """Pairs of cause and effect of a graph, in its own order and without repetitions.

    Args:
        graph: pairs; an object with `edges` (networkx, CausalNex); a DoWhy model or graph; a text in DOT or GML; or a path
            to a `.dot`, `.gv` or `.gml` file.
        folder: what a relative path is relative to.

    Raises:
        IncidentError: the graph is of no such form, cannot be read, or its edges have no direction.
    """
    file = graph_file(graph)
    if file is not None:
        return _of_text(_read(folder / file), file)
    if isinstance(graph, str):
        return _of_text(graph, "the graph")
    held = _inner(graph)
    if held is None:
        return _of_pairs(graph)
    if callable(getattr(held, "is_directed", None)) and not held.is_directed():
        raise IncidentError(
            f"the graph is a {type(held).__name__} whose edges have no direction; a causal graph is directed"
        )
    told = held.edges() if callable(held.edges) else held.edges
    return _of_pairs(told)


def _inner(graph: Any) -> Any:
    """The object with edges inside a graph or model; None when it is a plain collection."""
    for name in (
        "_graph",
        "graph",
    ):  # DoWhy: CausalModel._graph._graph, ProbabilisticCausalModel.graph
        inside = getattr(graph, name, None)
        if inside is not None and (hasattr(inside, "edges") or hasattr(inside, "_graph")):
            return _inner(inside)
    return graph if hasattr(graph, "edges") else None


def _of_pairs(pairs: Any) -> Edges:
    if not isinstance(pairs, Iterable):
        raise IncidentError(
            f"a {type(pairs).__name__} is no causal graph; give pairs of cause and effect, a networkx graph, a DoWhy "
            "model, or a text or file in DOT or GML"
        )
    found = []
    for pair in pairs:
        ends = tuple(pair) if isinstance(pair, Sequence) and not isinstance(pair, str) else ()
        if len(ends) < 2:
            raise IncidentError(f"{pair!r} is no edge; each one is a pair of cause and effect")
        found.append((str(ends[0]), str(ends[1])))
    return tuple(dict.fromkeys(found))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise IncidentError(f"{path}: the graph cannot be read ({error})") from error


def _of_text(text: str, origin: str) -> Edges:
    tokens = list(_tokens(text, origin))
    words = [t.lower() for t, quoted in tokens[:4] if not quoted]
    if "digraph" in words:
        found = tuple(dict.fromkeys(_dot(tokens, origin)))
    elif "graph" in words and ("graph", False) in tokens and _follows(tokens, "graph", "["):
        found = tuple(dict.fromkeys(_gml(tokens, origin)))
    else:
        _fail(origin, "it starts neither with `digraph` (DOT) nor with `graph [` (GML)")
    if not found:
        _fail(origin, "it has no edges")
    return found


def _follows(tokens: Sequence[tuple[str, bool]], word: str, mark: str) -> bool:
    place = tokens.index((word, False))
    return tokens[place + 1 : place + 2] == [(mark, False)]


def _fail(origin: str, why: str) -> NoReturn:
    raise IncidentError(f"{origin} is no causal graph: {why}")


def _tokens(text: str, origin: str) -> Iterator[tuple[str, bool]]:
    """Words and marks, and whether each was quoted."""
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            _fail(origin, f"{text[at : at + 20]!r} cannot be read in DOT or GML")
        at = found.end()
        if found["quoted"] is not None:
            yield re.sub(r"\\(.)", r"\1", found["quoted"]), True
        elif found["skip"] is None:
            yield found[0], False


def _dot(tokens: Sequence[tuple[str, bool]], origin: str) -> Iterator[tuple[str, str]]:
    """Edges of `a -> b -> {c d}` chains; each statement ends where no arrow follows."""
    plain = list(_without_attributes(tokens))
    at = plain.index(("{", False)) + 1
    while at < len(plain):
        ends, at = _dot_ends(plain, at)
        while at < len(plain) and plain[at] in (("->", False), ("--", False)):
            if plain[at][0] == "--":
                _fail(origin, "`--` has no direction; a causal graph has `->`")
            after, at = _dot_ends(plain, at + 1)
            if not after:
                _fail(origin, "an arrow leads nowhere")
            yield from ((a, b) for a in ends for b in after)
            ends = after


def _without_attributes(tokens: Sequence[tuple[str, bool]]) -> Iterator[tuple[str, bool]]:
    """DOT without `[...]`, `name=value` and ports."""
    depth = at = 0
    while at < len(tokens):
        word = tokens[at]
        depth += (word == ("[", False)) - (word == ("]", False))
        assigned = tokens[at + 1 : at + 2] == [("=", False)]
        if assigned and not depth:
            at += 3
            continue
        if not depth and word == (":", False):
            at += 2
            continue
        if not depth and word != ("]", False):
            yield word
        at += 1


def _dot_ends(tokens: Sequence[tuple[str, bool]], at: int) -> tuple[list[str], int]:
    """The node, or the nodes of a `{...}`, at a place, and the place behind."""
    word, quoted = tokens[at] if at < len(tokens) else ("", False)
    if quoted or word not in ("{", "}", ";", ",", ""):
        return [word], at + 1
    if word != "{" or ("}", False) not in tokens[at:]:
        return [], at + 1
    last = tokens.index(("}", False), at)
    inside = tokens[at + 1 : last]
    if ("->", False) in inside:
        return [], at + 1  # a subgraph with edges of its own: they are read as we go on
    return [w for w, q in inside if q or w not in (";", ",")], last + 1


def _gml(tokens: Sequence[tuple[str, bool]], origin: str) -> Iterator[tuple[str, str]]:
    """Edges of `edge [source 0 target 1]`, with the labels of their nodes."""
    whole = _gml_block(tokens, tokens.index(("graph", False)) + 2, origin)[0]
    if whole.get("directed", ["1"])[-1] == "0":
        _fail(origin, "`directed 0`: its edges have no direction")
    names = {n["id"][0]: n.get("label", n["id"])[0] for n in whole.get("node", []) if "id" in n}
    for edge in whole.get("edge", []):
        if "source" not in edge or "target" not in edge:
            _fail(origin, "an edge lacks its source or its target")
        ends = edge["source"][0], edge["target"][0]
        yield names.get(ends[0], ends[0]), names.get(ends[1], ends[1])


def _gml_block(
    tokens: Sequence[tuple[str, bool]], at: int, origin: str
) -> tuple[Mapping[str, Any], int]:
    """Keys with all their values up to the closing bracket, and the place behind it."""
    found: dict[str, list[Any]] = {}
    while at < len(tokens) and tokens[at] != ("]", False):
        key, value = tokens[at][0], tokens[at + 1 : at + 2]
        if not value:
            break
        if value[0] == ("[", False):
            inner, at = _gml_block(tokens, at + 2, origin)
            found.setdefault(key, []).append(inner)
        else:
            found.setdefault(key, []).append(value[0][0])
            at += 2
    if at >= len(tokens):
        _fail(origin, "a `[` is never closed")
    return found, at + 1
