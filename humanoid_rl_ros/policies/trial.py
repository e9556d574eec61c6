"""Loads and probes a bundle in a process of its own, so that a network that hangs or explodes takes nobody along.

    python -m humanoid_rl_ros.policies.trial FOLDER [CALLS]

Prints one line of JSON: `probe` with what came of it, or `error` and `kind`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from humanoid_rl_ros.core import errors
from humanoid_rl_ros.core.errors import HumanoidError, PolicyError
from humanoid_rl_ros.policies.bundle_file import load_bundle
from humanoid_rl_ros.policies.probe import Probe, probe
from humanoid_rl_ros.policies.weights_file import limited_memory

TIMEOUT_S = 120.0


def try_bundle(folder: Path, *, calls: int = 500, timeout: float = TIMEOUT_S) -> Probe:
    """Load and probe a bundle in a process of its own.

    Args:
        folder: the bundle.
        calls: see `humanoid_rl_ros.policies.probe.probe`.
        timeout: [s].

    Returns:
        What came of it.

    Raises:
        HumanoidError: as of `PolicyBundle.load_network`; it takes too long, or it ended its process.
    """
    command = [sys.executable, "-m", __name__, str(folder), str(calls)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        raise PolicyError(f"{folder}: its network was given {timeout:g} s and did not come to an end") from None
    lines = done.stdout.splitlines()
    try:
        answer: dict[str, Any] = json.loads(lines[-1])
    except (IndexError, ValueError):
        last = (done.stderr.strip().splitlines() or ["without a word"])[-1]
        raise PolicyError(
            f"{folder}: its network ended the process that tried it ({done.returncode}): {last}"
        ) from None
    if "error" in answer:
        raise getattr(errors, answer["kind"], PolicyError)(answer["error"])
    return Probe(**answer["probe"])


def main(arguments: list[str]) -> int:
    """The other process."""
    calls = int(arguments[1]) if len(arguments) > 1 else 500
    try:
        bundle = load_bundle(arguments[0])
        with limited_memory():
            found = probe(bundle, bundle.load_network(), calls=calls).as_dict()
    except HumanoidError as error:
        sys.stdout.write(json.dumps({"error": str(error), "kind": type(error).__name__}) + "\n")
        return 1
    sys.stdout.write(json.dumps({"probe": found}) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
