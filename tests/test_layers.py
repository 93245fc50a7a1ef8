"""The house: which package may import which, what stays free of torch, Ray and MLflow, and no circles.

Imports for type checkers alone count as imports, but for the libraries that they name.
"""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"errors", "environment"}),
    frozenset({"files"}),
    frozenset({"config"}),
    frozenset({"registry"}),
    frozenset({"cells", "data"}),
    frozenset({"child", "nn"}),
    frozenset({"strategies", "models", "training"}),
    frozenset({"detection", "run"}),
    frozenset({"engine", "testing", "tracking"}),
    frozenset({"programs"}),
    frozenset({"cli"}),
    frozenset({"__main__"}),
)
"""Whoever stands on a floor imports from lower floors alone, and no neighbour."""
PROGRAMS = {
    "promote": {"search"},
    "sync": {"search"},
    "benchmark": {"report"},
    "detect": {"train"},
    "auto": {"search", "promote", "train", "report"},
    "overview": {"search", "report"},
    "compare": {"report"},
}
"""Which program builds on which; the others know no other program."""
MAX_LOOSE_FILES = 8
HEAVY = ("torch", "numpy", "ray", "mlflow")
PURE = (
    *(f"raynas.{name}" for name in ("errors", "environment", "files", "config", "registry", "child")),
    "raynas.cells",
    "raynas.run",
    "raynas.strategies.strategy",
    "raynas.strategies.mutation",
    "raynas.strategies.rewards",
    "raynas.tracking.config",
    *(
        f"raynas.engine.{name}"
        for name in ("attempts", "config", "pool_plan", "pool_supervisor", "queue", "ray_folder")
    ),
    *(f"raynas.programs.report.{name}" for name in ("document", "html", "markdown")),
    *(f"raynas.programs.report.run.{name}" for name in ("data", "history")),
    "raynas.programs.rescore",
)
"""Packages and modules that load none of the HEAVY libraries, whatever they import."""
WITH_MATPLOTLIB = {"raynas.cells.draw.png", "raynas.cells.draw.thumbnail"}
"""Below PURE, but imported only when a picture is drawn: matplotlib brings NumPy."""
LIGHT = (
    *(f"raynas.nn.{name}" for name in ("layers", "config", "ops", "cell_plan", "plan", "complexity", "spec")),
    *(
        f"raynas.programs.benchmark.{name}"
        for name in ("config", "table", "simulate", "contender", "summary")
    ),
)
"""Modules that import none of them themselves, though a neighbour in their package does."""
TORCH_LAYERS = ("nn", "data", "training", "detection", "strategies", "models", "testing")
"""Packages that work where Ray and MLflow are not installed."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    module_name(path): path
    for folder in ("raynas", "search_spaces")
    for path in (ROOT / folder).rglob("*.py")
}
PACKAGES = sorted(name for name, path in MODULES.items() if path.name == "__init__.py")


def is_for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def import_statements(tree: ast.AST, *, for_types: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """In functions too; `for_types`: with those for type checkers alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif for_types or not is_for_types_only(node):
            yield from import_statements(node, for_types=for_types)


def imported_by(module: str, *, for_types: bool) -> set[str]:
    """Full names of the modules that `module` imports."""
    found: set[str] = set()
    for node in import_statements(ast.parse(MODULES[module].read_text()), for_types=for_types):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
            continue
        assert node.level == 0, f"{module} imports relatively"
        for alias in node.names:
            below = f"{node.module}.{alias.name}"
            found.add(below if below in MODULES else str(node.module))
    return found


IMPORTS = {module: imported_by(module, for_types=True) for module in MODULES}
LOADED = {module: imported_by(module, for_types=False) for module in MODULES}


def lies_in(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def room(module: str) -> str:
    """What stands on a floor: a package directly in raynas, or a loose file there."""
    return module.split(".")[1]


def floor(module: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room(module) in rooms)


def own_imports(module: str) -> set[str]:
    return {name for name in IMPORTS[module] if lies_in(name, "raynas")}


def importers_of(*packages: str) -> set[str]:
    return {
        module for module, names in LOADED.items() if any(lies_in(imported, *packages) for imported in names)
    }


def members(*packages: str) -> list[str]:
    return [module for module in MODULES if lies_in(module, *packages)]


def test_every_room_stands_on_a_floor():
    rooms = {room(module) for module in MODULES if lies_in(module, "raynas") and module != "raynas"}
    assert rooms == frozenset().union(*FLOORS)


@pytest.mark.parametrize(
    "module", [module for module in MODULES if lies_in(module, "raynas") and module != "raynas"]
)
def test_imports_go_down(module):
    upward = [
        name
        for name in own_imports(module)
        if name == "raynas" or (room(name) != room(module) and floor(name) >= floor(module))
    ]
    assert upward == []


def test_programs_are_independent_but_for_those_that_build_on_another():
    for module in members("raynas.programs"):
        own = module.split(".")[2:3]
        others = {name.split(".")[2] for name in own_imports(module) if lies_in(name, "raynas.programs")}
        assert others - set(own) <= PROGRAMS.get("".join(own), set()), module


def test_imports_have_no_circle():
    graph = {module: {name for name in names if name in MODULES} for module, names in IMPORTS.items()}
    graphlib.TopologicalSorter(graph).prepare()


def test_few_files_lie_loose():
    assert len(list((ROOT / "raynas").glob("*.py"))) <= MAX_LOOSE_FILES


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_what_lives_in_it(package):
    summary = (ast.get_docstring(ast.parse(MODULES[package].read_text())) or "").partition("\n")[0]
    assert summary.endswith(".") and len(summary.split()) >= 5


@pytest.mark.parametrize(
    "name", sorted(name for name in frozenset().union(*FLOORS) if f"raynas.{name}" in PACKAGES)
)
def test_every_package_directly_in_raynas_says_what_it_may_import(name):
    assert "May import" in (ast.get_docstring(ast.parse(MODULES[f"raynas.{name}"].read_text())) or "")


def test_search_spaces_know_only_the_language_of_cells():
    known = {name for module in members("search_spaces") for name in own_imports(module)}
    assert {name for name in known if not lies_in(name, "raynas.cells")} <= {"raynas.errors"}


def test_ray_is_imported_in_the_engine_and_the_doctor_alone():
    outside = {module for module in importers_of("ray") if not lies_in(module, "raynas.engine")}
    assert outside == {"raynas.cli.terminal.doctor"}


def test_mlflow_is_imported_in_tracking_alone():
    assert {module for module in importers_of("mlflow") if not lies_in(module, "raynas.tracking")} == set()


def test_timm_and_what_it_brings_are_imported_where_weights_are_fetched_alone():
    assert importers_of("timm", "huggingface_hub", "torchvision") <= {"raynas.models.timm_hub"}


@pytest.mark.parametrize("module", [*members(*PURE), *LIGHT])
def test_a_pure_module_imports_no_library_that_computes(module):
    assert not [name for name in LOADED[module] if lies_in(name, *HEAVY)]


@pytest.mark.parametrize(
    ("modules", "forbidden"),
    [
        ([name for name in members(*PURE) if name not in WITH_MATPLOTLIB], HEAVY),
        (["raynas.programs.benchmark"], ("torch", "ray", "mlflow")),
        (["raynas", *members(*(f"raynas.{name}" for name in TORCH_LAYERS))], ("ray", "mlflow")),
    ],
    ids=["pure", "tables", "torch"],
)
def test_importing_a_layer_loads_nothing_from_above_it(modules, forbidden):
    code = f"import sys, {', '.join(modules)}; print(*({set(forbidden)} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == []
