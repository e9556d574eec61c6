"""What the actuators of a compiled model say about a joint: largest effort and gains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.simulation.model_file import mujoco


@dataclass(frozen=True)
class Actuation:
    """One joint as its actuators drive it.

    Attributes:
        effort: largest effort, or None where nothing limits it [N·m].
        kp, kd: gains of position and velocity actuators, or None where there is none [N·m/rad], [N·m·s/rad].
    """

    effort: float | None
    kp: float | None
    kd: float | None


def actuated_joints(model: mujoco.MjModel) -> list[int]:
    """Ids of the hinges that an actuator drives, in the order of the actuators, each once."""
    joints: list[int] = []
    for actuator in range(model.nu):
        joint = int(model.actuator_trnid[actuator, 0])
        if _on_joint(model, actuator) and model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE and joint not in joints:
            joints.append(joint)
    return joints


def actuation(model: mujoco.MjModel, joint: int) -> Actuation:
    """Sum up the actuators of one joint.

    MuJoCo's force law is gain · control + bias₀ + bias₁ · length + bias₂ · velocity, times the gear at the joint, with
    length and velocity measured behind the gear: a gain of the actuator counts gear² times at the joint.

    Args:
        model: as its author actuates it.
        joint: joint id.
    """
    limits, kp, kd = [], 0.0, 0.0
    torque_limits = []
    for actuator in range(model.nu):
        if not _on_joint(model, actuator) or model.actuator_trnid[actuator, 0] != joint:
            continue
        gear = abs(float(model.actuator_gear[actuator, 0]))
        if model.actuator_forcelimited[actuator]:
            torque_limits.append(gear * _largest(model.actuator_forcerange[actuator]))
        if model.actuator_biastype[actuator] == mujoco.mjtBias.mjBIAS_AFFINE:
            kp -= gear**2 * float(model.actuator_biasprm[actuator, 1])
            kd -= gear**2 * float(model.actuator_biasprm[actuator, 2])
        elif model.actuator_gaintype[actuator] == mujoco.mjtGain.mjGAIN_FIXED and model.actuator_ctrllimited[actuator]:
            gain = abs(float(model.actuator_gainprm[actuator, 0]))
            torque_limits.append(gear * gain * _largest(model.actuator_ctrlrange[actuator]))
    if torque_limits:
        limits.append(min(torque_limits))
    if model.jnt_actfrclimited[joint]:
        limits.append(_largest(model.jnt_actfrcrange[joint]))
    limits = [limit for limit in limits if limit > 0.0]
    return Actuation(min(limits) if limits else None, kp if kp > 0.0 else None, kd if kd > 0.0 else None)


def armature(model: mujoco.MjModel, joint: int) -> float:
    """Rotor inertia at a joint, of the joint and of its actuators [kg·m²]."""
    total = float(model.dof_armature[model.jnt_dofadr[joint]])
    of_actuators = getattr(model, "actuator_armature", np.zeros(model.nu))  # not in versions before 3.5
    for actuator in range(model.nu):
        if _on_joint(model, actuator) and model.actuator_trnid[actuator, 0] == joint:
            total += float(of_actuators[actuator]) * float(model.actuator_gear[actuator, 0]) ** 2
    return total


def _on_joint(model: mujoco.MjModel, actuator: int) -> bool:
    return int(model.actuator_trntype[actuator]) in (
        int(mujoco.mjtTrn.mjTRN_JOINT),
        int(mujoco.mjtTrn.mjTRN_JOINTINPARENT),
    )


def _largest(limits: FloatArray) -> float:
    return float(np.abs(limits).max())
