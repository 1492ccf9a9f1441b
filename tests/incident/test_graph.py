from pathlib import Path
from types import SimpleNamespace

import pytest

from ruleout._errors import IncidentError
from ruleout.incident import edges_of, from_frames

CHAIN = (("A", "B"), ("B", "C"))

DOT = """
/* what feeds what */
strict digraph "shop" {
  rankdir=LR; node [shape=box, label="x -> y"];
  "A" -> B -> C [weight=2];   // a chain
  # a comment of the preprocessor
  "unit price" -> { C D };
}
"""

GML = """
graph [
  directed 1
  node [ id 0 label "A" ]
  node [ id 1 label "B" graphics [ x 1.5 y -2 ] ]
  node [ id 2 label "C" ]
  edge [ source 0 target 1 weight 0.5 ]
  edge [ source 1 target 2 ]
]
"""


def test_dot_is_read_for_its_edges() -> None:
    """Chains, groups, quoted names and comments give edges; attributes give none."""
    assert edges_of(DOT) == (*CHAIN, ("unit price", "C"), ("unit price", "D"))


@pytest.mark.parametrize(
    "text", ["digraph{A->B;B->C;}", "digraph G { subgraph cluster_x { A:p -> B } B -> C }"]
)
def test_dot_comes_in_many_shapes(text: str) -> None:
    """Without spaces, with ports and with subgraphs, the edges are the same."""
    assert edges_of(text) == CHAIN


def test_gml_is_read_with_its_labels() -> None:
    """Edges of numbers become edges of names; a node without a label keeps its number."""
    assert edges_of(GML) == CHAIN
    assert edges_of("graph [ node [ id 7 ] edge [ source 7 target 8 ] ]") == (("7", "8"),)


@pytest.mark.parametrize(
    ("name", "text"), [("g.dot", "digraph {A -> B -> C}"), ("g.gml", GML)], ids=["dot", "gml"]
)
def test_a_file_beside_the_incident_is_read(tmp_path: Path, name: str, text: str) -> None:
    """`data.graph` may name a file, relative to the incident's folder."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert from_frames("a.csv", "b.csv", graph=name, folder=tmp_path).data.graph == CHAIN
    assert edges_of(Path(name), tmp_path) == CHAIN


def test_networkx_and_what_is_built_on_it() -> None:
    """A DiGraph, a CausalNex-like subclass, and DoWhy-like holders of one give the same edges."""
    networkx = pytest.importorskip("networkx", reason="networkx is not installed")

    plain = networkx.DiGraph(CHAIN)
    # as CausalNex has it: a subclass whose edges carry their origin
    structure = type("StructureModel", (networkx.DiGraph,), {})()
    structure.add_edge("A", "B", origin="learned")
    structure.add_edge("B", "C", origin="expert")
    gcm = SimpleNamespace(graph=plain)
    causal_model = SimpleNamespace(_graph=SimpleNamespace(_graph=plain))
    for graph in (plain, structure, gcm, causal_model):
        assert edges_of(graph) == CHAIN
    assert from_frames("a.csv", "b.csv", graph=structure).data.graph == CHAIN
    assert edges_of("\n".join(networkx.generate_gml(plain))) == CHAIN
    with pytest.raises(IncidentError, match="no direction"):
        edges_of(networkx.Graph(CHAIN))


@pytest.mark.parametrize(
    ("graph", "why"),
    [
        ("A causes B", "neither with `digraph`"),
        ("digraph { A -- B }", "`--` has no direction"),
        ("digraph { A -> }", "leads nowhere"),
        ("digraph { A; B }", "it has no edges"),
        ("graph [ directed 0 edge [ source 0 target 1 ] ]", "`directed 0`"),
        ("graph [ node [ id 0 ]", "never closed"),
        ("graph [ edge [ source 0 ] ]", "lacks its source or its target"),
        ("missing.dot", "cannot be read"),
        ([("A",)], "is no edge"),
        (7, "a int is no causal graph"),
    ],
)
def test_what_is_no_causal_graph_is_refused(graph: object, why: str) -> None:
    """Every refusal names what is wrong."""
    with pytest.raises(IncidentError, match=why):
        edges_of(graph)


def test_a_bad_graph_is_placed_in_the_incident() -> None:
    """An error of `data.graph` names the key and the reason."""
    with pytest.raises(IncidentError, match=r"data\.graph is .*neither with `digraph`"):
        from_frames("a.csv", "b.csv", graph="A causes B")
