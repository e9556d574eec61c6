"""Does this policy fit this robot? Everything that can be said without running it, line by line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from humanoid_rl_ros.core.command import AXES
from humanoid_rl_ros.core.errors import ContractError, HumanoidError, did_you_mean
from humanoid_rl_ros.core.robot import JointSpec, RobotSpec
from humanoid_rl_ros.policies.bundle import ESTIMATOR, GROUND_TRUTH, DrivenJoint, HeldJoint, PolicyBundle
from humanoid_rl_ros.policies.signature import SIGNATURE

OK, NOTE, WARNING, ERROR = "ok", "note", "warning", "error"
LEVELS = (ERROR, WARNING, NOTE, OK)
"""From the most serious on: must not run; may, and a person should know; worth a look; fits."""

STIFF_RAD = 0.02
"""A position error at which a PD law should not yet be at its effort limit [rad]."""
SLOWEST_HZ, FASTEST_HZ = 10.0, 500.0
"""Rates between which policies for legs have been seen to work [Hz]."""


@dataclass(frozen=True)
class Finding:
    """One line of the check.

    Attributes:
        level: ``ok``, ``note``, ``warning`` or ``error``.
        item: what was compared.
        text: both sides; where they differ, a sentence that can stand alone.
    """

    level: str
    item: str
    text: str


def contract_lines(bundle: PolicyBundle, robot: RobotSpec, *, base_velocity: str = "") -> list[Finding]:
    """Compare a bundle with a robot, line by line.

    Args:
        bundle: the policy.
        robot: the robot it is to drive.
        base_velocity: where the velocity of the base comes from: `ESTIMATOR`, `GROUND_TRUTH`, or empty for nowhere.

    Returns:
        What fits and what does not, in the order of reading.
    """
    return [
        *_identity(bundle, robot),
        *_joint_sets(bundle, robot),
        *_poses(bundle, robot),
        *_gains(bundle, robot),
        *_effort_limits(bundle, robot),
        *_sensors(bundle, robot, base_velocity),
        *_rates(bundle),
        *_commands(bundle),
        *(Finding(NOTE, key, f"inferred, not said by its origin: {why}") for key, why in bundle.inferred.items()),
    ]


def check_contract(bundle: PolicyBundle, robot: RobotSpec, *, base_velocity: str = "") -> list[Finding]:
    """What does not fit: the errors and warnings of `contract_lines`, errors first; empty when all fits."""
    lines = contract_lines(bundle, robot, base_velocity=base_velocity)
    return sorted((line for line in lines if line.level in (ERROR, WARNING)), key=lambda line: line.level != ERROR)


def require_contract(bundle: PolicyBundle, robot: RobotSpec, *, base_velocity: str = "") -> list[Finding]:
    """Refuse a bundle that does not fit.

    Returns:
        The warnings.

    Raises:
        ContractError: with the first difference.
    """
    findings = check_contract(bundle, robot, base_velocity=base_velocity)
    errors = [finding for finding in findings if finding.level == ERROR]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise ContractError(f"policy '{bundle.name}' does not fit robot '{robot.name}': {errors[0].text}{more}")
    return findings


def _identity(bundle: PolicyBundle, robot: RobotSpec) -> Iterable[Finding]:
    if not bundle.robot or bundle.robot == robot.name:
        yield Finding(OK, "robot", robot.name)
    else:
        yield Finding(NOTE, "robot", f"made for '{bundle.robot}', compared with '{robot.name}'")
    if bundle.weights.sha256:
        signed = ", signed" if (bundle.folder / SIGNATURE).is_file() else ""
        yield Finding(OK, "digest", f"sha256 {bundle.weights.sha256[:12]}…{signed}")
    else:
        yield Finding(NOTE, "digest", "policy.yaml names none: a changed weights file would not be noticed")


def _joint_sets(bundle: PolicyBundle, robot: RobotSpec) -> Iterable[Finding]:
    sets: Mapping[str, Iterable[str]] = {
        "driven": bundle.joints,
        "held": bundle.held,
        "observed": bundle.observation.joints,
    }
    for what, names in sets.items():
        strangers = [name for name in names if name not in robot.joint_names]
        for name in strangers:
            hint = did_you_mean(name, robot.joint_names)
            yield Finding(ERROR, f"{what} joints", f"{what} joint '{name}' is not a joint of the robot; {hint}")
        if not strangers:
            yield Finding(OK, f"{what} joints", f"{len(list(names))} of the robot's {robot.n_joints}")
    rest = [name for name in robot.joint_names if name not in bundle.joints and name not in bundle.held]
    for name in [] if bundle.hold_remaining else rest:
        text = f"robot joint '{name}' is neither driven nor held; list it under 'held' or set hold_remaining"
        yield Finding(ERROR, "remaining joints", text)
    if rest and bundle.hold_remaining:
        yield Finding(OK, "remaining joints", f"{len(rest)} held at the robot's own pose: {_some(rest)}")


def _poses(bundle: PolicyBundle, robot: RobotSpec) -> Iterable[Finding]:
    poses = {name: joint.default_position for name, joint in bundle.joints.items()}
    poses |= {name: joint.position for name, joint in bundle.held.items()}
    outside = [(spec, poses[spec.name]) for spec in _known(robot, poses) if not _within(spec, poses[spec.name])]
    for spec, pose in outside:
        limits = f"[{spec.lower:g}, {spec.upper:g}]"
        text = f"default position {pose:g} rad of joint '{spec.name}' is outside its limits {limits}"
        yield Finding(ERROR, "default pose", text)
    if not outside:
        yield Finding(OK, "default pose", "within the robot's joint limits")


def _gains(bundle: PolicyBundle, robot: RobotSpec) -> Iterable[Finding]:
    found = []
    for name, joint in _all_joints(bundle).items():
        effort_policy = bundle.action.kind == "effort" and name in bundle.joints
        if joint.kp == 0.0 and not effort_policy:
            found.append(Finding(WARNING, "gains", f"kp of joint '{name}' is 0: nothing holds it against gravity"))
        elif joint.kd == 0.0 and joint.kp > 0.0:
            found.append(Finding(WARNING, "gains", f"kd of joint '{name}' is 0: nothing damps it"))
    limits = {spec.name: spec.effort_limit for spec in robot.joints}
    for name, joint in _all_joints(bundle).items():
        limit = min(limits.get(name, math.inf), joint.effort_limit) * bundle.soft_effort_limit
        if joint.kp > 0.0 and limit / joint.kp < STIFF_RAD:
            text = (
                f"kp {joint.kp:g} of joint '{name}' reaches its limit of {limit:g} N·m {limit / joint.kp:.3f} rad away"
            )
            found.append(Finding(WARNING, "gains", f"{text} from the target"))
    yield from found or [Finding(OK, "gains", "against the effort limits: " + _reach(bundle, limits))]


def _reach(bundle: PolicyBundle, limits: Mapping[str, float]) -> str:
    """The joint whose effort limit is reached nearest to the target."""
    reach = {
        name: min(limits[name], joint.effort_limit) * bundle.soft_effort_limit / joint.kp
        for name, joint in _all_joints(bundle).items()
        if joint.kp > 0.0 and name in limits
    }
    if not reach:
        return "no joint is held by position"
    nearest = min(reach, key=lambda name: reach[name])
    return f"all reach at least {reach[nearest]:.2f} rad ('{nearest}')"


def _effort_limits(bundle: PolicyBundle, robot: RobotSpec) -> Iterable[Finding]:
    found = []
    joints = _all_joints(bundle)
    for spec in _known(robot, joints):
        limit = joints[spec.name].effort_limit
        # An infinite limit is one that the bundle does not state.
        if math.isfinite(limit) and limit > spec.effort_limit * (1.0 + 1e-6):
            text = f"it expects {limit:g} N·m of joint '{spec.name}', the robot gives {spec.effort_limit:g}"
            found.append(Finding(WARNING, "effort limits", f"{text}; the robot's limit is used"))
    yield from found or [Finding(OK, "effort limits", "none above the robot's")]


def _sensors(bundle: PolicyBundle, robot: RobotSpec, base_velocity: str) -> Iterable[Finding]:
    if bundle.imu and bundle.imu != robot.imu.attachment:
        found = robot.imu.attachment or "the root body"
        text = f"it was trained on the IMU at '{bundle.imu}', the robot's is at '{found}' (set in the robot YAML)"
        yield Finding(ERROR, "IMU", text)
    else:
        yield Finding(OK, "IMU", f"at '{robot.imu.attachment or 'the root body'}'")
    if bundle.needs_base_linear_velocity:
        yield _base_velocity(bundle, base_velocity)
    heading = [term for term in bundle.observation.term_names() if term in ("base_orientation", "base_roll_pitch_yaw")]
    if heading:
        text = f"it observes {heading[0]}, where the robot faces in the world: start it facing the way it is to keep"
        yield Finding(NOTE, "heading", text)
    try:
        size = bundle.observation_builder(bundle.observation.joints).size
        yield Finding(OK, "observation", f"{size} numbers: {', '.join(dict.fromkeys(bundle.observation.term_names()))}")
    except HumanoidError as error:
        yield Finding(ERROR, "observation", str(error))


def _base_velocity(bundle: PolicyBundle, offered: str) -> Finding:
    wanted = {GROUND_TRUTH: "the simulation's ground truth", ESTIMATOR: "an estimator"}[bundle.base_velocity]
    text = f"it observes base_lin_vel, which no sensor of the robot gives, and takes it from {wanted}"
    if not offered:
        hint = "it can only be simulated" if bundle.base_velocity == GROUND_TRUTH else "name an estimator's topic"
        return Finding(ERROR, "base velocity", f"{text}: {hint}")
    if bundle.base_velocity == GROUND_TRUTH and offered == ESTIMATOR:
        hint = "if an estimator is good enough for it, say base_velocity: estimator in policy.yaml"
        return Finding(ERROR, "base velocity", f"{text}; {hint}")
    if offered == GROUND_TRUTH:
        return Finding(NOTE, "base velocity", f"it observes base_lin_vel, from {wanted}: here that of the simulation")
    return Finding(OK, "base velocity", f"from {wanted}")


def _rates(bundle: PolicyBundle) -> Iterable[Finding]:
    rate, ratio = 1.0 / bundle.control_period, bundle.pd_rate * bundle.control_period
    text = f"{rate:g} Hz, PD law at {bundle.pd_rate:g} Hz"
    if not SLOWEST_HZ <= rate <= FASTEST_HZ:
        yield Finding(WARNING, "rates", f"a policy at {rate:g} Hz is unusual: is control_period really seconds?")
    elif abs(ratio - round(ratio)) > 1e-3:
        text = f"{text}: no whole number of joint states for an inference, so that its period varies"
        yield Finding(WARNING, "rates", text)
    else:
        yield Finding(OK, "rates", text)


def _commands(bundle: PolicyBundle) -> Iterable[Finding]:
    observed = any(name.startswith("velocity_commands") for name in bundle.observation.term_names())
    ranges = {axis: getattr(bundle.command, axis) for axis in AXES}
    text = ", ".join(f"{axis} [{low:g}, {high:g}]" for axis, (low, high) in ranges.items())
    away = [axis for axis, (low, high) in ranges.items() if not low <= 0.0 <= high]
    if not observed:
        other = ", it follows hand_targets" if bundle.observes_hand_targets else ""
        yield Finding(NOTE, "command", f"it observes no velocity command: cmd_vel means nothing to it{other}")
    elif any(math.isinf(bound) for pair in ranges.values() for bound in pair):
        if "command" in bundle.inferred:
            return  # which says so already
        text = f"{text}: no range is said, so that whatever cmd_vel says reaches the network"
        yield Finding(NOTE, "command", text)
    elif away:
        yield Finding(WARNING, "command", f"{text}: it cannot be told to stand, {away[0]} leaves zero out")
    else:
        yield Finding(OK, "command", text)


def _all_joints(bundle: PolicyBundle) -> dict[str, DrivenJoint | HeldJoint]:
    return {**bundle.joints, **bundle.held}


def _known(robot: RobotSpec, names: Iterable[str]) -> list[JointSpec]:
    joints = {joint.name: joint for joint in robot.joints}
    return [joints[name] for name in names if name in joints]


def _within(spec: JointSpec, pose: float) -> bool:
    return spec.lower <= pose <= spec.upper


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
