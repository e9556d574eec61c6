"""Compressed files, chunks and messages of bags, and as much as there is of those that are cut off."""

from __future__ import annotations

from pathlib import Path

import lz4.frame
import zstandard

from humanoid_rl_ros.core.errors import BagError

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
LARGEST = 2**30
"""Of a chunk or a message [bytes]: a damaged or hostile length must not take the memory."""


def unpack(data: bytes, compression: str, size: int | None = None) -> bytes:
    """Undo the compression of a chunk or a message.

    Args:
        data: compressed.
        compression: ``zstd``, ``lz4``, or empty for none.
        size: what comes out, if that is known [bytes].

    Raises:
        BagError: it is damaged, too large, not of that size, or of a compression that is not known.
    """
    try:
        if size is not None and size > LARGEST:
            raise BagError(f"says that it holds {size} bytes; more than {LARGEST} are not read")
        out = data if not compression else _decompress(data, compression)
    except (zstandard.ZstdError, RuntimeError, MemoryError) as error:
        raise BagError(f"cannot be decompressed: {error}") from None
    if size is not None and len(out) != size:
        raise BagError(f"holds {len(out)} bytes and not {size}")
    return out


def _decompress(data: bytes, compression: str) -> bytes:
    if compression == "zstd":
        said = zstandard.frame_content_size(data)
        if said > LARGEST:
            raise BagError(f"says that it holds {said} bytes; more than {LARGEST} are not read")
        if said >= 0:
            return zstandard.ZstdDecompressor().decompress(data)
    return unpack_part(data, compression)


def unpack_part(data: bytes, compression: str) -> bytes:
    """What can be had of compressed data that may be cut off.

    Raises:
        BagError: the compression is not known, or too much comes out.
    """
    if compression not in ("", "zstd", "lz4"):
        raise BagError(f"is compressed by '{compression}'; known: zstd, lz4")
    if not compression:
        return data
    zstd = compression == "zstd"
    stream = zstandard.ZstdDecompressor().decompressobj() if zstd else lz4.frame.LZ4FrameDecompressor()
    out = bytearray()
    step = 1 << 16
    try:
        for begin in range(0, len(data), step):
            out += stream.decompress(data[begin : begin + step])
            if len(out) > LARGEST:
                raise BagError(f"holds more than {LARGEST} bytes, which are not read")
            if stream.eof:
                break
    except (zstandard.ZstdError, RuntimeError):
        pass  # the end of what can be had
    return bytes(out)


def unpack_file(source: Path, target: Path) -> str:
    """Write the contents of a file compressed by zstd.

    Returns:
        What was wrong; empty if all of it was read.

    Raises:
        OSError: a file cannot be read or written.
    """
    with source.open("rb") as packed, target.open("wb") as out:
        try:
            zstandard.ZstdDecompressor().copy_stream(packed, out)
        except zstandard.ZstdError as error:
            return f"is cut off or damaged ({error})"
    return ""
