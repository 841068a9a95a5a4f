"""Keys on PKCS#11 tokens: which token, which certificate, and a key that is opened once (signing.md 2; extra ``hsm``).

Promises: a token is taken by its label or serial number and never because it is the first; a certificate or key that
could be several is refused, and the refusal names them. What the token shows without a PIN is read first, so that all
checks of a certificate run before the PIN is asked. One session, one login, one PIN; a PIN that was wrong is never
tried again. Nothing is written to a token and no key leaves it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self, final

from signer.algorithms import Scheme
from signer.credential import Credential, LockedKey, PassphraseSource, Role, ordered
from signer.errors import CredentialError, KeyLost
from signer.tokenobjects import PinState, Stored, TokenFacts, choose, fitting, kind_of, served
from signer.tokenuri import TokenUri

if TYPE_CHECKING:
    from signer.tokensession import Look, Session


def tokens(module: str) -> tuple[TokenFacts, ...]:
    """Return the initialised tokens that a library sees, in the order of its slots.

    Raises:
        CredentialError: the extra ``hsm`` is missing (EDOC-KEY-017), or the library cannot be used (EDOC-KEY-020).
    """
    from signer.tokensession import Library

    return Library.load(module).tokens()


def find_token(wanted: TokenUri, module: str) -> TokenFacts:
    """Return the one token an address means.

    Raises:
        CredentialError: none (EDOC-KEY-021), several, or an address that names neither label nor serial (EDOC-KEY-022).
    """
    there = tokens(module)
    listed = [one.name for one in there]
    if wanted.token is None and wanted.serial is None:
        raise CredentialError("EDOC-KEY-022", "the address names no token", wanted=str(wanted), tokens=listed)
    found = [one for one in there if _means(wanted, one)]
    if not found:
        raise CredentialError("EDOC-KEY-021", "no such token", wanted=str(wanted), tokens=listed)
    if len(found) > 1:
        raise CredentialError(
            "EDOC-KEY-022", "several tokens fit", wanted=str(wanted), tokens=[one.name for one in found]
        )
    return found[0]


def shown_on(facts: TokenFacts, module: str) -> tuple[tuple[str, bytes], ...]:
    """Return the certificates (DER) a token shows without its PIN, each with the address that means it alone."""
    from signer.tokensession import Library

    stored = Library.load(module).look(facts).stored
    return tuple(
        (str(TokenUri(token=facts.label, serial=facts.serial, object=one.label, id=one.id or None)), one.der)
        for one in stored
    )


def _means(wanted: TokenUri, one: TokenFacts) -> bool:
    pairs = (
        (wanted.token, one.label),
        (wanted.serial, one.serial),
        (wanted.manufacturer, one.manufacturer),
        (wanted.model, one.model),
        (wanted.slot_id, one.slot),
    )
    return all(asked is None or asked == said for asked, said in pairs)


@final
class TokenKey:
    """A key on a token, found and not yet opened. Used by one thread at a time; ``close`` logs out."""

    def __init__(self, wanted: TokenUri, look: Look, *, given: Sequence[bytes]) -> None:
        self._wanted = wanted
        self._look = look
        self._given = tuple(given)
        self._leaf = choose(look.stored, wanted, given=given, keys=look.keys)
        self._session: Session | None = None
        self._failed: CredentialError | None = None

    @classmethod
    def find(cls, wanted: TokenUri, module: str, *, given: Sequence[bytes] = ()) -> Self:
        """Find the token and read what it shows without a PIN; ``given`` are certificates (DER) from elsewhere.

        Raises:
            CredentialError: see ``find_token``; several certificates fit (EDOC-KEY-023), or the one named is not there
                (EDOC-KEY-024).
        """
        from signer.tokensession import Library

        facts = find_token(wanted, module)
        return cls(wanted, Library.load(module).look(facts), given=given)

    @property
    def facts(self) -> TokenFacts:
        """The token, as it stood when it was found."""
        return self._look.facts

    def visible(self, role: Role) -> Credential | None:
        """Return what can be seen of the credential without a PIN; it cannot sign. ``None``: the token hides it."""
        if self._leaf is None:
            return None
        return Credential(self._leaf.der, role, LockedKey(), self._chain(self._leaf), self._schemes(self._leaf))

    def unlock(self, role: Role, ask: PassphraseSource) -> Credential:
        """Log in once and return the credential; ``ask`` is called unless the PIN is typed on the device or not needed.

        Raises:
            CredentialError: locked (EDOC-KEY-026, before anything is asked), no PIN (-003), wrong PIN (-025; later
                calls say the same without touching the token), no key for the certificate (-024, -005).
        """
        if self._failed is not None:
            raise self._failed.with_traceback(None)
        try:
            if self._session is None:
                self._session = self._login(ask)
            return self._opened(self._session, role)
        except CredentialError as error:
            self._failed = error
            self.close()
            raise

    def _login(self, ask: PassphraseSource) -> Session:
        refuse_unusable(self.facts)
        done = self._look.login(ask)
        if isinstance(done, CredentialError):
            raise done
        return done

    def _opened(self, session: Session, role: Role) -> Credential:
        """Find the key of the certificate, or the certificate of the key where the token hid it (K2)."""
        leaf = self._leaf or choose(session.certificates(), self._wanted, given=self._given, keys=self._look.keys)
        if leaf is not None and leaf.id is not None:
            key = session.key(id=leaf.id)
        else:
            key = session.key(id=self._wanted.id, label=self._wanted.object)
        leaf = leaf or fitting(key.public, key.id, (*session.certificates(), *map(Stored.of, self._given)))
        if leaf is None:
            raise CredentialError("EDOC-KEY-024", "no certificate for the key", wanted=str(self._wanted), found=[])
        self._leaf = leaf
        return Credential(leaf.der, role, session.port(key, leaf), self._chain(leaf), self._schemes(leaf))

    def _schemes(self, leaf: Stored) -> frozenset[Scheme]:
        return served(self._look.schemes, kind_of(leaf.der))

    def _chain(self, leaf: Stored) -> tuple[bytes, ...]:
        others = dict.fromkeys((*(one.der for one in self._look.stored), *self._given))
        return ordered(leaf.der, [der for der in others if der != leaf.der])

    def close(self) -> None:
        """Log out and forget the PIN; the key cannot be used any more."""
        if self._session is not None:
            self._session.close()
            self._session = None
            self._failed = self._failed or KeyLost("EDOC-KEY-028", "the session is closed", token=self.facts.name)

    def __repr__(self) -> str:
        return f"TokenKey({self._wanted})"


def refuse_unusable(facts: TokenFacts) -> None:
    """Refuse a token whose PIN is locked or was never set, before anybody is asked for it.

    Raises:
        CredentialError: EDOC-KEY-026 or EDOC-KEY-030.
    """
    if facts.pin is PinState.LOCKED:
        raise CredentialError("EDOC-KEY-026", "the token's PIN is locked", token=facts.name)
    if facts.pin is PinState.UNSET and facts.login:
        raise CredentialError("EDOC-KEY-030", "the token has no PIN yet", token=facts.name)
