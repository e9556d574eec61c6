"""Finds what the package ships: robots, policies, safety limits, models."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from humanoid_rl_ros.core.errors import ConfigError, did_you_mean
from humanoid_rl_ros.core.occupancy import OccupancyMap
from humanoid_rl_ros.core.robot import RobotSpec, load_robot
from humanoid_rl_ros.navigation.bundle import FILE_NAME as NAVIGATION_FILE
from humanoid_rl_ros.navigation.bundle import NavigationBundle, load_navigation
from humanoid_rl_ros.navigation.map_file import SUFFIXES, load_map
from humanoid_rl_ros.policies.bundle import FILE_NAME, ROBOT_FILES, PolicyBundle
from humanoid_rl_ros.policies.bundle_file import load_bundle
from humanoid_rl_ros.policies.team_bundle import TEAM_FILE, TeamBundle, load_team

PACKAGE = "humanoid_rl_ros"
DEFAULT_ROBOT = "reference"
GET_UP = "get_up"
"""How the names of policies begin that get a robot up."""


def _share_candidates() -> Iterator[Path]:
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        if prefix:
            yield Path(prefix) / "share" / PACKAGE
    yield Path(sys.prefix) / "share" / PACKAGE


def share_folder() -> Path:
    """Where `config/` and `launch/` are: beside this code in a checkout, else the installed share folder.

    Raises:
        ConfigError: neither is there.
    """
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / "package.xml").is_file() and (checkout / "config").is_dir():
        return checkout
    for folder in _share_candidates():
        if (folder / "config").is_dir():
            return folder
    raise ConfigError(f"the files of {PACKAGE} are not installed: no share/{PACKAGE} under {sys.prefix}")


def model_folder() -> Path:
    """Where the shipped models are."""
    return Path(str(resources.files(PACKAGE) / "simulation" / "models"))


def robot_names() -> tuple[str, ...]:
    """Names of the shipped robots."""
    return tuple(sorted(path.stem for path in (share_folder() / "config" / "robots").glob("*.yaml")))


def policy_names() -> tuple[str, ...]:
    """Names of the shipped policies."""
    return tuple(sorted(path.parent.name for path in (share_folder() / "config" / "policies").glob(f"*/{FILE_NAME}")))


def find_robot(name: str) -> RobotSpec:
    """A robot by the name of a shipped one, its YAML, or its model file.

    Args:
        name: ``reference``, ``path/to/robot.yaml``, ``path/to/model.xml`` or ``path/to/model.urdf``.

    Raises:
        ConfigError, ModelError: it is not there or not usable.
    """
    if not name:
        raise ConfigError(f"no robot is given; name one of {', '.join(robot_names())}, or a robot YAML or model file")
    path = Path(name).expanduser()
    if path.suffix in (".yaml", ".yml"):
        return load_robot(path)
    if path.suffix.lower() in (".xml", ".mjcf", ".urdf"):
        from humanoid_rl_ros.simulation.describe import describe  # needs mujoco, which a robot's computer may lack

        return describe(path).robot
    if name not in robot_names():
        raise ConfigError(f"no robot named '{name}'; {did_you_mean(name, robot_names())}")
    return load_robot(share_folder() / "config" / "robots" / f"{name}.yaml")


def find_policy(name: str) -> PolicyBundle:
    """A policy bundle by the name of a shipped one or its folder.

    Raises:
        ConfigError: it is not there or malformed.
    """
    if not name:
        raise ConfigError(f"no policy is given; name one of {', '.join(policy_names())}, or a folder with {FILE_NAME}")
    path = Path(name).expanduser()
    if path.suffix in (".onnx", ".pt", ".pth", ".zip") and path.is_file():
        raise ConfigError(f"{path}: weights, and no bundle yet; make one of them: humanoid_rl policy import")
    if path.exists():
        return load_bundle(path)
    if name not in policy_names():
        what = f"no policy bundle at '{name}'" if os.sep in name else f"no policy named '{name}'"
        raise ConfigError(f"{what}; {did_you_mean(name, policy_names())}")
    return load_bundle(share_folder() / "config" / "policies" / name)


def team_names() -> tuple[str, ...]:
    """Names of the shipped policies of teams."""
    return tuple(sorted(path.parent.name for path in (share_folder() / "config" / "teams").glob(f"*/{TEAM_FILE}")))


def is_team(name: str) -> bool:
    """Whether this is a policy of a team: a shipped one's name, or the folder or `team.yaml` of one."""
    path = Path(name).expanduser()
    return name in team_names() or (path / TEAM_FILE).is_file() or (path.name == TEAM_FILE and path.is_file())


def find_team(name: str) -> TeamBundle:
    """A team bundle by the name of a shipped one or its folder.

    Raises:
        ConfigError: it is not there or malformed.
    """
    if not name:
        raise ConfigError(f"no team is given; name one of {', '.join(team_names())}, or a folder with {TEAM_FILE}")
    if Path(name).expanduser().exists() and name not in team_names():
        return load_team(name)
    if name not in team_names():
        what = f"no team bundle at '{name}'" if os.sep in name else f"no team named '{name}'"
        raise ConfigError(f"{what}; {did_you_mean(name, team_names())}")
    return load_team(share_folder() / "config" / "teams" / name)


def robot_named(name: str) -> str:
    """The shipped robot of a name, as `find_robot` takes it; the default robot where none has it."""
    found = (short for short in robot_names() if name in (short, find_robot(short).name))
    return next(found, DEFAULT_ROBOT)


def default_policy(robot: RobotSpec) -> str:
    """Name of the shipped policy that a robot runs when nobody says which: one that walks, if there is one.

    Raises:
        ConfigError: none is shipped for this robot.
    """
    fitting = [name for name in _fitting(robot) if not name.startswith(GET_UP)]
    if not fitting:
        raise ConfigError(
            f"no policy is shipped for robot '{robot.name}'; name a bundle, or make one: humanoid_rl train, "
            "humanoid_rl policy stand"
        )
    return min(fitting, key=lambda name: (not name.startswith("walk"), name))


def robot_of(bundle: PolicyBundle) -> str:
    """The robot that a bundle is for, as `find_robot` takes it.

    That is a robot file in its folder (`ROBOT_FILES`), or the shipped robot that it names, or else the shipped one
    whose joints are those that it drives and holds.

    Raises:
        ConfigError: there is none.
    """
    for name in ROBOT_FILES:
        if (bundle.folder / name).is_file():
            return str(bundle.folder / name)
    for name in robot_names():
        if bundle.robot in (name, find_robot(name).name):
            return name
    for name in robot_names():
        if {*bundle.joints, *bundle.held} == set(find_robot(name).joint_names):
            return name
    of = f"is of robot '{bundle.robot}', which is not shipped" if bundle.robot else "says no robot"
    raise ConfigError(
        f"policy '{bundle.name}' {of}; name one with --robot, or put {ROBOT_FILES[0]} beside its policy.yaml"
    )


def default_get_up(robot: RobotSpec) -> str:
    """Name of the shipped policy that gets a robot up; empty where none is shipped."""
    return next((name for name in _fitting(robot) if name.startswith(GET_UP)), "")


def _fitting(robot: RobotSpec) -> list[str]:
    folder = share_folder() / "config" / "policies"
    return [name for name in policy_names() if load_bundle(folder / name).robot == robot.name]


def benchmark_folder() -> Path:
    """Where the policy of the benchmarks is, and beside it the robot they pretend to be: 29 joints, no model."""
    return share_folder() / "config" / "benchmark"


def benchmark_robot() -> str:
    """Path of that robot."""
    return str(benchmark_folder() / "robot.yaml")


def safety_file(name: str = "") -> Path:
    """The safety YAML of that path, or the shipped one."""
    return Path(name).expanduser() if name else share_folder() / "config" / "safety.yaml"


def map_names() -> tuple[str, ...]:
    """Names of the shipped maps."""
    return tuple(sorted(path.stem for path in (share_folder() / "config" / "maps").glob("*.yaml")))


def find_map(name: str) -> OccupancyMap:
    """A map of the floor by the name of a shipped one or its YAML.

    Raises:
        ConfigError: it is not there or malformed.
    """
    return load_map(map_file(name))


def map_file(name: str) -> Path:
    """The YAML of a shipped map by its name, or the path that was given.

    Raises:
        ConfigError: there is no such map.
    """
    path = Path(name).expanduser()
    if path.suffix in SUFFIXES:
        return path
    if name not in map_names():
        raise ConfigError(f"no map named '{name}', and no .yaml; {did_you_mean(name, map_names())}")
    return share_folder() / "config" / "maps" / f"{name}.yaml"


def navigation_names() -> tuple[str, ...]:
    """Names of the shipped navigation bundles."""
    folder = share_folder() / "config" / "navigation"
    return tuple(sorted(path.parent.name for path in folder.glob(f"*/{NAVIGATION_FILE}")))


def find_navigation(name: str) -> NavigationBundle:
    """A navigation bundle by the name of a shipped one, its folder, or that of the run that learned it.

    Raises:
        ConfigError: it is not there or malformed.
    """
    if not name:
        known = ", ".join(navigation_names())
        raise ConfigError(f"no navigation bundle is given; name one of {known}, or a folder with {NAVIGATION_FILE}")
    path = Path(name).expanduser()
    if path.exists():
        of_run = path / "policy"
        return load_navigation(of_run if (of_run / NAVIGATION_FILE).is_file() else path)
    if name not in navigation_names():
        what = f"no navigation bundle at '{name}'" if os.sep in name else f"no navigation bundle named '{name}'"
        raise ConfigError(f"{what}; {did_you_mean(name, navigation_names())}")
    return load_navigation(share_folder() / "config" / "navigation" / name)
