"""Terms that other packages bring: installed for real, in a folder that only a child process sees."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from humanoid_rl_ros.cli.processes import node_environment

FIND = """
from humanoid_rl_ros.core.errors import HumanoidError
from humanoid_rl_ros.core.observation_terms import find_term
from humanoid_rl_ros.policies.term_plugins import load_term_plugins
try:
    print(load_term_plugins(), find_term("joint_speed").name)
except HumanoidError as error:
    print("refused:", error)
"""
TERMS = """
from humanoid_rl_ros.core.observation_terms import register_term
@register_term("joint_speed", lambda layout: len(layout.joints))
def joint_speed(inputs, layout):
    return abs(inputs.state.joint_velocity[..., layout.joints])
"""


def _run_with_plugin(folder: Path, module: str) -> str:
    (folder / "my_terms.py").write_text(module)
    metadata = folder / "my_terms-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my_terms\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[humanoid_rl_ros.observation_terms]\nmine = my_terms\n")
    environment = node_environment()
    environment["PYTHONPATH"] = f"{folder}:{environment['PYTHONPATH']}"
    done = subprocess.run(
        [sys.executable, "-c", FIND], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout.strip() or done.stderr


def test_an_installed_package_brings_a_term(tmp_path: Path) -> None:
    assert _run_with_plugin(tmp_path, TERMS) == "('mine',) joint_speed"


def test_a_package_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    text = _run_with_plugin(tmp_path, "raise RuntimeError('broken on purpose')")
    assert text == "refused: observation terms 'mine' (my_terms) cannot be imported: broken on purpose"
