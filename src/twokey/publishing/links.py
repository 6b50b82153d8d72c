"""Where the links of a README lead: what may stay, and what a relative address is relative to."""

from __future__ import annotations

import html
import posixpath
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

FRAGMENT = "#user-content-"
LONGEST = 2048
# How each host spells a file of a repository's main branch.
_FILES = {"github.com": "blob/HEAD", "gitlab.com": "-/blob/HEAD", "bitbucket.org": "src/HEAD"}
_REPOSITORY = re.compile(
    r"(?:git\+)?https://(github\.com|gitlab\.com|bitbucket\.org)/([\w.-]+(?:/[\w.-]+)+)/?(?:#\S*)?", re.ASCII
)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE | re.ASCII)
_WEB = re.compile(r"https?://[^/?#\\]", re.IGNORECASE)
# A browser does not see these within an address, so neither may a check of its scheme.
_UNSEEN = re.compile(r"[\t\r\n]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Repository:
    """The web pages of a repository's files: `https://HOST/OWNER/NAME/blob/HEAD`, and the package's folder in it."""

    files: str
    folder: str

    def address(self, path: str) -> str:
        """The address of a relative link; one that begins with a slash is relative to the repository's root.

        It never leads out of the repository, whatever dots it holds.
        """
        path, sign, rest = _split(path.replace("\\", "/"))
        inside = path if path.startswith("/") else f"/{self.folder}/{path}"
        plain = posixpath.normpath("/" + inside.lstrip("/"))
        slash = "/" if path.endswith("/") and plain != "/" else ""
        return (
            self.files + quote(plain + slash, safe="/%~!$&'()*+,;=:@") + sign + quote(rest, safe="/%~!$&'()*+,;=:@?#")
        )


def repository_of(field: object) -> Repository | None:
    """The repository that a manifest's `repository` names; None where it is not one of the hosts known by https."""
    folder: object = ""
    if isinstance(field, dict):
        folder = field.get("directory")
        field = field.get("url")
    found = _REPOSITORY.fullmatch(field) if isinstance(field, str) and len(field) <= LONGEST else None
    if found is None or ".." in found[2].split("/"):
        return None
    inside = posixpath.normpath("/" + folder.replace("\\", "/")).strip("/") if isinstance(folder, str) else ""
    return Repository(f"https://{found[1]}/{found[2].removesuffix('.git')}/{_FILES[found[1]]}", inside[:LONGEST])


def unescaped(text: str) -> str:
    """The text that HTML spells with references such as `&amp;`."""
    try:
        return html.unescape(text)
    except ValueError:  # a number of thousands of digits, which Python refuses to read
        return ""


def slug(text: str) -> str:
    """The name by which GitHub links to a heading: lower case, blanks as hyphens, no other signs."""
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


def target(address: str, repository: Repository | None) -> str | None:
    """Where a link may lead that an author wrote: an address, a fragment of the page, or None for nowhere.

    `address` is without HTML references. https, http and mailto stay; fragments lead to the headings' ids; relative
    addresses lead into the repository where one is known.
    """
    address = _UNSEEN.sub("", address.strip("".join(map(chr, range(33)))))
    if not address or len(address) > LONGEST or _CONTROL.search(address):
        return None
    if address.startswith("#"):
        name = slug(unquote(address[1:]).removeprefix(FRAGMENT[1:]))
        return FRAGMENT + name if name else None
    if address.replace("\\", "/").startswith("//"):
        address = f"https://{address[2:]}"
    scheme = _SCHEME.match(address)
    if scheme is None:
        return repository.address(address) if repository is not None else None
    if scheme[1].lower() == "mailto":
        return _without_blanks(address)
    return _without_blanks(address) if _WEB.match(address) else None


def _without_blanks(address: str) -> str:
    return re.sub(r"\s", lambda blank: quote(blank[0]), address)


def _split(path: str) -> tuple[str, str, str]:
    """Path, `?` or `#`, and what follows."""
    found = re.search(r"[?#]", path)
    return (path, "", "") if found is None else (path[: found.start()], found[0], path[found.end() :])
