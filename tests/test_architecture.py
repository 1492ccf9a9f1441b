"""The house rules that no linter knows: which room may import which, and how large a thing may grow."""

import ast
import importlib
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "ruleout"
FILES = sorted(SRC.rglob("*.py"))
ORDER = (
    ("_errors", "_records", "_version"),
    ("_arguments",),
    ("stats",),
    ("modes",),
    ("incident",),
    ("sources",),
    ("profile",),
    ("_registry",),
    ("checks",),
    ("attribution",),
    ("experiments",),
    ("hypotheses",),
    ("_diagnose",),
    ("postmortem",),
    ("prevention",),
    ("bench",),
    ("_door",),
    ("cli", "web", "mcp"),
)
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}
BROAD_EXCEPTS = {
    "checks/_run.py": "a crashing check becomes an abstention with its text",
    "experiments/_undo.py": "a crashing repair leaves its hypothesis not undone, with the text",
    "cli/_main.py": "what nobody foresaw is said to be a bug, with its own exit status",
    "sources/models/_base.py": "a foreign runtime may raise anything; it becomes a ModelError",
    "bench/_score.py": "the engine under test may raise anything; what it says becomes its score",
}


def _name(path: Path) -> str:
    return path.relative_to(SRC).as_posix()


def _room(path: Path) -> str:
    return path.relative_to(SRC).parts[0].removesuffix(".py")


def _imported_rooms(path: Path) -> Iterator[tuple[int, str]]:
    """Line and room of every import of this package; a relative import counts as its own room's."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "ruleout" and not node.level:
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level > len(path.relative_to(SRC).parts) - 1:
            yield node.lineno, (node.module or node.names[0].name).partition(".")[0]
        else:
            names = (
                [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            )
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            yield from (
                (node.lineno, name.removeprefix("ruleout").strip(".").partition(".")[0])
                for name in names
                if name.partition(".")[0] == "ruleout"
            )


def test_every_room_has_a_place_in_the_order() -> None:
    """A new folder or module at the top of the package must be given its place in the order of imports."""
    rooms = {_room(path) for path in FILES} - {"__init__", "__main__", "py"}
    assert rooms <= set(RANK), f"give {sorted(rooms - set(RANK))} a place in ORDER"


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_imports_point_one_way(path: Path) -> None:
    """A module imports only from its own room and from rooms before it; only the door imports from all."""
    room = _room(path)
    if room in {"__init__", "__main__"}:
        return
    wrong = [
        f"line {line} imports {other or 'the door'}"
        for line, other in _imported_rooms(path)
        if other != room
        and not RANK.get(other, len(ORDER)) < RANK[room]
        # The command line is the outermost room: it may come in through the door.
        and not (room in ORDER[-1] and other not in RANK)
    ]
    assert not wrong, f"{_name(path)}: {'; '.join(wrong)}"


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring and decorators."""
    docstring = ast.get_docstring(node, clean=False)
    total = (node.end_lineno or node.lineno) - node.lineno + 1
    return total - (len(docstring.splitlines()) if docstring else 0)


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_nothing_is_oversized(path: Path) -> None:
    """No file is longer than 500 lines and no function longer than 60 without its docstring."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 500
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert _length(node) <= 60, f"{node.name} has {_length(node)} lines"


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_no_except_swallows_everything(path: Path) -> None:
    """Only foreign code, a check or a model's runtime, may raise anything; nothing else is caught blindly."""
    broad = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler) and (node.type is None or _is_broad(node.type))
    ]
    allowed = 1 if _name(path) in BROAD_EXCEPTS else 0
    assert len(broad) <= allowed, f"broad except on lines {broad}"


def _is_broad(kind: ast.expr) -> bool:
    names = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(isinstance(n, ast.Name) and n.id in {"Exception", "BaseException"} for n in names)


@pytest.mark.parametrize("path", [f for f in FILES if f.name == "__init__.py"], ids=_name)
def test_all_is_true(path: Path) -> None:
    """Every name in a package's `__all__` is there."""
    name = ".".join(["ruleout", *path.parent.relative_to(SRC).parts])
    package = importlib.import_module(name)
    missing = [n for n in getattr(package, "__all__", ()) if not hasattr(package, n)]
    assert not missing, f"{name}.__all__ names {missing}"


def test_types_are_strict_everywhere() -> None:
    """Mypy is strict, and its only exceptions are libraries that ship no types."""
    mypy = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    assert mypy["strict"] is True
    for override in mypy.get("overrides", []):
        assert set(override) == {"module", "ignore_missing_imports"}, override
        assert not any(m.startswith("ruleout") for m in override["module"])


def test_one_version() -> None:
    """The package and its metadata name the same version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert importlib.import_module("ruleout").__version__ == project["version"]
