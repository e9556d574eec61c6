"""One MCAP file, whole or torn."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from humanoid_rl_ros.bags.bag_message import BagMessage, BagTopic, disorder
from humanoid_rl_ros.bags.compression import ZSTD_MAGIC, unpack
from humanoid_rl_ros.bags.mcap_index import Extent, chunk_data, index_file
from humanoid_rl_ros.bags.mcap_records import MAGIC, MessageParser
from humanoid_rl_ros.core.errors import BagError

_NO_END = 2**64


class McapStorage:
    """Reads an MCAP file chunk by chunk; see `bag_message.Storage`.

    Args:
        path: the file.

    Raises:
        BagError: nothing of it can be read.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._name = path.name
        size = path.stat().st_size
        self._file = path.open("rb")
        if self._file.read(len(MAGIC)) != MAGIC:
            self._file.close()
            raise BagError("is no MCAP file")
        index = index_file(self._file, size)
        self._channels = {
            number: BagTopic(
                channel.topic,
                index.registry.type_of(channel),
                index.counts.get(number, 0),
                channel.metadata.get("offered_qos_profiles", ""),
                channel.message_encoding,
            )
            for number, channel in index.registry.channels.items()
        }
        self._extents = sorted(index.extents)
        self.topics = list(self._channels.values())
        self.start_ns = min((extent.start_ns for extent in self._extents), default=0)
        self.end_ns = max((extent.end_ns for extent in self._extents), default=0)
        self.metadata = index.metadata
        self.problems = list(index.problems)
        self.lost: dict[str, int] = {}
        self._read_once = False
        nameless = sum(count for number, count in index.counts.items() if number not in self._channels)
        if nameless:
            self.problems.append(f"{nameless} messages are of a topic that the file does not name; left out")

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def messages(
        self, wanted: Collection[str] | None, start_ns: int | None, end_ns: int | None
    ) -> Iterator[BagMessage]:
        """See `bag_message.Storage`."""
        targets = {
            number: (topic.name, topic.type)
            for number, topic in self._channels.items()
            if wanted is None or topic.name in wanted
        }
        first, end = (0 if start_ns is None else start_ns), (_NO_END if end_ns is None else end_ns)
        parser = MessageParser(targets, first, end)
        pending: list[BagMessage] = []
        for extent in self._extents:
            if extent.end_ns < first or extent.start_ns >= end:
                continue
            if extent.channels is not None and extent.channels.isdisjoint(targets):
                continue
            if pending:
                # What lies before the next piece can be let go; the rest may have to be mixed with it.
                ready = len(pending)
                while ready and pending[ready - 1].log_ns >= extent.start_ns:
                    ready -= 1
                yield from pending[:ready]
                del pending[:ready]
            found = self._parse(extent, parser)
            pending = sorted([*pending, *found], key=_log_ns) if pending else found
        yield from pending
        if wanted is None and start_ns is None and end_ns is None and not self._read_once:
            self._read_once = True
            self.lost = parser.lost()
            self.problems += disorder(parser.behind, parser.farthest_ns)

    def _parse(self, extent: Extent, parser: MessageParser) -> list[BagMessage]:
        try:
            found = parser.messages(chunk_data(self._file, extent))
            # Every message compressed by itself: no serialised message begins like that.
            packed = bool(found) and found[0].data.startswith(ZSTD_MAGIC)
            return [message._replace(data=unpack(message.data, "zstd")) for message in found] if packed else found
        except BagError as error:
            seconds = (extent.end_ns - extent.start_ns) * 1e-9
            since = (extent.start_ns - self.start_ns) * 1e-9
            problem = f"a chunk {error}: up to {seconds:.3f} s of messages, {since:.3f} s after its begin, are left out"
        except OSError as error:
            problem = f"cannot be read: {error.strerror}"
        if problem not in self.problems:
            self.problems.append(problem)
        return []


def _log_ns(message: BagMessage) -> int:
    return message.log_ns
