"""Hills: what the physics feels is what is said of them, and they repeat themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

from humanoid_rl_ros.core.controller import PDGains
from humanoid_rl_ros.core.errors import ConfigError, ModelError
from humanoid_rl_ros.core.robot import JointSpec, ModelSource, RobotSpec
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.simulation.batch_simulation import BatchSimulation, unvaried
from humanoid_rl_ros.simulation.terrain import Terrain, TerrainShape, hills

Refuses = Callable[..., AbstractContextManager[None]]
SHAPE = TerrainShape(wavelength=0.8, cell=0.1, size=8.0, seed=4)
# A ball that rolls anywhere; its one joint turns a wheel of no weight.
BALL = """<mujoco><worldbody>{floor}
  <body name="ball" pos="0 0 0.1"><freejoint/><geom name="ball" type="sphere" size="0.1" mass="1"/>
    <body name="wheel"><joint name="wheel" axis="0 0 1"/>
      <inertial pos="0 0 0" mass="1e-6" diaginertia="0.05 0.05 0.05"/></body>
  </body></worldbody>{tail}</mujoco>"""


@pytest.fixture
def ball(tmp_path: Path) -> Callable[..., RobotSpec]:
    def make(floor: str = "", tail: str = "") -> RobotSpec:
        (tmp_path / "ball.xml").write_text(BALL.format(floor=floor, tail=tail))
        joint = JointSpec("wheel", -3.0, 3.0, 5.0, kp=1.0, kd=0.1, armature=0.01)
        return RobotSpec("ball", (joint,), model=ModelSource(tmp_path / "ball.xml"))

    return make


@contextmanager
def simulate(robot: RobotSpec, heights: list[float] | None, **changes: Any) -> Iterator[BatchSimulation]:
    """Robots on hills of these heights; None for one robot on its floor."""
    n = 1 if heights is None else len(heights)
    settings: dict[str, Any] = {"timestep": 0.005, "substeps": 1, "threads": 1} | changes
    gains = PDGains(robot.kp, robot.kd, robot.effort_limit)
    if heights is not None:
        settings |= {"terrain": SHAPE, "tallest": max(heights)}
    simulation = BatchSimulation(robot, gains, n, initial_position=robot.default_position, **settings)
    if heights is not None:
        simulation.vary(np.arange(n), replace(unvaried(n, robot.n_joints), terrain=np.array(heights)))
    yield simulation
    simulation.close()


def test_hills_fill_their_range_and_repeat_themselves_smoothly() -> None:
    found = hills(SHAPE)
    assert found.shape == (80, 80)
    assert (found.min(), found.max()) == (0.0, 1.0)
    np.testing.assert_array_equal(found, hills(SHAPE))
    assert np.abs(found - hills(replace(SHAPE, seed=5))).max() > 0.5
    for axis in (0, 1):
        slopes = np.diff(found, axis=axis, append=found.take([0], axis))  # the last one leads into the next period
        bends = np.abs(np.diff(slopes, axis=axis, append=slopes.take([0], axis)))
        assert bends.take(range(-2, 0), axis).max() <= bends.take(range(78), axis).max()
        assert np.abs(slopes).max() < 0.3


def test_a_ray_from_above_meets_the_ground_where_it_is_said_to_be(ball: Callable[..., RobotSpec]) -> None:
    rng = np.random.default_rng(0)
    with simulate(ball(), [0.05, 0.3]) as simulation:
        assert simulation.terrain is not None
        for row in (0, 1):
            model = simulation._models[row]
            data = mujoco.MjData(model)
            data.qpos[2] = 50.0
            mujoco.mj_forward(model, data)
            # Beyond the first period as far as an arm reaches.
            places = rng.uniform(-5.0, 5.0, (200, 2))
            hit = np.zeros(1, dtype=np.int32)
            down = np.array([0.0, 0.0, -1.0])
            rays = [
                3.0 - mujoco.mj_ray(model, data, np.append(place, 3.0), down, None, 1, -1, hit, None)
                for place in places
            ]
            said = simulation.terrain.under(places[None], np.array([row]))[0]
            np.testing.assert_allclose(said, rays, atol=1e-7)
            assert said.max() > 0.8 * (0.05, 0.3)[row]


def test_a_ball_rolls_on_the_ground_that_is_said_to_be_under_it(ball: Callable[..., RobotSpec]) -> None:
    """Its centre is above the ground there by its radius over the cosine of the slope, of at most 0.1 here."""
    with simulate(ball(), [0.1]) as one:
        assert one.terrain is not None
        start = one.initial_qpos[None].copy()
        start[0, 2] += one.terrain.highest_under(start[:, :2], np.array([0]))[0]
        one.place(np.array([0]), start, np.zeros((1, one.model.nv)))
        heights = []
        for step in range(600):
            one.step(np.zeros((1, 1)))
            if step > 200:
                assert 0.097 < one.base_height[0] < 0.1 / np.cos(0.1) + 0.002
            heights.append(one.base_position[0, 2])
        assert np.ptp(heights) > 0.01  # it rolled


def test_who_walks_over_the_edge_of_a_period_is_put_back_and_feels_nothing(ball: Callable[..., RobotSpec]) -> None:
    with simulate(ball(), [0.2, 0.2]) as simulation:
        assert simulation.terrain is not None
        start = np.tile(simulation.initial_qpos, (2, 1))
        start[:, :2] = [[3.9, 1.0], [3.9 - SHAPE.size, 1.0 + 2.0 * SHAPE.size]]
        start[:, 2] += simulation.terrain.highest_under(start[:, :2], np.arange(2))
        velocity = np.zeros((2, simulation.model.nv))
        velocity[:, 0] = 1.0
        simulation.place(np.arange(2), start, velocity)
        before = simulation.base_position[0, 0]
        for _ in range(60):
            simulation.step(np.zeros((2, 1)))
            np.testing.assert_allclose(simulation.qpos[1], simulation.qpos[0], atol=1e-7)
            assert np.abs(simulation.base_position[:, :2]).max() <= 0.5 * SHAPE.size
        assert simulation.base_position[0, 0] < before - 7.0


def test_hills_of_no_height_are_the_floor_to_the_bit() -> None:
    robot = find_robot("reference")
    targets = robot.default_position + 0.3 * np.sin(np.arange(60)[:, None] * 0.1 + np.arange(robot.n_joints))
    with simulate(robot, [0.0, 0.1]) as hilly, simulate(robot, None) as flat:
        for target in targets:
            hilly.step(np.tile(target, (2, 1)))
            flat.step(target[None])
            np.testing.assert_array_equal(hilly.qpos[0], flat.qpos[0])
            np.testing.assert_array_equal(hilly.sensors.foot_force[0], flat.sensors.foot_force[0])
        np.testing.assert_array_equal(hilly.foot_height[0], flat.foot_height[0])
        assert np.abs(hilly.qpos[1] - hilly.qpos[0]).max() > 0.01


def test_what_cannot_be_laid_is_refused(ball: Callable[..., RobotSpec], refuses: Refuses) -> None:
    for wrong in ({"cell": 0.01}, {"cell": 0.9}, {"size": 2.0}, {"size": 200.0}):
        with refuses(ConfigError, "terrain", "cell ≤ wavelength"):
            replace(SHAPE, **wrong)  # type: ignore[arg-type]
    with refuses(ConfigError, "terrain", "more than the 1000"):
        TerrainShape(cell=0.05, size=90.0)
    named = '<geom name="ground" type="plane" size="0 0 1"/>', '<contact><pair geom1="ground" geom2="ball"/></contact>'
    with refuses(ModelError, "pairs of geoms that meet its floor"), simulate(ball(*named), [0.1]):
        pass


def test_ground_is_asked_for_anywhere_even_where_there_is_none() -> None:
    terrain = Terrain(SHAPE, 1)
    terrain.height[:] = 0.1
    said = terrain.under(np.array([[[np.nan, 0.0], [np.inf, 1.0], [1e12, 0.0], [0.3, 0.2]]]), np.array([0]))
    assert np.isfinite(said).all()
