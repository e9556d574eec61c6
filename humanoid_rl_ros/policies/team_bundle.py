"""The team bundle: a folder with `team.yaml` and a network that says how each robot of a team walks.

It decides velocity commands; how a robot walks by one is the business of a policy bundle, which it names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from humanoid_rl_ros.core.arrays import Float32Array
from humanoid_rl_ros.core.command import AXES, CommandSpec
from humanoid_rl_ros.core.config import Section, read_yaml
from humanoid_rl_ros.core.errors import ConfigError, PolicyError
from humanoid_rl_ros.core.formation import SHAPES
from humanoid_rl_ros.core.formation_view import OBSERVATION_SIZE, TERMS
from humanoid_rl_ros.policies.signature import file_digest, require_signature
from humanoid_rl_ros.policies.weights_file import external_files, limited_memory

FORMAT = 1
TEAM_FILE = "team.yaml"
ACTION_SIZE = 3
LARGEST = 64 * 2**20
"""Of the weights [bytes]."""


@dataclass(frozen=True)
class TeamBundle:
    """A policy that all robots of a team share, and all that a runner must know to run it.

    Attributes:
        name: short name.
        robot: the robot that it was trained with; empty if it does not matter.
        walk: the policy bundle that the robots walked with.
        weights: the ONNX file.
        sha256: its digest.
        period: between two decisions [s].
        averaging: time constant of the velocities that odometry gives [s].
        action_scale: what an action of 1 adds to the velocity of the slot [m/s, m/s, rad/s].
        command: what a robot may be told.
        team_command: velocities of the formation that it was trained on.
        robots: in the teams that it was trained in.
        shapes: that it was trained on.
        spacing: between neighbours [m].
        folder: where it was read from.
    """

    name: str
    robot: str
    walk: str
    weights: Path
    sha256: str
    period: float
    averaging: float
    action_scale: tuple[float, float, float]
    command: CommandSpec
    team_command: CommandSpec
    robots: int
    shapes: tuple[str, ...]
    spacing: tuple[float, float]
    folder: Path = Path()

    def load_network(self) -> Callable[[Float32Array], Float32Array]:
        """What turns observations into actions [Shape (b, OBSERVATION_SIZE) -> (b, 3)].

        Raises:
            PolicyError: the weights are missing, are not those that `team.yaml` names, or do not fit.
        """
        from humanoid_rl_ros.policies.onnx_policy import OnnxPolicy  # reading the YAML needs no onnxruntime

        if not self.weights.is_file():
            raise PolicyError(f"{self.weights}: no such file, which {self.folder / TEAM_FILE} names")
        if (found := file_digest(self.weights)) != self.sha256:
            raise PolicyError(
                f"{self.weights}: its SHA-256 is {found[:12]}…, but {self.folder / TEAM_FILE} names "
                f"{self.sha256[:12]}…; the file is damaged or of another team"
            )
        if self.weights.stat().st_size > LARGEST or external_files(self.weights.read_bytes()):
            raise PolicyError(f"{self.weights}: a team's network is one file of at most {LARGEST} bytes; not opened")
        with limited_memory():
            network = OnnxPolicy(self.weights, observation_size=OBSERVATION_SIZE, action_size=ACTION_SIZE)
        return network.infer_batch


def load_team(path: str | Path) -> TeamBundle:
    """Read a team bundle; the weights are not opened.

    Args:
        path: the folder, or the `team.yaml` in it.

    Raises:
        ConfigError: a file is missing, a key is missing, unknown or malformed, what the policy observes is not what
            this version makes, or the file is not the one that was signed.
    """
    file = Path(path).expanduser()
    file = file / TEAM_FILE if file.is_dir() else file
    top = read_yaml(file)
    require_signature(file.parent, [file.name])
    version = top.integer("format")
    if version != FORMAT:
        raise ConfigError(f"{top.where}: team format {version} is not known; this version reads format {FORMAT}")
    terms = top.names("observation")
    if terms != tuple(TERMS):
        raise ConfigError(f"{top.where}: 'observation' must be {', '.join(TERMS)}, found {', '.join(terms)}")
    weights, trained = top.section("weights"), top.section("trained")
    spacing, scale = trained.numbers("spacing", length=2), top.numbers("action_scale", length=ACTION_SIZE)
    shapes = trained.names("shapes")
    if unknown := [shape for shape in shapes if shape not in SHAPES]:
        raise ConfigError(f"{trained.where}: 'shapes' must be some of {', '.join(SHAPES)}, found '{unknown[0]}'")
    if not 0.0 < spacing[0] <= spacing[1]:
        raise ConfigError(f"{trained.where}: 'spacing' must be two numbers above 0, the larger last")
    if scale.min() < 0.0:
        raise ConfigError(f"{top.where}: 'action_scale' must be at least 0")
    bundle = TeamBundle(
        name=top.text("name"),
        robot=top.text("robot", ""),
        walk=top.text("walk"),
        weights=file.parent / weights.text("file"),
        sha256=weights.text("sha256"),
        period=top.number("period", above=0.0),
        averaging=top.number("averaging", least=0.0),
        action_scale=(float(scale[0]), float(scale[1]), float(scale[2])),
        command=_ranges(top.section("command")),
        team_command=_ranges(trained.section("command")),
        robots=trained.integer("robots", least=2),
        shapes=shapes,
        spacing=(float(spacing[0]), float(spacing[1])),
        folder=file.parent,
    )
    for section in (weights, trained, top):
        section.finish()
    return bundle


def dump_team(bundle: TeamBundle, *, comment: str = "") -> str:
    """The `team.yaml` that `load_team` reads back as this bundle, in the folder of its weights.

    Args:
        bundle: the bundle.
        comment: written above it.
    """
    data: dict[str, Any] = {
        "format": FORMAT,
        "name": bundle.name,
        "robot": bundle.robot,
        "walk": bundle.walk,
        "weights": {"file": bundle.weights.name, "sha256": bundle.sha256},
        "period": bundle.period,
        "averaging": bundle.averaging,
        "observation": list(TERMS),
        "action_scale": list(bundle.action_scale),
        "command": _dumped(bundle.command),
        "trained": {
            "robots": bundle.robots,
            "shapes": list(bundle.shapes),
            "spacing": list(bundle.spacing),
            "command": _dumped(bundle.team_command),
        },
    }
    above = "".join(f"# {line}\n" for line in comment.splitlines())
    return above + yaml.safe_dump(data, sort_keys=False, default_flow_style=None, width=120)


def _ranges(section: Section) -> CommandSpec:
    x, y, yaw = ((float(low), float(high)) for low, high in (section.numbers(axis, length=2) for axis in AXES))
    section.finish()
    return CommandSpec(x, y, yaw)


def _dumped(ranges: CommandSpec) -> dict[str, list[float]]:
    return {axis: [float(v) for v in np.asarray(getattr(ranges, axis))] for axis in AXES}
