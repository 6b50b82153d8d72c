"""Rewrites HTML that an author may have written into what a package's page can show.

A first pass, for shape and for bounds: it leaves balanced elements of a bounded depth, so that the sanitiser after it
takes linear time (html5ever walks its stack of open elements for each tag, and copies formatting that was left open).
What is safe is decided by the sanitiser alone (`readme.py`), which reads the result like a browser.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from html import escape

from twokey.publishing.links import FRAGMENT, Repository, slug, target, unescaped

REL = "nofollow noopener noreferrer"
DEEPEST = 64
MOST_UNCLOSED = 20  # tags without an end are looked for to the end of the text: a few of them, not thousands
FIRST_HEADING, LAST_HEADING = 3, 6  # h1 and h2 are the page's own

INLINE = frozenset({
    "a", "b", "code", "del", "em", "i", "ins", "kbd", "mark", "q", "s", "samp", "small", "strong", "sub", "sup", "u",
    "var",
})  # fmt: skip
BLOCKS = frozenset({"blockquote", "details", "div", "dl", "ol", "p", "pre", "table", "ul"})
# Elements that mean nothing outside of these; each closes what is open up to its parent.
PARENTS = {
    "li": {"ul", "ol"},
    "dt": {"dl"},
    "dd": {"dl"},
    "summary": {"details"},
    "thead": {"table"},
    "tbody": {"table"},
    "tfoot": {"table"},
    "tr": {"table", "thead", "tbody", "tfoot"},
    "td": {"tr"},
    "th": {"tr"},
}
KNOWN = INLINE | BLOCKS | PARENTS.keys()
# Within these text has no place: a browser moves it before the table, one by one.
TABLE_PARTS = frozenset({"table", "thead", "tbody", "tfoot", "tr"})
CELLS = frozenset({"td", "th"})
RENAMED = {
    **dict.fromkeys(("article", "aside", "center", "figcaption", "figure", "footer", "header", "main", "nav"), "div"),
    **dict.fromkeys(("address", "fieldset", "form", "section"), "div"),
    "strike": "s",
    "tt": "code",
}
# These go with everything in them; of all other elements that are not known, the text stays.
DROPPED = frozenset({
    "applet", "audio", "canvas", "embed", "frameset", "iframe", "math", "noembed", "noframes", "noscript", "object",
    "script", "select", "style", "svg", "template", "textarea", "title", "video", "xmp",
})  # fmt: skip

# What an attribute may hold. The rewriter and the sanitiser both ask here.
ATTRIBUTES = {
    "a": {"href"},
    "details": {"open"},
    "div": {"class", "tabindex", "role", "aria-label"},
    "h3": {"id"},
    "h4": {"id"},
    "h5": {"id"},
    "h6": {"id"},
    "ol": {"start"},
    "pre": {"tabindex"},
    "td": {"align", "colspan", "rowspan"},
    "th": {"align", "colspan", "rowspan"},
}
VALUES = {
    "href": re.compile(rf"(?:https?://|mailto:|{FRAGMENT})\S+", re.IGNORECASE),
    "open": re.compile(""),
    "class": re.compile("scroll"),
    "tabindex": re.compile("0"),
    "role": re.compile("region"),
    "aria-label": re.compile(r"Table( [0-9]{1,6})?"),
    "id": re.compile(rf"{FRAGMENT[1:]}[\w-]+"),
    "start": re.compile("[0-9]{1,9}"),
    "rel": re.compile(REL),  # the sanitiser adds it to every link
    "align": re.compile("left|center|right"),
    "colspan": re.compile("[1-9][0-9]?"),
    "rowspan": re.compile("[1-9][0-9]?"),
}
_FROM_AUTHOR = {"details": ("open",), "ol": ("start",), **dict.fromkeys(CELLS, ("align", "colspan", "rowspan"))}

_TAG = re.compile(r"""<(/?)([a-z][a-z0-9:-]*)((?:[^>"']++|"[^"]*+"|'[^']*+')*+)>""", re.IGNORECASE | re.ASCII)
_ATTRIBUTE = re.compile(
    r"""([^\s"'<>/=]++)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'=<>`]++)))?""", re.ASCII
)  # fmt: skip
_HEADING = re.compile("h([1-6])")
_COMMENT_END, _MARK_END, _BEGINS_TAG = re.compile("-->"), re.compile(">"), re.compile("</?[a-zA-Z]")
_ENDS = {name: re.compile(rf"</{name}[\s/>]", re.IGNORECASE | re.ASCII) for name in DROPPED}


def rewritten(source: str, repository: Repository | None) -> str:
    """The HTML `source` in balanced elements of the lists above: links resolved, images as links, headings moved."""
    page = _Page(repository)
    position, unclosed, absent = 0, 0, set[str]()

    def after(mark: re.Pattern[str], start: int) -> int | None:
        """Where `mark` ends, looked for once where it is not there."""
        found = None if mark.pattern in absent else mark.search(source, start)
        if found is None:
            absent.add(mark.pattern)
        return None if found is None else found.end()

    while (start := source.find("<", position)) >= 0:
        page.text(source[position:start])
        end: int | None = None
        if source.startswith(("<!", "<?"), start):
            end = after(_COMMENT_END if source.startswith("<!--", start) else _MARK_END, start)
        elif unclosed < MOST_UNCLOSED and (tag := _TAG.match(source, start)):
            end, name = tag.end(), tag[2].lower()
            if tag[1]:
                page.end(name)
            elif name in DROPPED:
                closing = after(_ENDS[name], end)
                end = end if closing is None else after(_MARK_END, closing - 1) or len(source)
            else:
                page.start(name, tag[3])
        elif _BEGINS_TAG.match(source, start):
            unclosed += 1
        if end is None:
            page.text("&lt;")
        position = start + 1 if end is None else end
    page.text(source[position:])
    return page.finished()


def _attributes(text: str) -> dict[str, str]:
    """The attributes of a tag; of two of one name the first counts, as in a browser."""
    found: dict[str, str] = {}
    for name, *values in _ATTRIBUTE.findall(text):
        found.setdefault(name.lower(), unescaped(values[0] or values[1] or values[2]))
    return found


@dataclass(slots=True)
class _Open:
    """An element that is open: its tag's place in the page, and its link or its author's level of heading."""

    name: str
    at: int
    href: str = ""
    level: int = 0


class _Page:
    """What has been written so far, and what is open in it. Text never holds `<`; tags stand alone in the list."""

    def __init__(self, repository: Repository | None) -> None:
        self._repository = repository
        self._parts: list[str] = []
        self._open: list[_Open] = []
        self._levels: list[int] = []
        self._slugs: Counter[str] = Counter()
        self._tables = 0

    def text(self, text: str) -> None:
        """Text as HTML spells it."""
        if text:
            if not text.isspace():
                self._leave_table()
            self._parts.append(text)

    def start(self, name: str, attributes: str) -> None:
        """An element begins, if it may."""
        name = RENAMED.get(name, name)
        heading = _HEADING.fullmatch(name)
        if name == "img":
            self._image(_attributes(attributes))
        elif name == "input":
            self._box(_attributes(attributes))
        elif name in ("br", "hr"):
            self._leave_table()
            if name == "hr":
                self._close_last("p")
            self._parts.append(f"<{name}>")
        elif (heading or name in KNOWN) and len(self._open) < DEEPEST and self._make_room(name, bool(heading)):
            self._begin(name, attributes, int(heading[1]) if heading else 0)

    def end(self, name: str) -> None:
        """An element ends: whatever was opened within it ends too. A cell keeps what is outside of it open."""
        name = "heading" if _HEADING.fullmatch(name) else RENAMED.get(name, name)
        for place in range(len(self._open) - 1, -1, -1):
            each = self._open[place].name
            if each == name:
                self._close_to(place)
                return
            if each in CELLS and name not in TABLE_PARTS | CELLS:
                return

    def finished(self) -> str:
        """The page, with everything closed."""
        self._close_to(0)
        return "".join(self._parts)

    def _make_room(self, name: str, heading: bool) -> bool:
        """Closes what must not hold the new element. False where it has no place at all."""
        if name in PARENTS:
            for place in range(len(self._open) - 1, -1, -1):
                if self._open[place].name in PARENTS[name]:
                    self._close_to(place + 1)
                    return True
            return False
        self._leave_table()
        if name not in INLINE:
            self._close_last("p")
        if name == "a" or heading:
            self._close_last("heading" if heading else "a")
        return True

    def _begin(self, name: str, attributes: str, level: int) -> None:
        place = len(self._parts)
        if level:
            self._open.append(_Open("heading", place, level=level))
            self._parts.append("<h3>")
            return
        if name == "a":
            href = target(_attributes(attributes).get("href", ""), self._repository)
            if href is None:
                return  # its text stays
            self._open.append(_Open("a", place, href=href))
            self._parts.append(f'<a href="{escape(href)}">')
            return
        self._open.append(_Open(name, place))
        if name == "table":
            self._tables += 1
            number = f" {self._tables}" if self._tables > 1 else ""
            self._parts.append(f'<div class="scroll" tabindex="0" role="region" aria-label="Table{number}"><table>')
        elif name == "pre":
            self._parts.append('<pre tabindex="0">')
        else:
            self._parts.append(f"<{name}{self._kept(name, attributes)}>")

    def _kept(self, name: str, attributes: str) -> str:
        """The attributes of an author that stay."""
        if name not in _FROM_AUTHOR or not attributes:
            return ""
        given = _attributes(attributes)
        kept = {key: "" if key == "open" else given[key].lower() for key in _FROM_AUTHOR[name] if key in given}
        return "".join(f' {key}="{value}"' for key, value in kept.items() if VALUES[key].fullmatch(value))

    def _image(self, attributes: dict[str, str]) -> None:
        """An image as a link with its alternative text: shown, it would tell its host who reads."""
        address, words = attributes.get("src", ""), " ".join(attributes.get("alt", "").split())
        href = target(address, self._repository)
        if href is not None and href.startswith("#"):
            href = None
        if not words and (href is not None or not address.lower().lstrip().startswith("data:")):
            words = address.strip()
        self._leave_table()
        if href is None or any(each.name == "a" for each in self._open):
            self.text(escape(words))
        elif words:
            self._parts += [f'<a href="{escape(href)}">', escape(words), "</a>"]

    def _box(self, attributes: dict[str, str]) -> None:
        """The box of a task list as text."""
        if attributes.get("type", "").lower() == "checkbox":
            self.text("\N{BALLOT BOX WITH CHECK}" if "checked" in attributes else "\N{BALLOT BOX}")

    def _leave_table(self) -> None:
        """Text and blocks between a table's cells come after the table."""
        if self._open and self._open[-1].name in TABLE_PARTS:
            self._close_last("table")

    def _close_last(self, name: str) -> None:
        """Closes the innermost element of that name, where one is open; not from within a cell what is outside."""
        for place in range(len(self._open) - 1, -1, -1):
            if self._open[place].name == name:
                self._close_to(place)
                return
            if self._open[place].name in CELLS:
                return

    def _close_to(self, place: int) -> None:
        while len(self._open) > place:
            self._close(self._open.pop())

    def _close(self, element: _Open) -> None:
        if element.name == "heading":
            self._close_heading(element)
        elif element.name == "a":
            if not self._words(element).strip():  # a link without a name leads nobody anywhere
                self._parts.append(escape(element.href))
            self._parts.append("</a>")
        else:
            self._parts.append("</table></div>" if element.name == "table" else f"</{element.name}>")

    def _close_heading(self, element: _Open) -> None:
        """Gives a heading its level, one below its parent's at most, and its id. One without words is none."""
        words = unescaped(self._words(element))
        if not words.strip():
            self._parts[element.at] = ""
            return
        while self._levels and self._levels[-1] >= element.level:
            self._levels.pop()
        self._levels.append(element.level)
        level = min(FIRST_HEADING + len(self._levels) - 1, LAST_HEADING)
        self._parts[element.at] = f"<h{level}{self._identity(slug(words))}>"
        self._parts.append(f"</h{level}>")

    def _identity(self, name: str) -> str:
        """The id of a heading; the second of the same name gets `-1`, as on GitHub."""
        if not name:
            return ""
        unique = name
        while unique in self._slugs:
            unique = f"{name}-{self._slugs[name]}"
            self._slugs[name] += 1
        self._slugs[unique] += 1
        return f' id="{FRAGMENT[1:]}{unique}"'

    def _words(self, element: _Open) -> str:
        return "".join(part for part in self._parts[element.at + 1 :] if not part.startswith("<"))
