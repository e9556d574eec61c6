"""Training sees what the running graph sees: one run through ROS and the same actions in the environments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("mujoco")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from rocking_policy import write_rocking_policy
from ros_graph import Graph, open_graph
from std_srvs.srv import SetBool

from humanoid_rl_ros.behaviours.walk import pose_and_gains
from humanoid_rl_ros.core.arrays import Float32Array, FloatArray
from humanoid_rl_ros.core.controller import PDController
from humanoid_rl_ros.core.rotations import projected_gravity
from humanoid_rl_ros.core.state import JointTarget, RobotState
from humanoid_rl_ros.envs.humanoid_batch import HumanoidBatch
from humanoid_rl_ros.envs.task_contract import task_contract
from humanoid_rl_ros.envs.tasks import task_for
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.conversions import stamp_to_ns
from humanoid_rl_ros.interfaces.status import values_of
from humanoid_rl_ros.nodes.base import ManagedNode
from humanoid_rl_ros.nodes.graph import graph_parameters
from humanoid_rl_ros.nodes.policy_node import PolicyNode
from humanoid_rl_ros.nodes.safety_monitor_node import SafetyMonitorNode
from humanoid_rl_ros.nodes.simulation_bridge_node import SimulationBridgeNode
from humanoid_rl_ros.resources import find_robot

pytestmark = pytest.mark.ros
ROBOT = find_robot("reference")
PLAIN = {
    "randomisation": None,
    "curriculum": None,
    "episode.random_first": False,
    "control.held_joints": "simulated",
}
COMMAND = (0.3, 0.1, -0.2)
STEPS = 500
SWING = 0.15  # of the knees; with more than 0.2 it falls [rad]
PATIENCE = 600.0  # seconds of simulated time may be minutes on a busy machine [s]


@dataclass(frozen=True)
class Walked:
    """What was heard of a run, from the release of the robot on.

    Attributes:
        observation: of control steps 0 to STEPS [Shape (STEPS + 1, o)].
        action: [Shape (STEPS + 1, a)].
        position, velocity, effort: of joint states, by time since the release [ns].
        clamped: commands that the safety monitor changed.
        last_state: of the safety monitor.
    """

    observation: Float32Array
    action: Float32Array
    position: dict[int, FloatArray]
    velocity: dict[int, FloatArray]
    effort: dict[int, FloatArray]
    clamped: int
    last_state: str


def _walk(graph: Graph, folder: Path) -> Walked:
    contract = task_contract(task_for("walk", ROBOT, PLAIN), ROBOT)
    policy = write_rocking_policy(folder / "rocking", ROBOT, contract, SWING)
    length = STEPS * contract.control_period
    asked = graph_parameters(
        "reference", str(policy), "lockstep", velocity_command=COMMAND, entry_blend=0.0, arm=False, stop_after=length
    )
    states = graph.listen(topics.JOINT_STATES)
    observations = graph.listen(topics.POLICY_OBSERVATION)
    actions = graph.listen(topics.POLICY_ACTION)

    def node(make: type[ManagedNode], parameters: Mapping[str, Any], **more: Any) -> Callable[[], dict[str, str]]:
        """An active node; gives its diagnostics."""
        made = graph.active(make, **{**parameters, **more, "autostart": False})
        return lambda: values_of(made.diagnose())

    # The environments' physics takes one step in each period of the PD law.
    bridge = node(SimulationBridgeNode, asked.simulation_bridge, physics_timestep=1.0 / contract.pd_rate)
    node(PolicyNode, asked.policy_node)
    monitor = node(SafetyMonitorNode, asked.safety_monitor)
    graph.until(lambda: monitor()["state"] == "READY" and states and observations and actions, "READY", PATIENCE)
    assert graph.call(SetBool, topics.SAFETY_ARM, SetBool.Request(data=True)).success
    # Counting first: diagnostics at every message would take most of the time.
    graph.until(lambda: len(states) > 3 * STEPS and bridge()["finished"] == "True", "the end of the run", PATIENCE)
    graph.spin(0.5)
    released = round(float(bridge()["released"]) * 1e9)
    at = {stamp_to_ns(m.header.stamp) - released: m for m in states}
    # What came before the release showed that the policy was alive: entries into the same pose, again and again.
    return Walked(
        np.array([m.data for m in observations[-STEPS - 1 :]], dtype=np.float32),
        np.array([m.data for m in actions[-STEPS - 1 :]], dtype=np.float32),
        {t: np.array(m.position) for t, m in at.items()},
        {t: np.array(m.velocity) for t, m in at.items()},
        {t: np.array(m.effort) for t, m in at.items()},
        int(monitor()["clamped"]),
        monitor()["state"],
    )


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Walked:
    folder = tmp_path_factory.mktemp("parity")
    with open_graph(folder) as graph:
        return _walk(graph, folder)


@pytest.fixture
def batch() -> Iterator[HumanoidBatch]:
    batch = HumanoidBatch(ROBOT, task_for("walk", ROBOT, PLAIN), 1, auto_reset=False)
    batch.hold_command(np.array(COMMAND))
    yield batch
    batch.close()


def test_the_run_is_worth_comparing(walked: Walked, batch: HumanoidBatch) -> None:
    labels = batch.contract.observation_builder(ROBOT.joint_names).labels()
    last = [k for k, label in enumerate(labels) if label.startswith("last_action")]
    # Nothing was lost on the way: every observation holds the action before it.
    bounded = np.clip(walked.action, batch.action_low, batch.action_high).astype(np.float32)
    np.testing.assert_array_equal(walked.observation[0, last], 0.0)
    np.testing.assert_array_equal(walked.observation[1:, last], bounded[:-1])
    assert len(walked.position) > 3.9 * STEPS
    # It moved, stood to the end, and nobody interfered.
    assert walked.clamped == 0
    assert walked.last_state == "ACTIVE"
    gravity = walked.observation[:, [labels.index(f"projected_gravity[{i}]") for i in range(3)]]
    assert gravity[:, 2].max() < -0.95
    knee = walked.observation[:, labels.index("joint_pos_rel[3]")]
    assert np.ptp(knee[STEPS // 2 :]) > 0.2


def test_the_batch_sees_what_the_graph_saw(walked: Walked, batch: HumanoidBatch) -> None:
    period_ns = round(batch.control_period * 1e9)
    seen = batch.reset(0).policy
    np.testing.assert_allclose(seen[0], walked.observation[0], rtol=0.0, atol=1e-6)
    compared, least = 0, np.full(2, np.inf)
    for k in range(STEPS):
        seen = batch.step(walked.action[k : k + 1]).final.policy
        np.testing.assert_allclose(seen[0], walked.observation[k + 1], rtol=0.0, atol=1e-6, err_msg=f"step {k + 1}")
        least = np.minimum(least, batch.simulation.sensors.foot_force[0])
        if (time := (k + 1) * period_ns) in walked.position:
            compared += 1
            np.testing.assert_array_equal(batch.simulation.joint_position[0], walked.position[time])
            np.testing.assert_array_equal(batch.simulation.joint_velocity[0], walked.velocity[time])
            np.testing.assert_array_equal(batch.simulation.sensors.effort[0], walked.effort[time])
    assert compared > 0.9 * STEPS
    assert (least < 100.0).all()  # of 343 N; it rocked from foot to foot


def test_gymnasium_sees_what_the_graph_saw(walked: Walked) -> None:
    gymnasium = pytest.importorskip("gymnasium")
    import humanoid_rl_ros.envs.registration  # noqa: F401  # makes the names known

    env = gymnasium.make("humanoid_rl_ros/Walk-v0", robot="reference", overrides=PLAIN)
    seen, _ = env.reset(seed=5, options={"command": COMMAND})
    for k in range(STEPS):
        np.testing.assert_allclose(seen, walked.observation[k], rtol=0.0, atol=1e-6, err_msg=f"step {k}")
        seen, _, terminated, truncated, info = env.step(walked.action[k])
        assert not terminated
        assert not truncated
    np.testing.assert_array_equal(info["command"], COMMAND)
    env.close()


def test_the_nodes_pd_law_gives_the_efforts_of_the_batch(walked: Walked, batch: HumanoidBatch) -> None:
    """The last effort of a control step is the law's at the state one physics step before its end."""
    contract, simulation = batch.contract, batch.simulation
    pose, gains = pose_and_gains(contract, ROBOT)
    law = PDController(gains, ROBOT.joint_names)
    driven = [ROBOT.joint_names.index(name) for name in contract.joints]
    before_ns = round(1e9 / contract.pd_rate)
    batch.reset(0)
    compared = 0
    for k in range(STEPS):
        batch.step(walked.action[k : k + 1])
        time = (k + 1) * round(batch.control_period * 1e9) - before_ns
        if time not in walked.position:
            continue
        compared += 1
        target = pose.copy()
        action = np.clip(walked.action[k].astype(np.float64), batch.action_low, batch.action_high)
        target[driven] = np.array(contract.action.offset) + np.array(contract.action.scale) * action
        state = RobotState(time, walked.position[time], walked.velocity[time], np.array([1.0, 0, 0, 0]), np.zeros(3))
        effort = law.effort(JointTarget(target, np.zeros(ROBOT.n_joints)), state)
        np.testing.assert_array_equal(simulation.sensors.effort[0], effort)
    assert compared > 0.9 * STEPS
    assert projected_gravity(simulation.base_orientation)[0, 2] < -0.95
