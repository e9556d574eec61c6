"""What a control consumes, by kind; a journal keeps one entry for each."""

from __future__ import annotations

from enum import IntEnum


class Entry(IntEnum):
    """The kind of something consumed; the numbers are those of recorded journals and never change."""

    START = 1
    STOP = 2
    JOINT_STATES = 3
    IMU = 4
    VELOCITY_COMMAND = 5
    BASE_VELOCITY = 6
    SAFETY_STATUS = 7
    SWITCH = 8
    EFFORT = 9
    TICK = 10
    PUBLISHERS = 11
    ARM = 12
    DISARM = 13
    RESET = 14
    EMERGENCY_STOP = 15
    FAREWELL = 16
    HAND_TARGETS = 17
