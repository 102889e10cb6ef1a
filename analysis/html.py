"""HTML that cannot forget to escape: only `tag` and `raw` make `Html`; any other text is escaped where it is used."""

import html
from collections.abc import Iterable, Sequence
from typing import Any

VOID = ("br", "meta", "hr")


class Html(str):
    """Text that is HTML already."""


def raw(text: str) -> Html:
    """Text of our own that is HTML already; never anything that a model or a user wrote."""
    return Html(text)


def tag(name: str, /, *children: Any, **attributes: Any) -> Html:
    """An element. None is left out, lists are opened; `class_` and `data_x` become class and data-x."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{given}>" if name in VOID else f"<{name}{given}>{join(children)}</{name}>")


def join(children: Iterable[Any]) -> Html:
    """The children side by side, escaped where they are not HTML."""
    parts = []
    for child in children:
        if isinstance(child, Html):
            parts.append(child)
        elif isinstance(child, list | tuple):
            parts.append(join(child))
        elif child is not None:
            parts.append(html.escape(str(child)))
    return Html("".join(parts))


def paragraphs(lines: Iterable[Any]) -> Html:
    """One paragraph a line."""
    return join([tag("p", line) for line in lines if line])


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], caption: str | None = None, words: str = "") -> Html:
    """A table in a box of its own, which scrolls where the table is too wide.

    `words`: one letter per column, `t` for text, `w` for text that may wrap, `n` for numbers (right).
    """
    kinds = words or "t" * len(head)
    header = tag("tr", [tag("th", name, scope="col", class_=kind) for name, kind in zip(head, kinds, strict=True)])
    body = [tag("tr", [tag("td", cell, class_=kind) for cell, kind in zip(row, kinds, strict=True)]) for row in rows]
    inner = tag("table", tag("caption", caption) if caption else None, tag("thead", header), tag("tbody", body))
    return tag("div", inner, class_="scroll", tabindex="0", role="region", aria_label=caption or "table")


def section(anchor: str, title: str, *children: Any) -> Html:
    """A part of the page."""
    return tag("section", tag("h2", title), *children, id=anchor)
