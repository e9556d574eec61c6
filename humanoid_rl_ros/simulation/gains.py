"""Gains that hold a robot's default pose, worked out from its masses where its author gave none."""

from __future__ import annotations

import math

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.simulation.layout import STAND_KEY, layout
from humanoid_rl_ros.simulation.model_file import mujoco
from humanoid_rl_ros.simulation.standing import find_feet

# The PD law is assumed to run at least at this rate, with the effort held in between.
PD_PERIOD = 0.002
# Angle that a limb may sag under its own weight, and how much stiffer than gravity a leg must be to hold what is above.
SAG = 0.25
SUPPORT_MARGIN = 3.0
# Full effort at this deviation, at most: gains in use on built humanoids lie between 0.4 and 0.7 N·m/rad per N·m.
EFFORT_ANGLE = 2.0
LOWEST_FREQUENCY, HIGHEST_FREQUENCY = 1.0, 40.0
DAMPING_RATIO = 1.0
# Part of a joint's speed that damping may take in one period; from 1 on it turns the speed round.
DAMPING_PER_PERIOD = 0.5
GIVEN_DAMPING_PER_PERIOD = 0.8


def joint_inertia(model: mujoco.MjModel, robot: RobotSpec) -> FloatArray:
    """Inertia that a joint's motor feels with every other joint and the base free, in the default pose.

    The reciprocal diagonal of the inverse mass matrix: the smallest the joint can show, so what is stable with it is
    stable with a foot on the ground too.

    Args:
        model: from `prepare`.
        robot: its robot.

    Returns:
        [kg·m²; Shape (n,)].
    """
    dof = layout(model, robot).dof
    return np.asarray(1.0 / np.diag(_inverse_mass(model))[dof])


def hold_gains(model: mujoco.MjModel, robot: RobotSpec) -> tuple[FloatArray, FloatArray]:
    """kp = I (2π f)² and kd = 2 ζ I (2π f), with f for each joint from the load that it must hold.

    The load of a joint between the feet and the base is the upside-down pendulum above it, shared by the feet; of any
    joint, what hangs on it. f stays within `LOWEST_FREQUENCY` and `HIGHEST_FREQUENCY`, and kd under what an
    explicit law at `PD_PERIOD` can take.

    Args:
        model: from `prepare`.
        robot: its robot; the gains in it are not looked at.

    Returns:
        kp [N·m/rad; Shape (n,)], kd [N·m·s/rad; Shape (n,)].
    """
    inertia = joint_inertia(model, robot)
    wanted = np.maximum(_load_stiffness(model, robot), robot.effort_limit / EFFORT_ANGLE)
    frequency = np.clip(np.sqrt(wanted / inertia) / (2.0 * math.pi), LOWEST_FREQUENCY, HIGHEST_FREQUENCY)
    omega = 2.0 * math.pi * frequency
    kp = inertia * omega**2
    kd = np.minimum(2.0 * DAMPING_RATIO * inertia * omega, DAMPING_PER_PERIOD * inertia / PD_PERIOD)
    return _stable_together(model, robot, kp, kd)


def most_damping(inertia: FloatArray) -> FloatArray:
    """The largest kd that an explicit law at `PD_PERIOD` can take [N·m·s/rad; Shape (n,)]."""
    return GIVEN_DAMPING_PER_PERIOD * inertia / PD_PERIOD


def _stable_together(
    model: mujoco.MjModel, robot: RobotSpec, kp: FloatArray, kd: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Scale both gains down until the coupled joints are stable.

    Semi-implicit Euler with an explicit PD law is stable per mode while kp dt²/I + 2 kd dt/I < 4; half of that is
    kept as a margin.
    """
    dof = layout(model, robot).dof
    inverse = _inverse_mass(model)[np.ix_(dof, dof)]
    rates = np.linalg.eigvals(inverse * (kp * PD_PERIOD**2 + 2.0 * kd * PD_PERIOD))
    scale = min(1.0, 2.0 / float(np.abs(rates).max()))
    return kp * scale, kd * scale


def _inverse_mass(model: mujoco.MjModel) -> FloatArray:
    data = _standing(model)
    inverse = np.empty((model.nv, model.nv))
    mujoco.mj_solveM(model, data, inverse, np.eye(model.nv))
    return inverse


def _standing(model: mujoco.MjModel) -> mujoco.MjData:
    data = mujoco.MjData(model)
    data.qpos[:] = model.key(STAND_KEY).qpos
    mujoco.mj_forward(model, data)
    return data


def _load_stiffness(model: mujoco.MjModel, robot: RobotSpec) -> FloatArray:
    data, place, feet = _standing(model), layout(model, robot), find_feet(model, layout(model, robot))
    gravity = float(np.linalg.norm(model.opt.gravity))
    total, centre = float(model.body_subtreemass[place.root_body]), data.subtree_com[place.root_body]
    stiffness = np.zeros(robot.n_joints)
    for i, joint in enumerate(place.joint_ids):
        body = int(model.jnt_bodyid[joint])
        axis, anchor = data.xaxis[joint], data.xanchor[joint]
        tipping = math.sqrt(max(0.0, 1.0 - float(axis[2]) ** 2))
        below = float(model.body_subtreemass[body])
        arm = data.subtree_com[body] - anchor
        lever = float(np.linalg.norm(arm - axis * (arm @ axis)))
        stiffness[i] = below * gravity * lever * tipping / SAG
        carries = any(body == int(b) or _is_below(model, int(b), body) for b in feet.bodies)
        if carries and total > below:
            above = (total * centre - below * data.subtree_com[body]) / (total - below)
            height = max(0.0, float(above[2] - anchor[2]))
            support = (total - below) * gravity * height * tipping / max(1, len(feet.bodies))
            stiffness[i] = max(stiffness[i], SUPPORT_MARGIN * support)
    return stiffness


def _is_below(model: mujoco.MjModel, body: int, ancestor: int) -> bool:
    while body > 0:
        body = int(model.body_parentid[body])
        if body == ancestor:
            return True
    return False
