"""The house has floors: imports run downward only, and the two ground floors are strangers."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import sklearn_learnrule

ROOT = Path(sklearn_learnrule.__file__).parent

FLOORS = {
    "utils": 0,
    "rules": 1,
    "compiler": 2,  # makes machine code of rules
    "engine": 3,  # unrolls rules
    "data": 4,
    "metrics": 5,
    "preprocessing": 5,
    "models": 6,
    "training": 7,
    "estimators": 8,
    "inspection": 9,
    "model_selection": 9,
    "simulation": 9,
    "testing": 9,
    "recovery": 10,
    "datasets": 10,
    "plotting": 11,
    "report": 12,
    "command_line": 13,
    "__main__": 14,  # runs it
}
TABLES = {"utils", "data", "preprocessing", "metrics"}


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@cache
def parts(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


@cache
def imports(path: Path) -> set[str]:
    """Return the rooms and the packages that a file imports."""
    found = set()
    depth = len(path.relative_to(ROOT).parts)
    for node in parts(path):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.ImportFrom) and node.level == depth:  # a room beside this one
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found |= {name.split(".")[0] for name in names}
    return found


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


@cache
def private_attributes(path: Path) -> tuple[set[str], set[str]]:
    """Return the private attributes that a file gives to classes and objects, and looks up."""
    given, looked_up = set(), set()
    for node in parts(path):
        if isinstance(node, ast.ClassDef):
            given |= {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
            given |= {part.id for body in node.body for part in names_assigned(body)}
        elif isinstance(node, ast.Attribute):
            (given if isinstance(node.ctx, ast.Store) else looked_up).add(node.attr)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr"):
            looked_up |= {arg.value for arg in node.args[1:2] if isinstance(arg, ast.Constant)}
    return set(filter(is_private, given)), set(filter(is_private, looked_up))


def names_assigned(statement: ast.stmt) -> list[ast.Name]:
    targets = getattr(statement, "targets", [getattr(statement, "target", None)])
    return [target for target in targets if isinstance(target, ast.Name)]


def private_imports(path: Path) -> set[str]:
    """Return the private files and names that a file imports from other rooms."""
    depth = len(path.relative_to(ROOT).parts)
    found = set()
    for node in parts(path):
        module = getattr(node, "module", None) or ""
        of_package = module.split(".")[0] == ROOT.name
        if isinstance(node, ast.ImportFrom) and (node.level == depth or of_package):
            found |= {*module.split("."), *(alias.name for alias in node.names)}
    return set(filter(is_private, found))


FILES = [path for path in sorted(ROOT.rglob("*.py")) if path != ROOT / "__init__.py"]


@cache
def given_in(name: str) -> set[str]:
    """Return the private attributes that a room gives."""
    return set().union(*(private_attributes(path)[0] for path in FILES if room(path) == name))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downward_only(path):
    here = room(path)
    above = {name for name in imports(path) - {here} if FLOORS.get(name, -1) >= FLOORS[here]}
    assert not above, f"{here} imports {above}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_rules_know_torch_and_tables_know_pandas_and_never_the_other(path):
    if room(path) in ("rules", "compiler", "engine"):
        assert not imports(path) & ({"pandas", "sklearn", "skorch"} | TABLES)
    elif room(path) in TABLES:
        assert not imports(path) & {"torch", "skorch", "rules", "compiler", "engine"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_private_names_stay_in_their_room(path):
    assert not private_imports(path)
    _, looked_up = private_attributes(path)
    of_others = set().union(*(given_in(other) for other in FLOORS if other != room(path)))
    assert not (looked_up & of_others) - given_in(room(path))


def test_one_file_alone_knows_private_modules_of_scikit_learn():
    def named(path):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn."):
                yield from [*node.module.split("."), *(alias.name for alias in node.names)]
            elif isinstance(node, ast.Import):
                yield from (part for alias in node.names for part in alias.name.split("."))

    knowing = {path.name for path in FILES if any(map(is_private, named(path)))}
    assert knowing == {"sklearn_private.py"}


def lines_of_code(function: ast.FunctionDef, lines: list[str]) -> int:
    """Count a function's lines, but for its docstring, comments and empty lines."""
    docstring = function.body[0] if ast.get_docstring(function) is not None else None
    told = set() if docstring is None else {*range(docstring.lineno, docstring.end_lineno + 1)}
    written = set(range(function.lineno, function.end_lineno + 1)) - told
    return sum(lines[n - 1].strip()[:1] not in ("", "#") for n in written)


def test_files_and_functions_can_be_taken_in_at_a_glance():
    for path in FILES:
        lines = path.read_text().splitlines()
        assert len(lines) <= 400, path
        for node in parts(path):
            if isinstance(node, ast.FunctionDef):
                assert lines_of_code(node, lines) <= 40, f"{node.name} in {path}"


def test_every_room_has_a_floor():
    assert {room(path) for path in FILES} == set(FLOORS)


def test_importing_the_package_and_choosing_an_engine_compiles_and_draws_nothing():
    code = (
        "import sys, torch, sklearn_learnrule as lr\n"
        "from sklearn_learnrule.engine import choose_engine\n"
        "assert choose_engine(lr.rules.DNNRule(2), 1, torch.device('cpu')) == 'fused'\n"
        "print({'numba', 'llvmlite', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
