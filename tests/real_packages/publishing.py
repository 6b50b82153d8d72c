"""Publishing many tarballs with the real npm, a few at a time; and the document that npm would have sent."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import tarfile
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.real_packages.upstream import Packed
from tests.support.npm import Npm, Result
from tests.support.server import Server
from tests.support.wire import Answer, request
from twokey.packages import semver

PATIENCE = 600.0  # npm needs half a minute for the eight thousand files of a large package
AT_ONCE = 3  # npm's start is most of the time, and the server has its share of two processors
PUBLISH = (
    # whatever the package's publishConfig says
    "--access=public", "--provenance=false", "--tag=latest",
    "--ignore-scripts", "--no-audit", "--no-update-notifier", "--logs-max=0", "--loglevel=error",
)  # fmt: skip


def publish_all(npm: Npm, packages: Iterable[Packed]) -> dict[str, Result]:
    """`npm publish FILE.tgz` for each; what npm said of each.

    The versions of one name go one after the other, the highest last: it is `latest` then, as upstream.
    """
    by_name: dict[str, list[Packed]] = defaultdict(list)
    for packed in packages:
        by_name[packed.name].append(packed)

    def publish(versions: list[Packed]) -> list[tuple[str, Result]]:
        ordered = sorted(versions, key=lambda packed: semver.parse(cleaned(packed.version)))
        return [(str(packed), publish_file(npm, packed.tarball)) for packed in ordered]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return {spec: result for results in pool.map(publish, by_name.values()) for spec, result in results}


def cleaned(version: str) -> str:
    """An old version without its hyphen (`0.4.0rc2`), as npm cleans it before it publishes; alone or after a name."""
    return re.sub(r"(?<![^@])(\d+\.\d+\.\d+)(?=[a-z])", r"\1-", version)


def publish_file(npm: Npm, tarball: Path) -> Result:
    """`npm publish FILE.tgz`, whatever registry, access and tag the package itself names."""
    return npm.run("publish", str(tarball), f"--registry={npm.server.url}", *PUBLISH, patience=PATIENCE)


def put(server: Server, token: str, packed: Packed) -> Answer:
    """The document that npm would send (libnpmpublish's `publish.js`), for what npm itself refuses to."""
    data = packed.tarball.read_bytes()
    manifest = {**packed_manifest(data), "name": packed.name, "version": packed.version}
    file_name = f"{packed.name}-{packed.version}.tgz"
    dist = {
        "integrity": packed.integrity,
        "shasum": hashlib.sha1(data).hexdigest(),
        "tarball": f"{server.url}{packed.name}/-/{file_name}",
    }
    attachment = {
        "content_type": "application/octet-stream",
        "data": base64.b64encode(data).decode(),
        "length": len(data),
    }
    document: dict[str, Any] = {
        "_id": packed.name,
        "name": packed.name,
        "description": manifest.get("description"),
        "dist-tags": {"latest": packed.version},
        "versions": {packed.version: {**manifest, "_id": str(packed), "dist": dist}},
        "access": "public",
        "_attachments": {file_name: attachment},
    }
    return request(server, "PUT", "/" + packed.name.replace("/", "%2f"), token=token, body=document)


def packed_manifest(data: bytes) -> dict[str, Any]:
    """The package.json in a tarball, read without twokey's own reader."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        for member in archive:
            if member.name.count("/") == 1 and member.name.endswith("/package.json"):
                content = archive.extractfile(member)
                assert content is not None
                found: dict[str, Any] = json.loads(content.read().decode("utf-8-sig"))
                return found
    raise AssertionError("the tarball has no package.json")
