"""A load is what the same mass would be that the model's author had fixed there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from humanoid_rl_ros.core.controller import PDGains
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.simulation.batch_simulation import BatchSimulation, unvaried
from humanoid_rl_ros.simulation.layout import layout
from humanoid_rl_ros.simulation.mujoco_model import prepare
from humanoid_rl_ros.simulation.payload import add_payload, payload_body

Refuses = Callable[..., AbstractContextManager[None]]
ROBOT = find_robot("reference")
PLACE = np.array([0.05, -0.03, 0.12])


def test_a_load_is_a_mass_that_was_fixed_there() -> None:
    """Mass matrix and gravity of the loaded model against those of one with a body more."""
    model = prepare(ROBOT, timestep=0.005, visual=False)
    torso = payload_body(model, "*torso*", layout(model, ROBOT).root_body)
    centre = model.body_ipos[torso].copy()

    def fix(spec: mujoco.MjSpec) -> None:
        tiny = 1e-9  # what is no body without an inertia
        body = spec.body(model.body(torso).name).add_body(name="load", pos=centre + PLACE)
        body.mass, body.inertia, body.explicitinertial = 7.0, [tiny] * 3, True
        body.ipos, body.iquat = [0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]

    expected = prepare(ROBOT, timestep=0.005, visual=False, extend=fix)
    add_payload(model, torso, 7.0, PLACE)
    data, wanted = mujoco.MjData(model), mujoco.MjData(expected)
    mujoco.mj_setConst(model, data)
    for each, of in ((data, model), (wanted, expected)):
        each.qpos[:] = of.key(0).qpos
        each.qpos[3:7] = [0.8, 0.0, 0.6, 0.0]
        each.qvel[:] = np.linspace(-1.0, 1.0, of.nv)
        mujoco.mj_forward(of, each)
    matrices = [np.zeros((model.nv, model.nv)) for _ in range(2)]
    mujoco.mj_fullM(model, data, matrices[0])
    mujoco.mj_fullM(expected, wanted, matrices[1])
    np.testing.assert_allclose(matrices[0], matrices[1], atol=1e-6)
    np.testing.assert_allclose(data.qfrc_bias, wanted.qfrc_bias, atol=1e-5)
    assert model.body_mass[torso] == pytest.approx(expected.body_mass[torso] + 7.0)


def test_a_load_presses_on_the_feet_and_is_taken_off_again() -> None:
    gains = PDGains(ROBOT.kp, ROBOT.kd, ROBOT.effort_limit)
    simulation = BatchSimulation(
        ROBOT, gains, 2, timestep=0.005, substeps=4, initial_position=ROBOT.default_position, threads=1, varied=True
    )
    plain = unvaried(2, ROBOT.n_joints)
    loaded = replace(plain, payload=np.array([0.0, 0.2]), payload_place=np.tile(PLACE, (2, 1)), payload_on="*torso*")
    for _ in range(3):  # what was carried before is put down
        simulation.vary(np.arange(2), loaded)
    for _ in range(25):
        simulation.step(np.tile(ROBOT.default_position, (2, 1)))
    weight = 35.0 * 9.81
    np.testing.assert_allclose(simulation.sensors.foot_force.sum(axis=1), [weight, 1.2 * weight], rtol=0.1)
    inertia = [model.body_inertia.copy() for model in simulation._models]
    assert np.abs(inertia[0] - inertia[1]).max() > 1e-4
    simulation.vary(np.arange(2), replace(loaded, payload=np.zeros(2)))
    for name in (
        "body_mass",
        "body_inertia",
        "body_ipos",
        "body_iquat",
        "body_subtreemass",
        "body_sameframe",
        "dof_M0",
    ):
        np.testing.assert_array_equal(getattr(simulation._models[1], name), getattr(simulation.model, name))
    simulation.close()


def test_a_weak_joint_gives_its_share_of_the_effort_up_to_its_share_of_the_limit() -> None:
    gains = PDGains(ROBOT.kp, ROBOT.kd, ROBOT.effort_limit)
    simulation = BatchSimulation(
        ROBOT, gains, 2, timestep=0.005, substeps=1, initial_position=ROBOT.default_position, threads=1, varied=True
    )
    strength = np.ones((2, ROBOT.n_joints))
    weak = ROBOT.joint_names.index("left_knee_joint")
    strength[1, weak] = 0.3
    for reach in (0.05, 2.0):  # the knee asks for 10 N·m, then for 400 of its 120
        everyone = np.arange(2)
        simulation.place(everyone, np.tile(simulation.initial_qpos, (2, 1)), np.zeros((2, simulation.model.nv)))
        simulation.vary(everyone, replace(unvaried(2, ROBOT.n_joints), strength=strength))
        simulation.step(np.tile(ROBOT.default_position + reach, (2, 1)))
        strong, effort = simulation.sensors.effort
        np.testing.assert_allclose(strong, np.minimum(ROBOT.kp * reach, ROBOT.effort_limit), rtol=1e-9)
        np.testing.assert_allclose(effort, strong * strength[1], rtol=1e-9)
    simulation.vary(np.arange(2), replace(unvaried(2, ROBOT.n_joints), strength=np.ones((2, ROBOT.n_joints))))
    np.testing.assert_array_equal(simulation._models[1].actuator_forcerange, simulation.model.actuator_forcerange)
    simulation.close()


def test_one_body_must_carry_it(refuses: Refuses) -> None:
    model = prepare(ROBOT, timestep=0.005, visual=False)
    root = layout(model, ROBOT).root_body
    assert payload_body(model, "", root) == root
    with refuses(ConfigError, "'payload_on'", "no body", "'*backpack*'", "torso_link"):
        payload_body(model, "*backpack*", root)
    with refuses(ConfigError, "'payload_on'", "2 bodies", "'*knee*'"):
        payload_body(model, "*knee*", root)
