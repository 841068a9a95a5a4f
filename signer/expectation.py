"""Whom the caller expects to have signed (signing.md 7.2): compared as whole values, never by the common name alone."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from signer.names import COMMON_NAME, USER_ID
from signer.x509read import Certificate

TAX_PREFIX = "MST:"
"""How official certificates write a tax number in the subject's UID (0.9.2342.19200300.100.1.1)."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is said here must all hold; what is left empty is not asked. One that asks nothing is met by nobody.

    ``certificates`` (SHA-256, hexadecimal) and ``issuer_serials`` (issuer's name as RFC 4514 writes it, serial number)
    each list alternatives. ``subject`` are attributes (dotted type, value) that must all be there, compared in NFC as
    whole values. ``tax_number`` are the digits without ``MST:``. Of ``any_of`` one must be met, of ``all_of`` each.

    Raises:
        ValueError: only a common name is asked for, which anybody may bear.
    """

    certificates: tuple[str, ...] = ()
    issuer_serials: tuple[tuple[str, int], ...] = ()
    subject: tuple[tuple[str, str], ...] = ()
    tax_number: str | None = None
    any_of: tuple[Expectation, ...] = ()
    all_of: tuple[Expectation, ...] = ()

    def __post_init__(self) -> None:
        if self.subject and {type_ for type_, _ in self.subject} == {COMMON_NAME} and not self._asks_more:
            raise ValueError("a common name alone tells nobody apart")

    @property
    def _asks_more(self) -> bool:
        return bool(
            self.certificates or self.issuer_serials or self.tax_number is not None or self.any_of or self.all_of
        )

    def is_met_by(self, certificate: Certificate) -> bool:
        """Tell whether a certificate is what is expected."""
        answers = []
        if self.certificates:
            answers.append(certificate.sha256 in {one.lower() for one in self.certificates})
        if self.issuer_serials:
            answers.append((certificate.issuer.text, certificate.serial_number) in self.issuer_serials)
        if self.subject:
            answers.append(all(_has(certificate, type_, text) for type_, text in self.subject))
        if self.tax_number is not None:
            answers.append(_has(certificate, USER_ID, TAX_PREFIX + self.tax_number))
        if self.any_of:
            answers.append(any(one.is_met_by(certificate) for one in self.any_of))
        answers += [one.is_met_by(certificate) for one in self.all_of]
        return bool(answers) and all(answers)

    @property
    def text(self) -> str:
        """What is expected, for a reason's sentence."""
        said = [*self.certificates, *(f"{serial:X} · {issuer}" for issuer, serial in self.issuer_serials)]
        said += [f"{type_}={text}" for type_, text in self.subject]
        said += [TAX_PREFIX + self.tax_number] if self.tax_number is not None else []
        said += [one.text for one in (*self.any_of, *self.all_of)]
        return ", ".join(said) or "-"


def _has(certificate: Certificate, type_: str, text: str) -> bool:
    wanted = unicodedata.normalize("NFC", text)
    return any(unicodedata.normalize("NFC", value) == wanted for value in certificate.subject.values(type_))
