"""The raw path of a request, read once.

Clients write a scoped name as `/@acme%2fbar`, `/@acme%2Fbar`, `/%40acme%2Fbar` or `/@acme/bar` (npm-protocol.md 0.1).
The raw path is split at its slashes first and each part is decoded once, so that an encoded slash is understood as
the one of a scoped name and nowhere else; every spelling then is the same path for the routes.
"""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from starlette.convertors import Convertor, register_url_convertor

from twokey.errors import Invalid
from twokey.packages.names import PackageName

LONGEST_PATH = 2048


class PackageConvertor(Convertor[PackageName]):
    """`{name:package}` in a route: `bar` or `@acme/bar`."""

    regex = r"(?:@[^/]+/)?[^/@-][^/]*"

    def convert(self, value: str) -> PackageName:
        """The parsed name. Raises Invalid."""
        return PackageName.parse(value)

    def to_string(self, value: PackageName) -> str:
        """The name as a path has it."""
        return str(value)


class PartConvertor(Convertor[str]):
    """`{x:part}` in a route: one part of a path."""

    regex = r"[^/]+"

    def convert(self, value: str) -> str:
        """The part as it is."""
        return value

    def to_string(self, value: str) -> str:
        """The part as it is."""
        return value


register_url_convertor("package", PackageConvertor())
register_url_convertor("part", PartConvertor())


def plain_path(raw: bytes) -> str:
    """The decoded path for routing. Raises Invalid for one that no client means.

    Refused: `.` and `..` parts, empty parts, control characters, bytes that are not UTF-8, and an encoded slash
    anywhere but in a scoped name.
    """
    if len(raw) > LONGEST_PATH:
        raise Invalid(f"The address is too long: at most {LONGEST_PATH} bytes.")
    if raw in (b"", b"/"):
        return "/"
    parts = [_part(each) for each in raw.removeprefix(b"/").removesuffix(b"/").split(b"/")]
    if any(part in ("", ".", "..") for part in parts):
        raise Invalid("The address holds an empty part, or one of dots: write it without.")
    return "/" + "/".join(parts)


def _part(raw: bytes) -> str:
    try:
        part = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid("The address is not UTF-8.") from error
    if not part.isprintable():
        raise Invalid("The address holds a control character.")
    scope, slash, base = part.partition("/")
    if slash and (not scope.startswith("@") or len(scope) == 1 or not base or "/" in base or base in (".", "..")):
        raise Invalid("The address holds an encoded slash where no scoped package name is: write @scope%2fname.")
    return part
