"""`humanoid_rl` and its demo in a process of its own, as a user starts them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from humanoid_rl_ros.cli.processes import node_environment


def run_command(*words: object, timeout: float = 120.0, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end [s]."""
    return subprocess.run(
        [sys.executable, "-m", "humanoid_rl_ros", *map(str, words)],
        env=node_environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        cwd=cwd,
    )


def run_demo(*words: object, timeout: float = 120.0, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the demo to its end [s]."""
    return run_command("demo", *words, timeout=timeout, cwd=cwd)


def demo_result(folder: Path, *words: object, timeout: float) -> dict[str, Any]:
    """What a demo that must succeed writes with ``--json``, its picture looked at too.

    Args:
        folder: for the files it writes.
        words: further arguments.
        timeout: [s].
    """
    result, picture = folder / "result.json", folder / "run.png"
    done = run_demo(*words, "--json", result, "--picture", picture, timeout=timeout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
    loaded: dict[str, Any] = json.loads(result.read_text())
    return loaded
