"""The key of one run of ``edoc sign``: looked at first, checked once, unlocked when it is first used (signing.md 2).

Promises: the file and the rule R28 come before the certificate, the certificate before the PIN (K1 to K8); the status
of the certificate is fetched once if it is missing (R27); the PIN is asked for once in a run, and not at all if nothing
can be signed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

from signer.errors import KeyLost, SignerError, SigningRefused
from transport.desk import keys
from transport.errors import TransportError
from transport.present.errors import CommandError

if TYPE_CHECKING:
    from signer.algorithms import Scheme
    from signer.credential import Credential
    from signer.report import Reason
    from signer.trust import Context
    from transport.desk.console import Console
    from transport.desk.keys import Held
    from transport.settings import Settings


class KeyRefused(Exception):
    """The key cannot be used in this run; ``error`` says why. No file is to blame."""

    def __init__(self, error: CommandError | SignerError | TransportError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True, slots=True)
class KeyRules:
    """What a key is checked with: trust and moment, the profile, and the basis on which unknown status is accepted."""

    console: Console
    settings: Settings
    context: Context
    profile: str
    unknown_status_basis: str | None = None


@final
class CheckedKey:
    """A key that is checked and unlocked when the first value is asked of it."""

    def __init__(self, held: Held, rules: KeyRules, fits: Callable[[Credential], None]) -> None:
        """Take a key that has been found; ``fits`` refuses a certificate that is for another act.

        Raises:
            CommandError: what the key shows is for another act.
        """
        self.lost = False
        self._held = held
        self._rules = rules
        self._fits = fits
        self._warnings: tuple[Reason, ...] | None = None
        self._unlocked: Credential | None = None
        self.shown: Credential | None = None
        if held.visible is not None:
            fits(held.visible)
            self.shown = self._lazy(held.visible)

    @property
    def credential(self) -> Credential:
        """The key as it signs. One that shows no certificate before its PIN is opened for that.

        Raises:
            KeyRefused: it cannot be opened, or is for another act.
        """
        if self.shown is None:
            opened = self._opened()
            try:
                self._fits(opened)
            except CommandError as error:
                raise KeyRefused(error) from None
            self.shown = self._lazy(opened)
        return self.shown

    @property
    def was_checked(self) -> bool:
        """Whether the checks of the certificate were passed in this run."""
        return self._warnings is not None

    @property
    def parallel(self) -> bool:
        """Whether several processes may use the key now: it lies in memory, open and checked."""
        return self._held.threads and self._unlocked is not None and self.was_checked

    def _opened(self) -> Credential:
        if self._unlocked is None:
            try:
                self._unlocked = self._held.unlock()
            except (CommandError, SignerError, TransportError) as error:
                raise KeyRefused(error) from None
        return self._unlocked

    def _lazy(self, shown: Credential) -> Credential:
        return replace(shown, port=self)

    def sign(self, digests: Sequence[bytes], scheme: Scheme) -> list[bytes]:
        """Check and unlock the key if that was not done yet, and sign; see ``SigningPort``."""
        self.checked()
        return self._opened().port.sign(digests, scheme)

    def checked(self) -> tuple[Reason, ...]:
        """Check the certificate once (K3 to K7) and return what is worth a warning.

        Raises:
            KeyRefused: it may not be used.
        """
        if self._warnings is None:
            try:
                self._warnings = self._check()
            except SigningRefused as error:
                error.facts.setdefault("path", self._held.name)
                raise KeyRefused(error) from None
            except TransportError as error:
                raise KeyRefused(error) from None
        return self._warnings

    def _check(self) -> tuple[Reason, ...]:
        try:
            return self._asked(self._rules.context)
        except SigningRefused as refused:
            if not refused.facts.get("needs"):
                raise
            context = self._informed(refused)
        try:
            return self._asked(context)
        except SigningRefused as refused:
            if self._rules.unknown_status_basis is None or not refused.facts.get("needs"):
                raise
        return self._overridden(context)

    def _asked(self, context: Context, *, unknown_status_allowed: bool = False) -> tuple[Reason, ...]:
        from signer.checks import check_credential

        return check_credential(
            self.credential,
            context=context,
            profile=self._rules.profile,
            unknown_status_allowed=unknown_status_allowed,
            extended_usages=self._rules.settings.sign_extended_usages,
        )

    def _informed(self, refused: SigningRefused) -> Context:
        """Return the context with the status answers that were missing, as far as they can be had."""
        from signer.report import Need
        from transport.desk.lifting import fetcher

        needs = refused.facts["needs"]
        wanted = [need for need in needs if isinstance(need, Need)] if isinstance(needs, tuple) else []
        return self._rules.context.with_trust(fetcher(self._rules.settings)(wanted))

    def _overridden(self, context: Context) -> tuple[Reason, ...]:
        """Accept a status that is unknown, on a basis that is written down (R27)."""
        warnings = self._asked(context, unknown_status_allowed=True)
        basis = self._rules.unknown_status_basis or ""
        keys.log_unknown_status(self._rules.console, basis=basis, subject=self.credential.sha256, now=context.at)
        return warnings

    def note(self, error: Exception) -> None:
        """Remember that the key is gone for the rest of the run, if that is what happened."""
        self.lost = self.lost or isinstance(error, KeyLost)

    def close(self) -> None:
        """Log out and forget what was kept."""
        self._held.close()
