"""Does this policy fit this robot? Everything that can be said without running it, most serious first."""

from __future__ import annotations

import math
from dataclasses import dataclass

from humanoid_rl_ros.core.errors import ContractError, HumanoidError, did_you_mean
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.policies.bundle import PolicyBundle


@dataclass(frozen=True)
class Finding:
    """One line of the check.

    Attributes:
        level: ``error``: the policy must not run; ``warning``: it may, and a person should know.
        text: what differs, with both values.
    """

    level: str
    text: str


def check_contract(bundle: PolicyBundle, robot: RobotSpec, *, has_base_linear_velocity: bool = False) -> list[Finding]:
    """Compare a bundle with a robot.

    Args:
        bundle: the policy.
        robot: the robot it is to drive.
        has_base_linear_velocity: whether an estimator or the simulation gives the base's linear velocity.

    Returns:
        What does not fit, errors first; empty when all fits.
    """
    findings = [
        *_joint_findings(bundle, robot),
        *_sensor_findings(bundle, robot, has_base_linear_velocity),
        *_value_findings(bundle, robot),
    ]
    return sorted(findings, key=lambda finding: finding.level != "error")


def require_contract(
    bundle: PolicyBundle, robot: RobotSpec, *, has_base_linear_velocity: bool = False
) -> list[Finding]:
    """Refuse a bundle that does not fit.

    Returns:
        The warnings.

    Raises:
        ContractError: with the first difference.
    """
    findings = check_contract(bundle, robot, has_base_linear_velocity=has_base_linear_velocity)
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise ContractError(f"policy '{bundle.name}' does not fit robot '{robot.name}': {errors[0].text}{more}")
    return findings


def _joint_findings(bundle: PolicyBundle, robot: RobotSpec) -> list[Finding]:
    findings = []
    for what, names in (
        ("driven", bundle.joints),
        ("held", bundle.held),
        ("observed", bundle.observation.joints),
    ):
        for name in names:
            if name not in robot.joint_names:
                hint = did_you_mean(name, robot.joint_names)
                findings.append(Finding("error", f"{what} joint '{name}' is not a joint of the robot; {hint}"))
    for name in robot.joint_names:
        if name not in bundle.joints and name not in bundle.held and not bundle.hold_remaining:
            findings.append(
                Finding(
                    "error",
                    f"robot joint '{name}' is neither driven nor held; list it under 'held' or set hold_remaining",
                )
            )
    return findings


def _sensor_findings(bundle: PolicyBundle, robot: RobotSpec, has_base_linear_velocity: bool) -> list[Finding]:
    findings = []
    if bundle.needs_base_linear_velocity and not has_base_linear_velocity:
        findings.append(
            Finding("error", "it observes base_lin_vel, which no sensor of the robot gives; name an estimator's topic")
        )
    if bundle.imu and bundle.imu != robot.imu.attachment:
        found = robot.imu.attachment or "the root body"
        findings.append(
            Finding(
                "error",
                f"it was trained on the IMU at '{bundle.imu}', the robot's is at '{found}' (set in the robot YAML)",
            )
        )
    try:
        bundle.observation_builder(bundle.observation.joints)
    except HumanoidError as error:
        findings.append(Finding("error", str(error)))
    return findings


def _value_findings(bundle: PolicyBundle, robot: RobotSpec) -> list[Finding]:
    findings = []
    joints = {joint.name: joint for joint in robot.joints}
    poses = {name: joint.default_position for name, joint in bundle.joints.items()}
    poses |= {name: joint.position for name, joint in bundle.held.items()}
    limits = {name: joint.effort_limit for name, joint in bundle.joints.items()}
    limits |= {name: joint.effort_limit for name, joint in bundle.held.items()}
    for name, pose in poses.items():
        spec = joints.get(name)
        if spec is not None and not spec.lower <= pose <= spec.upper:
            limits_text = f"[{spec.lower:g}, {spec.upper:g}]"
            text = f"default position {pose:g} rad of joint '{name}' is outside its limits {limits_text}"
            findings.append(Finding("error", text))
    for name, limit in limits.items():
        spec = joints.get(name)
        # An infinite limit is one that the bundle does not state.
        if spec is not None and math.isfinite(limit) and limit > spec.effort_limit * (1.0 + 1e-6):
            text = f"it expects {limit:g} N·m of joint '{name}', the robot gives {spec.effort_limit:g}"
            findings.append(Finding("warning", f"{text}; the robot's limit is used"))
    return findings
