"""What stands in a mail, and how it is written: plain text, and simple HTML of the same words.

No letter asks for a password or leads to a page that does (security.md 2.5): whoever learns to follow such links from
us would follow a thief's.
"""

from __future__ import annotations

from html import escape

import msgspec

MOST_ITEMS = 50
AND_MORE = "And more of the same: the page of security events has them all."


class Letter(msgspec.Struct, frozen=True):
    """A letter. `items` are what has happened; `link`, where there is one, is the one thing to press."""

    name: str
    opening: str
    items: tuple[str, ...] = ()
    link: str = ""
    button: str = ""
    closing: tuple[str, ...] = ()

    def with_item(self, item: str) -> Letter:
        """The letter with one thing more in it; of very many it names the first."""
        if len(self.items) >= MOST_ITEMS:
            return self if self.items[-1] == AND_MORE else self._with((*self.items, AND_MORE))
        return self._with((*self.items, item))

    def _with(self, items: tuple[str, ...]) -> Letter:
        return msgspec.structs.replace(self, items=items)


def encoded(letter: Letter) -> bytes:
    """The letter as bytes, to be sealed."""
    return msgspec.json.encode(letter)


def decoded(data: bytes) -> Letter:
    """The letter that `encoded` wrote."""
    return msgspec.json.decode(data, type=Letter)


def text_of(letter: Letter, signature: str) -> str:
    """The letter as plain text."""
    items = ["\n".join(f"- {item}" for item in letter.items)] if letter.items else []
    link = [letter.link] if letter.link else []
    parts = [f"Hello {letter.name},", letter.opening, *items, *link, *letter.closing, f"-- \n{signature}"]
    return "\n\n".join(parts) + "\n"


def html_of(letter: Letter, subject: str, signature: str) -> str:
    """The letter as HTML: the same words, nothing that is fetched from anywhere."""
    parts = [_paragraph(f"Hello {letter.name},"), _paragraph(letter.opening)]
    if letter.items:
        parts.append("<ul>" + "".join(f"<li>{escape(item)}</li>" for item in letter.items) + "</ul>")
    if letter.link:
        address = escape(letter.link)
        parts.append(f'<p><a href="{address}">{escape(letter.button)}</a></p>')
        parts.append(f'<p style="font-size:small">If the link does not open, copy this address:<br>{address}</p>')
    parts += [_paragraph(paragraph) for paragraph in letter.closing]
    parts.append(f'<p style="font-size:small">{escape(signature)}</p>')
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(subject)}</title></head>\n'
        f'<body style="font-family:sans-serif;line-height:1.5;max-width:40em">\n{body}\n</body></html>\n'
    )


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"
