"""What an installation holds: built from a copy of this tree, looked at, and installed into an empty prefix."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

packaging_requirements = pytest.importorskip("packaging.requirements")

ROOT = Path(__file__).resolve().parents[1]
NAME = "humanoid_rl_ros"
NODES = (
    "policy_node",
    "safety_monitor_node",
    "simulation_bridge_node",
    "recorder_node",
    "navigator_node",
    "formation_node",
)
LITTER = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "install", "log")

# Third parties whose rosdep key is not their own name, as ROS packages' are.
ROSDEP_KEYS = {
    "gymnasium": "python3-gymnasium-pip",
    "jinja2": "python3-jinja2",
    "matplotlib": "python3-matplotlib",
    "mujoco": "python3-mujoco-pip",
    "PIL": "python3-pil",
    "numpy": "python3-numpy",
    "onnxruntime": "python3-onnxruntime-pip",
    "rich": "python3-rich",
    "torch": "python3-torch",
    "typer": "python3-typer",
    "yaml": "python3-yaml",
}
WITHOUT_ROSDEP_KEY = {
    "lz4",
    "mcap",
    "onnx",
    "pettingzoo",
    "rosbags",
    "rsl_rl",
    "stable_baselines3",
    "tensordict",
    "zstandard",
}  # named in a comment of package.xml instead


def pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for tool in ("pip", "setuptools", "wheel"):
        if importlib.util.find_spec(tool) is None:
            pytest.skip(f"{tool} is not installed; the `test` extra brings it")
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "source", ignore=LITTER)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, folder / "source")
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def prefix(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prefix")
    pip("install", "--no-deps", "--no-compile", "--ignore-installed", "--prefix", folder, wheel)
    return folder


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def requirements(metadata: Message, extra: str = "") -> dict[str, str]:
    """What an extra brings, as name -> version specifier; without one, what is always installed."""
    found = {}
    for requirement in map(packaging_requirements.Requirement, metadata.get_all("Requires-Dist", [])):
        marker = requirement.marker
        if (marker is None and not extra) or (marker is not None and extra and marker.evaluate({"extra": extra})):
            found[requirement.name.lower()] = str(requirement.specifier)
    return found


def shipped(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith("."):
                yield path.relative_to(ROOT)


@pytest.mark.parametrize("folder", ["config", "launch"])
def test_every_configuration_and_launch_file_is_installed(prefix: Path, folder: str) -> None:
    files = list(shipped(folder))
    assert files, f"nothing in {folder}/"
    for file in files:
        assert (prefix / "share" / NAME / file).read_bytes() == (ROOT / file).read_bytes()


def test_models_templates_and_type_marker_are_in_the_package(prefix: Path) -> None:
    (package,) = prefix.glob(f"lib/python*/site-packages/{NAME}")
    assert (package / "py.typed").is_file()
    for folder in ("simulation/models", "cli/templates"):
        files = list(shipped(f"{NAME}/{folder}"))
        assert files
        for file in files:
            assert (package.parent / file).read_bytes() == (ROOT / file).read_bytes()
    assert not list(prefix.glob("lib/python*/site-packages/test*"))


def test_ament_finds_the_package(prefix: Path) -> None:
    assert (prefix / "share/ament_index/resource_index/packages" / NAME).is_file()
    assert (prefix / "share" / NAME / "package.xml").is_file()


@pytest.mark.parametrize("node", NODES)
def test_node_runs_in_the_interpreter_of_its_prefix(prefix: Path, node: str, tmp_path: Path) -> None:
    root = tmp_path / "prefix"
    shutil.copytree(prefix / "lib" / NAME, root / "lib" / NAME)
    executable = root / "lib" / NAME / node
    elsewhere, own = tmp_path / "path" / "python3", root / "bin" / "python3"
    for python, says in ((elsewhere, "path"), (own, "prefix")):
        python.parent.mkdir()
        python.write_text(f'#!/bin/sh\necho {says} "$@"\n')
        python.chmod(0o755)
    environment = {**os.environ, "PATH": f"{elsewhere.parent}{os.pathsep}{os.environ['PATH']}"}

    def started() -> str:
        command = [executable, "--ros-args", "-r", "__ns:=/a b"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=10, check=True).stdout

    assert started() == f"prefix {executable} --ros-args -r __ns:=/a b\n"
    own.unlink()  # as in a colcon workspace
    assert started() == f"path {executable} --ros-args -r __ns:=/a b\n"
    assert f'"{NAME}.nodes.{node}"' in executable.read_text()


def test_working_directory_does_not_shadow_the_installation(prefix: Path, tmp_path: Path) -> None:
    (site,) = prefix.glob("lib/python*/site-packages")
    nodes = tmp_path / "installed" / NAME / "nodes"
    nodes.mkdir(parents=True)
    for package in (nodes.parent, nodes):
        (package / "__init__.py").touch()
    (nodes / "policy_node.py").write_text("import sys\nprint('installed', *sys.argv[1:])\n")
    shadow = tmp_path / "cwd" / NAME / "nodes"
    shutil.copytree(nodes.parent, shadow.parent)
    (shadow / "policy_node.py").write_text("print('shadow')\n")
    done = subprocess.run(
        [prefix / "lib" / NAME / "policy_node", "x"],
        cwd=tmp_path / "cwd",
        env={
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{nodes.parents[1]}{os.pathsep}{site}",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "installed x\n", done.stderr


def test_humanoid_rl_is_the_only_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/entry_points.txt"))
        text = archive.read(name).decode()
    assert text.split("\n", 1)[0] == "[console_scripts]"
    assert text.split("\n", 1)[1].split() == ["humanoid_rl", "=", f"{NAME}.cli.main:main"]


def test_versions_agree(metadata: Message) -> None:
    code = re.search(r'__version__ = "(.+)"', (ROOT / NAME / "__init__.py").read_text())
    manifest = re.search(r"<version>(.+)</version>", (ROOT / "package.xml").read_text())
    assert code is not None
    assert manifest is not None
    assert code[1] == manifest[1] == metadata["Version"]


def test_a_robot_needs_numpy_and_yaml_only(metadata: Message) -> None:
    assert set(requirements(metadata)) == {"numpy", "pyyaml"}


def test_torch_is_pinned_and_no_part_of_the_demo(metadata: Message) -> None:
    for extra in metadata.get_all("Provides-Extra", []):
        found = requirements(metadata, extra)
        assert ("torch" in found) == (extra == "train")
        assert found.get("torch", "==2.13.0") == "==2.13.0"


def test_colcon_can_run_the_tests(metadata: Message) -> None:
    assert "pytest" in requirements(metadata, "test")


def test_demo_brings_every_part(metadata: Message) -> None:
    extras = ("ros", "simulation", "policy", "export", "bags", "cli", "plot")
    parts = {name for extra in extras for name in requirements(metadata, extra)}
    assert set(requirements(metadata, "demo")) == parts


def test_manifest_is_valid_and_builds_with_ament_python() -> None:
    catkin_package = pytest.importorskip("catkin_pkg.package")
    warnings: list[str] = []
    manifest = catkin_package.parse_package(str(ROOT / "package.xml"), warnings=warnings)
    manifest.validate(warnings=warnings)
    assert not warnings
    assert manifest.get_build_type() == "ament_python"
    assert manifest.licenses == ["Apache-2.0"]


def test_manifest_names_every_third_party_the_code_imports() -> None:
    text = (ROOT / "package.xml").read_text()
    declared = set(re.findall(r"<\w*depend>(.+?)</", text))
    comments = " ".join(re.findall(r"<!--(.+?)-->", text, re.DOTALL))
    declared |= {name for name in WITHOUT_ROSDEP_KEY if name in comments}
    for file in (*shipped(NAME), *shipped("launch")):
        if file.suffix != ".py":
            continue
        for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
            modules: list[str] = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                modules = [node.module]
            for module in (name.partition(".")[0] for name in modules):
                if module not in sys.stdlib_module_names and module != NAME:
                    key = ROSDEP_KEYS.get(module, module)
                    assert key in declared, f"{file} imports {module}: package.xml lacks {key}"


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("python", ["no-such-python", "false"])
def test_make_refuses_a_wrong_python_in_one_line(python: str) -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "demo", f"PYTHON={python}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert not done.stdout
    (line,) = done.stderr.strip().splitlines()
    assert f"'{python}'" in line
    assert "is no Python 3.10 to 3.13" in line
