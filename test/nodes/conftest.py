"""What the tests of the nodes share: a ROS graph of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Any]:
    """A `ros_graph.Graph` on a domain that nobody else uses."""
    from ros_graph import open_graph  # needs rclpy, without which these tests are skipped

    with open_graph(tmp_path) as graph:
        yield graph
