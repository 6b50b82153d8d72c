"""Looks at an npm tarball without unpacking it: what it holds, and whether it may be published."""

from __future__ import annotations

import base64
import hashlib
import io
import posixpath
import re
import unicodedata
from dataclasses import dataclass, field
from typing import BinaryIO

from twokey.errors import Invalid, TooLarge
from twokey.publishing.tar_stream import Entry, Gunzip, TarReader
from twokey.strict_json import loads, object_of, quoted

MIB = 1024 * 1024
_MAX_PATH = 1024
_MAX_PART = 255
_MAX_README = MIB
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DRIVE = re.compile(r"[A-Za-z]:")
_README = re.compile(r"readme(?:\..*)?", re.IGNORECASE | re.DOTALL)
_MARKDOWN = re.compile(r"readme\.m?a?r?k?d?o?w?n?", re.IGNORECASE)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class TarballLimits:
    """What a tarball may be at most; sizes in bytes."""

    tarball_bytes: int = 200 * MIB
    unpacked_bytes: int = 512 * MIB
    entries: int = 20_000
    ratio: int = 100
    """Unpacked to packed size; judged only above `ratio_floor` unpacked bytes."""
    ratio_floor: int = 64 * MIB
    package_json_bytes: int = MIB

    @property
    def sentence(self) -> str:
        """What is said of a tarball with more than `tarball_bytes`."""
        most = self.tarball_bytes
        return f"The tarball is larger than {most // MIB} MiB (TWOKEY_LIMIT_TARBALL). Publish a smaller package."


@dataclass(frozen=True, slots=True)
class Digests:
    """The digests of a tarball's bytes: SHA-1 in hex, and SHA-512."""

    sha1: str
    sha512: bytes

    @classmethod
    def of(cls, source: BinaryIO) -> Digests:
        """Those of what `source` holds from where it stands."""
        sha1, sha512 = hashlib.sha1(usedforsecurity=False), hashlib.sha512()
        while piece := source.read(MIB):
            sha1.update(piece)
            sha512.update(piece)
        return cls(sha1.hexdigest(), sha512.digest())


@dataclass(frozen=True, slots=True)
class TarballFacts:
    """What the server itself found in a tarball."""

    shasum: str
    """SHA-1 of the tarball in hex: npm's legacy `dist.shasum`."""
    integrity: str
    """`sha512-<base64>`: npm's `dist.integrity`."""
    sha512: str
    """The same digest in hex."""
    size: int
    """Bytes of the tarball."""
    unpacked_size: int
    """Bytes of all files."""
    file_count: int
    package_json: dict[str, object]
    has_install_script: bool
    has_shrinkwrap: bool
    readme: str | None
    readme_filename: str | None
    root_files: frozenset[str]
    """Names of the files beside package.json; npm derives scripts from some of them."""
    bin_files: tuple[str, ...]
    """Paths of the files under `directories.bin`, hidden ones left out, from the root folder on."""

    @property
    def has_gyp_file(self) -> bool:
        """Whether npm would build this package with node-gyp where it has no install script."""
        return any(name.endswith(".gyp") for name in self.root_files)


def inspect(data: bytes | BinaryIO, limits: TarballLimits, digests: Digests | None = None) -> TarballFacts:
    """Read a whole tarball in bounded memory and say what it holds.

    `data` is the tarball, or a seekable binary file that holds nothing else; `digests` are its own, where they were
    made when it arrived. Nothing is written.
    Raises `TooLarge` for what is beyond `limits`, `Invalid` for everything else that a package may
    not be: security rules of uploads (links, escaping or clashing paths, ambiguous archives), and a
    package.json that is missing or no strict JSON object.
    """
    source = io.BytesIO(data) if isinstance(data, bytes) else data
    size = source.seek(0, io.SEEK_END)
    source.seek(0)
    if size > limits.tarball_bytes:
        raise TooLarge(limits.sentence)
    if digests is None:
        digests = Digests.of(source)
        source.seek(0)
    stream = Gunzip(source, size, most=limits.unpacked_bytes, ratio=limits.ratio, ratio_floor=limits.ratio_floor)
    contents = _Contents(limits)
    # an entry may have a long name and an extended header before it
    reader = TarReader(stream, most_headers=4 * limits.entries)
    for entry in reader:
        contents.add(entry, reader)
    package_json = contents.package_json()
    root_files = frozenset(contents.tree.files_in_root())
    return TarballFacts(
        shasum=digests.sha1,
        integrity="sha512-" + base64.b64encode(digests.sha512).decode(),
        sha512=digests.sha512.hex(),
        size=size,
        unpacked_size=contents.unpacked_size,
        file_count=contents.file_count,
        package_json=package_json,
        has_install_script=_has_install_script(package_json, root_files),
        has_shrinkwrap="npm-shrinkwrap.json" in root_files,
        readme=contents.readme,
        readme_filename=contents.readme_filename,
        root_files=root_files,
        bin_files=contents.tree.files_under(_bin_folder(package_json)),
    )


def _has_install_script(package_json: dict[str, object], root_files: frozenset[str]) -> bool:
    """Whether installing the package runs code: its scripts, or node-gyp where it has a .gyp file."""
    scripts = package_json.get("scripts")
    named = scripts if isinstance(scripts, dict) else {}
    if any(named.get(name) for name in ("preinstall", "install", "postinstall")):
        return True
    return package_json.get("gypfile") is not False and any(name.endswith(".gyp") for name in root_files)


def _bin_folder(package_json: dict[str, object]) -> str | None:
    directories = package_json.get("directories")
    folder = directories.get("bin") if isinstance(directories, dict) else None
    return posixpath.normpath("/" + folder).strip("/") if isinstance(folder, str) else None


class _Contents:
    """What was met so far in the entries of one tarball."""

    def __init__(self, limits: TarballLimits) -> None:
        self.tree = _Tree(limits.entries)
        self.unpacked_size = 0
        self.file_count = 0
        self.readme: str | None = None
        self.readme_filename: str | None = None
        self._limits = limits
        self._root: str | None = None
        self._entries = 0
        self._package_json: bytes | None = None

    def add(self, entry: Entry, reader: TarReader) -> None:
        """Check one entry and keep what is wanted of it."""
        self._entries += 1
        if self._entries > self._limits.entries:
            raise TooLarge(f"The tarball has more than {self._limits.entries:,} entries. Publish a smaller package.")
        root, parts = _split(entry)
        if self._root is None:
            self._root = root
        elif root != self._root:
            raise Invalid(
                f"The tarball has two root folders, {quoted(self._root)} and {quoted(root)}. "
                "Put everything into one, as `npm pack` does."
            )
        self.tree.add(parts, is_folder=entry.is_folder)
        if entry.is_folder:
            return
        self.file_count += 1
        self.unpacked_size += entry.size
        if len(parts) == 1:
            self._add_root_file(parts[0], entry, reader)

    def package_json(self) -> dict[str, object]:
        """The package.json, parsed."""
        if self._package_json is None:
            raise Invalid("The tarball has no package.json in its root folder. Pack it with `npm pack`.")
        try:
            # real packages have a key twice (formidable 1.1.1): what npm reads of it is what is served and installed
            value = loads(self._package_json.removeprefix(_BYTE_ORDER_MARK), last_key_wins=True)
        except Invalid as error:
            raise Invalid(f"The package.json in the tarball cannot be read. {error.message}") from None
        return object_of(value, "The package.json in the tarball")

    def _add_root_file(self, name: str, entry: Entry, reader: TarReader) -> None:
        if name == "package.json":
            if entry.size > self._limits.package_json_bytes:
                raise TooLarge(f"The package.json is larger than {self._limits.package_json_bytes:,} bytes.")
            self._package_json = reader.read(entry.size)
        elif _README.fullmatch(name) and (
            self.readme_filename is None or _readme_rank(name) < _readme_rank(self.readme_filename)
        ):
            # NUL cannot be stored as text everywhere, and a README has no use for it
            text = reader.read(_MAX_README).decode("utf-8", "replace").replace("\0", "\ufffd")
            self.readme, self.readme_filename = text, name


def _readme_rank(name: str) -> tuple[bool, bool, int, str]:
    """Lower is better: Markdown first, then a bare README, then the shortest name (not README.fr.txt)."""
    return not _MARKDOWN.fullmatch(name), "." in name, len(name), name


def _split(entry: Entry) -> tuple[str, list[str]]:
    """The root folder of an entry and the parts of its path below; raises `Invalid` for an unsafe path."""
    shown = quoted(entry.path.decode("utf-8", "replace"))
    try:
        path = entry.path.decode("utf-8")
    except UnicodeDecodeError:
        raise Invalid(f"The tarball entry {shown} has a name that is not UTF-8. Rename it.") from None
    root, *rest = path.split("/")
    # "a//b" and "a/./b" are the file "a/b" to everyone
    parts = [part for part in rest if part not in ("", ".")]
    if not root:
        problem = "has an absolute path" if path else "has no name"
    elif ".." in (root, *parts):
        problem = "leads out of the package with '..'"
    elif "\\" in path:
        problem = "has a backslash in its path"
    elif _CONTROL.search(path):
        problem = "has a control character in its path"
    elif any(_DRIVE.match(part) for part in (root, *parts)):
        problem = "has a drive letter in its path"
    elif len(entry.path) > _MAX_PATH:
        problem = f"has a path longer than {_MAX_PATH:,} bytes"
    elif any(len(part.encode()) > _MAX_PART for part in (root, *parts)):
        problem = f"has a part of its path longer than {_MAX_PART} bytes"
    elif not parts and not entry.is_folder:
        problem = "lies outside the root folder"
    else:
        return root, parts
    raise Invalid(f"The tarball entry {shown} {problem}. Rename or remove it.")


@dataclass(slots=True)
class _Node:
    """A file or a folder; `children` by the key under which names clash, None for a file."""

    name: str
    children: dict[str, _Node] | None = field(default_factory=dict)


class _Tree:
    """The paths of a tarball, to find two entries that some file system would take for one."""

    def __init__(self, most_folders: int) -> None:
        self._root = _Node("")
        self._folders_left = most_folders

    def add(self, parts: list[str], *, is_folder: bool) -> None:
        """Note one entry; raises `Invalid` where it clashes with an earlier one."""
        node = self._root
        for depth, name in enumerate(parts):
            assert node.children is not None  # the walk goes on only through folders
            wants_folder = is_folder or depth < len(parts) - 1
            key = _clash_key(name)
            known = node.children.get(key)
            if known is None:
                known = node.children[key] = self._new(name, wants_folder)
            elif known.name != name or known.children is None or not wants_folder:
                raise Invalid(
                    f"The tarball has two entries for {quoted('/'.join(parts[: depth + 1]))}, or two that "
                    "differ only in case or Unicode form. Rename or remove one."
                )
            node = known

    def files_in_root(self) -> list[str]:
        """Names of the files directly in the root folder."""
        return [node.name for node in (self._root.children or {}).values() if node.children is None]

    def files_under(self, folder: str | None) -> tuple[str, ...]:
        """Sorted paths of the files below `folder` (from the root) that are not hidden."""
        if folder is None:
            return ()
        node = self._root
        for name in folder.split("/") if folder else []:
            found = (node.children or {}).get(_clash_key(name))
            if found is None or found.name != name:
                return ()
            node = found
        files: list[str] = []
        waiting = [(folder, node)]
        while waiting:
            path, node = waiting.pop()
            if node.children is None:
                files.append(path)
            else:
                # npm looks for commands in all but hidden files
                shown = (child for child in node.children.values() if not child.name.startswith("."))
                waiting.extend((posixpath.join(path, child.name), child) for child in shown)
        return tuple(sorted(files))

    def _new(self, name: str, is_folder: bool) -> _Node:
        if not is_folder:
            return _Node(name, None)
        # entries are counted, but one entry can name hundreds of folders above it
        self._folders_left -= 1
        if self._folders_left < 0:
            raise TooLarge("The tarball has too many folders. Publish a smaller package.")
        return _Node(name)


def _clash_key(name: str) -> str:
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
