"""READMEs as HTML: nothing in them runs, loads or takes over the page, and what authors write is there to be read."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.publishing.hostile_markup import HOSTILE
from twokey.publishing.readme import render, sanitised

REPOSITORY = {"type": "git", "url": "git+https://github.com/acme/tools.git", "directory": "packages/pad"}
FILES = "https://github.com/acme/tools/blob/HEAD"

# Written down here once more: a list that both sides read would prove nothing.
ELEMENTS = frozenset({
    "a", "b", "blockquote", "br", "code", "dd", "del", "details", "div", "dl", "dt", "em", "h3", "h4", "h5", "h6", "hr",
    "i", "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "s", "samp", "small", "strong", "sub", "summary", "sup",
    "table", "tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul", "var",
})  # fmt: skip
CELL = {"align": "left|center|right", "colspan": "[1-9][0-9]?", "rowspan": "[1-9][0-9]?"}
HEADING = {"id": r"user-content-[\w-]+"}
ATTRIBUTES = {
    "a": {"href": r"(https?://|mailto:|#user-content-)\S+", "rel": "nofollow noopener noreferrer"},
    "details": {"open": ""},
    "div": {"class": "scroll", "tabindex": "0", "role": "region", "aria-label": "Table( [0-9]+)?"},
    "ol": {"start": "[0-9]+"},
    "pre": {"tabindex": "0"},
    **dict.fromkeys(("td", "th"), CELL),
    **dict.fromkeys(("h3", "h4", "h5", "h6"), HEADING),
}


class Reader(HTMLParser):
    """Reads HTML as a list of elements with their attributes, beside its text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.others: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    def handle_decl(self, decl: str) -> None:
        self.others.append(decl)

    handle_pi = unknown_decl = handle_comment

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())

    def named(self, *names: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name in names]


def assert_harmless(html: str) -> None:
    reader = Reader(html)
    assert reader.others == []
    for element, attributes in reader.elements:
        assert element in ELEMENTS, html
        for name, value in attributes.items():
            assert re.fullmatch(ATTRIBUTES.get(element, {})[name], value, re.IGNORECASE), html
        if "href" in attributes:
            assert attributes["rel"] == "nofollow noopener noreferrer"


def test_there_are_hostile_inputs_enough() -> None:
    assert len(HOSTILE) >= 200


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_hostile_comes_through(name: str) -> None:
    for repository in (None, REPOSITORY):
        for text in (HOSTILE[name], f"before\n\n{HOSTILE[name]}\n\nafter", f"<div>\n{HOSTILE[name]}"):
            assert_harmless(render(text, repository))


@pytest.mark.parametrize("name", HOSTILE)
def test_the_sanitiser_alone_lets_nothing_hostile_through(name: str) -> None:
    assert_harmless(sanitised(HOSTILE[name].encode("utf-8", "replace").decode()))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([*HOSTILE.values(), "\n\n", "> ", "- ", "`", "[", "](", "<", ">", '"', "<!--", "|"])))
def test_nothing_hostile_comes_through_in_any_company(parts: list[str]) -> None:
    assert_harmless(render("".join(parts), REPOSITORY))


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="<>/!-=\"'& abihrefsc1[]()#*`|~\n\t\x00"))
def test_whatever_is_written_the_result_is_harmless(text: str) -> None:
    assert_harmless(render(text, REPOSITORY))


def test_ordinary_markdown_is_what_it_says() -> None:
    html = render("**bold** *em* ~~gone~~ `code`\n\n> quote\n\n1. one\n2. two\n\n```js\na < b\n```", None)
    assert [name for name, _ in Reader(html).elements] == (
        ["p", "strong", "em", "del", "code", "blockquote", "p", "ol", "li", "li", "pre", "code"]
    )
    assert '<pre tabindex="0"><code>a &lt; b\n</code></pre>' in html


def test_html_of_an_author_stays_where_it_is_harmless() -> None:
    html = render('<p align="center"><kbd>Ctrl</kbd> <sub>x</sub></p>\n<details><summary>more</summary>\n\ntext', None)
    assert [name for name, _ in Reader(html).elements] == ["p", "kbd", "sub", "details", "summary", "p"]


def test_headings_begin_at_three_and_never_skip_a_level_downward() -> None:
    html = render("## a\n\n#### b\n\n# c\n\n##### d\n\n###### e\n\n<h2>f</h2>\n\n## g", None)
    assert re.findall(r"<(h\d)[^>]*>(\w)", html) == [
        ("h3", "a"), ("h4", "b"), ("h3", "c"), ("h4", "d"), ("h5", "e"), ("h4", "f"), ("h4", "g"),
    ]  # fmt: skip


def test_no_heading_is_deeper_than_six_and_an_empty_one_is_none() -> None:
    html = render("\n\n".join(f"{'#' * level} x" for level in range(1, 7)) + "\n\n#\n\n# ![](data:x)", None)
    assert re.findall(r"<(h\d)", html) == ["h3", "h4", "h5", "h6", "h6", "h6"]


def test_headings_are_named_as_on_github_and_fragments_lead_to_them() -> None:
    html = render("# Größe & `code`: 1.0\n# x\n# x\n# x-1\n\n[a](#größe--code-10) [b](#x-1) [c](#X) [d](#)", None)
    ids = [attributes["id"] for attributes in Reader(html).named("h3")]
    assert ids == [f"user-content-{name}" for name in ("größe--code-10", "x", "x-1", "x-1-1")]
    links = [attributes["href"] for attributes in Reader(html).named("a")]
    assert links == [f"#{each}" for each in ids[:1] + ids[2:3] + ids[1:2]]
    assert "[d]" not in html
    assert Reader(html).text.endswith("d")


@pytest.mark.parametrize(
    ("written", "leads_to"),
    [
        ("docs/a.md#x", f"{FILES}/packages/pad/docs/a.md#x"),
        ("./a b.md?raw=1", f"{FILES}/packages/pad/a%20b.md?raw=1"),
        ("../", f"{FILES}/packages/"),
        ("/LICENSE", f"{FILES}/LICENSE"),
        ("../../../../../x", f"{FILES}/x"),
        ("..\\..\\..\\x", f"{FILES}/x"),
        ("//example.com/x", "https://example.com/x"),
        ("HTTPS://example.com/ü", "HTTPS://example.com/ü"),
        ("mailto:a@example.com", "mailto:a@example.com"),
    ],
)
def test_links_lead_where_they_say_relative_ones_into_the_repository(written: str, leads_to: str) -> None:
    (link,) = Reader(render(f'<a href="{written}">x</a>', REPOSITORY)).named("a")
    assert link == {"href": leads_to, "rel": "nofollow noopener noreferrer"}


@pytest.mark.parametrize(
    ("repository", "files"),
    [
        ("https://github.com/acme/tools", "https://github.com/acme/tools/blob/HEAD/x"),
        ({"url": "git+https://gitlab.com/a/b/c.git"}, "https://gitlab.com/a/b/c/-/blob/HEAD/x"),
        ({"url": "https://bitbucket.org/a/b/"}, "https://bitbucket.org/a/b/src/HEAD/x"),
        ({"url": "https://github.com/a/b", "directory": "../../.."}, "https://github.com/a/b/blob/HEAD/x"),
        ({"url": "https://github.com/a/b", "directory": ["x"]}, "https://github.com/a/b/blob/HEAD/x"),
        ("https://evil.example/acme/tools", None),
        ("https://github.com.evil.example/a/b", None),
        ("https://github.com@evil.example/a/b", None),
        ("https://github.com/a/../b", None),
        ("git@github.com:a/b.git", None),
        ({"url": 7}, None),
        (["https://github.com/a/b"], None),
        (None, None),
    ],
)
def test_a_relative_link_stays_only_where_the_repository_is_known(repository: object, files: str | None) -> None:
    reader = Reader(render("[words](x)", repository))
    assert [link["href"] for link in reader.named("a")] == ([] if files is None else [files])
    assert reader.text == "words"


@pytest.mark.parametrize(
    ("written", "words", "links"),
    [
        ("![a badge](https://ci.example/b.svg)", "a badge", ["https://ci.example/b.svg"]),
        ("![](https://ci.example/b.svg)", "https://ci.example/b.svg", ["https://ci.example/b.svg"]),
        ("[![a badge](https://ci.example/b.svg)](https://ci.example)", "a badge", ["https://ci.example"]),
        ("![a picture](docs/x.png)", "a picture", [f"{FILES}/packages/pad/docs/x.png"]),
        ("![a picture](data:image/png;base64,xx)", "a picture", []),
        ("![](data:image/png;base64,xx)", "", []),
        ("[![](data:image/png;base64,xx)](https://ci.example)", "https://ci.example", ["https://ci.example"]),
    ],
)
def test_an_image_is_a_link_with_its_words(written: str, words: str, links: list[str]) -> None:
    reader = Reader(render(written, REPOSITORY))
    assert (reader.text, [link["href"] for link in reader.named("a")]) == (words, links)


def test_tables_can_be_scrolled_by_keyboard_and_each_has_a_name_of_its_own() -> None:
    table = "| a | b |\n|---|--:|\n| 1 | 2 |\n\n"
    html = render(table + table, None)
    assert [each["aria-label"] for each in Reader(html).named("div")] == ["Table", "Table 2"]
    assert html.startswith('<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>')
    assert '<td align="right">2</td>' in html


def test_task_lists_show_what_is_done_as_text() -> None:
    assert Reader(render("- [x] done\n- [ ] open", None)).text == "☑ done ☐ open"


def test_a_comment_is_not_shown() -> None:
    assert Reader(render("a <!-- b --> c\n\n<!-- d\n\ne -->\n\nf", None)).text == "a c f"


@pytest.mark.parametrize("text", ["", " \n\t\n", "\ufeff"[:0]])
def test_without_words_there_is_nothing(text: str) -> None:
    assert render(text, REPOSITORY) == ""
