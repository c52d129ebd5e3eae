"""Plotly's own script, cut down to what the page draws: lines, bars and candles.

Rule: only whole modules that nothing left refers to are left out; a script of another build than
the one this reads is taken as it is, four times as large and as good.
"""

import re
from functools import cache

TRACES = frozenset({"bar", "candlestick"})
"""Kinds of traces beside lines, which plotly's core always draws."""

_REGISTER = re.compile(r"\.register\(\[((?:[\w$]+\(\),?)+)\]\);")
_MODULE = re.compile(r"(?<=;)var ([\w$]+)=W\(")
_LAZY = re.compile(r"([\w$]+)=Ea\(")
_TRACE = re.compile(r'moduleType:"trace",name:"([\w-]+)"')
_WORD = re.compile(r"[\w$]+")


@cache
def plotly_source() -> str:
    """Return the script the page carries."""
    return trimmed(whole_source(), TRACES)


def whole_source() -> str:
    """Return plotly's script as the installed package carries it."""
    from plotly.offline import get_plotlyjs

    source: str = get_plotlyjs()
    # A browser reads a script with its line ends made one; the hash must be of that text.
    return source.replace("\r\n", "\n").replace("\r", "\n")


def trimmed(source: str, traces: frozenset[str]) -> str:
    """Return a bundle without the kinds of traces not in ``traces`` and all they alone need.

    The bundler writes every module as one statement, ``var NAME=W(...)``, with names that are
    unique in the file. A module stays where any word of a module that stays is its name, so a
    chance equality keeps too much and never too little. Unchanged where the bundle is another.
    """
    listed = _REGISTER.search(source)
    starts = [(found.start(), found[1]) for found in _MODULE.finditer(source)]
    if listed is None or not starts:
        return source
    cuts = [start for start, _ in starts]
    pieces = [source[a:b] for a, b in zip(cuts, [*cuts[1:], len(source)], strict=True)]
    index = {name: i for i, (_, name) in enumerate(starts)}
    wanted = [name for name in _calls(listed[1]) if _trace_of(name, index, pieces) in traces]
    if len(wanted) != len(traces):
        return source
    register = f".register([{','.join(f'{name}()' for name in wanted)}]);"
    pieces = [piece.replace(listed[0], register) for piece in pieces]
    for i, piece in enumerate(pieces):
        index |= dict.fromkeys(_LAZY.findall(piece), i)
    head = source[: cuts[0]]
    kept = _reached(head, pieces, index)
    return head + "".join(piece for i, piece in enumerate(pieces) if i in kept)


def _calls(text: str) -> list[str]:
    return re.findall(r"([\w$]+)\(\)", text)


def _trace_of(name: str, index: dict[str, int], pieces: list[str]) -> str | None:
    """Follow a module to the trace it stands for: it is that, or passes on one that is."""
    for _ in range(3):
        piece = pieces[index[name]] if name in index else ""
        found = _TRACE.search(piece)
        if found is not None:
            return found[1]
        name = next((other for other in _calls(piece) if other in index), "")
    return None


def _reached(head: str, pieces: list[str], index: dict[str, int]) -> set[int]:
    """Return the pieces that the head and the last one, which starts the script, lead to."""
    kept: set[int] = set()
    left = [len(pieces) - 1, *(index[word] for word in set(_WORD.findall(head)) if word in index)]
    while left:
        i = left.pop()
        if i not in kept:
            kept.add(i)
            left += [index[word] for word in set(_WORD.findall(pieces[i])) if word in index]
    return kept
