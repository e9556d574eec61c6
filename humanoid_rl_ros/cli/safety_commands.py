"""`humanoid_rl safety`: an operator's words to the safety monitor of a robot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from humanoid_rl_ros.cli.terminal import console
from humanoid_rl_ros.core.errors import MissingDependencyError

if TYPE_CHECKING:
    from humanoid_rl_ros.cli.operator import Operator

safety_app = typer.Typer(help="The safety monitor of a running robot.", no_args_is_help=True)
Namespace = Annotated[str, typer.Option(help="Of the robot's nodes.")]
GATE = "gate_"
_GOOD = ("READY", "ACTIVE")


@safety_app.command("status")
def safety_status(namespace: Namespace = "") -> None:
    """Where the monitor is, and what keeps the robot from being armed; exit 0 if it is READY or ACTIVE."""
    from humanoid_rl_ros.interfaces.status import values_of

    with _operator(namespace) as operator:
        line = operator.diagnostics()
    values = values_of(line)
    console.print(f"{line.hardware_id}: {line.message}", markup=False, soft_wrap=True)
    table = Table(show_header=False)
    for name, value in values.items():
        if name.startswith(GATE):
            good = value == "ok"
            table.add_row(name.removeprefix(GATE).replace("_", " "), escape(value), style="" if good else "red")
    for name in ("last_fault", "cpus", "lock_memory", "realtime_priority"):
        if values.get(name):
            table.add_row(name.replace("_", " "), escape(values[name]))
    console.print(table)
    if values.get("state") not in _GOOD:
        raise typer.Exit(1)


@safety_app.command("arm")
def safety_arm(namespace: Namespace = "") -> None:
    """Let the policy move the robot; exit 1 where the monitor refuses, and why."""
    with _operator(namespace) as operator:
        _say(operator.arm(True))


@safety_app.command("disarm")
def safety_disarm(namespace: Namespace = "") -> None:
    """Damp the robot."""
    with _operator(namespace) as operator:
        _say(operator.arm(False))


@safety_app.command("stop")
def safety_stop(namespace: Namespace = "") -> None:
    """The emergency stop in software: damping, then zero effort. The hardware stop is quicker and surer."""
    with _operator(namespace) as operator:
        _say(operator.stop())


@safety_app.command("reset")
def safety_reset(namespace: Namespace = "") -> None:
    """Leave ESTOP, FALLING or FALLEN for DISARMED."""
    with _operator(namespace) as operator:
        _say(operator.reset())


def _say(answer: tuple[bool, str]) -> None:
    done, text = answer
    console.print(text, markup=False, soft_wrap=True)
    if not done:
        raise typer.Exit(1)


def _operator(namespace: str) -> Operator:
    try:
        from humanoid_rl_ros.cli.operator import Operator
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(__package__.partition(".")[0]):
            raise
        raise MissingDependencyError(
            f"talking to a robot needs ROS 2, and {error.name} is not there: source your ROS installation, or "
            "pip install 'humanoid_rl_ros[onboard]'"
        ) from None
    return Operator(namespace)
