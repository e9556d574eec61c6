"""The files of a foreign policy, opened as far as is safe, and what an importer looks like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from humanoid_rl_ros.core.errors import ConfigError, MissingDependencyError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.policies.importers.draft import Draft
from humanoid_rl_ros.policies.importers.foreign_yaml import read_foreign_yaml
from humanoid_rl_ros.policies.importers.onnx_facts import OnnxFacts, read_onnx_facts


@dataclass(frozen=True)
class Config:
    """A YAML or JSON file beside the weights.

    Attributes:
        path: the file.
        data: what it holds: plain mappings, lists, texts and numbers.
    """

    path: Path
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Source:
    """What a policy is imported from.

    Attributes:
        weights: the network's file.
        configs: the files given with ``--config``, in that order.
        onnx: what the weights say of themselves; None of TorchScript.
        robot: the robot given with ``--robot``, or None; only to compare with and to answer what is asked.
    """

    weights: Path
    configs: tuple[Config, ...] = ()
    onnx: OnnxFacts | None = None
    robot: RobotSpec | None = None
    metadata: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "metadata", self.onnx.metadata if self.onnx else {})

    def draft(self) -> Draft:
        """An empty draft of these weights, with the names of its tensors where they can be meant only one way."""
        draft = Draft(self.weights, self.onnx.external_data if self.onnx else ())
        draft.say("name", self.weights.stem)
        return draft


class Importer(Protocol):
    """Reads one foreign format."""

    name: str
    """As ``--format`` takes it."""

    def recognises(self, source: Source) -> bool:
        """Whether these files are of this format, judged by their keys alone."""
        ...

    def read(self, source: Source) -> Draft:
        """What they say.

        Raises:
            ConfigError: they contradict themselves, or say what no bundle can express; names the file and the key.
        """
        ...


def open_source(weights: Path, configs: tuple[Path, ...] = (), robot: RobotSpec | None = None) -> Source:
    """Read what can be read without loading a network.

    Raises:
        ConfigError: a file is missing or malformed.
        PolicyError: the weights are no ONNX.
        MissingDependencyError: onnx is not installed.
    """
    if not weights.is_file():
        raise ConfigError(f"{weights}: no such file")
    onnx = None
    if weights.suffix == ".onnx":
        try:
            onnx = read_onnx_facts(weights)
        except ModuleNotFoundError:
            raise MissingDependencyError(
                "importing ONNX needs onnx, which is not installed: pip install onnx"
            ) from None
    return Source(weights, tuple(Config(path, read_foreign_yaml(path)) for path in configs), onnx, robot)
