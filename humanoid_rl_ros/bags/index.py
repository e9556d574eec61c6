"""The index at the end of a whole MCAP file: what it holds, without reading it."""

from __future__ import annotations

from pathlib import Path

from mcap.reader import make_reader

from humanoid_rl_ros.bags.records import FileFacts, RecordedTopic
from humanoid_rl_ros.bags.tears import topic_of


def read_index(path: Path, topics: dict[str, RecordedTopic]) -> FileFacts | None:
    """What the index of a file says.

    Args:
        path: of the file.
        topics: takes those of the file that it lacks.

    Returns:
        None where the file has no index: it is torn.

    Raises:
        OSError: the file cannot be opened.
    """
    with path.open("rb") as stream:
        try:
            summary = make_reader(stream).get_summary()
        except Exception:  # torn bytes make the reader fail in any way
            return None
    if summary is None or summary.statistics is None:
        return None
    facts = FileFacts(path.name)
    for channel in summary.channels.values():
        topics.setdefault(channel.topic, topic_of(channel, summary.schemas.get(channel.schema_id)))
        count = summary.statistics.channel_message_counts.get(channel.id, 0)
        facts.counts[channel.topic] = facts.counts.get(channel.topic, 0) + count
    if summary.statistics.message_count:
        facts.start_ns = summary.statistics.message_start_time
        facts.end_ns = summary.statistics.message_end_time
    return facts
