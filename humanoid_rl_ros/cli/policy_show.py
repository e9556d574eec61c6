"""`humanoid_rl policy show`: what a bundle says, for people."""

from __future__ import annotations

import math

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from humanoid_rl_ros.core.command import AXES
from humanoid_rl_ros.core.hand_targets import AXES as HAND_AXES
from humanoid_rl_ros.core.hand_targets import HANDS, HandTargetSpec
from humanoid_rl_ros.core.observation_spec import BlockSpec, TermSpec
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.resources import find_policy


def show_policy(name: str, console: Console, *, labels: bool = False) -> None:
    """Print a bundle.

    Args:
        name: as `humanoid_rl_ros.resources.find_policy` takes it.
        console: where to print.
        labels: whether to name every number of the observation.

    Raises:
        ConfigError: the bundle is not there or malformed.
    """
    bundle = find_policy(name)
    console.print(_facts(bundle))
    console.print(_joints(bundle))
    if labels:
        for i, label in enumerate(bundle.observation_builder(bundle.observation.joints).labels()):
            console.print(f"{i:4d}  {label}", markup=False, soft_wrap=True)


def _facts(bundle: PolicyBundle) -> Table:
    table = Table(title=escape(bundle.name), title_style="bold", show_header=False)
    history = [f"{_block(block)}" for block in bundle.observation.blocks]
    command = bundle.command
    rows = {
        "robot": bundle.robot or "not said",
        "from": bundle.origin or "not said",
        "licence": bundle.licence or "not said",
        "weights": str(bundle.weights.path),
        "rates": f"{1.0 / bundle.control_period:g} Hz, PD law at {bundle.pd_rate:g} Hz",
        "observation": f"{bundle.observation_size()} numbers: " + "; ".join(history),
        "action": _action(bundle),
        "command": ", ".join(f"{axis} [{low:g}, {high:g}]" for axis in AXES for low, high in [getattr(command, axis)]),
        **({"hand targets": _hands(bundle.hand_targets)} if bundle.hand_targets else {}),
        "gait clock": _gait(bundle),
        "base velocity": bundle.base_velocity or "not observed",
        **{f"inferred: {key}": why for key, why in bundle.inferred.items()},
    }
    for key, value in rows.items():
        table.add_row(escape(key), escape(value))
    return table


def _hands(spec: HandTargetSpec) -> str:
    sides = []
    for name, low, high in zip(HANDS, *spec.bounds(), strict=True):
        box = zip(HAND_AXES, low, high, strict=True)
        sides.append(f"{name} " + ", ".join(f"{axis} [{least:g}, {most:g}]" for axis, least, most in box))
    return f"in {spec.frame} [m]: " + "; ".join(sides)


def _block(block: BlockSpec) -> str:
    terms = ", ".join(_term(term) for term in block.terms)
    if block.history is None:
        return terms
    h = block.history
    now = "" if h.include_current else ", without the current one"
    return f"{h.length} frames ({h.layout}, {h.order}, first {h.first_fill}{now}) of {terms}"


def _term(term: TermSpec) -> str:
    scale = "" if set(term.scale) == {1.0} else f"*{term.scale[0]:g}" if len(set(term.scale)) == 1 else "*[…]"
    return f"{term.term}{scale}"


def _action(bundle: PolicyBundle) -> str:
    spec = bundle.action
    scale = f"{spec.scale[0]:g}" if len(set(spec.scale)) == 1 else f"{min(spec.scale):g} to {max(spec.scale):g}"
    pairs = set(zip(spec.clip_lower, spec.clip_upper, strict=True))
    if pairs == {(-math.inf, math.inf)}:
        clip = "no clip"
    elif len(pairs) == 1:
        clip = "clip [{:g}, {:g}]".format(*pairs.pop())
    else:
        clip = f"clip by joint, from {min(spec.clip_lower):g} to {max(spec.clip_upper):g}"
    return f"{spec.kind}, scale {scale}, {clip}, last action {spec.last_action}"


def _gait(bundle: PolicyBundle) -> str:
    if bundle.gait is None:
        return "none"
    phases = ", ".join(f"{phase:.3g}" for phase in bundle.gait.phases)
    return f"{bundle.gait.frequency:g} Hz, phases [{phases}] rad, when standing: {bundle.gait.when_standing}"


def _joints(bundle: PolicyBundle) -> Table:
    table = Table(title=f"{len(bundle.joints)} driven in the network's order, {len(bundle.held)} held")
    for heading in ("", "joint", "pose [rad]", "kp", "kd", "effort [N·m]", "scale"):
        table.add_column(heading, justify="left" if heading == "joint" else "right")
    for i, (name, joint) in enumerate(bundle.joints.items()):
        numbers = (joint.default_position, joint.kp, joint.kd, joint.effort_limit, bundle.action.scale[i])
        table.add_row(str(i), escape(name), *(f"{number:g}" for number in numbers))
    for name, held in bundle.held.items():
        held_numbers = (held.position, held.kp, held.kd, held.effort_limit)
        table.add_row("held", escape(name), *(f"{number:g}" for number in held_numbers), "")
    return table
