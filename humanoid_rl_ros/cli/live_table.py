"""A table that is drawn anew in its place, and lines now and then where there is no terminal."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TypeVar

from rich.console import Console, RenderableType
from rich.live import Live

View = TypeVar("View", bound="LiveTable")


class LiveTable:
    """Shows a table for as long as it is entered.

    Args:
        console: where.
        period: between two lines, where there is no terminal [s].
        clock: [s].
    """

    def __init__(self, console: Console, period: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._plain_period, self._clock = console, period, clock
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._plain_at = -math.inf

    def __enter__(self: View) -> View:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def draw(self, table: Callable[[], RenderableType], line: Callable[[], str], *, at_once: bool = False) -> None:
        """Show what is known now.

        Args:
            table: for a terminal.
            line: for anything else, when its time has come.
            at_once: whether its time has come anyway.
        """
        if self._live is not None:
            self._live.update(table(), refresh=True)
        elif at_once or self._clock() - self._plain_at >= self._plain_period:
            self._plain_at = self._clock()
            self._console.print(line(), soft_wrap=True, markup=False)
