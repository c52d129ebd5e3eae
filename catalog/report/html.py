"""HTML made so that nothing a person wrote can become markup.

Rule: text is escaped unless it is `Markup`, and only `el` and `join` make Markup.
"""

from collections.abc import Iterable
from html import escape

VOID = frozenset({"meta", "br", "hr", "link", "img", "input"})


class Markup(str):
    """Text that is already safe HTML."""

    __slots__ = ()


def safe(text: str) -> Markup:
    """Return text as markup, with everything that HTML could read escaped."""
    return text if isinstance(text, Markup) else Markup(escape(text, quote=True))


def join(parts: Iterable[str]) -> Markup:
    """Return parts side by side, each escaped unless it is markup."""
    return Markup("".join(safe(part) for part in parts))


def el(tag: str, /, *children: str, **attributes: str | None) -> Markup:
    """Return one element. ``cls`` is class, ``a_b`` is a-b, None leaves an attribute out."""
    names = {"cls": "class", "for_": "for"}
    given = "".join(
        f' {names.get(name, name.replace("_", "-"))}="{escape(value, quote=True)}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in VOID:
        return Markup(f"<{tag}{given}>")
    return Markup(f"<{tag}{given}>{join(children)}</{tag}>")
