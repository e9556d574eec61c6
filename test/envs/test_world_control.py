from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from conftest import Refuses
from hypothesis import given
from hypothesis import strategies as st
from stand_in_world import StandInWorld

from humanoid_rl_ros.cli.processes import domains_to_take
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.envs.world_control import WorldControl, WorldControlError, WorldRequest

STEP_NS = 1_000_000


class Direct:
    """A port to a world in this process, whose loop turns a few times whenever somebody waits."""

    def __init__(self, world: StandInWorld, turns: int = 3) -> None:
        self.world, self.turns = world, turns
        self.clock = 0.0
        self.meddle: Callable[[], None] = lambda: None
        self.silent = False
        self._answer: bool | None = None

    def ask(self, request: WorldRequest) -> None:
        self._answer = None if self.silent else self.world.request(request)

    def answer(self) -> bool | None:
        return self._answer

    def time_ns(self) -> int | None:
        return self.world.time_ns

    def wait(self, seconds: float) -> None:
        self.clock += seconds
        self.meddle()
        for _ in range(self.turns):
            self.world.turn()


def controlled(world: StandInWorld, turns: int = 3) -> tuple[WorldControl, Direct]:
    port = Direct(world, turns)
    return WorldControl(port, STEP_NS, lambda: port.clock), port


@given(st.lists(st.integers(1, 20), max_size=8), st.integers(1, 5))
def test_time_is_the_sum_of_the_steps(steps: list[int], turns: int) -> None:
    world = StandInWorld(time_ns=7 * STEP_NS, paused=False)
    control, _ = controlled(world, turns)
    start = control.pause(10.0)
    for done, count in enumerate(steps):
        assert control.advance(count, 10.0) == start + sum(steps[: done + 1]) * STEP_NS
        assert world.paused
        assert world.time_ns == control.time_ns
    assert control.reset(10.0) == world.time_ns == control.time_ns == 0


def test_a_running_world_is_stopped_first(refuses: Refuses) -> None:
    control, _ = controlled(StandInWorld(paused=False))
    with refuses(WorldControlError, "pause it before"):
        control.advance(1, 1.0)
    assert control.pause(1.0) > 0


def test_a_refusal_is_an_error(refuses: Refuses) -> None:
    world = StandInWorld()
    control, _ = controlled(world)
    control.pause(1.0)
    world.accepts = False
    with refuses(WorldControlError, "refused 4 steps"):
        control.advance(4, 1.0)


def test_a_world_that_hangs_is_noticed_in_time_and_can_be_used_again(refuses: Refuses) -> None:
    world = StandInWorld()
    control, port = controlled(world)
    start = control.pause(1.0)
    assert start == STEP_NS
    port.turns = 0
    before = port.clock
    with refuses(WorldControlError, "stands at 0.001000 s, expected 0.005000 s after 4 steps; waited 0.5 s"):
        control.advance(4, 0.5)
    assert port.clock - before == pytest.approx(0.5)
    port.silent = True
    with refuses(WorldControlError, "does not answer; waited 0.5 s"):
        control.reset(0.5)
    port.silent, port.turns = False, 3
    control.reset(1.0)
    assert control.advance(2, 1.0) == 2 * STEP_NS
    port.wait(1.0)
    assert world.time_ns == 2 * STEP_NS  # and nothing is left of the four


def test_somebody_else_at_the_controls_is_noticed(refuses: Refuses) -> None:
    world = StandInWorld()
    control, port = controlled(world)
    control.pause(1.0)
    port.meddle = lambda: setattr(world, "paused", False)
    with refuses(WorldControlError, "somebody else controls it"):
        control.advance(1, 1.0)
    port.meddle = lambda: None
    control.pause(1.0)
    port.meddle = lambda: setattr(world, "time_ns", 0)
    with refuses(WorldControlError, "was reset or started anew"):
        control.advance(5, 1.0)


def test_another_physics_step_is_noticed(refuses: Refuses) -> None:
    control, _ = controlled(StandInWorld(step_ns=2 * STEP_NS))
    control.pause(1.0)
    with refuses(WorldControlError, "another physics step"):
        control.advance(3, 1.0)


def test_wrong_numbers_are_refused(refuses: Refuses) -> None:
    control, _ = controlled(StandInWorld())
    control.pause(1.0)
    with refuses(ConfigError, "found 0"):
        control.advance(0, 1.0)
    with refuses(ConfigError, "timeout"):
        control.advance(1, float("nan"))


def test_gazebos_request_is_filled_as_its_message_says() -> None:
    pytest.importorskip("rclpy")
    from humanoid_rl_ros.envs.ros_world import fill_control_world

    message = SimpleNamespace(
        world_control=SimpleNamespace(pause=False, multi_step=0, reset=SimpleNamespace(all=False))
    )
    fill_control_world(message, WorldRequest(pause=True, steps=5))
    assert (message.world_control.pause, message.world_control.multi_step) == (True, 5)
    assert not message.world_control.reset.all
    fill_control_world(message, WorldRequest(pause=True, reset=True))
    assert (message.world_control.multi_step, message.world_control.reset.all) == (0, True)


@contextmanager
def served(world: StandInWorld, service: str, clock: str) -> Iterator[None]:
    """The world as a node: a clock, and a service of a type that exists here; a turn a millisecond."""
    import rclpy
    from rcl_interfaces.srv import SetParametersAtomically
    from rclpy.executors import SingleThreadedExecutor
    from rosgraph_msgs.msg import Clock

    from humanoid_rl_ros.interfaces.conversions import ns_to_stamp

    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("stand_in_world", context=context)
    publisher = node.create_publisher(Clock, clock, 10)
    lock = threading.Lock()

    def on_request(request: object, response: object) -> object:
        values = {p.name: p.value for p in request.parameters}  # type: ignore[attr-defined]
        with lock:
            response.result.successful = world.request(  # type: ignore[attr-defined]
                WorldRequest(values["pause"].bool_value, values["steps"].integer_value, values["reset"].bool_value)
            )
        return response

    def turn() -> None:
        with lock:
            world.turn()
        publisher.publish(Clock(clock=ns_to_stamp(world.time_ns)))

    node.create_service(SetParametersAtomically, service, on_request)
    node.create_timer(0.001, turn)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        yield
    finally:
        executor.shutdown()
        thread.join(5.0)
        rclpy.shutdown(context=context)


@pytest.mark.ros
def test_over_dds(refuses: Refuses, monkeypatch: pytest.MonkeyPatch) -> None:
    rclpy = pytest.importorskip("rclpy")
    from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
    from rcl_interfaces.srv import SetParametersAtomically
    from rclpy.executors import SingleThreadedExecutor

    from humanoid_rl_ros.envs.ros_world import RosWorld, WorldService

    def filled(request: WorldRequest) -> object:
        numbers = {"pause": request.pause, "steps": request.steps, "reset": request.reset}
        parameters = [
            Parameter(
                name=name,
                value=ParameterValue(
                    type=ParameterType.PARAMETER_INTEGER if name == "steps" else ParameterType.PARAMETER_BOOL,
                    **{"integer_value" if name == "steps" else "bool_value": value},
                ),
            )
            for name, value in numbers.items()
        ]
        return SetParametersAtomically.Request(parameters=parameters)

    monkeypatch.setenv("ROS_DOMAIN_ID", str(domains_to_take()[0]))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    service = WorldService(SetParametersAtomically, filled, lambda response: bool(response.result.successful))
    world = StandInWorld(paused=False)
    context = rclpy.Context()
    rclpy.init(context=context)
    try:
        node = rclpy.create_node("stepper", context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        port = RosWorld(node, service, "stand_in/control", executor.spin_once, clock="stand_in/clock")
        control = WorldControl(port, STEP_NS, time.monotonic, "stand_in")
        with served(world, "stand_in/control", "stand_in/clock"):
            start = control.pause(30.0)
            for count in (1, 4, 10):
                control.advance(count, 30.0)
            assert control.time_ns == world.time_ns == start + 15 * STEP_NS
            assert control.reset(30.0) == world.time_ns == 0
            assert control.advance(3, 30.0) == 3 * STEP_NS
        with refuses(WorldControlError, "does not answer"):
            control.advance(1, 0.3)
        port.close()
        executor.shutdown()
    finally:
        rclpy.shutdown(context=context)
