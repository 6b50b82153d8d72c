"""One frozen structure, read once from `twokey.toml` and the environment (`TWOKEY_*`); nothing else reads either.

An unknown name, a value that cannot be, or two that contradict each other stop the start with a sentence
(ConfigurationError). The environment wins over the file; in the file the names are lower case without the prefix.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from twokey.errors import ConfigurationError
from twokey.networks import Network

PREFIX = "TWOKEY_"
CONFIG = "TWOKEY_CONFIG"
ISSUER_LENGTH = 11  # bytes; with a user name of 32 the otpauth URI still fits npm's QR code (security.md 2.7)
DATABASES = ("sqlite:///", "postgresql://", "postgresql+psycopg://", "postgres://")
# Scheme, host or [IPv6], port, path: what every client reads alike. No user, query or fragment: links get a path.
_ADDRESS = re.compile(r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/-]*)?")
_HOLD_SECRETS = frozenset({"database", "smtp"})  # their values are not repeated in a complaint


def _choice(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return text

    return parse


def _number(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or not lowest <= int(text) <= highest:
            raise ValueError(f"must be a whole number from {lowest} to {highest}")
        return int(text)

    return parse


def _text(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("must be text, and not empty")
    return text


def _folder(text: str) -> Path:
    return Path(_text(text))


def _url(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise ValueError("must be an address such as https://npm.example.com")
    if not urlsplit(text).hostname:
        raise ValueError("names no host")
    _ = urlsplit(text).port  # raises ValueError for a port that is none
    return text.rstrip("/")


def _database(text: str) -> str:
    if not text.startswith(DATABASES) or not text.isprintable():
        raise ValueError("must be sqlite:///PATH or postgresql://USER@HOST/NAME")
    return text


def _upstream(text: str) -> str:
    return text if text == "npm" else _url(text)


def _issuer(text: str) -> str:
    if not text.isascii() or not text.isprintable() or not text.strip() or ":" in text:
        raise ValueError("must be ASCII text without a colon")
    if len(quote(text, safe="")) > ISSUER_LENGTH:
        raise ValueError(
            f"must have at most {ISSUER_LENGTH} characters (a space or sign counts as three), "
            "or the QR code does not fit a terminal"
        )
    return text


@dataclass(frozen=True, slots=True)
class Smtp:
    """A mail server. `tls`: from the first byte. `starttls`: asked for before anything else is said, or not at all."""

    host: str
    port: int
    username: str | None
    password: str | None = field(repr=False)
    tls: bool
    starttls: bool


def _smtp(text: str) -> Smtp:
    """Raises ValueError, without repeating what may be a password."""
    try:
        parts = urlsplit(text)
        port, options = parts.port, dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:
        raise ValueError("is not an address") from None
    sound = text.isprintable() and parts.scheme in ("smtp", "smtps") and parts.path in ("", "/") and not parts.fragment
    if not sound or not parts.hostname or not set(options) <= {"starttls"}:
        raise ValueError("must be smtp://USER:PASSWORD@HOST:PORT or smtps://..., with no option but starttls")
    if (parts.username is None) != (parts.password is None):
        raise ValueError("must name both a user and a password, or neither (write %40 for an @ in either)")
    tls, local = parts.scheme == "smtps", is_loopback(parts.hostname)
    wish = options.get("starttls", "no" if local or tls else "yes")
    if wish not in ("yes", "no") or (tls and wish == "yes"):
        raise ValueError("must have starttls=yes or starttls=no; smtps:// is encrypted without it")
    if parts.password and not (tls or local or wish == "yes"):
        raise ValueError("would send its password unencrypted: leave starttls=no out")
    name, word = (None if each is None else unquote(each) for each in (parts.username, parts.password))
    return Smtp(parts.hostname, port or (465 if tls else 25), name, word, tls, wish == "yes")


def _mail_address(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+", text):
        raise ValueError("must be a mail address such as twokey@example.com")
    return text


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _days(text: str) -> int | None:
    return None if text == "none" else _number(1, 36500)(text)


def _setting(default: Any, parse: Callable[[str], Any], meaning: str) -> Any:
    return field(default=default, metadata={"parse": parse, "meaning": meaning})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting of an instance. Field `x` is `TWOKEY_X` in the environment."""

    host: str = _setting(
        "localhost", _text, "The address to listen on. `localhost` is 127.0.0.1, and ::1 where there is one."
    )
    port: int = _setting(4873, _number(0, 65535), "The port to listen on; 0 takes a free one.")
    data: Path = _setting(Path("data"), _folder, "The data folder; made with mode 0700.")
    url: str | None = _setting(None, _url, "The address that clients use. Needed where the listener is not loopback.")
    database: str | None = _setting(
        None, _database, "`sqlite:///PATH` or `postgresql://...`; a SQLite file in the data folder unless set."
    )
    smtp: Smtp | None = _setting(
        None,
        _smtp,
        "The mail server, `smtp://USER:PASSWORD@HOST:PORT` or `smtps://...`; unset, mails wait in the outbox.",
    )
    mail_from: str | None = _setting(
        None, _mail_address, "The sender of mails; `twokey@` and the host of TWOKEY_URL unless set."
    )
    signup: str | None = _setting(
        None,
        _choice("open", "invite", "closed"),
        "Who may sign up: anybody (`open`), whoever has an invitation (`invite`), nobody (`closed`). "
        "Unless set it is open only where listener and TWOKEY_URL are loopback.",
    )
    read: str = _setting(
        "public", _choice("public", "authenticated"), "Whether reading is `public`, or needs a token (`authenticated`)."
    )
    default_access: str = _setting(
        "public",
        _choice("public", "restricted"),
        "The access of a new scoped package that names none, `public` or `restricted`.",
    )
    scope_creation: str = _setting(
        "anyone",
        _choice("anyone", "admins"),
        "Who may be the first to publish into a free scope, `anyone` or `admins`.",
    )
    allow_names: tuple[str, ...] = _setting(
        (),
        _names,
        "Package names that may be created though they have capitals, are called as a module of Node.js, are too "
        "close to another, or are those of packages of upstream, with commas between.",
    )
    require_2fa: str = _setting(
        "off",
        _choice("off", "publishers", "everyone"),
        "Who must have two-factor authentication on: nobody (`off`), `publishers` or `everyone`.",
    )
    trusted_proxies: tuple[Network, ...] = _setting(
        (), _networks, "Addresses and networks whose forwarded headers count, with commas between."
    )
    issuer: str = _setting("npm-twokey", _issuer, "The name that authenticator apps show.")
    otp_continuation: int = _setting(
        120,
        _number(0, 240),  # within totp.HINT_REACH steps, so that the code is still recognised
        "Seconds for which a used code stays good for the same credential and address; 0 is strict.",
    )
    enrolment_minutes: int = _setting(30, _number(1, 1440), "Minutes after which a pending enrolment expires.")
    limit_otp: int = _setting(5, _number(1, 1000), "Wrong codes in 5 minutes per account, credential and address.")
    limit_otp_hour: int = _setting(20, _number(1, 10000), "Wrong codes in an hour per account, credential and address.")
    limit_otp_day: int = _setting(
        100,
        _number(1, 100),
        "Wrong codes in a day, or in a row ever, until the account's codes are suspended.",
    )
    limit_otp_address: int = _setting(30, _number(1, 100000), "Wrong codes in 5 minutes per address.")
    limit_otp_address_hour: int = _setting(200, _number(1, 100000), "Wrong codes in an hour per address.")
    limit_recovery: int = _setting(5, _number(1, 1000), "Wrong recovery codes in 5 minutes per account and address.")
    limit_recovery_day: int = _setting(20, _number(1, 1000), "Wrong recovery codes in a day per account and address.")
    limit_password: int = _setting(10, _number(1, 1000), "Wrong passwords in 5 minutes per account and address.")
    limit_password_address: int = _setting(100, _number(1, 100000), "Wrong passwords in 5 minutes per address.")
    limit_password_account: int = _setting(
        100,
        _number(1, 100000),
        "Wrong passwords in an hour per account from addresses that it does not know.",
    )
    limit_signup: int = _setting(30, _number(1, 100000), "New accounts in an hour per address.")
    limit_reports: int = _setting(300, _number(1, 100000), "Reports of leaked tokens in an hour per address.")
    limit_publish: int = _setting(600, _number(1, 1000000), "Publishes in an hour per user.")
    limit_names: int = _setting(60, _number(1, 1000000), "New package names in an hour per user.")
    limit_tarball: int = _setting(200, _number(1, 2048), "MiB of a tarball.")
    limit_document: int = _setting(
        16, _number(1, 256), "MiB of the document that a publish or a deprecation sends, without its tarball."
    )
    lifetime_login: int | None = _setting(30, _days, "Days without use after which a login token ends, or none.")
    lifetime_publish: int | None = _setting(365, _days, "Days of a publish token, or none.")
    lifetime_automation: int | None = _setting(365, _days, "Days of an automation token, or none.")
    lifetime_granular: int | None = _setting(90, _days, "Days of a granular token, or none.")
    lifetime_read_only: int | None = _setting(None, _days, "Days of a read-only token, or none.")
    lifetime_maximum: int | None = _setting(None, _days, "The most days that a token may be made for, or none.")
    metrics: tuple[Network, ...] = _setting(
        (), _networks, "Addresses and networks that may read the figures at /-/metrics, with commas between."
    )
    workers: int = _setting(1, _number(1, 64), "Processes that answer on the port.")
    cache: int = _setting(
        128, _number(16, 65536), "MiB of memory for answers that are kept ready, in each of the processes."
    )
    fast_lane: str = _setting(
        "on",
        _choice("on", "off"),
        "Whether reads that were answered before are answered again below the framework, `on` or `off`.",
    )
    upstream: str | None = _setting(
        None,
        _upstream,
        "The registry that has the packages which are not of this one; `npm` is what `npm config get registry` says.",
    )
    upstream_ca: Path | None = _setting(
        None, _folder, "A PEM file of certificates that are trusted for upstream, beside the system's."
    )
    upstream_proxy: str | None = _setting(None, _url, "The HTTP proxy to upstream; no other is used.")
    upstream_hosts: tuple[str, ...] = _setting(
        (), _names, "Hosts to which upstream may redirect though they have inner addresses, with commas between."
    )
    upstream_fresh: int = _setting(
        300, _number(0, 86400), "Seconds until upstream is asked again whether a document has changed."
    )
    upstream_stale: int = _setting(
        24, _number(0, 8760), "Hours for which a document is given at most while upstream cannot be asked."
    )
    upstream_minimum_age: int = _setting(
        0, _number(0, 8760), "Hours from its publish after which a version of upstream's is served."
    )
    upstream_cache: int = _setting(10240, _number(64, 16777216), "MiB of upstream's packages that are kept on disk.")
    log_level: str = _setting(
        "info",
        _choice("debug", "info", "warning", "error"),
        "What is logged, from `debug`, `info`, `warning` or `error` up.",
    )

    @property
    def database_url(self) -> str:
        """The database that is used."""
        return self.database or f"sqlite:///{self.data.absolute()}/twokey.db"

    @property
    def loopback(self) -> bool:
        """Whether both the listener and the address that clients use are this machine's own."""
        return is_loopback(self.host) and (self.url is None or is_loopback(urlsplit(self.url).hostname or ""))

    @property
    def own_addresses(self) -> frozenset[str]:
        """The addresses of this registry itself, as far as the settings tell."""
        names = {self.host, "localhost", "127.0.0.1", "[::1]"} if is_loopback(self.host) else {self.host}
        return frozenset({f"http://{name}:{self.port}" for name in names} | ({self.url} if self.url else set()))

    @property
    def sender(self) -> str:
        """The address that mails come from."""
        host = urlsplit(self.url or "").hostname or "localhost"
        return self.mail_from or f"twokey@{'localhost' if ':' in host else host}"

    @property
    def signup_mode(self) -> str:
        """Who may sign up, `open`, `invite` or `closed`, as long as no administrator says otherwise."""
        return self.signup or ("open" if self.loopback else "closed")


def variable(name: str) -> str:
    """The environment variable of the setting `name`."""
    return PREFIX + name.upper()


def is_loopback(host: str) -> bool:
    """Whether `host` (a name or an address) means this machine alone."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def environment(overrides: Mapping[str, str]) -> Mapping[str, str]:
    """The process's environment, with what the command line said over it."""
    return {**os.environ, **overrides}


def read(environ: Mapping[str, str]) -> Settings:
    """Reads the settings. Raises ConfigurationError with a sentence for the first thing that is wrong."""
    known = {variable(item.name): item for item in fields(Settings)}
    given = {**_from_file(environ, known), **_from_environment(environ, known)}
    values: dict[str, Any] = {}
    for name, text in given.items():
        try:
            values[known[name].name] = known[name].metadata["parse"](text)
        except ValueError as error:
            shown = name if known[name].name in _HOLD_SECRETS else f"{name}={text!r}"
            raise ConfigurationError(f"{shown} cannot be used: {error}.") from error
    settings = Settings(**values)
    _check(settings)
    return settings


def _from_environment(environ: Mapping[str, str], known: Mapping[str, object]) -> dict[str, str]:
    given = {name: text for name, text in environ.items() if name.startswith(PREFIX) and name != CONFIG}
    for name in given:
        if name not in known:
            raise ConfigurationError(f"{name} is not a setting of twokey: see docs/operate.md, or unset it.")
    return given


def _from_file(environ: Mapping[str, str], known: Mapping[str, object]) -> dict[str, str]:
    path = Path(environ.get(CONFIG, "twokey.toml"))
    if CONFIG not in environ and not path.exists():
        return {}
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The settings file {path} cannot be read: {error}.") from error
    given: dict[str, str] = {}
    for name, value in document.items():
        if variable(name) not in known or name != name.lower():
            raise ConfigurationError(f"{path}: {name} is not a setting of twokey: see docs/operate.md, or remove it.")
        if isinstance(value, list) and all(isinstance(part, str) for part in value):
            given[variable(name)] = ",".join(value)
        elif isinstance(value, str | int) and not isinstance(value, bool):
            given[variable(name)] = str(value)
        else:
            raise ConfigurationError(f"{path}: {name} must be text, a whole number or a list of texts.")
    return given


def _check(settings: Settings) -> None:
    if not is_loopback(settings.host) and settings.url is None:
        raise ConfigurationError(
            f"TWOKEY_HOST={settings.host} is reachable from other machines: "
            "set TWOKEY_URL to the address that clients use."
        )
    if settings.limit_otp_hour < settings.limit_otp:
        raise ConfigurationError("TWOKEY_LIMIT_OTP_HOUR must not be less than TWOKEY_LIMIT_OTP.")
    if settings.limit_otp_address_hour < settings.limit_otp_address:
        raise ConfigurationError("TWOKEY_LIMIT_OTP_ADDRESS_HOUR must not be less than TWOKEY_LIMIT_OTP_ADDRESS.")
    if settings.limit_recovery_day < settings.limit_recovery:
        raise ConfigurationError("TWOKEY_LIMIT_RECOVERY_DAY must not be less than TWOKEY_LIMIT_RECOVERY.")
    if settings.lifetime_maximum is None:
        return
    for name in (
        "lifetime_login",
        "lifetime_publish",
        "lifetime_automation",
        "lifetime_granular",
        "lifetime_read_only",
    ):
        days: int | None = getattr(settings, name)
        if days is None or days > settings.lifetime_maximum:
            raise ConfigurationError(
                f"{variable(name)} is longer than TWOKEY_LIFETIME_MAXIMUM={settings.lifetime_maximum}: set it lower."
            )
