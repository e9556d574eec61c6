"""The player: a bag in simulated time, in the place of the robot that it was recorded of."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from typing import Any

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.logging import get_logger
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.core.errors import BagError, HumanoidError
from humanoid_rl_ros.interfaces.discovery import keep_discovery_local
from humanoid_rl_ros.nodes.player_performance import Performance, PlaySummary, Progress, Say
from humanoid_rl_ros.nodes.player_publishers import NAME, PlayerNode


def _nothing(*_: object) -> None:
    return None


def play(
    parameters: Mapping[str, Any] | None = None,
    args: list[str] | None = None,
    *,
    say: Say = _nothing,
    progress: Progress = _nothing,
) -> PlaySummary:
    """Play a bag until its end, SIGINT or SIGTERM.

    Args:
        parameters: of `PlayerParameters`, by name; the others have their defaults.
        args: command line for ROS; None: nothing.
        say: takes a line for people.
        progress: takes seconds of the bag played, and how many there are.

    Returns:
        What it has come to.

    Raises:
        HumanoidError: it could not start.
    """
    ended: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _frame: ended.append(received))
    keep_discovery_local()
    node: PlayerNode | None = None
    try:
        try:
            rclpy.init(args=args or [], signal_handler_options=SignalHandlerOptions.NO)
            overrides = [Parameter(name, value=value) for name, value in (parameters or {}).items()]
            node = PlayerNode(parameter_overrides=overrides)
        except HumanoidError:
            raise
        except (ValueError, ParameterException, RuntimeError) as error:  # malformed arguments or parameters
            raise BagError(f"cannot start: {' '.join(str(error).split())}") from None
        with Bag(node.parameters.bag) as bag:
            performance = Performance(node, bag, say, progress, ended)
            performance.perform()
            return performance.summary()
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()


def main() -> int:
    """Run as a ROS executable, with the parameters of `PlayerParameters`."""
    log = get_logger(NAME)

    def say(line: str) -> None:
        # rclpy remembers the severity of every calling line.
        if line.startswith("WARNING"):
            log.warning(line)
        else:
            log.info(line)

    try:
        summary = play(args=sys.argv, say=say)
    except HumanoidError as error:
        text = str(error)
        log.error(text if text.startswith("cannot start") else f"cannot start: {text}")
        return 1
    log.info(f"played {summary.line()}")
    if summary.failure is not None:
        log.error(str(summary.failure))
    return 0 if summary.failure is None else 2


if __name__ == "__main__":
    sys.exit(main())
