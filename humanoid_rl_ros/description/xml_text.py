"""Small pieces of XML that URDF and SDF share."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray

Element = ElementTree.Element


def number(value: float) -> str:
    """A number as short as it goes at twelve digits, and without a negative zero."""
    return f"{value + 0.0:.12g}"


def numbers(values: Iterable[float]) -> str:
    """Numbers, apart by spaces."""
    return " ".join(number(float(value)) for value in values)


def child(parent: Element, tag: str, text: object = None, **attributes: object) -> Element:
    """A new element under another.

    Args:
        parent: of it.
        tag: its name.
        text: in it; a number is written as `number` does.
        attributes: of it, numbers likewise.
    """
    element = ElementTree.SubElement(parent, tag, {key: _text(value) for key, value in attributes.items()})
    if text is not None:
        element.text = _text(text)
    return element


def document(root: Element, comment: str) -> str:
    """An XML file with a comment at its head."""
    ElementTree.indent(root)
    lines = "".join(f"  {line}\n" for line in comment.splitlines())
    head = '<?xml version="1.0"?>\n<!--\n' + lines.replace("--", "- -") + "-->\n"
    return head + ElementTree.tostring(root, encoding="unicode") + "\n"


def roll_pitch_yaw(quaternion: FloatArray) -> FloatArray:
    """The angles of URDF and SDF, also where the pitch is a right angle and one of the others is free.

    Args:
        quaternion: wxyz, unit [Shape (4,)].

    Returns:
        Turns about the fixed x, y and z axes, in this order [rad; Shape (3,)].
    """
    w, x, y, z = quaternion
    first = np.array([1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y)])
    across = np.hypot(first[0], first[1])
    pitch = np.arctan2(-first[2], across)
    if across < 1e-9:  # x points straight up or down: all of the turn about it is given to roll
        return np.array([2.0 * np.arctan2(x, w), pitch, 0.0])
    roll = np.arctan2(2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y))
    return np.array([roll, pitch, np.arctan2(first[1], first[0])])


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return number(float(value)) if isinstance(value, int | float | np.floating) else str(value)
