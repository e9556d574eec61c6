"""Scalars as TensorBoard reads them, without the packages that TensorBoard itself needs.

An event file is a row of records: length (uint64), its masked CRC-32C, a protobuf `Event`, its masked CRC-32C, all
little-endian (the TFRecord format).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

_CRC_POLYNOMIAL = 0x82F63B78  # Castagnoli, reflected
_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5  # protobuf wire types


def _crc_table() -> tuple[int, ...]:
    table = list(range(256))
    for _ in range(8):
        table = [(value >> 1) ^ (_CRC_POLYNOMIAL if value & 1 else 0) for value in table]
    return tuple(table)


_CRC_TABLE = _crc_table()


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli; RFC 3720, appendix B.4)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    rotated = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    return struct.pack("<I", (rotated + 0xA282EAD8) & 0xFFFFFFFF)


def _record(event: bytes) -> bytes:
    length = struct.pack("<Q", len(event))
    return length + _masked(length) + event + _masked(event)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _key(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _nested(field: int, content: bytes) -> bytes:
    return _key(field, _BYTES) + _varint(len(content)) + content


def _event(wall_time: float, step: int, content: bytes) -> bytes:
    return _key(1, _DOUBLE) + struct.pack("<d", wall_time) + _key(2, _VARINT) + _varint(step) + content


class EventFile:
    """One session's event file.

    Args:
        folder: made if missing; TensorBoard shows it as one run.
        wall_time: now [s since 1970].
        first_step: what other files of the folder hold at this step and later is not shown any more.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, folder: Path, wall_time: float, first_step: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        stamp = int(wall_time)
        while any(folder.glob(f"*.tfevents.{stamp:010d}.*")):
            stamp += 1  # two sessions within a second; TensorBoard reads them in the order of their names
        self._file = (folder / f"events.out.tfevents.{stamp:010d}.training").open("xb")
        self._file.write(_record(_event(wall_time, 0, _nested(3, b"brain.Event:2"))))
        if first_step:
            start = _nested(7, _key(1, _VARINT) + _varint(1))  # SessionLog.START
            self._file.write(_record(_event(wall_time, first_step, start)))
        self._file.flush()

    def write(self, wall_time: float, step: int, values: Mapping[str, float]) -> None:
        """Write one point of each curve.

        Args:
            wall_time: now [s since 1970].
            step: its place on the axis.
            values: by name; a slash groups curves.

        Raises:
            OSError: the file cannot be written.
        """
        summary = b"".join(
            _nested(1, _nested(1, name.encode()) + _key(2, _FLOAT) + struct.pack("<f", value))
            for name, value in values.items()
        )
        self._file.write(_record(_event(wall_time, step, _nested(5, summary))))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
