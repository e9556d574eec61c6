"""`metrics.csv`: one row per report of a training run, with columns that may come to be known later."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ConfigError

STEPS = "steps"


class MetricsFile:
    """Appends rows; starts the file anew where a column is new.

    Args:
        path: the file; rows it has already are kept up to `last_step`.
        last_step: rows of later steps are dropped: the run goes on from here and will write them again.

    Raises:
        OSError: the file cannot be written.
        ConfigError: the file is there and is no such file.
    """

    def __init__(self, path: Path, last_step: int = 0) -> None:
        self._path = path
        self._torn = False
        self._columns: list[str] = [STEPS]
        rows = _rows(path) if path.exists() else []
        for row in rows:
            self._columns += [name for name in row if name not in self._columns]
        self._rewrite([row for row in rows if row[STEPS] <= last_step])

    def append(self, values: Mapping[str, float]) -> None:
        """Write a row.

        Args:
            values: by column; ``steps`` among them.

        Raises:
            OSError: the file cannot be written.
        """
        new = [name for name in values if name not in self._columns]
        if new:
            rows = _rows(self._path)
            self._columns += new
            self._rewrite(rows)
        start = "\n" if self._torn else ""  # what a full disk left of the row before
        self._torn = True
        with self._path.open("a", encoding="utf-8", newline="") as file:
            file.write(start)
            csv.writer(file, lineterminator="\n").writerow(self._cells(values))
        self._torn = False

    def _cells(self, row: Mapping[str, float]) -> list[str]:
        return [f"{row[name]:.9g}" if name in row else "" for name in self._columns]

    def _rewrite(self, rows: list[dict[str, float]]) -> None:
        part = self._path.with_suffix(".part")
        with part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(self._columns)
            writer.writerows(self._cells(row) for row in rows)
        part.replace(self._path)
        self._torn = False


def _rows(path: Path) -> list[dict[str, float]]:
    """The whole rows: a kill or a full disk may have cut the last one short."""
    with path.open(encoding="utf-8", newline="") as file:
        whole = [line for line in file if line.endswith("\n")]
    header, *lines = list(csv.reader(whole)) or [[]]
    if STEPS not in header:
        raise ConfigError(f"{path}: no file of metrics: its first line lacks '{STEPS}'")
    rows = []
    for cells in lines:
        if len(cells) != len(header):
            continue
        try:
            rows.append({name: float(cell) for name, cell in zip(header, cells, strict=True) if cell})
        except ValueError:
            continue
    return [row for row in rows if STEPS in row]


def read_metrics(path: Path) -> dict[str, FloatArray]:
    """The columns by name, with nan where a row has no value [Shape (rows,)].

    Raises:
        ConfigError: the file cannot be read or is no such file.
    """
    try:
        rows = _rows(path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: np.array([row.get(name, math.nan) for row in rows]) for name in names}
