"""Who may import whom: pure modules know no engine, the engine is in one place, nothing looks upward."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PURE = (
    "raynas.errors",
    "raynas.config",
    "raynas.credentials",
    "raynas.registry",
    "raynas.cells.block",
    "raynas.cells.canonical",
    "raynas.cells.genotype",
    "raynas.cells.space",
    "raynas.strategies.strategy",
    "raynas.child",
    "raynas.strategies.rewards.reward",
    "raynas.strategies.rewards",
    "raynas.strategies.rewards.accuracy",
    "raynas.strategies.rewards.front",
    "raynas.strategies.rewards.mnasnet",
    "raynas.strategies.rewards.pareto",
    "raynas.run.events",
    "raynas.run.journal",
    "raynas.run.run",
    "raynas.run.records",
    "raynas.run.equal_cells",
    "raynas.run.leaderboard",
    "raynas.run.shifts",
    "raynas.run.status",
    "raynas.limits",
    "raynas.run.refusals",
    "raynas.run.failures",
    "raynas.run.interruption",
    "raynas.run.reuse",
    "raynas.run.replay",
    "raynas.programs.rescore",
    "raynas.environment",
    "raynas.programs.report.document",
    "raynas.programs.report.html",
    "raynas.programs.report.markdown",
    "raynas.programs.report.run.data",
    "raynas.programs.report.run.history",
    "raynas.files",
    "raynas.run.folder",
    "raynas.tracking.config",
    "raynas.engine.config",
    "raynas.engine.keeper",
    "raynas.engine.pool_plan",
    "raynas.engine.queue",
    "raynas.engine.work",
)
PLANS = tuple(
    f"raynas.nn.{name}"
    for name in ("layers", "conventions", "config", "ops", "cell_plan", "plan", "complexity")
)
TABLES = tuple(
    f"raynas.programs.benchmark.{name}" for name in ("config", "table", "simulate", "contender", "summary")
)
TORCH_LAYERS = (
    "raynas.nn",
    "raynas.data",
    "raynas.training",
    "raynas.strategies",
    "raynas.programs.benchmark",
    "raynas.models.networks",
    "raynas.models.folder",
    "raynas.models.card",
    "raynas.models.classifier",
    "raynas.models.export",
    "raynas.data.stream",
    "raynas.models.preprocess",
    "raynas.models",
    "raynas.models.torchvision_import",
    "search_spaces",
)
UPPER = ("raynas.engine", "raynas.tracking", "raynas.programs.search.execute", "raynas.cli")


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    module_name(path): path
    for folder in ("raynas", "search_spaces")
    for path in (ROOT / folder).rglob("*.py")
}


def is_for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def import_statements(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """In functions too, but not those for type checkers alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif not is_for_types_only(node):
            yield from import_statements(node)


def imported_by(module: str) -> set[str]:
    """Full names of the modules that `module` imports."""
    found: set[str] = set()
    for node in import_statements(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
            continue
        assert node.level == 0, f"{module} imports relatively"
        for alias in node.names:
            below = f"{node.module}.{alias.name}"
            found.add(below if below in MODULES else str(node.module))
    return found


IMPORTS = {module: imported_by(module) for module in MODULES}


def lies_in(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def importers_of(*packages: str) -> set[str]:
    return {
        module for module, names in IMPORTS.items() if any(lies_in(imported, *packages) for imported in names)
    }


def test_ray_is_imported_in_the_engine_and_the_doctor_alone():
    allowed = {module for module in MODULES if lies_in(module, "raynas.engine")} | {
        "raynas.cli.terminal.doctor"
    }
    assert importers_of("ray") <= allowed - set(PURE)


def test_mlflow_is_imported_in_tracking_alone():
    assert {module for module in importers_of("mlflow") if not lies_in(module, "raynas.tracking")} == set()


def test_timm_and_what_it_brings_are_imported_where_weights_are_fetched_alone():
    assert importers_of("timm", "huggingface_hub", "torchvision") <= {"raynas.models.timm_hub"}


@pytest.mark.parametrize("module", [*PURE, *PLANS, *TABLES, "raynas.strategies.mutation"])
def test_a_pure_module_imports_no_library_that_computes(module):
    heavy = ("torch", "numpy", "ray", "mlflow")
    assert not [name for name in IMPORTS[module] if lies_in(name, *heavy)]


def test_the_torch_layers_know_neither_ray_nor_mlflow_nor_what_is_above_them():
    forbidden = importers_of("ray", "mlflow", *UPPER)
    assert not [module for module in forbidden if lies_in(module, *TORCH_LAYERS)]


def test_search_spaces_know_only_the_language_of_cells():
    known = {
        name
        for module in MODULES
        if lies_in(module, "search_spaces")
        for name in IMPORTS[module]
        if lies_in(name, "raynas")
    }
    assert known <= {"raynas.errors", "raynas.cells.block", "raynas.cells.genotype", "raynas.cells.space"}


def test_nobody_imports_the_command_line_but_its_entrance():
    outside = {module for module in importers_of("raynas.cli") if not lies_in(module, "raynas.cli")}
    assert outside == {"raynas.__main__"}
    assert importers_of("raynas.__main__") == set()


def test_nobody_imports_a_search_but_the_programs():
    known = importers_of("raynas.programs.search.execute")
    assert {module for module in known if not lies_in(module, "raynas.cli")} == set()


def test_imports_have_no_cycle():
    graph = {module: {name for name in names if name in MODULES} for module, names in IMPORTS.items()}
    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize(
    ("modules", "forbidden"),
    [
        (PURE, ("torch", "numpy", "ray", "mlflow")),
        (("raynas.programs.benchmark",), ("torch", "ray", "mlflow")),
        (("raynas", "raynas.training", "raynas.nn", "raynas.strategies.ppo"), ("ray", "mlflow")),
    ],
    ids=["pure", "tables", "torch"],
)
def test_importing_a_layer_loads_nothing_from_above_it(modules, forbidden):
    code = f"import sys, {', '.join(modules)}; print(*({set(forbidden)} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == []
