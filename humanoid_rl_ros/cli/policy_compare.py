"""`humanoid_rl policy compare`: does a bundle see, say and want what the policy's own code did?"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from humanoid_rl_ros.behaviours.walk import ControlStep, PolicyBehaviour
from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.core.errors import ConfigError, HumanoidError, PolicyError
from humanoid_rl_ros.core.robot import ImuSpec, JointSpec, RobotSpec
from humanoid_rl_ros.core.state import RobotState, VelocityCommand
from humanoid_rl_ros.policies.bundle import GROUND_TRUTH, PolicyBundle
from humanoid_rl_ros.policies.contract import require_contract
from humanoid_rl_ros.policies.weights_file import archive_members
from humanoid_rl_ros.resources import find_policy, find_robot

SHOWN = 8
INPUTS = {"q": None, "qd": None, "quat_wxyz": 4, "gyro": 3, "cmd": 3}
"""What a recording must hold beside `joint_names`, one row for each inference: width, None for one for each joint."""
OUTPUTS = ("obs", "raw", "target")
UNLIMITED = 1e3
"""Range and effort of joints where no robot is named [rad], [N·m]."""


@dataclass(frozen=True)
class Difference:
    """One number that differs.

    Attributes:
        what: ``obs``, ``raw`` or ``target``.
        index, label: which number of it.
        step: where it differs most.
        recorded, found: both values there.
        largest: how much they differ there.
        first: the first step where it differs by more than is allowed.
    """

    what: str
    index: int
    label: str
    step: int
    recorded: float
    found: float
    largest: float
    first: int


def compare_policy(
    bundle_name: str,
    recording: Path,
    robot_name: str,
    console: Console,
    *,
    tolerance: float = 1e-5,
    json_file: Path | None = None,
) -> bool:
    """Feed recorded measurements to a bundle and compare what comes of them.

    Args:
        bundle_name: as `humanoid_rl_ros.resources.find_policy` takes it.
        recording: an ``.npz``; `docs/bring-your-own-policy.md` says what it holds.
        robot_name: the robot whose joint limits count; empty for none.
        console: where to print.
        tolerance: largest difference that is allowed.
        json_file: where every difference goes, or None.

    Returns:
        Whether nothing differs by more.

    Raises:
        HumanoidError: the bundle, the recording or the robot cannot be read, or they do not fit each other.
    """
    bundle, recorded = find_policy(bundle_name), read_recording(recording)
    joints = tuple(str(name) for name in recorded["joint_names"])
    robot = find_robot(robot_name) if robot_name else _bare_robot(bundle, joints)
    steps = _run(bundle, robot, recorded, joints)
    behaviour_labels = bundle.observation_builder(bundle.observation.joints).labels()
    of_all = "target" in recorded and recorded["target"].shape[1] == len(joints)
    targets = joints if of_all else tuple(bundle.joints)
    found = {
        "obs": np.array([step.observation for step in steps]),
        "raw": np.array([step.action for step in steps]),
        "target": np.array([_target(step, bundle, robot, targets) for step in steps]),
    }
    labels: dict[str, Sequence[str]] = {"obs": behaviour_labels, "raw": tuple(bundle.joints), "target": targets}
    differences: list[Difference] = []
    table = Table(title=f"{escape(bundle.name)} against {escape(recording.name)}: {len(steps)} inferences")
    for heading in ("what", "numbers", "differ", "largest difference"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for what in OUTPUTS:
        if what not in recorded:
            continue
        own = _differences(what, recorded[what], found[what], labels[what], tolerance)
        largest = float(np.abs(recorded[what] - found[what]).max(initial=0.0))
        colour = "red" if own else "green"
        table.add_row(what, str(found[what].shape[1]), f"[{colour}]{len(own)}[/]", f"{largest:.3g}")
        differences += own
    console.print(table)
    for line in differences[:SHOWN]:
        console.print(
            f"{line.what}[{line.index}] {line.label}: recorded {line.recorded:.6g}, here {line.found:.6g} at inference "
            f"{line.step}; differs from inference {line.first} on",
            markup=False,
            soft_wrap=True,
        )
    if len(differences) > SHOWN:
        console.print(f"and {len(differences) - SHOWN} more")
    if json_file is not None:
        write_json(json_file, {"same": not differences, "differences": [asdict(line) for line in differences]})
    same = f"the same to {tolerance:g}" if not differences else f"{len(differences)} numbers differ by more"
    console.print(f"'{bundle.name}' and the recording: {same}", markup=False, soft_wrap=True)
    return not differences


def read_recording(path: Path) -> Mapping[str, np.ndarray]:
    """Read and check an ``.npz``; nothing in it is unpickled.

    Raises:
        ConfigError: it cannot be read, lacks an array, or an array has another shape or is not finite.
    """
    try:
        archive_members(path, "no .npz")
        with np.load(path, allow_pickle=False) as file:
            recorded = {name: file[name] for name in file.files}
    except PolicyError as error:
        raise ConfigError(str(error)) from None
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    missing = [name for name in ("joint_names", *INPUTS) if name not in recorded]
    if missing:
        raise ConfigError(f"{path}: lacks '{missing[0]}'; it holds {', '.join(recorded) or 'nothing'}")
    if not any(name in recorded for name in OUTPUTS):
        raise ConfigError(f"{path}: holds none of {', '.join(OUTPUTS)} to compare with")
    n_joints, count = len(recorded["joint_names"]), len(recorded["q"])
    widths = {name: width or n_joints for name, width in INPUTS.items()} | {"base_lin_vel": 3}
    for name, array in recorded.items():
        if name not in widths and name not in OUTPUTS:
            continue
        expected = (count, widths.get(name, array.shape[-1] if array.ndim else 0))
        if array.shape != expected or not count:
            raise ConfigError(f"{path}: '{name}' has shape {array.shape}, expected {expected}")
        if not np.issubdtype(array.dtype, np.number) or not np.isfinite(array).all():
            raise ConfigError(f"{path}: '{name}' holds what is no finite number")
    return recorded


def _bare_robot(bundle: PolicyBundle, joints: Sequence[str]) -> RobotSpec:
    specs = tuple(JointSpec(name, -UNLIMITED, UNLIMITED, UNLIMITED) for name in joints)
    return RobotSpec("the recording", specs, ImuSpec("imu", bundle.imu))


def _run(
    bundle: PolicyBundle, robot: RobotSpec, recorded: Mapping[str, np.ndarray], joints: Sequence[str]
) -> list[ControlStep]:
    require_contract(bundle, robot, base_velocity=GROUND_TRUTH)
    strangers = [name for name in robot.joint_names if name not in joints]
    if strangers:
        raise ConfigError(f"the recording has no joint '{strangers[0]}', which robot '{robot.name}' has")
    order = [list(joints).index(name) for name in robot.joint_names]
    behaviour = PolicyBehaviour(bundle, robot, bundle.load_network(), entry_blend=0.0)
    period_ns = round(bundle.control_period * 1e9)
    steps: list[ControlStep] = []
    for k in range(len(recorded["q"])):
        state = RobotState(
            k * period_ns,
            recorded["q"][k][order],
            recorded["qd"][k][order],
            recorded["quat_wxyz"][k],
            recorded["gyro"][k],
            base_linear_velocity=recorded["base_lin_vel"][k] if "base_lin_vel" in recorded else None,
        )
        if k == 0:
            behaviour.enter(state)
        try:
            behaviour.update(state, VelocityCommand(*map(float, recorded["cmd"][k])))
        except HumanoidError as error:
            raise type(error)(f"inference {k}: {error}") from None
        assert behaviour.last_step is not None  # every state takes an inference
        steps.append(behaviour.last_step)
    return steps


def _target(step: ControlStep, bundle: PolicyBundle, robot: RobotSpec, joints: Sequence[str]) -> np.ndarray:
    values = step.target.feedforward_effort if bundle.action.kind == "effort" else step.target.position
    return np.array([values[robot.joint_names.index(name)] for name in joints])


def _differences(
    what: str, recorded: np.ndarray, found: np.ndarray, labels: Sequence[str], tolerance: float
) -> list[Difference]:
    if recorded.shape != found.shape:
        raise ConfigError(f"the recording's '{what}' has {recorded.shape[1]} numbers, the bundle's {found.shape[1]}")
    apart: np.ndarray = np.abs(recorded.astype(np.float64) - found)
    lines = []
    for i in map(int, np.flatnonzero(apart.max(axis=0) > tolerance)):
        k = int(apart[:, i].argmax())
        first = int(np.flatnonzero(apart[:, i] > tolerance)[0])
        there = float(recorded[k, i]), float(found[k, i])
        lines.append(Difference(what, i, labels[i], k, *there, float(apart[k, i]), first))
    return sorted(lines, key=lambda line: line.first)
