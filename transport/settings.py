"""Settings of a node (console.md 6): one frozen value, from option, environment, files and built-in defaults.

First wins: option, environment, file of ``--config`` or ``EDOC_CONFIG``, ``<home>/edoc.toml``, system file, built-in.
The current directory is never searched, because people verify received files in download folders. A key that does not
exist is an error that names the nearest one; a key named like a secret is refused wherever it stands.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from transport.errors import SettingsError
from transport.settingkeys import KNOWN, SERVICE, SERVICE_SETTINGS, SETTINGS, BadValue, Setting, Value, known

FILE_NAME = "edoc.toml"

FILE_MAX = 256 * 1024
"""Bytes of a settings file."""

_PREFIX = "EDOC_"

_TOP = {"EDOC_LANG": "lang", "EDOC_DEMO": "demo"}
"""Variables of settings without section; all others are ``EDOC_<SECTION>__<KEY>``."""

_SECRET = re.compile(
    r"pin|pins|pw|pwd|passwd|password|passphrase|secret|secrets|token|apikey|api_key|private_key|credential|credentials"
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a node works with. Values are by name of console.md 6; ``origin_of`` says where one came from."""

    home: Path
    values: Mapping[str, Value]
    origins: Mapping[str, str]

    def origin_of(self, key: str) -> str:
        """Return where a value came from: ``option``, a variable's name, a file's path, or ``built-in``."""
        return self.origins[key]

    def key(self, role: str) -> str | None:
        """Return the name of the key configured for a role: person, agency, exchange, request."""
        return self._text_or_none(f"keys.{role}")

    keys = key

    def limit(self, name: str) -> int:
        """Return a limit of exchange.md 10 by its name, in bytes, seconds or pieces."""
        value = self.values[f"limits.{name}"]
        assert isinstance(value, int | float)
        return int(value)

    @property
    def limits(self) -> dict[str, int]:
        """All limits of exchange.md 10 by name, in bytes, seconds or pieces."""
        names = [setting.key.removeprefix("limits.") for setting in SETTINGS if setting.section == "limits"]
        return {name: self.limit(name) for name in names}

    @property
    def lang(self) -> str:
        """``vi`` or ``en``."""
        return self._text("lang")

    @property
    def demo(self) -> bool:
        """True: plain HTTP and fetching on loopback are allowed (R93)."""
        return self.values["demo"] is True

    @property
    def agency_code(self) -> str | None:
        """Code of the agency this node serves."""
        return self._text_or_none("agency.code")

    @property
    def agency_name(self) -> str | None:
        """Name of the agency this node serves."""
        return self._text_or_none("agency.name")

    @property
    def database_url(self) -> str | None:
        """Where the database is; None means the SQLite file in the home."""
        return self._text_or_none("database.url")

    @property
    def side_file(self) -> Path | None:
        """File in which the ledger's heads are noted outside the database; None means ``heads.log`` in the home."""
        path = self._text_or_none("ledger.side_file")
        return Path(path) if path else None

    @property
    def blob_store(self) -> str | None:
        """Where blobs above 64 KiB are kept: ``s3://bucket/prefix``; None means files in the home."""
        return self._text_or_none("blobs.url")

    @property
    def blob_endpoint(self) -> str | None:
        """Address of an S3-compatible service that is not the provider's own."""
        return self._text_or_none("blobs.endpoint")

    @property
    def blob_region(self) -> str | None:
        """Region of the S3-compatible service."""
        return self._text_or_none("blobs.region")

    @property
    def tsa_urls(self) -> tuple[str, ...]:
        """Addresses of the time-stamping services, in the order in which they are tried."""
        value = self.values["tsa.url"]
        return value if isinstance(value, tuple) else (str(value),) if value else ()

    @property
    def tsa_timeout(self) -> float:
        """Seconds to wait for a timestamp (R32)."""
        return self._number("tsa.timeout")

    @property
    def sign_profile(self) -> str:
        """``interop`` or ``strict``."""
        return self._text("sign.profile")

    @property
    def sign_level(self) -> str:
        """``b``, ``t``, ``lt`` or ``lta``."""
        return self._text("sign.level")

    def picture(self, role: str) -> str | None:
        """Return the path of the picture drawn for a role: of a person the signature, of the agency the seal."""
        return self._text_or_none("sign.seal_picture" if role == "agency" else "sign.signature_picture")

    @property
    def geometry(self) -> dict[str, Value]:
        """Measures of the visible forms by name, in millimetres and points, that are set otherwise than they ship."""
        named = [setting for setting in SETTINGS if setting.section == "geometry"]
        found = {setting.key.partition(".")[2]: self.values[setting.key] for setting in named}
        return {name: value for name, value in found.items() if self.origins[f"geometry.{name}"] != "built-in"}

    @property
    def sign_extended_usages(self) -> tuple[str, ...]:
        """Further extended usages a certificate may have to sign with, as object identifiers (signing.md 2, K4)."""
        return self._tuple("sign.extended_usages")

    @property
    def hsm_module(self) -> str | None:
        """Path of the PKCS#11 library of the token."""
        return self._text_or_none("hsm.module")

    @property
    def keys_keyring(self) -> bool:
        """True: the PIN is looked for in the system's keyring before a person is asked."""
        return self.values["keys.keyring"] is True

    def service(self, name: str) -> Mapping[str, Value] | None:
        """Return the settings of the remote signing service ``[csc.NAME]``, ``None`` if nothing is said of it."""
        if not any(key.startswith(f"csc.{name}.") for key in self.values):
            return None
        return {
            field: self.values.get(f"csc.{name}.{field}", setting.default)
            for field, setting in SERVICE_SETTINGS.items()
        }

    @property
    def services(self) -> tuple[str, ...]:
        """Names of the remote signing services."""
        return tuple(sorted({found[1] for key in self.values if (found := SERVICE.fullmatch(key))}))

    @property
    def verify_policy(self) -> str:
        """``strict``, ``interop`` or ``integrity-only``."""
        return self._text("verify.policy")

    @property
    def verify_network(self) -> str:
        """``offline`` or ``online``."""
        return self._text("verify.network")

    @property
    def verify_algorithms(self) -> str | None:
        """Path of an algorithm table to use instead of the one that ships, or ``None`` (signing.md 1.4)."""
        value = self.values["verify.algorithms"]
        return None if value is None else str(value)

    @property
    def verify_pictures(self) -> bool:
        """True: ``edoc verify`` compares pages as pictures too, if the extra ``preview`` is there (signing.md 4.3)."""
        return self.values["verify.pictures"] is True

    @property
    def delivery(self) -> str:
        """``push`` or ``pull``: how what is for this agency comes here (exchange.md 7)."""
        return self._text("exchange.delivery")

    @property
    def endpoint(self) -> str | None:
        """Address of this node's exchange as partners call it; None: as it was called."""
        return self._text_or_none("exchange.endpoint")

    @property
    def resumable_upload(self) -> bool:
        """True: messages are taken in parts as well (exchange.md 12)."""
        return self.values["exchange.resumable_upload"] is True

    @property
    def proxies(self) -> tuple[str, ...]:
        """TLS proxies whose ``Client-Cert`` is believed, in CIDR form (exchange.md 4)."""
        return self._tuple("exchange.proxies")

    @property
    def follow_trace(self) -> bool:
        """True: a partner's trace context is continued, not only linked to (exchange.md 13)."""
        return self.values["exchange.follow_trace"] is True

    @property
    def network_private(self) -> tuple[str, ...]:
        """Private address ranges that may be reached, in CIDR form."""
        return self._tuple("network.private")

    def _tuple(self, key: str) -> tuple[str, ...]:
        value = self.values[key]
        assert isinstance(value, tuple)
        return value

    def _text(self, key: str) -> str:
        value = self.values[key]
        assert isinstance(value, str)
        return value

    def _text_or_none(self, key: str) -> str | None:
        return None if self.values[key] is None else self._text(key)

    def _number(self, key: str) -> float:
        value = self.values[key]
        assert isinstance(value, int | float)
        return float(value)


def load(
    *,
    home: Path | None,
    config: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, str],
) -> Settings:
    """Read the settings that are in force.

    ``overrides`` are options by setting name. Files other than that of ``--config`` or ``EDOC_CONFIG`` may be missing.

    Raises:
        SettingsError: a key is unknown (EDOC-CFG-001) or named like a secret (-002), a value is wrong (-003), or a file
            cannot be read (-004).
    """
    folder = home or home_of(environ)
    values: dict[str, Value] = {}
    origins: dict[str, str] = {}
    for key, raw, origin in _sources(folder, config, environ, overrides):
        setting = _known(key, origin)
        if key in values:
            continue  # a source that comes first has said it; but a wrong name is an error wherever it stands
        values[key] = _read(setting, key, raw, origin)
        origins[key] = origin
    for setting in SETTINGS:
        values.setdefault(setting.key, setting.default)
        origins.setdefault(setting.key, "built-in")
    return Settings(folder, values, origins)


def home_of(environ: Mapping[str, str]) -> Path:
    """Return the home of ``EDOC_HOME``, else the user data folder."""
    if named := environ.get("EDOC_HOME"):
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_data_dir("edoc", appauthor=False))


def system_file(environ: Mapping[str, str]) -> Path:
    """Return where the system's administrator may keep settings for all homes."""
    if sys.platform == "win32":
        return Path(environ.get("PROGRAMDATA", "C:\\ProgramData")) / "edoc" / FILE_NAME
    return Path("/etc/edoc") / FILE_NAME


Source = tuple[str, object, str]
"""Name of a setting, what was given for it, and where."""


def _sources(
    home: Path, config: Path | None, environ: Mapping[str, str], overrides: Mapping[str, str]
) -> Iterator[Source]:
    yield from ((key, raw, "option") for key, raw in overrides.items())
    yield from _from_environment(environ)
    named = config or (Path(environ["EDOC_CONFIG"]) if environ.get("EDOC_CONFIG") else None)
    if named is not None:
        yield from _from_file(named, required=True)
    yield from _from_file(home / FILE_NAME, required=False)
    yield from _from_file(system_file(environ), required=False)


def _from_environment(environ: Mapping[str, str]) -> Iterator[Source]:
    for name in sorted(environ):
        if name in _TOP:
            yield _TOP[name], environ[name], name
        elif name.startswith(_PREFIX) and "__" in name:
            yield name.removeprefix(_PREFIX).lower().replace("__", "."), environ[name], name


def _from_file(path: Path, *, required: bool) -> Iterator[Source]:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_MAX + 1)
        if len(data) > FILE_MAX:
            raise _unreadable(path, f"> {FILE_MAX} bytes")
        document = tomllib.loads(data.decode("utf-8"))
    except FileNotFoundError as error:
        if required:
            raise _unreadable(path, error.strerror or type(error).__name__) from error
        return
    except OSError as error:
        raise _unreadable(path, error.strerror or type(error).__name__) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise _unreadable(path, str(error)) from error
    for name, value in document.items():
        yield from ((key, raw, str(path)) for key, raw in _flat(name, value, depth=2 if name == "csc" else 1))


def _flat(name: str, value: object, *, depth: int) -> Iterator[tuple[str, object]]:
    """Yield a value, or those of its table by their full names."""
    if depth == 0 or not isinstance(value, dict):
        yield name, value
        return
    for key, raw in value.items():
        yield from _flat(f"{name}.{key}", raw, depth=depth - 1)


def _unreadable(path: Path, reason: str) -> SettingsError:
    return SettingsError("EDOC-CFG-004", f"cannot read {path}: {reason}", path=str(path), reason=reason)


def _known(key: str, origin: str) -> Setting:
    """Return the setting of a name; the value given for a wrong one is never repeated, it may be a secret."""
    setting = known(key)
    if setting is not None:
        return setting
    if _SECRET.fullmatch(key.rpartition(".")[2]) or any(
        _SECRET.fullmatch(part) for part in re.split(r"[._-]", key.lower())
    ):
        raise SettingsError("EDOC-CFG-002", f"a secret has no place in settings: {key}", key=key, origin=origin)
    raise SettingsError("EDOC-CFG-001", f"no such setting: {key}", key=key, origin=origin, nearest=nearest(key) or "-")


def nearest(key: str) -> str | None:
    """Return the setting whose name is most like the given one, None when none is."""
    names = list(KNOWN)
    found = get_close_matches(key, names, n=1, cutoff=0.5)
    if not found:
        last = {name.rpartition(".")[2]: name for name in names}
        found = [last[word] for word in get_close_matches(key.rpartition(".")[2], list(last), n=1, cutoff=0.6)]
    return found[0] if found else None


def _read(setting: Setting, key: str, raw: object, origin: str) -> Value:
    try:
        return setting.read(raw)
    except BadValue as error:
        shown = str(raw) if len(str(raw)) <= 60 else str(raw)[:60] + "…"
        shown = "-" if "@" in shown else shown  # an address may carry a password
        raise SettingsError(
            "EDOC-CFG-003",
            f"{key} cannot be that",
            key=key,
            value=shown,
            expected=str(error),
            origin=origin,
        ) from error


def example(lang: str) -> str:
    """Return an annotated settings file with every setting at its default, commented out (``edoc help config``)."""
    lines: list[str] = []
    section: str | None = None
    order = list(dict.fromkeys(("", *(setting.section for setting in SETTINGS))))
    for setting in sorted(SETTINGS, key=lambda one: order.index(one.section)):
        if setting.section and setting.section != section:
            lines += ["", f"[{setting.section}]"]
        section = setting.section
        name = setting.key.rpartition(".")[2]
        lines.append(f"# {setting.vi if lang == 'vi' else setting.en}")
        lines.append(f"#{name} = {setting.example or _toml(setting.default)}")
    lines += ["", "#[csc.ten-dich-vu]"]
    for setting in SERVICE_SETTINGS.values():
        lines.append(f"# {setting.vi if lang == 'vi' else setting.en}")
        lines.append(f"#{setting.key} = {setting.example or _toml(setting.default)}")
    return "\n".join(lines) + "\n"


def _toml(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)
