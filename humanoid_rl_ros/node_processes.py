"""Node processes: started with this very package, watched, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from humanoid_rl_ros.core.errors import HumanoidError
from humanoid_rl_ros.interfaces.discovery import discovery_additions

END_TIMEOUT_S = 3.0


class ProcessError(HumanoidError):
    """A node ended that should not have."""


def node_environment() -> dict[str, str]:
    """Environment for node processes: discovery stays on this machine, and Python finds this very package."""
    environment = dict(os.environ)
    environment.update(discovery_additions(environment))
    parent = str(Path(__file__).resolve().parents[1])
    inherited = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = parent if not inherited else os.pathsep.join([parent, inherited])
    environment["PYTHONSAFEPATH"] = "1"  # not whatever lies in the working directory
    environment.setdefault("RCUTILS_COLORIZED_OUTPUT", "0")
    return environment


def parameter_arguments(parameters: Mapping[str, Any]) -> list[str]:
    """ROS command-line arguments that set parameters; doubles keep their dot, texts are quoted."""
    arguments = []
    for name, value in parameters.items():
        arguments += ["-p", f"{name}:={_yaml(value)}"]
    return arguments


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(_yaml(v) for v in value) + "]"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value)


@dataclass
class NodeProcess:
    """One running node.

    Attributes:
        name: for messages.
        process: the process, leader of its own session so that Ctrl-C reaches it from us alone, in our order.
        log: what it printed.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: IO[bytes]

    def output(self) -> str:
        """Everything printed so far."""
        self.log.flush()
        return os.pread(self.log.fileno(), 1 << 20, 0).decode(errors="replace")

    def last_error(self) -> str:
        """The last line logged as an error, without its head, or the last line."""
        lines = [line for line in self.output().splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith(("[ERROR]", "[FATAL]"))]
        if errors:
            return errors[-1].split("]: ", 1)[-1]
        return lines[-1] if lines else "it printed nothing"


class ProcessGroup:
    """Node processes that end together.

    Use as a context manager; leaving it ends every process: SIGINT, then SIGKILL.
    """

    def __init__(self) -> None:
        self.nodes: list[NodeProcess] = []

    def __enter__(self) -> ProcessGroup:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self, module: str, arguments: Sequence[str]) -> NodeProcess:
        """Start ``python -m module arguments``."""
        log = TemporaryFile()  # noqa: SIM115  # lives as long as the process
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=node_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        node = NodeProcess(module.rsplit(".", 1)[-1], process, log)
        self.nodes.append(node)
        return node

    def check(self) -> None:
        """Raise if a process has ended.

        Raises:
            ProcessError: with the node's last error.
        """
        for node in self.nodes:
            status = node.process.poll()
            if status is None:
                continue
            if status < 0:
                raise ProcessError(f"{node.name} was killed by {signal.Signals(-status).name}")
            raise ProcessError(f"{node.name} ended with status {status}: {node.last_error()}")

    def end(self) -> None:
        """End all: SIGINT to each, in the order they were started, and SIGKILL after a time-out."""
        for node in self.nodes:
            if node.process.poll() is None:
                node.process.send_signal(signal.SIGINT)
        until = time.monotonic() + END_TIMEOUT_S
        for node in self.nodes:
            try:
                node.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                node.process.kill()
                node.process.wait()
