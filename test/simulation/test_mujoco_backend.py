"""The simulated robot against independent laws: Newton, rest, mirror symmetry, and MuJoCo's own forward pass."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest

from humanoid_rl_ros.core.errors import ConfigError, ModelError, StateError
from humanoid_rl_ros.core.robot import ImuSpec, RobotSpec, load_robot
from humanoid_rl_ros.core.rotations import projected_gravity, rotate_inverse
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.simulation.backend import SimulationBackend
from humanoid_rl_ros.simulation.mujoco_backend import MujocoBackend

CONFIG = Path(__file__).resolve().parents[2] / "config" / "robots"
GRAVITY = 9.81
TORSO = """<mujoco><worldbody><body name="torso" pos="0 0 1"><freejoint/><geom type="box" size="0.2 0.2 0.2"/>
<body name="arm" pos="0 0 0.5"><joint name="arm_joint" axis="0 1 0" range="-1 1"/><geom type="sphere" size="0.05"/>
</body></body></worldbody><actuator><motor joint="arm_joint" ctrlrange="-5 5"/></actuator></mujoco>"""


@pytest.fixture(scope="module")
def robot() -> RobotSpec:
    return load_robot(CONFIG / "reference.yaml")


@pytest.fixture
def backend(robot: RobotSpec) -> MujocoBackend:
    return MujocoBackend(robot)


def hold_pose(backend: MujocoBackend, seconds: float) -> None:
    robot = backend.robot
    state = backend.read()
    for _ in range(round(seconds * 500)):
        state = backend.step(
            robot.kp * (robot.default_position - state.joint_position) - robot.kd * state.joint_velocity
        )


def throw_up(backend: MujocoBackend, height: float) -> None:
    """Lift the robot off the floor."""
    backend.data.qpos[backend.layout.root_qpos + 2] += height
    mujoco.mj_forward(backend.model, backend.data)


def gap(backend: MujocoBackend) -> float:
    """Distance of the robot from the floor by the collision code, which is not the code that seated it."""
    data = mujoco.MjData(backend.model)
    data.qpos[:] = backend.data.qpos
    data.qpos[2] -= 1e-3  # contacts exist below zero only
    mujoco.mj_forward(backend.model, data)
    return float(data.contact.dist.min()) + 1e-3


def total_mass(backend: MujocoBackend) -> float:
    return float(backend.model.body_mass.sum())


def momentum(backend: MujocoBackend) -> np.ndarray:
    """Linear momentum from the bodies one by one, world frame."""
    mujoco.mj_comVel(backend.model, backend.data)
    total, velocity = np.zeros(3), np.zeros(6)
    for body in range(1, backend.model.nbody):
        mujoco.mj_objectVelocity(backend.model, backend.data, mujoco.mjtObj.mjOBJ_BODY, body, velocity, 0)
        total += backend.model.body_mass[body] * velocity[3:]
    return total


def test_is_a_simulation_backend(backend: MujocoBackend) -> None:
    interface: SimulationBackend = backend
    assert interface.read() is interface.read()
    assert interface.period_ns == 2_000_000


def test_starts_standing_with_soles_on_the_floor(backend: MujocoBackend) -> None:
    assert backend.foot_names == ("left_ankle_roll_link", "right_ankle_roll_link")
    state = backend.read()
    assert state.stamp_ns == 0
    np.testing.assert_array_equal(state.joint_position, backend.robot.default_position)
    np.testing.assert_allclose(state.linear_acceleration, [0, 0, GRAVITY], atol=1e-12)
    assert gap(backend) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("attachment", ["imu", "head", "torso", "left_elbow_link", ""])
def test_sensors_are_those_of_the_returned_instant(robot: RobotSpec, attachment: str) -> None:
    """Against a whole forward pass on fresh data, for an IMU on the root and on moving links."""
    names = mujoco.MjModel.from_xml_path(str(robot.model.locate()))
    if attachment and mujoco.mj_name2id(names, mujoco.mjtObj.mjOBJ_SITE, attachment) < 0:
        known = [names.body(b).name for b in range(names.nbody)]
        attachment = attachment if attachment in known else known[-1]
    backend = MujocoBackend(replace(robot, imu=ImuSpec(attachment=attachment)))
    rng = np.random.default_rng(3)
    backend.reset(rng)
    for _ in range(40):
        state = backend.step(rng.uniform(-30, 30, robot.n_joints))
    fresh = mujoco.MjData(backend.model)
    fresh.qpos[:], fresh.qvel[:] = backend.data.qpos, backend.data.qvel
    mujoco.mj_forward(backend.model, fresh)
    place = backend.layout
    assert abs(state.angular_velocity).max() > 0.1
    np.testing.assert_allclose(state.orientation, fresh.sensordata[place.orientation], atol=1e-12)
    np.testing.assert_allclose(state.angular_velocity, fresh.sensordata[place.gyro], atol=1e-12)
    np.testing.assert_allclose(state.base_linear_velocity, fresh.sensordata[place.velocimeter], atol=1e-12)
    np.testing.assert_array_equal(state.joint_position, fresh.qpos[place.qpos])
    # Orientation is that of the site in the world: gravity seen from it, by the site's own matrix.
    down = -fresh.site_xmat[place.imu_site].reshape(3, 3)[2]
    np.testing.assert_allclose(projected_gravity(state.orientation), down, atol=1e-12)


@pytest.mark.parametrize("substeps", [1, 4])
def test_steps_as_mj_step_does_to_the_bit(robot: RobotSpec, substeps: int) -> None:
    backend = MujocoBackend(robot, timestep=0.002 / substeps)
    other = mujoco.MjData(backend.model)
    other.qpos[:] = backend.data.qpos
    rng = np.random.default_rng(0)
    for i in range(150):
        effort = rng.uniform(-40, 40, robot.n_joints)
        backend.step(effort)
        other.ctrl[:] = effort
        mujoco.mj_step(backend.model, other, substeps)
        if i % 7 == 0:
            backend.ground_truth()  # looking must not change what comes
    np.testing.assert_array_equal(backend.data.qpos, other.qpos)
    np.testing.assert_array_equal(backend.data.qvel, other.qvel)


def test_same_efforts_give_the_same_run_to_the_bit(backend: MujocoBackend) -> None:
    runs = []
    for _ in range(2):
        rng = np.random.default_rng(11)
        backend.reset(rng)
        for _ in range(100):
            state = backend.step(rng.uniform(-20, 20, backend.robot.n_joints))
        runs.append(np.concatenate([state.joint_position, state.joint_velocity, state.linear_acceleration]))
    np.testing.assert_array_equal(runs[0], runs[1])
    rested = backend.reset()
    np.testing.assert_array_equal(rested.joint_position, backend.robot.default_position)


def test_falls_with_g_and_internal_efforts_move_no_momentum(backend: MujocoBackend) -> None:
    throw_up(backend, 2.0)
    rng = np.random.default_rng(1)
    for _ in range(100):
        backend.step(rng.uniform(-10, 10, backend.robot.n_joints))
    per_mass = momentum(backend) / total_mass(backend)
    np.testing.assert_allclose(per_mass, [0.0, 0.0, -GRAVITY * 0.2], atol=2e-3)


def test_accelerometer_reads_nothing_in_free_fall_and_g_at_rest(backend: MujocoBackend) -> None:
    throw_up(backend, 2.0)
    for _ in range(50):
        state = backend.step(np.zeros(backend.robot.n_joints))
    np.testing.assert_allclose(state.linear_acceleration, 0.0, atol=1e-6)
    np.testing.assert_allclose(state.base_linear_velocity, [0.0, 0.0, -GRAVITY * 0.1], atol=1e-6)
    backend.reset()
    hold_pose(backend, 3.0)
    assert np.linalg.norm(backend.read().linear_acceleration) == pytest.approx(GRAVITY, abs=0.05)


def test_feet_carry_the_weight_at_rest(backend: MujocoBackend) -> None:
    hold_pose(backend, 3.0)
    truth = backend.ground_truth()
    weight = total_mass(backend) * GRAVITY
    assert sum(foot.force for foot in truth.feet) == pytest.approx(weight, rel=0.01)
    assert truth.feet[0].force == pytest.approx(truth.feet[1].force, rel=0.01)
    assert [foot.name for foot in truth.feet] == list(backend.foot_names)
    throw_up(backend, 1.0)
    assert all(foot.force == 0.0 for foot in backend.ground_truth().feet)


def test_feet_bear_nothing_in_free_fall_and_while_somebody_holds_the_robot(backend: MujocoBackend) -> None:
    def loads() -> list[float]:
        return [foot.force for foot in backend.ground_truth().feet]

    assert loads() == [0.0, 0.0]
    hold_pose(backend, 1.0)
    assert min(loads()) > 50.0
    backend.hold()
    assert loads() == [0.0, 0.0]
    backend.step(np.zeros(backend.robot.n_joints))
    assert min(loads()) > 0.0
    throw_up(backend, 1.0)
    for _ in range(100):
        backend.step(np.zeros(backend.robot.n_joints))
        assert loads() == [0.0, 0.0]


def test_the_change_of_momentum_is_what_the_feet_bear_less_the_weight(backend: MujocoBackend) -> None:
    """Newton, dp/dt = ΣN − mg, while the robot lands from 5 cm on stiff legs."""
    throw_up(backend, 0.05)
    robot, state, largest = backend.robot, backend.step(np.zeros(backend.robot.n_joints)), 0.0
    for _ in range(150):
        effort = robot.kp * (robot.default_position - state.joint_position) - robot.kd * state.joint_velocity
        before = momentum(backend)[2]
        backend.data.ctrl[:] = effort  # the force is that under the effort of the step to come
        force = sum(foot.force for foot in backend.ground_truth().feet)
        state = backend.step(effort)
        change = (momentum(backend)[2] - before) / 0.002
        largest = max(largest, force)
        assert force - total_mass(backend) * GRAVITY == pytest.approx(change, rel=0.05, abs=15.0)
    assert largest > 2.0 * total_mass(backend) * GRAVITY


def test_what_lies_on_its_root_has_no_feet(backend: MujocoBackend, tmp_path: Path) -> None:
    assert backend.has_feet
    (tmp_path / "torso.xml").write_text(TORSO)
    assert not MujocoBackend(find_robot(str(tmp_path / "torso.xml"))).has_feet


def test_a_symmetric_robot_stays_symmetric(backend: MujocoBackend) -> None:
    hold_pose(backend, 2.0)
    truth = backend.ground_truth()
    state = backend.read()
    value = dict(zip(backend.robot.joint_names, state.joint_position, strict=True))
    assert abs(truth.base_position[1]) < 1e-6
    for name in ("hip_pitch", "knee", "ankle_pitch", "elbow"):
        assert value[f"left_{name}_joint"] == pytest.approx(value[f"right_{name}_joint"], abs=1e-6)


def test_velocity_is_the_difference_of_positions(backend: MujocoBackend) -> None:
    rng = np.random.default_rng(5)
    before = backend.read()
    for _ in range(20):
        after = backend.step(rng.uniform(-20, 20, backend.robot.n_joints))
        # Semi-implicit Euler: q' = q + dt v'.
        step = (after.joint_position - before.joint_position) / 0.002
        np.testing.assert_allclose(step, after.joint_velocity, atol=1e-9)
        before = after


def test_ground_truth_is_the_root_body(backend: MujocoBackend) -> None:
    backend.reset(np.random.default_rng(2))
    first = backend.ground_truth()
    state = backend.step(np.zeros(backend.robot.n_joints))
    truth = backend.ground_truth()
    assert truth.stamp_ns == state.stamp_ns == 2_000_000
    moved = (truth.base_position - first.base_position) / 0.002
    np.testing.assert_allclose(truth.base_linear_velocity, rotate_inverse(truth.base_orientation, moved), atol=1e-6)
    assert truth.base_height == pytest.approx(truth.base_position[2])


def test_holding_keeps_the_pose_while_time_passes(backend: MujocoBackend) -> None:
    backend.reset(np.random.default_rng(0))
    for _ in range(30):
        moving = backend.step(np.full(backend.robot.n_joints, 5.0))
    pose = backend.data.qpos.copy()
    for _ in range(500):
        held = backend.hold()
    np.testing.assert_array_equal(backend.data.qpos, pose)
    assert held.stamp_ns == moving.stamp_ns + 1_000_000_000
    np.testing.assert_array_equal(held.joint_velocity, 0.0)
    np.testing.assert_array_equal(held.angular_velocity, 0.0)
    np.testing.assert_array_equal(held.base_linear_velocity, 0.0)
    np.testing.assert_allclose(held.linear_acceleration, -GRAVITY * projected_gravity(held.orientation), atol=1e-9)
    assert backend.step(np.zeros(backend.robot.n_joints)).stamp_ns == held.stamp_ns + 2_000_000


@pytest.mark.parametrize(("rate", "stamp"), [(500.0, 6_000_000_000), (300.0, 10_000_000_000), (1000.0, 3_000_000_000)])
def test_stamps_do_not_drift(robot: RobotSpec, rate: float, stamp: int) -> None:
    backend = MujocoBackend(robot, state_rate=rate)
    for _ in range(3000):
        state = backend.hold()
    assert state.stamp_ns == stamp


def test_default_timestep_is_the_longest_that_divides_the_period(robot: RobotSpec) -> None:
    for rate, expected in ((500.0, 0.002), (1000.0, 0.001), (400.0, 0.00125), (50.0, 0.002)):
        assert MujocoBackend(robot, state_rate=rate).model.opt.timestep == pytest.approx(expected)


def test_efforts_beyond_the_limit_are_clipped(robot: RobotSpec) -> None:
    strong, limited = MujocoBackend(robot), MujocoBackend(robot)
    for _ in range(20):
        strong.step(np.full(robot.n_joints, 1e6))
        limited.step(robot.effort_limit)
    np.testing.assert_array_equal(strong.data.qpos, limited.data.qpos)


def test_an_effort_moves_its_own_joint(robot: RobotSpec) -> None:
    """In the air, a motor first moves the joint it is named after, in its direction."""
    backend = MujocoBackend(robot)
    for i in range(robot.n_joints):
        backend.reset()
        throw_up(backend, 1.0)
        effort = np.zeros(robot.n_joints)
        effort[i] = 5.0
        before = backend.read().joint_velocity
        change = backend.step(effort).joint_velocity - before
        assert change[i] > 0.0
        assert abs(effort @ change) == pytest.approx(5.0 * change[i])


def test_reset_perturbs_a_little_and_stays_on_the_floor(backend: MujocoBackend) -> None:
    first = backend.reset(np.random.default_rng(4))
    second = backend.reset(np.random.default_rng(5))
    assert 0.0 < np.abs(first.joint_position - backend.robot.default_position).max() < 0.05
    assert np.abs(first.joint_position - second.joint_position).max() > 1e-3
    assert gap(backend) == pytest.approx(0.0, abs=1e-6)
    assert (first.joint_position >= backend.robot.lower).all()
    assert (first.joint_position <= backend.robot.upper).all()


def test_starts_in_another_pose_when_asked(robot: RobotSpec) -> None:
    crouched = np.where([n.endswith("knee_joint") for n in robot.joint_names], 1.2, robot.default_position)
    backend = MujocoBackend(robot, initial_position=crouched)
    np.testing.assert_array_equal(backend.read().joint_position, crouched)
    assert gap(backend) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("effort", "says"),
    [
        (np.zeros(3), r"shape \(3,\).*21 joints"),
        (np.zeros((21, 1)), r"shape \(21, 1\)"),
        (np.where(np.arange(21) == 3, np.nan, 0.0), "left_knee_joint.*nan"),
        (np.where(np.arange(21) == 4, np.inf, 0.0), "left_ankle_pitch_joint.*inf"),
    ],
)
def test_refuses_an_unusable_effort(backend: MujocoBackend, effort: np.ndarray, says: str) -> None:
    before = backend.data.qpos.copy()
    with pytest.raises(StateError, match=says) as caught:
        backend.step(effort)
    assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(backend.data.qpos, before)


def test_a_huge_but_finite_effort_is_no_error(backend: MujocoBackend) -> None:
    backend.step(np.full(backend.robot.n_joints, 1e200))  # its square overflows


def test_divergence_is_an_error_that_names_the_time(
    backend: MujocoBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(10):
        backend.hold()
    backend.data.qvel[:] = 1e12
    with pytest.raises(ModelError, match=r"diverged at 0\.022 s") as caught:
        backend.step(np.zeros(backend.robot.n_joints))
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="diverged"):
        backend.step(np.zeros(backend.robot.n_joints))
    assert list(tmp_path.iterdir()) == []  # MuJoCo's log file
    state = backend.reset()
    np.testing.assert_array_equal(state.joint_position, backend.robot.default_position)
    backend.step(np.zeros(backend.robot.n_joints))


def test_refuses_times_that_do_not_fit(robot: RobotSpec) -> None:
    with pytest.raises(ConfigError, match=r"0\.0015 s does not divide the state period 0\.002 s"):
        MujocoBackend(robot, timestep=0.0015)
    with pytest.raises(ConfigError, match=r"state rate.*-5"):
        MujocoBackend(robot, state_rate=-5.0)
    with pytest.raises(ConfigError, match=r"timestep.*0"):
        MujocoBackend(robot, timestep=0.0)
    with pytest.raises(StateError, match="initial position has shape"):
        MujocoBackend(robot, initial_position=np.zeros(2))


def test_reference_robot_stands_against_small_perturbations(backend: MujocoBackend) -> None:
    for seed in range(2):
        backend.reset(np.random.default_rng(seed))
        hold_pose(backend, 5.0)
        assert backend.ground_truth().base_height > 0.6
