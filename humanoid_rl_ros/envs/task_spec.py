"""A task as its YAML says it: what the robot does, what it is paid for, and what may vary.

`docs/tasks.md` describes every key.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from humanoid_rl_ros.core.config import LATER, Section, read_yaml
from humanoid_rl_ros.core.errors import ConfigError, did_you_mean
from humanoid_rl_ros.core.gait import GaitSpec, gait_from_section
from humanoid_rl_ros.envs.commands import CommandSampling, sampling_from_section
from humanoid_rl_ros.envs.curriculum import LevelSpec, curriculum_from_section
from humanoid_rl_ros.envs.ground import GroundSpec, ground_from_section
from humanoid_rl_ros.envs.hand_targets import HandTargetSampling, hand_sampling_from_section
from humanoid_rl_ros.envs.randomisation import RandomisationSpec, randomisation_from_section
from humanoid_rl_ros.envs.rewards import RewardSpec, rewards_from_section

FORMAT = 1
HELD = ("simulated", "welded")
GAINS = ("armature", "robot")
STARTS = ("standing", "lying", "fallen")


@dataclass(frozen=True)
class ControlSpec:
    """How the policy moves the robot.

    Attributes:
        period: between two actions [s].
        pd_rate: of the PD law, and of the physics [Hz].
        driven: patterns of the joints that the policy drives; the others are held in the start pose.
        held_joints: ``simulated``: held by the PD law. ``welded``: rigid, which is a third faster and not quite the
            robot that the graph runs.
        gains: ``armature``: kp = I (2πf)², kd = 2 ζ I (2πf) with I the armature of the joint; ``robot``: the robot's.
        frequency, damping_ratio: f [Hz] and ζ.
        effort_share: an action of 1 moves the target by what makes this share of the effort limit.
        clip: bound of the action.
        soft_effort_limit: share of the effort limits that the PD law may use, while learning and in the bundle.
        joint_effort_share: shares of joints that match a pattern, in the place of `effort_share`; the first counts.
    """

    period: float
    pd_rate: float
    driven: tuple[str, ...]
    held_joints: str = "simulated"
    gains: str = "armature"
    frequency: float = 10.0
    damping_ratio: float = 2.0
    effort_share: float = 0.25
    clip: float = 2.5
    soft_effort_limit: float = 1.0
    joint_effort_share: Mapping[str, float] = field(default_factory=dict, metadata=LATER)


@dataclass(frozen=True)
class EpisodeSpec:
    """How episodes begin and end.

    Attributes:
        length: [s].
        random_first: whether the first episodes are cut at random lengths, so that robots do not fall in step.
        start: ``standing`` in the start pose, ``lying`` prone, supine or on a side, or ``fallen``: limp, from standing,
            besides those that lie.
        tilt_limit: a fall is a larger tilt [rad]; inf for none.
        height_limit: or a base below this share of its start height; 0 for none.
    """

    length: float = 20.0
    random_first: bool = True
    start: str = "standing"
    tilt_limit: float = 1.0
    height_limit: float = 0.5


@dataclass(frozen=True)
class TaskSpec:
    """A whole task.

    Attributes:
        name: short name.
        episode, control, commands, rewards, randomisation, curriculum: its parts.
        hand_targets: where the hands are asked to be, or None of a task that does not ask.
        gait: the gait clock, or None.
        symmetric: whether left and right are mirror images, which learning then makes use of.
        observation, critic_observation: mappings in the form of a policy YAML's ``observation``.
        source: the file, for messages.
        terrain: the ground, or None where it is even.
    """

    name: str
    episode: EpisodeSpec
    control: ControlSpec
    commands: CommandSampling
    rewards: tuple[RewardSpec, ...]
    randomisation: RandomisationSpec
    curriculum: tuple[LevelSpec, ...]
    gait: GaitSpec | None
    symmetric: bool
    observation: Mapping[str, Any]
    critic_observation: Mapping[str, Any]
    source: str
    terrain: GroundSpec | None = field(default=None, metadata=LATER)
    hand_targets: HandTargetSampling | None = field(default=None, metadata=LATER)


def load_task(path: Path, robot_name: str, overrides: Mapping[str, Any] | None = None) -> TaskSpec:
    """Read a task YAML for a robot.

    Args:
        path: the file.
        robot_name: its part of the ``robots`` mapping, if any, is laid over the rest.
        overrides: laid over that; a key may name a nested one with dots (``rewards.alive``), and None does away with
            what is there.

    Raises:
        ConfigError: the file is missing or malformed, or a key is unknown.
    """
    top = read_yaml(path)
    merged: dict[str, Any] = {key: copy.deepcopy(top.raw(key)) for key in top.keys()}
    robots = merged.pop("robots", {})
    if not isinstance(robots, Mapping):
        raise ConfigError(f"{top.where}: 'robots' must be a mapping from robot names to keys of the task")
    merged = _laid_over(merged, robots.get(robot_name, {}), top.where)
    merged = overridden(merged, overrides, top.where)
    try:
        return _task(Section(merged, top.where))
    except ConfigError as error:
        text = str(error)
        raise ConfigError(text if text.startswith(top.where) else f"{top.where}: {text}") from None


def overridden(below: Mapping[str, Any], overrides: Mapping[str, Any] | None, where: str) -> dict[str, Any]:
    """A mapping with keys set otherwise, nested ones named with dots; None does away with what is there.

    Raises:
        ConfigError: something is laid over a mapping that is none.
    """
    merged = dict(below)
    for key, value in (overrides or {}).items():
        nested: Any = value
        for part in reversed(key.split(".")):
            nested = {part: nested}
        merged = _laid_over(merged, nested, where)
    return merged


def _laid_over(below: Mapping[str, Any], above: Any, where: str) -> dict[str, Any]:
    if not isinstance(above, Mapping):
        raise ConfigError(f"{where}: what is laid over a mapping must be a mapping, found {above!r}")
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if value is None:
            merged.pop(key, None)
        elif isinstance(under, Mapping) and isinstance(value, Mapping):
            merged[key] = _laid_over(under, value, where)
        else:
            merged[key] = value
    return merged


def _task(top: Section) -> TaskSpec:
    version = top.integer("format")
    if version != FORMAT:
        raise ConfigError(f"{top.where}: task format {version} is not known; this version reads format {FORMAT}")
    observation = top.raw("observation")
    task = TaskSpec(
        name=top.text("name"),
        episode=_episode(top.section("episode", {})),
        control=_control(top.section("control")),
        commands=sampling_from_section(top.section("commands", {})),
        rewards=rewards_from_section(top.section("rewards")),
        randomisation=randomisation_from_section(top.section("randomisation", {})),
        curriculum=curriculum_from_section(top.section("curriculum", {})),
        terrain=ground_from_section(top.section("terrain")) if "terrain" in top else None,
        hand_targets=hand_sampling_from_section(top.section("hand_targets")) if "hand_targets" in top else None,
        gait=gait_from_section(top.section("gait")) if "gait" in top else None,
        symmetric=top.boolean("symmetric", True),
        observation=observation,
        critic_observation=top.raw("critic_observation", observation),
        source=top.where,
    )
    top.finish()
    return task


def _episode(section: Section) -> EpisodeSpec:
    spec = EpisodeSpec(
        length=section.number("length", 20.0, above=0.0),
        random_first=section.boolean("random_first", True),
        start=section.choice("start", STARTS, "standing"),
        tilt_limit=section.number("tilt_limit", 1.0, above=0.0, infinite=True),
        height_limit=section.number("height_limit", 0.5, least=0.0, most=1.0),
    )
    section.finish()
    return spec


def _control(section: Section) -> ControlSpec:
    spec = ControlSpec(
        period=section.number("period", 0.02, above=0.0),
        pd_rate=section.number("pd_rate", 200.0, above=0.0),
        driven=section.names("driven", ("*",)),
        held_joints=section.choice("held_joints", HELD, "simulated"),
        gains=section.choice("gains", GAINS, "armature"),
        frequency=section.number("frequency", 10.0, above=0.0),
        damping_ratio=section.number("damping_ratio", 2.0, above=0.0),
        effort_share=section.number("effort_share", 0.25, above=0.0),
        clip=section.number("clip", 2.5, above=0.0),
        soft_effort_limit=section.number("soft_effort_limit", 1.0, above=0.0, most=1.0),
        joint_effort_share=_joint_shares(section),
    )
    section.finish()
    ratio = spec.pd_rate * spec.period
    if not math.isclose(ratio, round(ratio), abs_tol=1e-6) or round(ratio) < 1:
        raise ConfigError(
            f"{section.where}: 'period' {spec.period:g} s is no whole multiple of the PD law's {1 / spec.pd_rate:g} s"
        )
    return spec


def _joint_shares(section: Section) -> dict[str, float]:
    patterns = section.section("joint_effort_share", {})
    return {pattern: patterns.number(pattern, above=0.0) for pattern in patterns.keys()}


def find_task(name: str, folder: Path) -> Path:
    """The YAML of a task by the name of a shipped one or its path.

    Raises:
        ConfigError: there is none.
    """
    if Path(name).suffix in (".yaml", ".yml"):
        return Path(name).expanduser()
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        raise ConfigError(f"no task named '{name}'; {did_you_mean(name, known)}")
    return folder / f"{name}.yaml"
