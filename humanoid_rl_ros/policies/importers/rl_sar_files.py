"""The two files of an rl_sar policy, and the layouts of versions before 3.0, which are refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.policies.importers.source import Config, Source

_TELLING = {"num_of_dofs", "joint_mapping", "joint_controller_names", "fixed_kp", "rl_kp", "p_gains", "clip_obs"}


@dataclass(frozen=True)
class RlSarFile:
    """One of the two.

    Attributes:
        path: the file.
        key: the one at its top: the robot, such as ``g1``, or robot and policy, such as ``g1/robomimic/locomotion``.
        data: what stands below it.
    """

    path: Path
    key: str
    data: Mapping[str, Any]

    def section(self) -> Section:
        """What stands below the key at the top."""
        return Section(self.data, str(self.path))


def is_rl_sar(config: Config) -> bool:
    """Whether a file has rl_sar's keys, of whatever version, below each key at its top."""
    return bool(config.data) and all(
        isinstance(below, Mapping) and len(_TELLING & set(below)) >= 2 for below in config.data.values()
    )


def read_pair(source: Source) -> tuple[RlSarFile, RlSarFile]:
    """The robot's file and the policy's, in whichever order they are given.

    Raises:
        ConfigError: they are not two files of the layout that is read here, or not of one robot.
    """
    files = []
    for config in source.configs:
        if not is_rl_sar(config):
            raise ConfigError(f"{config.path}: no base.yaml or config.yaml of rl_sar")
        for data in config.data.values():
            _refuse_older(config.path, data)
        if len(config.data) != 1:
            raise ConfigError(f"{config.path}: expected one key at the top, found {', '.join(config.data)}")
        files += [RlSarFile(config.path, key, data) for key, data in config.data.items()]
    policies = [file for file in files if {"observations", "rl_kp", "model_name"} & set(file.data)]
    bases = [file for file in files if file not in policies]
    if len(bases) != 1 or len(policies) != 1:
        found = ", ".join(str(file.path) for file in files)
        raise ConfigError(f"rl_sar needs the robot's base.yaml and one policy's config.yaml; found {found}")
    base, policy = bases[0], policies[0]
    if policy.key.partition("/")[0] != base.key:
        raise ConfigError(f"{policy.path} is of '{policy.key}', but {base.path} is of robot '{base.key}'")
    return base, policy


def _refuse_older(path: Path, data: Mapping[str, Any]) -> None:
    """Layouts before 3.0 have other orders and meanings under the same names.

    Raises:
        ConfigError: it is one; says of which version, and what to convert.
    """
    if "joint_mapping" in data:
        return
    if {"state_mapping", "command_mapping"} & set(data):
        version, todo = "2.3 to 2.5", "'joint_mapping' is its state_mapping"
    elif {"rows", "cols", "use_history", "framework"} & set(data):
        version = "2.0 to 2.2"
        todo = (
            "its lists are transposed with framework isaacsim, its history runs backwards, its last action is reduced"
        )
    elif "observations" not in data and ("rl_kp" in data or "p_gains" in data):
        version = "1.0 to 1.2"
        todo = "'observations' is [ang_vel, gravity_vec, commands, dof_pos, dof_vel, actions]"
    else:
        return
    layout = "a base.yaml with dt, decimation and joint_names, and a config.yaml"
    raise ConfigError(f"{path}: layout of rl_sar {version}; convert it to that of 3.0, {layout}: {todo}")
