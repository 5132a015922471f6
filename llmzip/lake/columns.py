"""Bags and columns of strings that a cluster compresses: each string becomes a short archive of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from llmzip.container.format import MAX_SHORT, is_short
from llmzip.lake.work import Way, codec_of

if TYPE_CHECKING:
    import pandas
    from dask.bag import Bag
    from dask.dataframe import DataFrame


def compress_bag(bag: Bag, **settings: Any) -> Bag:
    """A Dask bag of str or bytes as a bag of archives (bytes), partition by partition. settings: as of `Codec`."""
    return bag.map_partitions(_packed, _settings(settings))


def decompress_bag(bag: Bag, *, text: bool = True, **settings: Any) -> Bag:
    """A bag of archives as one of str, or of bytes. Raises CorruptError where it is computed, and UnicodeDecodeError."""
    return bag.map_partitions(_unpacked, _settings(settings), text)


def compress_column(frame: DataFrame, column: str, into: str | None = None, **settings: Any) -> DataFrame:
    """A Dask dataframe whose column of str (or bytes) holds archives (bytes); into: name of the new column, by default in place.

    Missing values stay missing. Raises KeyError for a column that is not there.
    """
    return _mapped(frame, column, into, _pack_frame, _settings(settings))


def decompress_column(
    frame: DataFrame, column: str, into: str | None = None, *, text: bool = True, **settings: Any
) -> DataFrame:
    """The way back. Raises CorruptError where it is computed, KeyError at once."""
    return _mapped(frame, column, into, _unpack_frame, _settings(settings), text)


def _settings(settings: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    from llmzip.codec.settings import Settings

    Settings(**settings)
    return tuple(sorted(settings.items()))


def _mapped(frame: DataFrame, column: str, into: str | None, step: Any, *arguments: Any) -> DataFrame:
    if column not in frame.columns:
        raise KeyError(column)
    into = into or column
    meta = frame.dtypes.to_dict() | {into: object}
    return frame.map_partitions(step, column, into, *arguments, meta=meta)


def _pack_frame(
    frame: pandas.DataFrame, column: str, into: str, settings: tuple[tuple[str, Any], ...]
) -> pandas.DataFrame:
    return _replaced(frame, column, into, lambda values: _packed(values, settings))


def _unpack_frame(
    frame: pandas.DataFrame, column: str, into: str, settings: tuple[tuple[str, Any], ...], text: bool
) -> pandas.DataFrame:
    return _replaced(frame, column, into, lambda values: _unpacked(values, settings, text))


def _replaced(frame: pandas.DataFrame, column: str, into: str, work: Any) -> pandas.DataFrame:
    import pandas

    present = frame[column].notna()
    made = pandas.Series([None] * len(frame), index=frame.index, dtype=object)
    made[present] = pandas.Series(work(frame[column][present].tolist()), index=frame.index[present], dtype=object)
    return frame.assign(**{into: made})


def _packed(values: Iterable[str | bytes], settings: tuple[tuple[str, Any], ...]) -> list[bytes]:
    """Messages in the short form, evaluated many at once; what is too long for that in the long one."""
    codec = codec_of(Way("compress", settings, ""))
    texts = [value.encode() if isinstance(value, str) else value for value in values]
    messages = iter(codec.compress_many([text for text in texts if len(text) <= MAX_SHORT]))
    return [next(messages) if len(text) <= MAX_SHORT else codec.compress(text) for text in texts]


def _unpacked(values: Iterable[bytes], settings: tuple[tuple[str, Any], ...], text: bool) -> list[str] | list[bytes]:
    codec = codec_of(Way("decompress", settings, ""))
    packed = list(values)
    messages = iter(codec.decompress_many([each for each in packed if is_short(each)]))
    restored = [next(messages) if is_short(each) else codec.decompress(each) for each in packed]
    return [each.decode() for each in restored] if text else restored
