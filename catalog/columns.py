"""Columns of exact numbers: engine raws as Arrow decimals, integers in between.

Rule: a price or a size is a decimal128(38, 16) or an int64 count of units; a float is only ever
the input, and is read as the shortest decimal that means it.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from catalog.layout import RAW

type Ints = npt.NDArray[np.int64]

MAX_DECIMALS = 9
"""Decimals accepted without being told a tick: more is float noise or a computed mean."""

_NOISE_ULPS = 8
_EXACT = float(2**52)
_SAMPLE = 512  # rows tried first: a failing cast of many rows is slow


def decimals_from_units(units: Ints, precision: int) -> pa.Array:
    """Return ``units`` x 10^-precision as engine raws."""
    pairs = np.empty((len(units), 2), np.int64)
    pairs[:, 0] = units
    pairs[:, 1] = units >> 63
    kept = pa.decimal128(38, precision)
    return pa.Array.from_buffers(kept, len(units), [None, pa.py_buffer(pairs)]).cast(RAW)


def units_of(column: pa.Array | pa.ChunkedArray, precision: int) -> Ints:
    """Return engine raws as integers of 10^-precision; a null is 0.

    Raises pa.ArrowInvalid where a value has more decimals, or is too large for 64 bits.
    """
    whole = column.cast(pa.decimal128(38, precision)).fill_null(0)
    parts = []
    for chunk in whole.chunks if isinstance(whole, pa.ChunkedArray) else [whole]:
        words = np.frombuffer(chunk.buffers()[1], np.int64)
        pairs = words[2 * chunk.offset : 2 * (chunk.offset + len(chunk))].reshape(-1, 2)
        if (pairs[:, 1] != pairs[:, 0] >> 63).any():
            raise pa.ArrowInvalid("a number is too large for 64 bits")
        parts.append(pairs[:, 0])
    units: Ints = np.concatenate(parts) if parts else np.empty(0, np.int64)
    return units


def times(ns: Ints) -> pa.Array:
    """Return UTC nanoseconds as the engine's time column."""
    return pa.array(ns, pa.timestamp("ns", "UTC"))


def labels(index: Ints, names: tuple[str, ...]) -> pa.Array:
    """Return a dictionary column: ``names[index]`` per row."""
    return pa.DictionaryArray.from_arrays(pa.array(index, pa.int8()), pa.array(names))


def decimals_needed(column: pa.Array | pa.ChunkedArray) -> int:
    """Return the smallest number of decimals that holds every value exactly."""
    if len(column) == 0:
        return 0
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    needed = 0
    for part in [*(chunk[:_SAMPLE] for chunk in chunks), *chunks]:
        while not _fits(part, needed):
            needed += 1
    return needed


def from_text(column: pa.Array) -> pa.Array:
    """Parse text as engine raws exactly. Raises pa.ArrowInvalid on anything else than a number.

    Numbers with more decimals than the engine holds are read as floats (see ``from_floats``).
    """
    try:
        return column.cast(RAW)
    except pa.ArrowInvalid:
        return from_floats(column.cast(pa.float64()))


def from_floats(column: pa.Array) -> pa.Array:
    """Return floats as the decimals they were written as: 0.027900000000000003 is 0.0279.

    Values that are no short decimal keep 16 decimals; ``decimals_needed`` then exceeds
    ``MAX_DECIMALS`` and the caller asks for a tick.
    """
    values = column.to_numpy(zero_copy_only=False)
    left = np.arange(len(values))
    parts, places = [], []
    for decimals in range(MAX_DECIMALS + 1):
        scaled = np.rint(values[left] * 10.0**decimals)
        off = np.abs(scaled / 10.0**decimals - values[left])
        noise = _NOISE_ULPS * np.spacing(np.abs(values[left]))
        short = (off <= noise) & (np.abs(scaled) < _EXACT)
        parts.append(decimals_from_units(scaled[short].astype(np.int64), decimals))
        places.append(left[short])
        left = left[~short]
    rest = pc.round(pa.array(values[left], pa.float64()), ndigits=15).cast(RAW, safe=False)
    order = np.argsort(np.concatenate([*places, left]))
    return pa.concat_arrays([*parts, rest]).take(pa.array(order))


def rounded(column: pa.Array, decimals: int) -> tuple[pa.Array, int]:
    """Round half away from zero to ``decimals``; return the column and how many values changed."""
    near = pc.round(column, ndigits=decimals, round_mode="half_towards_infinity").cast(RAW)
    return near, int(pc.sum(pc.not_equal(near, column)).as_py() or 0)


def _fits(chunk: pa.Array, decimals: int) -> bool:
    try:
        chunk.cast(pa.decimal128(38, decimals))
    except pa.ArrowInvalid:
        return False
    return True
