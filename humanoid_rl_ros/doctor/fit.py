"""Judges robot, policy and limits, as the nodes would when they are configured."""

from __future__ import annotations

from dataclasses import dataclass

from humanoid_rl_ros.core.errors import HumanoidError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.doctor.findings import ERROR, WARNING, Finding, error, ok
from humanoid_rl_ros.doctor.streams import Expected
from humanoid_rl_ros.policies.bundle import ESTIMATOR, PolicyBundle
from humanoid_rl_ros.policies.contract import check_contract
from humanoid_rl_ros.resources import find_policy, find_robot, robot_of, safety_file
from humanoid_rl_ros.safety.limits import SafetyLimits, load_safety_limits


@dataclass(frozen=True)
class Fit:
    """What was named, as far as it could be loaded.

    Attributes:
        robot, policy: None where nobody named one, or it is not usable.
        limits: the shipped ones where those that were named are not usable.
        findings: what there is to say.
    """

    robot: RobotSpec | None
    policy: PolicyBundle | None
    limits: SafetyLimits
    findings: tuple[Finding, ...]

    def expected_states(self) -> Expected:
        """Of joint states and IMU."""
        limits, policy = self.limits, self.policy
        return Expected(
            timeout=min(limits.state_timeout, limits.imu_timeout),
            flood_rate=limits.flood_rate,
            least_rate=0.0 if policy is None else 1.0 / policy.control_period,
            wanted_rate=0.0 if policy is None else policy.pd_rate,
        )

    def expected_efforts(self) -> Expected:
        """Of the policy's efforts."""
        return Expected(timeout=self.limits.command_timeout)


def judge_fit(robot: str, policy: str, limits: str) -> Fit:
    """Load what was named, and compare.

    Args:
        robot: as of `find_robot`; empty: the policy's, or none.
        policy: as of `find_policy`; empty: none.
        limits: safety YAML; empty: the shipped one.
    """
    findings: list[Finding] = []
    bundle: PolicyBundle | None = None
    spec: RobotSpec | None = None
    try:
        if policy:
            bundle = find_policy(policy)
            findings.append(ok("policy.bundle", f"'{bundle.name}', {1.0 / bundle.control_period:g} Hz"))
    except HumanoidError as refusal:
        findings.append(error("policy.bundle", str(refusal), "no node would load it"))
    try:
        if robot or bundle is not None:
            spec = find_robot(robot or robot_of(bundle)) if bundle is not None else find_robot(robot)
            findings.append(ok("robot.file", f"'{spec.name}', {spec.n_joints} joints"))
    except HumanoidError as refusal:
        findings.append(error("robot.file", str(refusal), "no node would load it"))
    if spec is not None and bundle is not None:
        findings += _contract(bundle, spec)
    try:
        thresholds = load_safety_limits(safety_file(limits))
        findings.append(ok("safety.limits", str(safety_file(limits))))
    except HumanoidError as refusal:
        thresholds = SafetyLimits()
        findings.append(error("safety.limits", str(refusal), "the safety monitor would not start"))
    return Fit(spec, bundle, thresholds, tuple(findings))


def _contract(bundle: PolicyBundle, robot: RobotSpec) -> list[Finding]:
    differing = check_contract(bundle, robot, base_velocity=ESTIMATOR if robot.base_velocity_topic else "")
    todo = f"all of it: humanoid_rl policy check {bundle.folder}"
    findings = []
    for level, name in ((ERROR, "policy.contract"), (WARNING, "policy.differences")):
        lines = [line.text for line in differing if line.level == level]
        more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
        findings += [Finding(name, level, lines[0] + more, todo)] if lines else []
    return findings or [ok("policy.contract", f"'{bundle.name}' fits robot '{robot.name}'")]
