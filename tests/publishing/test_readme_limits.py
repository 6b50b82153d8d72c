"""READMEs that would take forever: 256 KiB of the worst that we know are done within a moment."""

from __future__ import annotations

import time

import pytest

from tests.publishing.test_readme import Reader, assert_harmless
from twokey.publishing.readme import CUT, LONGEST, MOST_HTML, render

PATIENCE = 2.0  # seconds of this process


def filled(part: str, length: int = LONGEST) -> str:
    return (part * (length // len(part) + 1))[:length]


MARKDOWN = [
    "[", "]", "![", "[a](", "[a](<b", "[](", "[a][b]", "[a]: b\n", "[^1]", "*a_ ", "**a ", "*a **a ", "*a*b",
    "_", "***a",
    "> ", ">", "- ", "1. ", "> - ", "- 1. * + ", "`", "``a`", "<", "<a ", "<b>", "<!--", "<!A ", "<?", "<![CDATA[",
    "&", "&amp;", "\\", "|-", "a|b\n-|-\n", "|\n", "www.a", "http://a.b/(", "a@", "a@b.c_", "a.b", "://", ":",
    "mailto:a@", "xmpp:a@b.c/", "~~a~~ ", "~", "# a\n", "a\n=\n", "\t", "-\t", "```\n", "- [ ] a\n", "\0", '<a x="',
    "\r",
    '"', "![[]()", "> a\nb\n", ">>>>>>>>>>>>>>>>a\n", "- " * 1000 + "a\n", ">" * 2000 + "a\n",
]  # fmt: skip
HTML = [
    "<div>", "<b>", '<a "', '<a x="', "<a x='", "<!--", "<svg>", "<script>", "<script", "<textarea>", "<table>x<br>",
    "<table>", "<table><tr><td>", "<td>", "<li>", "<ul><li>", "<h1>", "<h1>a", "<p>", "<a href=#a>",
    "<a href=http://a.b>x",
    "<img src=http://a>", '<img src="http://a?&&&&&&" alt="&&&&&&">', "</div>", "<b a=1>", "<b><p>", "<p><b>", "</",
    "<a a=>",
    "<dl><dt><dd>", "<details><summary>", "<blockquote>", "<pre>", "<b><i><u><s><p><div>", "<table><tr><td><table>",
    "&#" + "9" * 5000 + ";", "<h1>a-1</h1><h1>a</h1>", "<hr>", "<a href=#a>a</a>", "<a " + " " * 1000 + ">",
]  # fmt: skip
HALF = LONGEST // 2
WHOLE = {
    "brackets within brackets": "[" * HALF + "]" * HALF,
    "stars about a word": "*" * HALF + "a" + "*" * (HALF - 1),
    "backticks of every length": "".join("`" * length + "a" for length in range(1, 720)),
    "references": "".join(f"[a{n}]: b\n" for n in range(12000)) + "".join(f"[a{n}] " for n in range(12000)),
    "a long reference": "[a]: " + "u" * HALF + "\n\n" + filled("[a] ", HALF - 8),
    "a table that is filled up": "|" + "a|" * 400 + "\n|" + "-|" * 400 + "\n" + filled("|a\n", HALF),
    "a wide table": "|" + "a|" * 20000 + "\n|" + "-|" * 20000 + "\n" + filled("|\n", HALF),
    "a deep list and blank lines": "- " * 2000 + "a\n" + filled("\n", HALF),
    "deep quotes and lazy lines": ">" * 20000 + "a\n" + filled("b\n", HALF),
    "many attributes": "<div>\n<a " + "".join(f"a{n}=b " for n in range(25000)) + ">",
    "ends of a script without an end": "<div>\n<script>" + filled("</script ", LONGEST - 20),
    "quotes in a tag": "<div>\n<a " + '"' * (LONGEST - 10) + ">",
}
INPUTS = {
    **{part[:20]: filled(part) for part in MARKDOWN},
    **{f"html {part[:20]}": "<div>\n" + filled(part, LONGEST - 6) for part in HTML},
    **WHOLE,
}


@pytest.mark.parametrize("name", INPUTS)
def test_256_kib_of_anything_are_done_within_two_seconds(name: str) -> None:
    started = time.process_time()
    html = render(INPUTS[name], None)
    assert time.process_time() - started < PATIENCE
    assert len(html) < 4 * MOST_HTML


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_bounded_is_harmless_too(name: str) -> None:
    assert_harmless(render(INPUTS[name][: LONGEST // 8], None))


def test_what_would_be_too_much_html_is_shown_as_it_was_written() -> None:
    text = filled("> ")
    html = render(text, None)
    assert [name for name, _ in Reader(html).elements] == ["pre"]
    assert "".join(Reader(html).texts) == text


def test_elements_are_not_nested_without_end() -> None:
    html = render("<div>\n" + "<div>" * 10_000 + "words", None)
    assert html.count("<div>") == 64
    assert Reader(html).text == "words"


def test_a_readme_of_more_than_256_kib_is_cut_and_says_so() -> None:
    line = "ü word\n\n"
    whole = line * (LONGEST // len(line.encode()))
    assert CUT not in render(whole, None)
    html = render(whole + line * 10, None)
    assert html.endswith(f"<p>{CUT}</p>")
    assert_harmless(html)


def test_rendering_gives_its_memory_back() -> None:
    """The wrapper of cmark-gfm alone would keep some ten MiB of each of these."""
    text = filled("* a\n")

    def resident() -> int:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * 4096

    for _ in range(5):
        render(text, None)
    before = resident()
    for _ in range(30):
        render(text, None)
    assert resident() - before < 64 * 1024 * 1024
