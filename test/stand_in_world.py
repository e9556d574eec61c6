"""A world that is controlled as Gazebo's simulation runner is, and simulates nothing.

Requests are queued and answered at once; each turn of the loop first lets time pass, then carries them out in order.
Steps add up while the world is paused; a request that does not pause sets it running and its steps are lost; of a reset
only what the last request of a turn says counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from humanoid_rl_ros.envs.world_control import WorldRequest


@dataclass
class StandInWorld:
    """The loop.

    Attributes:
        step_ns: physics step [ns].
        paused: whether time stands still.
        time_ns: simulated time [ns].
        accepts: what requests are answered.
    """

    step_ns: int = 1_000_000
    paused: bool = True
    time_ns: int = 0
    accepts: bool = True
    _pending: int = 0
    _rewind: bool = False
    _queue: list[WorldRequest] = field(default_factory=list)

    def request(self, request: WorldRequest) -> bool:
        if self.accepts:
            self._queue.append(request)
        return self.accepts

    def turn(self) -> None:
        if self._rewind:
            self.time_ns, self._rewind = 0, False
        elif not self.paused:
            self.time_ns += self.step_ns
            if self._pending > 0:
                self._pending -= 1
                self.paused = self._pending == 0
        for request in self._queue:
            self.paused = request.pause
            if self.paused and request.steps > 0:
                self._pending += request.steps
                self.paused = False
            self._rewind = request.reset
        self._queue.clear()
