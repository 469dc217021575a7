"""The house's budgets and rules that no linter knows."""

from __future__ import annotations

import ast
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.paths import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODULES = sorted((CHECKOUT / "archive").rglob("*.py"))
MOST_LINES = 400
LONG_FUNCTION = 40
TOP_LEVEL = {
    "pyproject.toml", "archive", "migrations", "tests", "firmware", "README.md", "LICENSE", "Makefile", "CHANGELOG.md",
    "benchmarks",
}  # fmt: skip
BANNED_NAMES = {"utils", "helpers", "manager", "data", "model", "models", "misc", "common"}
ALLOWED_MODULES = {"archive/cli/models.py"}


def functions() -> Iterator[tuple[str, int]]:
    """Each function of the package, with how many lines it has."""
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                yield f"{module.name}:{node.name}", node.end_lineno - node.lineno + 1


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(CHECKOUT)))
def test_a_module_has_at_most_400_lines(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_nineteen_of_twenty_functions_have_at_most_40_lines() -> None:
    lengths = sorted(length for _, length in functions())
    assert lengths[int(len(lengths) * 0.95)] <= LONG_FUNCTION


def test_modules_are_named_for_what_they_are() -> None:
    named = {str(module.relative_to(CHECKOUT)) for module in MODULES if module.stem in BANNED_NAMES}
    assert named <= ALLOWED_MODULES


def test_the_top_level_holds_what_it_should_and_nothing_else() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("needs the git checkout, which knows what belongs to the project")
    top = {line.partition("/")[0] for line in listed.stdout.splitlines()}
    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL
