"""What is drawn for an episode, and what its sensors make of the truth."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.rotations import from_axis_angle, multiply, projected_gravity
from humanoid_rl_ros.core.state import RobotState
from humanoid_rl_ros.envs.ground import GroundSpec, ground_from_section
from humanoid_rl_ros.envs.measurement import measured_state
from humanoid_rl_ros.envs.randomisation import EpisodeDraws, RandomisationSpec, randomisation_from_section, tilted

Refuses = Callable[..., AbstractContextManager[None]]
MANY, JOINTS, TIMESTEP = 3000, 2, 0.005
WIDE = RandomisationSpec(
    friction=(0.4, 1.2),
    mass=(0.8, 1.2),
    centre_of_mass=0.05,
    kp=(0.9, 1.3),
    kd=(0.5, 1.1),
    delay=0.02,
    encoder_offset=0.02,
    imu_tilt=0.03,
)


def draws(spec: RandomisationSpec, level: float = 1.0, n: int = MANY) -> EpisodeDraws:
    it = EpisodeDraws(spec, n, JOINTS, TIMESTEP)
    it.draw(np.arange(n), level, np.random.default_rng(0))
    return it


def spans(values: FloatArray, low: float, high: float) -> None:
    """Fills its range, every column of it, and evenly."""
    columns = values.reshape(len(values), -1)
    width = high - low
    assert (columns >= low - 1e-12).all()
    assert (columns <= high + 1e-12).all()
    np.testing.assert_allclose(columns.min(axis=0), low, atol=0.01 * width)
    np.testing.assert_allclose(columns.max(axis=0), high, atol=0.01 * width)
    np.testing.assert_allclose(columns.mean(axis=0), 0.5 * (low + high), atol=0.03 * width)


def test_the_full_ranges_are_filled() -> None:
    it = draws(WIDE)
    spans(it.friction, 0.4, 1.2)
    spans(it.mass, 0.8, 1.2)
    spans(it.centre_of_mass, -0.05, 0.05)
    spans(it.kp, 0.9, 1.3)
    spans(it.kd, 0.5, 1.1)
    spans(it.encoder_offset, -0.02, 0.02)
    spans(it.imu_tilt, -0.03, 0.03)
    assert set(it.delay.tolist()) == {0, 1, 2, 3, 4}  # 20 ms are 4 steps of 5 ms


def test_half_a_level_is_half_as_far_from_the_model() -> None:
    it = draws(WIDE, 0.5)
    spans(it.friction, 0.6, 1.0)  # about the middle of its range
    spans(it.mass, 0.9, 1.1)
    spans(it.centre_of_mass, -0.025, 0.025)
    spans(it.kp, 0.95, 1.15)
    spans(it.kd, 0.75, 1.05)
    spans(it.encoder_offset, -0.01, 0.01)
    assert set(it.delay.tolist()) == {0, 1, 2}


def test_at_level_zero_and_without_ranges_nothing_differs() -> None:
    for it in (draws(WIDE, 0.0, 5), draws(RandomisationSpec(), 1.0, 5)):
        bodies = it.bodies(np.arange(5))
        for values, nominal in ((bodies.mass, 1.0), (bodies.kp, 1.0), (bodies.kd, 1.0), (bodies.centre_of_mass, 0.0)):
            np.testing.assert_array_equal(values, nominal)
        np.testing.assert_array_equal(it.delay, 0)
        np.testing.assert_array_equal(it.encoder_offset, 0.0)
        np.testing.assert_array_equal(it.imu_tilt, 0.0)
    np.testing.assert_allclose(draws(WIDE, 0.0, 5).friction, 0.8)
    assert np.isnan(draws(RandomisationSpec(), 1.0, 5).friction).all()


def test_only_some_robots_are_drawn_anew_and_all_is_kept() -> None:
    it = draws(WIDE, n=4)
    saved = it.state_dict()
    it.draw(np.array([2]), 1.0, np.random.default_rng(9))
    for name, before in saved.items():
        now = getattr(it, name)
        np.testing.assert_array_equal(now[[0, 1, 3]], before[[0, 1, 3]])
    assert (it.kp[2] != saved["kp"][2]).all()
    other = EpisodeDraws(WIDE, 4, JOINTS, TIMESTEP)
    other.load_state_dict(it.state_dict())
    for name in saved:
        np.testing.assert_array_equal(getattr(other, name), getattr(it, name))
    np.testing.assert_array_equal(other.bodies(np.array([2, 0])).mass, it.mass[[2, 0]])


def test_bodies_differ_when_one_of_their_ranges_does() -> None:
    ranges = {"friction": (1.0, 1.0), "mass": (0.9, 1.0), "centre_of_mass": 0.01, "kp": (1.0, 1.1), "kd": (1.0, 1.1)}
    ranges |= {"payload": (0.0, 0.1), "weak_joint": (0.5, 1.0)}
    for name, value in ranges.items():
        assert RandomisationSpec(**{name: value}).varies_bodies  # type: ignore[arg-type]
    assert not RandomisationSpec(push_speed=1.0, encoder_offset=1.0, delay=0.1, gyro_noise=1.0).varies_bodies


def _truth(n: int) -> RobotState:
    rng = np.random.default_rng(1)
    orientation = rng.normal(size=(n, 4))
    orientation /= np.linalg.norm(orientation, axis=1, keepdims=True)
    return RobotState(
        0, rng.normal(size=(n, JOINTS)), rng.normal(size=(n, JOINTS)), orientation, rng.normal(size=(n, 3))
    )


def test_a_small_tilt_of_the_imu_turns_it_about_its_own_axes() -> None:
    truth = _truth(20)
    tilt = np.random.default_rng(2).uniform(-0.03, 0.03, (20, 2))
    seen = tilted(truth.orientation, tilt)
    np.testing.assert_allclose(np.linalg.norm(seen, axis=1), 1.0, atol=1e-12)
    for i in range(20):
        roll = from_axis_angle(np.array([1.0, 0.0, 0.0]), tilt[i, 0])
        pitch = from_axis_angle(np.array([0.0, 1.0, 0.0]), tilt[i, 1])
        # The order of two small turns matters by half their product.
        np.testing.assert_allclose(seen[i], multiply(truth.orientation[i], multiply(roll, pitch)), atol=3e-4)
    level = np.tile([1.0, 0.0, 0.0, 0.0], (2, 1))
    gravity = projected_gravity(tilted(level, np.array([[0.02, 0.0], [0.0, 0.02]])))
    # A frame rolled to the right sees gravity on its right; one that pitched down, ahead.
    sine, cosine = np.sin(0.02), np.cos(0.02)
    np.testing.assert_allclose(gravity, [[0.0, -sine, -cosine], [sine, 0.0, -cosine]], atol=1e-5)


def test_constant_errors_stay_and_touch_no_source_of_chance() -> None:
    spec = RandomisationSpec(encoder_offset=0.1, imu_tilt=0.05)
    it, truth, rng = draws(spec, n=6), _truth(6), np.random.default_rng(3)
    before = rng.bit_generator.state
    first, second = measured_state(truth, it, 1.0, rng), measured_state(truth, it, 1.0, rng)
    assert rng.bit_generator.state == before
    np.testing.assert_array_equal(first.joint_position, second.joint_position)
    np.testing.assert_allclose(first.joint_position, truth.joint_position + it.encoder_offset)
    np.testing.assert_array_equal(first.joint_velocity, truth.joint_velocity)
    np.testing.assert_array_equal(first.angular_velocity, truth.angular_velocity)
    np.testing.assert_allclose(first.orientation, tilted(truth.orientation, it.imu_tilt))


@pytest.mark.parametrize("level", [1.0, 0.25])
def test_noise_is_drawn_anew_and_stays_in_its_bounds(level: float) -> None:
    spec = RandomisationSpec(gyro_noise=0.2, tilt_noise=0.04, position_noise=0.01, velocity_noise=1.5)
    it, truth, rng = draws(spec), _truth(MANY), np.random.default_rng(4)
    seen = measured_state(truth, it, level, rng)
    spans(seen.angular_velocity - truth.angular_velocity, -0.2 * level, 0.2 * level)
    spans(seen.joint_position - truth.joint_position, -0.01 * level, 0.01 * level)
    spans(seen.joint_velocity - truth.joint_velocity, -1.5 * level, 1.5 * level)
    # Sines of half the angles between what is and what is seen.
    turn = 2.0 * np.abs(multiply(truth.orientation * [1.0, -1.0, -1.0, -1.0], seen.orientation)[:, 1:])
    np.testing.assert_allclose(turn.max(axis=0), [0.04 * level, 0.04 * level, 0.0], rtol=0.02, atol=1e-9)
    again = measured_state(truth, it, level, rng)
    assert (again.joint_position != seen.joint_position).all()
    errors = np.hstack([one.joint_position - truth.joint_position for one in (seen, again)])
    assert np.abs(np.corrcoef(errors.T) - np.eye(2 * JOINTS)).max() < 0.1


def test_loads_weak_joints_and_hills_fill_their_ranges_and_their_shares() -> None:
    spec = RandomisationSpec(payload=(0.0, 0.2), payload_place=0.1, weak_joint=(0.2, 0.8))
    ground = GroundSpec((0.02, 0.1), flat_share=0.25)
    it = EpisodeDraws(spec, MANY, 5, TIMESTEP, weakenable=np.array([1, 3, 4]), ground=ground)
    for level in (0.5, 1.0):
        it.draw(np.arange(MANY), level, np.random.default_rng(0))
        spans(it.payload, 0.0, 0.2 * level)
        weak = it.strength < 1.0
        assert (weak.sum(axis=1) == 1).all()
        np.testing.assert_allclose(weak.mean(axis=0), [0.0, 1 / 3, 0.0, 1 / 3, 1 / 3], atol=0.03)
        spans(it.strength[weak], 1.0 - 0.8 * level, 1.0 - 0.2 * level)
        assert (it.terrain == 0.0).mean() == pytest.approx(0.25, abs=0.03)
        spans(it.terrain[it.terrain > 0.0], 0.02 * level, 0.1 * level)
    spans(it.payload_place, -0.1, 0.1)
    some = it.bodies(np.array([7, 2]))
    assert some.payload is not None
    assert some.strength is not None
    np.testing.assert_array_equal(some.payload, it.payload[[7, 2]])
    np.testing.assert_array_equal(some.strength, it.strength[[7, 2]])
    plain = draws(WIDE).bodies(np.arange(2))
    assert (plain.payload, plain.payload_place, plain.strength, plain.terrain) == (None,) * 4


def test_what_a_task_does_not_speak_of_draws_nothing_and_is_in_no_state() -> None:
    """So that states and runs of such tasks are what they were before there was any of it."""
    assert set(draws(WIDE).state_dict()) == {
        "friction", "mass", "centre_of_mass", "kp", "kd", "delay", "encoder_offset", "imu_tilt"
    }  # fmt: skip
    spec = RandomisationSpec(payload=(0.1, 0.2), weak_joint=(0.2, 0.8))
    it, other = (EpisodeDraws(spec, 6, 3, TIMESTEP, ground=GroundSpec((0.0, 0.1))) for _ in range(2))
    it.draw(np.arange(6), 1.0, np.random.default_rng(0))
    assert {"payload", "payload_place", "strength", "terrain"} < set(it.state_dict())
    other.load_state_dict(it.state_dict())
    for name, value in it.state_dict().items():
        np.testing.assert_array_equal(getattr(other, name), value)


def test_a_ground_is_read_and_a_wrong_one_refused(refuses: Refuses) -> None:
    ground = ground_from_section(Section({"height": [0.0, 0.1], "flat_share": 0.2, "seed": 3, "size": 12}, "terrain"))
    assert (ground.height, ground.flat_share, ground.shape.seed, ground.shape.size) == ((0.0, 0.1), 0.2, 3, 12.0)
    for data, words in (
        ({}, ["'height' is missing"]),
        ({"height": [0.1, 0.0]}, ["'height'", "the larger last"]),
        ({"height": [0.0, 2.0]}, ["'height'", "0 to 0.5 m"]),
        ({"height": [0.0, 0.1], "cel": 0.1}, ["unknown key 'cel'", "did you mean 'cell'?"]),
        ({"height": [0.0, 0.1], "cell": 1.0}, ["cell ≤ wavelength"]),
        ({"height": [0.0, 0.1], "flat_share": 1.5}, ["'flat_share' must be at most 1"]),
    ):
        with refuses(ConfigError, "terrain", *words):
            ground_from_section(Section(data, "terrain"))


def test_every_key_is_read() -> None:
    given = {
        "friction": [0.4, 1.2],
        "mass": [0.8, 1.2],
        "centre_of_mass": 0.05,
        "kp": [0.9, 1.3],
        "kd": [0.5, 1.1],
        "delay": 0.02,
        "encoder_offset": 0.02,
        "imu_tilt": 0.03,
    }
    assert randomisation_from_section(Section(given, "randomisation")) == WIDE
    assert randomisation_from_section(Section({}, "randomisation")) == RandomisationSpec()
    rest = {
        "push_speed": 0.5,
        "push_period": [1.0, 2.0],
        "start_position": 0.1,
        "start_velocity": 0.2,
        "gyro_noise": 0.3,
        "tilt_noise": 0.4,
        "position_noise": 0.5,
        "velocity_noise": 0.6,
        "payload": [0.0, 0.2],
        "payload_place": 0.1,
        "payload_on": "*torso*",
        "weak_joint": [0.5, 0.9],
        "weak_joints": ["*knee*"],
    }
    read = randomisation_from_section(Section(rest, "randomisation"))
    pairs = {"push_period": (1.0, 2.0), "payload": (0.0, 0.2), "weak_joint": (0.5, 0.9), "weak_joints": ("*knee*",)}
    assert {name: getattr(read, name) for name in rest} == rest | pairs
    assert read.noisy
    assert not WIDE.noisy


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"fricton": [0.5, 1.0]}, ["unknown key 'fricton'", "did you mean 'friction'?"]),
        ({"mass": [1.2, 0.8]}, ["'mass'", "the larger last"]),
        ({"friction": [0.0, 1.0]}, ["'friction'", "above 0"]),
        ({"kp": 1.1}, ["'kp' must be a list of numbers"]),
        ({"delay": -0.1}, ["'delay' must be at least 0"]),
        ({"push_period": [1.0]}, ["'push_period' must be 2 numbers"]),
        ({"payload": [0.2, 0.1]}, ["'payload'", "from 0 to 2, the larger last"]),
        ({"weak_joint": [0.5, 1.5]}, ["'weak_joint'", "from 0 to 1"]),
        ({"weak_joints": "*knee*"}, ["'weak_joints' must be a list of names"]),
    ],
)
def test_a_wrong_range_is_refused(data: dict[str, Any], words: list[str], refuses: Refuses) -> None:
    with refuses(ConfigError, *words):
        randomisation_from_section(Section(data, "randomisation"))
