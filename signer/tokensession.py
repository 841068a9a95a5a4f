"""The library of a token and one session with it: the only importer of python-pkcs11 (signing.md 2; extra ``hsm``).

Promises: one session and one login for a whole batch; all calls of a library are made by one thread at a time. The
token is handed a digest, packed as PKCS#1 v1.5 DigestInfo, with PSS parameters, or bare for ECDSA; it never hashes for
us. An exception of the library never leaves this module. Where the token is gone the key is lost for the rest of the
run (``KeyLost``): a batch stops instead of asking for the PIN again.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol, Self, TypeVar, final

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from signer import certificates
from signer.algorithms import Scheme
from signer.credential import PassphraseSource, PublicKey, Secret, verify_value
from signer.errors import CredentialError, KeyLost
from signer.tokenobjects import PinState, Stored, TokenFacts, kind_of, modulus, point, public_of, served

try:
    import pkcs11
    from pkcs11 import MGF, Attribute, Mechanism, ObjectClass, TokenFlag
except ImportError as error:
    raise CredentialError("EDOC-KEY-017", "python-pkcs11 is not installed", extra="hsm") from error

if TYPE_CHECKING:
    from pkcs11 import _pkcs11
    from pkcs11.types import Token

OBJECTS_MOST = 200
"""Certificates or keys looked at on one token."""

CERTIFICATE_MOST = 64 * 1024

_T = TypeVar("_T")

_LOCKS: dict[str, threading.RLock] = {}

_DIGEST_INFO = {
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}
"""DER of DigestInfo before the digest (RFC 8017, 9.2, note 1)."""

_PSS = {
    "sha256": (Mechanism.SHA256, MGF.SHA256, 32),
    "sha384": (Mechanism.SHA384, MGF.SHA384, 48),
    "sha512": (Mechanism.SHA512, MGF.SHA512, 64),
}

_UNSUITED = (
    pkcs11.MechanismInvalid,
    pkcs11.MechanismParamInvalid,
    pkcs11.KeyTypeInconsistent,
    pkcs11.KeySizeRange,
    pkcs11.DataLenRange,
    pkcs11.FunctionRejected,
    pkcs11.FunctionNotSupported,
)
"""The key does not do this; all other failures while signing mean that the token is gone."""

_KINDS: dict[object, str] = {pkcs11.KeyType.RSA: "RSA", pkcs11.KeyType.EC: "EC"}

_WRONG_PIN = (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange)


@final
@dataclass(frozen=True, slots=True)
class Library:
    """A PKCS#11 library that is loaded."""

    path: str
    _lib: _pkcs11.lib = field(repr=False)

    @classmethod
    def load(cls, path: str) -> Self:
        """Load a library by its full path, or return it if it is loaded already.

        Raises:
            CredentialError: it is not there or is no such library (EDOC-KEY-020).
        """
        if not Path(path).is_absolute() or not Path(path).is_file():
            raise CredentialError("EDOC-KEY-020", "no such library", module=path, reason="-")
        with _alone(path):
            try:
                return cls(path, pkcs11.lib(path))
            except (pkcs11.PKCS11Error, OSError) as error:
                raise CredentialError("EDOC-KEY-020", "cannot be loaded", module=path, reason=_why(error)) from None

    def tokens(self) -> tuple[TokenFacts, ...]:
        """Return the initialised tokens, in the order of slots."""
        return tuple(facts for _, facts in self._present())

    def look(self, facts: TokenFacts) -> Look:
        """Read what a token shows without a PIN, in a session that is closed again."""
        token = next(
            (one for one, seen in self._present() if (seen.slot, seen.serial) == (facts.slot, facts.serial)), None
        )
        if token is None:
            raise CredentialError("EDOC-KEY-021", "the token is gone", wanted=facts.name, tokens=[])
        with _alone(self.path):
            session = _attempt(facts, lambda: token.open())
            try:
                stored = _attempt(facts, lambda: _certificates(session))
                keys = _attempt(facts, lambda: _public_keys(session))
                schemes = _attempt(facts, lambda: _schemes(token))
            finally:
                _quietly(session.close)
        return Look(self.path, facts, token, stored, keys, schemes)

    def _present(self) -> list[tuple[Token, TokenFacts]]:
        with _alone(self.path):
            try:
                found = [slot.get_token() for slot in self._lib.get_slots(token_present=True)]
            except pkcs11.PKCS11Error as error:
                raise CredentialError("EDOC-KEY-020", "no slots", module=self.path, reason=_why(error)) from None
        return [(one, _facts(one)) for one in found if TokenFlag.TOKEN_INITIALIZED in one.flags]


@contextmanager
def _alone(path: str) -> Iterator[None]:
    """Hold the lock of a library: it is initialised for one thread at a time."""
    with _LOCKS.setdefault(path, threading.RLock()):
        yield


def _facts(token: Token) -> TokenFacts:
    return TokenFacts(
        label=token.label,
        serial=token.serial.decode("ascii", "replace"),
        manufacturer=token.manufacturer_id,
        model=token.model,
        slot=token.slot.slot_id,
        pin=_pin_state(token.flags),
        pad=TokenFlag.PROTECTED_AUTHENTICATION_PATH in token.flags,
        login=TokenFlag.LOGIN_REQUIRED in token.flags,
    )


def _pin_state(flags: TokenFlag) -> PinState:
    if TokenFlag.USER_PIN_LOCKED in flags:
        return PinState.LOCKED
    if TokenFlag.USER_PIN_INITIALIZED not in flags:
        return PinState.UNSET
    if TokenFlag.USER_PIN_FINAL_TRY in flags:
        return PinState.FINAL
    return PinState.LOW if TokenFlag.USER_PIN_COUNT_LOW in flags else PinState.GOOD


def _schemes(token: Token) -> frozenset[Scheme]:
    """Return what the token computes from digests made here."""
    offered = token.slot.get_mechanisms()
    needs = {"rsa-pkcs1-": Mechanism.RSA_PKCS, "rsa-pss-": Mechanism.RSA_PKCS_PSS, "ecdsa-": Mechanism.ECDSA}
    served = [start for start, mechanism in needs.items() if mechanism in offered]
    return frozenset(scheme for scheme in Scheme if scheme.value.startswith(tuple(served)))


def _certificates(session: pkcs11.Session) -> tuple[Stored, ...]:
    found = []
    for number, item in enumerate(session.get_objects({Attribute.CLASS: ObjectClass.CERTIFICATE})):
        der = _attribute(item, Attribute.VALUE)
        if number >= OBJECTS_MOST or der is None or len(der) > CERTIFICATE_MOST or not _is_certificate(der):
            continue
        label = _attribute(item, Attribute.LABEL)
        found.append(Stored(der, _attribute(item, Attribute.ID) or b"", label if isinstance(label, str) else None))
    return tuple(sorted(found, key=lambda one: (one.id or b"", one.label or "", one.der)))  # tokens have no order


def _is_certificate(der: bytes) -> bool:
    try:
        certificates.certificate(der)
    except ValueError:
        return False
    return True


def _public_keys(session: pkcs11.Session) -> dict[bytes, bytes]:
    """Return the public keys by CKA_ID, as ``tokenobjects.public_of`` compares them."""
    found: dict[bytes, bytes] = {}
    for number, item in enumerate(session.get_objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY})):
        if number < OBJECTS_MOST and (public := _public(item)) is not None:
            found[_attribute(item, Attribute.ID) or b""] = public
    return found


def _public(item: pkcs11.Object) -> bytes | None:
    """Return modulus or point of a key object. An EC private key has neither."""
    if (raw := _attribute(item, Attribute.MODULUS)) is not None:
        return modulus(raw)
    raw = _attribute(item, Attribute.EC_POINT)
    return None if raw is None else point(raw)


def _attribute(item: pkcs11.Object, name: Attribute) -> bytes | None:
    """Return an attribute, ``None`` if the object has none or does not show it."""
    try:
        value = item[name]
    except (pkcs11.AttributeTypeInvalid, pkcs11.AttributeSensitive, pkcs11.FunctionFailed):
        return None
    return value  # type: ignore[no-any-return]  # bytes, or str for a label


def _attempt(facts: TokenFacts, act: Callable[[], _T]) -> _T:
    try:
        return act()
    except pkcs11.PKCS11Error as error:
        raise CredentialError("EDOC-KEY-029", "the token refused", token=facts.name, reason=_why(error)) from None


def _why(error: Exception) -> str:
    """Return the name of a failure; texts of a library are never shown."""
    return type(error).__name__


def _quietly(act: Callable[[], object]) -> None:
    """Close what may be gone already."""
    try:
        act()
    except pkcs11.PKCS11Error:
        return


@final
@dataclass(frozen=True, slots=True)
class Look:
    """What a token shows without a PIN: certificates, public keys by CKA_ID, and what it can compute."""

    module: str
    facts: TokenFacts
    _token: Token = field(repr=False)
    stored: tuple[Stored, ...] = ()
    keys: Mapping[bytes, bytes] = field(default_factory=dict)
    schemes: frozenset[Scheme] = frozenset()

    def login(self, ask: PassphraseSource) -> Session | CredentialError:
        """Open the session that signs, with one login. A failure is returned, so that no traceback holds a secret."""
        facts = self.facts
        if facts.pad or not facts.login:
            with _alone(self.module):
                return self._open(pkcs11.PROTECTED_AUTH if facts.pad else None, None)
        secret = ask(facts.label)
        if secret is None or not secret.reveal():
            return CredentialError("EDOC-KEY-003", "no PIN was given", path=facts.label)
        if not _is_text(secret):
            secret.wipe()
            return CredentialError("EDOC-KEY-025", "the PIN is not a text", token=facts.name, pin=facts.pin.value)
        with _alone(self.module):
            return self._open(None, secret)

    def _open(self, pin: object | None, secret: Secret | None) -> Session | CredentialError:
        try:
            session = self._token.open(user_pin=_text(secret) if secret is not None else pin)
        except pkcs11.PKCS11Error as error:
            if secret is not None:
                secret.wipe()
            return self._not_opened(error)
        return Session(self, session, secret)

    def _not_opened(self, error: pkcs11.PKCS11Error) -> CredentialError:
        name = self.facts.name
        if isinstance(error, _WRONG_PIN):
            return CredentialError("EDOC-KEY-025", "the PIN is wrong", token=name, pin=self._pin_now().value)
        if isinstance(error, pkcs11.PinLocked):
            return CredentialError("EDOC-KEY-026", "the token's PIN is locked", token=name)
        if isinstance(error, pkcs11.PinExpired | pkcs11.UserPinNotInitialized):
            return CredentialError("EDOC-KEY-030", "the token wants a new PIN", token=name)
        return CredentialError("EDOC-KEY-029", "the token refused", token=name, reason=_why(error))

    def _pin_now(self) -> PinState:
        """Return how the PIN stands after a wrong one."""
        try:
            return _pin_state(self._token.slot.get_token().flags)
        except pkcs11.PKCS11Error:
            return self.facts.pin


def _text(secret: Secret) -> str:
    return secret.reveal().decode()


def _is_text(secret: Secret) -> bool:
    try:
        _text(secret)
    except UnicodeDecodeError:
        return False
    return True


class Signs(Protocol):
    """A private key of the library."""

    def sign(self, data: bytes, *, mechanism: Mechanism, mechanism_param: object, pin: str | None) -> bytes:
        """Sign with one call."""
        ...


@dataclass(frozen=True, slots=True)
class Key:
    """A private key on the token: its handle, CKA_ID and, where the token shows it, its public part."""

    handle: Signs = field(repr=False)
    id: bytes
    kind: str | None  # RSA, EC
    public: bytes | None
    always: bool  # wants the PIN for every signature


@final
class Session:
    """The one session of a batch, logged in. A PIN is kept only for a key that wants it for every signature."""

    __slots__ = ("_look", "_pin", "_session")

    def __init__(self, look: Look, session: pkcs11.Session, pin: Secret | None) -> None:
        self._look = look
        self._session: pkcs11.Session | None = session
        self._pin = pin

    @property
    def facts(self) -> TokenFacts:
        """The token."""
        return self._look.facts

    def certificates(self) -> tuple[Stored, ...]:
        """Return all certificates, those too that were hidden before the login."""
        with _alone(self._look.module):
            return _attempt(self.facts, lambda: _certificates(self._alive()))

    def key(self, *, id: bytes | None = None, label: str | None = None) -> Key:
        """Return the one private key with this CKA_ID or label, or the only one.

        Raises:
            CredentialError: none (EDOC-KEY-024), or several (EDOC-KEY-023).
        """
        template: dict[Attribute, object] = {Attribute.CLASS: ObjectClass.PRIVATE_KEY}
        template |= {} if id is None else {Attribute.ID: id}
        template |= {} if label is None else {Attribute.LABEL: label}
        with _alone(self._look.module):
            found = _attempt(self.facts, lambda: [self._key(one) for one in self._alive().get_objects(template)])
        if len(found) != 1:
            code = "EDOC-KEY-023" if found else "EDOC-KEY-024"
            names = sorted(str(Stored(b"", one.id)) for one in found)
            raise CredentialError(code, "not one key", wanted=str(Stored(b"", id, label)), found=names)
        if not found[0].always:
            self._forget()
        return found[0]

    def _key(self, item: pkcs11.Object) -> Key:
        id = _attribute(item, Attribute.ID) or b""
        public = _public(item) or self._look.keys.get(id)
        always = bool(_attribute(item, Attribute.ALWAYS_AUTHENTICATE))
        handle: Signs = item  # type: ignore[assignment]  # classes of the library are put together as it runs
        return Key(handle, id, _KINDS.get(_attribute(item, Attribute.KEY_TYPE)), public, always)

    def port(self, key: Key, leaf: Stored) -> TokenPort:
        """Return the port of a key, once it is known to be the certificate's (K2).

        Raises:
            CredentialError: certificate and key do not belong together (EDOC-KEY-005).
        """
        port = TokenPort(self, key)
        mine, kind = public_of(leaf.der), kind_of(leaf.der)
        if (
            mine is None
            or key.kind != kind
            or not (self._tried(port, leaf) if key.public is None else key.public == mine)
        ):
            raise CredentialError("EDOC-KEY-005", "certificate and key do not fit", path=self.facts.name)
        return port

    def _tried(self, port: TokenPort, leaf: Stored) -> bool:
        """Let a key that shows no public part sign a random digest, and ask the certificate."""
        public: PublicKey = certificates.certificate(leaf.der).public_key()  # type: ignore[assignment]
        digest = secrets.token_bytes(32)
        scheme = Scheme.RSA_PKCS1_SHA256 if kind_of(leaf.der) == "RSA" else Scheme.ECDSA_SHA256
        try:
            value = port.sign([digest], scheme)[0]
        except KeyLost:
            raise
        except CredentialError:
            return False
        return verify_value(public, value, digest, scheme)

    def _alive(self) -> pkcs11.Session:
        if self._session is None:
            raise KeyLost("EDOC-KEY-028", "the session is over", token=self.facts.name)
        return self._session

    def sign(self, key: Key, digests: Sequence[bytes], scheme: Scheme) -> list[bytes]:
        """Sign digests one after the other."""
        if scheme not in served(self._look.schemes, key.kind):
            raise CredentialError("EDOC-KEY-006", "the token does not do this", scheme=scheme.value)
        with _alone(self._look.module):
            self._alive()
            return [self._value(key, digest, scheme) for digest in digests]

    def _value(self, key: Key, digest: bytes, scheme: Scheme) -> bytes:
        data, mechanism, parameters = _asked(digest, scheme)
        try:
            raw = key.handle.sign(
                data,
                mechanism=mechanism,
                mechanism_param=parameters,
                pin=_text(self._pin) if key.always and self._pin is not None else None,
            )
        except _UNSUITED:
            raise CredentialError("EDOC-KEY-006", "the token does not do this", scheme=scheme.value) from None
        except pkcs11.PKCS11Error as error:
            failure = error
        else:
            return _der(raw) if scheme.value.startswith("ecdsa-") else raw
        self._lost(failure)

    def _lost(self, error: pkcs11.PKCS11Error) -> NoReturn:
        """Give the key up: nothing is tried again, least of all a PIN."""
        name = self.facts.name
        self.close()
        if isinstance(error, _WRONG_PIN):
            raise KeyLost("EDOC-KEY-025", "the PIN does not hold any more", token=name, pin="-") from None
        if isinstance(error, pkcs11.PinLocked):
            raise KeyLost("EDOC-KEY-026", "the token's PIN is locked", token=name) from None
        raise KeyLost("EDOC-KEY-028", "the token is gone", token=name, reason=_why(error)) from None

    def close(self) -> None:
        """Log out and wipe the PIN."""
        session, self._session = self._session, None
        self._forget()
        if session is not None:
            with _alone(self._look.module):
                _quietly(session.close)

    def _forget(self) -> None:
        if self._pin is not None:
            self._pin.wipe()
            self._pin = None

    def __repr__(self) -> str:
        return f"Session({self.facts.name})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("sessions are not pickled")


def _asked(digest: bytes, scheme: Scheme) -> tuple[bytes, Mechanism, object]:
    """Return what the token is handed for a digest: data, mechanism, parameters."""
    if scheme.value.startswith("rsa-pkcs1-"):
        return _DIGEST_INFO[scheme.digest] + digest, Mechanism.RSA_PKCS, None
    if scheme.value.startswith("rsa-pss-"):
        return digest, Mechanism.RSA_PKCS_PSS, _PSS[scheme.digest]
    if scheme.value.startswith("ecdsa-"):
        return digest, Mechanism.ECDSA, None
    raise CredentialError("EDOC-KEY-006", "tokens do not do this", scheme=scheme.value)


def _der(raw: bytes) -> bytes:
    """Return an ECDSA value in DER; the token gives r and s side by side. What is no such pair will not verify."""
    half = len(raw) // 2
    return encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))


@final
class TokenPort:
    """A ``SigningPort`` on a token; signing stops for good once the token is gone."""

    __slots__ = ("_key", "_session")

    def __init__(self, session: Session, key: Key) -> None:
        self._session = session
        self._key = key

    def sign(self, digests: Sequence[bytes], scheme: Scheme) -> list[bytes]:
        """Sign digests in order; see ``SigningPort``.

        Raises:
            KeyLost: the token is gone, or its PIN is locked.
            CredentialError: the token does not serve the scheme (EDOC-KEY-006).
        """
        return self._session.sign(self._key, digests, scheme)

    def __repr__(self) -> str:
        return f"TokenPort({self._session.facts.name})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are not pickled")
