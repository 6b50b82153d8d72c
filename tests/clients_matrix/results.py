"""What was seen of a cell, in one word and a note; and how a client's words are read for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """The value is what the document says."""

    WORKS = "works"
    ASKS = "asks for a code"
    REFUSED = "refused"
    ABSENT = "not here"
    NO_COMMAND = "no such command"
    NO_EFFECT = "no effect"
    OTHER_WAY = "another way"
    ERROR = "own error"


@dataclass(frozen=True)
class Result:
    """One cell. The note is a sentence of the registry's or of the client's, without the names of this run."""

    kind: Kind
    note: str = ""


UNKNOWN = re.compile(
    r"Unknown command: |Usage: npm <command>|Missing script: \"start\"|Command \"[\w-]+\" not found|"
    r"Unknown Syntax Error: |Script not found |Couldn't find a script named|"
    r"is a subcommand reserved for future use by Bun|^error Usage:|"
    r"is not a valid access command|^npm ERR! (?:npm access public|Usage:)|unrecognized subcommand|unknown subcommand",
    re.MULTILINE,
)
FLAG_UNKNOWN = re.compile(r"unexpected argument '--otp'|Unknown Syntax Error: |Unsupported option name")
ASKED = re.compile(r"EOTP|[Oo]ne-time pass|OTP required|requires additional authentication|Enter OTP|ERR_PNPM_\w*OTP")
# The registry's own sentences (guard/sentences.py, npm_api/absent.py, errors), as they come through a client.
ABSENT = re.compile(r"This registry (?:has|stages) no [^.]+\.")
SENTENCES = re.compile(
    r"(?:An? )?[A-Z][\w -]* tokens? cannot [^.]+?, with or without a one-time password: [^.]+\.|"
    r"This token[ '][^.]+\.|You need to log in for this: run npm login\.|"
    r"Two-factor authentication is [^.]+\.|The 2FA policy of [^.]+\.|You are not an owner of [^.]+\.|"
    r"Turn on two-factor authentication [^.]+\.|Only [^.]+\.|This client \([^.]+\.|Not found\b"
)
REFUSALS = re.compile(
    r"\b(?:401|403|404|ENEEDAUTH|Forbidden|Unauthorized|Not [Ff]ound)\b|logged in|UNAUTHORIZED|[Nn]o authentication|"
    r"missing authentication"
)
NOISE = re.compile(r"A complete log|debug-0\.log|DeprecationWarning|trace-deprecation|^npm (?:error|ERR!) A complete")
# Yarn 4 numbers what it says, YN0000 being everything else.
ERROR_LINE = re.compile(
    r"➤ YN(?:0001|0027|0033|0035|0041|0082): |(?!➤).*?(?:\berr(?:or)?\b|ERR!|ERR_|✗|×)", re.IGNORECASE
)
LONGEST = 160


def note_of(text: str, names: dict[str, str]) -> str:
    """The line of the client's output that says why, without what is this run's alone."""
    flat = anonymous(unboxed(text), names)
    lines = [line.strip() for line in flat.splitlines() if line.strip() and not NOISE.search(line)]
    said = [line for line in lines if ERROR_LINE.match(line)]
    telling = [line for line in said if not re.fullmatch(r"(?:npm (?:error|ERR!)|error) ?(?:code \S+)?", line)]
    chosen = next(iter(telling or said or lines[-1:]), "nothing is printed")
    if re.fullmatch(r"Error: ERR_\w+", chosen):  # pnpm has the reason in the next line
        chosen = next((line.removeprefix("× ") for line in lines if line.startswith("× ")), chosen)
    return chosen[:LONGEST].replace("|", "/")


def unboxed(text: str) -> str:
    """pnpm draws its errors in a box and breaks them, at hyphens too: here they are one line again, the cause first."""
    joined = re.sub(r"(?<=\w)- *\n *(?:│ |(?<= {4}))(?=\w)", "-", text)
    joined = re.sub(r" *\n\s*│ ", " ", joined)
    cause = re.search(r"╰─▶ (.+(?:\n {4,}\S.*)*)", joined)
    if cause is not None:
        joined = "× " + re.sub(r" *\n *", " ", cause[1]) + "\n" + joined
    return re.sub(r"(https?://) (?=localhost)", r"\1", joined)


def sentence_of(text: str, names: dict[str, str], pattern: re.Pattern[str]) -> str:
    """The first sentence of the registry's in the output; empty where there is none."""
    flat = re.sub(r"\s*\n(?:npm (?:error|ERR!|notice)\s*\d*)?\s*(?:│ )?", " ", anonymous(unboxed(text), names))
    found = pattern.search(flat)
    return shortened(found[0].strip().replace("|", "/")) if found else ""


def shortened(sentence: str) -> str:
    """The sentence without what the row says anyway."""
    return re.sub(r"(tokens? cannot) .+?, with or without", r"\1 do this, with or without", sentence)


def anonymous(text: str, names: dict[str, str]) -> str:
    """The text without the names, addresses, folders and times of this run."""
    for value, name in sorted(names.items(), key=lambda each: -len(each[0])):
        text = text.replace(value, name)
    text = re.sub(r"npm_[A-Za-z0-9]{8,}", "TOKEN", text)
    text = re.sub(r"https?://localhost:\d+/?", "REGISTRY/", text)
    text = re.sub(r"https?://(?!localhost)[\w.-]+\.(?:org|com|dev)", "https://…", text)
    text = re.sub(r"\b\d+(?:\.\d+)?m?s\b", "…", text)
    text = re.sub(r"/tmp/\S*", "FOLDER", text)
    return re.sub(r"[0-9a-f]{32,}", "…", text)
