"""The rules a machine can check: style, types, and who may import whom (setup.cfg, ruff.toml)."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "humanoid_rl_ros"
TYPED_LIBRARIES = ("numpy", "matplotlib", "rich", "typer")  # without them mypy sees Any and says so

MESSAGES = {
    "builtin_interfaces",
    "diagnostic_msgs",
    "geometry_msgs",
    "lifecycle_msgs",
    "nav_msgs",
    "rcl_interfaces",
    "rosgraph_msgs",
    "sensor_msgs",
    "std_msgs",
    "std_srvs",
    "tf2_msgs",
}
# Import contracts forbid what they name; these layers may use nothing else either.
THIRD_PARTIES = {
    "core": {"numpy", "yaml"},
    "safety": {"numpy"},
    "policies": {"numpy", "yaml", "onnx", "onnxruntime", "torch"},
    "behaviours": {"numpy"},
    "simulation": {"numpy", "mujoco"},
    "description": {"numpy", "yaml"},
    "interfaces": {"numpy", *MESSAGES},
}


def run(*command: str) -> None:
    """Run a tool of this interpreter's environment on the checkout; its output is the failure's text."""
    tool = shutil.which(command[0], path=str(Path(sys.executable).parent))
    if tool is None:
        pytest.skip(f"{command[0]} is not installed beside {sys.executable}; the `test` extra brings it")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [tool, *command[1:]], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode:
        pytest.fail(f"{' '.join(command)}\n{done.stdout}{done.stderr}", pytrace=False)


def test_ruff_finds_nothing() -> None:
    run("ruff", "check", "--no-cache")


def test_everything_is_formatted() -> None:
    run("ruff", "format", "--check", "--diff", "--no-cache")


def test_types_hold() -> None:
    missing = [name for name in TYPED_LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"mypy needs {', '.join(missing)} to be installed")
    run("mypy")


def test_layers_import_what_they_may() -> None:
    run("lint-imports", "--no-cache")


def imported_from_outside(folder: Path) -> dict[str, str]:
    """Names of the third parties that a folder's files import, each with one place that does."""
    found: dict[str, str] = {}
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names = [node.module]
            for top in (name.partition(".")[0] for name in names):
                if top not in sys.stdlib_module_names and top != PACKAGE.name:
                    found.setdefault(top, f"{file.relative_to(ROOT)}:{node.lineno}")
    return found


@pytest.mark.parametrize("layer", sorted(THIRD_PARTIES))
def test_layer_uses_its_own_third_parties_only(layer: str) -> None:
    strangers = {
        name: where
        for name, where in imported_from_outside(PACKAGE / layer).items()
        if name not in THIRD_PARTIES[layer]
    }
    assert not strangers
