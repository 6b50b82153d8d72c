"""A README as HTML that is safe to show: GitHub-flavoured markdown, rewritten, then sanitised.

cmark-gfm makes HTML, `markup.py` gives it the shape of the page, and nh3 has the last word: it reads the result as a
browser does and keeps what is on the lists in `markup.py`, nothing else.

Measured with 256 KiB each on two cores (`tests/publishing/test_readme_limits.py` holds the inputs): cmark-gfm takes at
most 0.25 s for any of about eighty hostile texts, but makes 27 times as much HTML of nested quotes. nh3 alone takes 7 s
for 52,000 open elements, which is why nothing deeper than 64 reaches it. HTML of more than 1.5 MiB or 60,000 tags is
not rewritten: such a text is shown as it was written, in one `<pre>`. What is below that takes 0.7 s
at most (256 KiB of `&`).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from html import escape
from threading import Lock

import nh3
from cmarkgfm import _cmark, cmark

from twokey.publishing.links import repository_of
from twokey.publishing.markup import ATTRIBUTES, KNOWN, REL, VALUES, rewritten

LONGEST = 256 * 1024
MOST_HTML = 1536 * 1024
MOST_TAGS = 60_000
CUT = "This README is longer than 256 KiB: the rest of it is in the package itself."
TAGS = KNOWN | {"br", "hr", "h3", "h4", "h5", "h6"}
SCHEMES = {"http", "https", "mailto"}
# While it parses, cmark-gfm notes the signs of its extensions in tables that all parsers share.
_one_at_a_time = Lock()
_Function = Callable[[ctypes.c_void_p], object]
_EXTENSIONS = ("table", "autolink", "strikethrough", "tasklist")


def render(text: str, repository: object) -> str:
    """The README `text` as HTML for the page of its package; empty where there is none.

    `repository` is what the manifest holds under that name, for relative links. At most 256 KiB of the text are
    rendered; a last line then says so. Never raises for what a text holds.
    """
    data = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace")
    kept = data[:LONGEST].decode("utf-8", "ignore")
    if not kept.strip():
        return ""
    html = _html_of(kept)
    if len(html) > MOST_HTML or html.count("<") > MOST_TAGS:
        shaped = f'<pre tabindex="0">{escape(kept)}</pre>'
    else:
        shaped = rewritten(html, repository_of(repository))
    note = f"\n<p>{CUT}</p>" if len(data) > LONGEST else ""
    return sanitised(shaped) + note


def sanitised(html: str) -> str:
    """The HTML with nothing but the elements, attributes and values that a README may have."""
    return nh3.clean(
        html,
        tags=set(TAGS),
        attributes=ATTRIBUTES,
        attribute_filter=_attribute,
        url_schemes=SCHEMES,
        link_rel=REL,
        strip_comments=True,
    )


def _attribute(_element: str, name: str, value: str) -> str | None:
    return value if name in VALUES and VALUES[name].fullmatch(value) else None


def _html_of(text: str) -> str:
    """What cmark-gfm makes of the text. Its Python wrapper frees neither the tree nor the HTML: this does."""
    options = cmark.Options.CMARK_OPT_UNSAFE | cmark.Options.CMARK_OPT_GITHUB_PRE_LANG
    with _one_at_a_time:
        cmark.core_extensions_ensure_registered()
        parser = cmark.parser_new(options=options)
        for name in _EXTENSIONS:
            cmark.parser_attach_syntax_extension(parser, cmark.find_syntax_extension(name))
        cmark.parser_feed(parser, text)
        tree = cmark.parser_finish(parser)
        rendered = _cmark.lib.cmark_render_html(tree, options, cmark.parser_get_syntax_extensions(parser))
        cmark.parser_free(parser)
        html: str = _cmark.ffi.string(rendered).decode("utf-8", "replace")
        _free(tree, rendered)
    return html


def _free(tree: object, rendered: object) -> None:
    functions = _free_functions()
    if functions is not None:
        node_free, free = functions
        node_free(ctypes.c_void_p(int(_cmark.ffi.cast("uintptr_t", tree))))
        free(ctypes.c_void_p(int(_cmark.ffi.cast("uintptr_t", rendered))))


@cache
def _free_functions() -> tuple[_Function, _Function] | None:
    """cmark's own functions, which the wrapper does not name; None where its build hides them (then it leaks)."""
    try:
        return ctypes.CDLL(_cmark.__file__).cmark_node_free, ctypes.CDLL(None).free
    except (AttributeError, OSError, TypeError):
        return None
