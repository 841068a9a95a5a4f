"""What a signer states beside the document: place, role, commitment (EN 319 132-1, 5.2.3, 5.2.5, 5.2.6).

All of it is optional, signed, and the signer's own word: nobody checks it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from html import escape

VALUES_MAX = 20
LENGTH_MAX = 1000

COMMITMENTS = {
    "origin": "http://uri.etsi.org/01903/v1.2.2#ProofOfOrigin",
    "receipt": "http://uri.etsi.org/01903/v1.2.2#ProofOfReceipt",
    "delivery": "http://uri.etsi.org/01903/v1.2.2#ProofOfDelivery",
    "sender": "http://uri.etsi.org/01903/v1.2.2#ProofOfSender",
    "approval": "http://uri.etsi.org/01903/v1.2.2#ProofOfApproval",
    "creation": "http://uri.etsi.org/01903/v1.2.2#ProofOfCreation",
}
"""Commitments of the standard (EN 319 132-1, 5.2.3.2) by a short word."""

_REFUSED = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class SignerDetails:
    """Place, roles (capacity, position) and commitments (words of ``COMMITMENTS``, or addresses) of a signer.

    Raises:
        ValueError: too many values, too long ones, or characters that XML does not have.
    """

    city: str = ""
    street: str = ""
    province: str = ""
    postal_code: str = ""
    country: str = ""
    roles: tuple[str, ...] = ()
    commitments: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        values = (*self._place, *self.roles, *self.commitments)
        if len(values) > VALUES_MAX or any(len(v) > LENGTH_MAX or _REFUSED.search(v) for v in values):
            raise ValueError("details that XML cannot carry")

    @property
    def _place(self) -> tuple[str, ...]:
        return (self.city, self.street, self.province, self.postal_code, self.country)

    @property
    def about_signer(self) -> str:
        """The text of ``SignatureProductionPlaceV2`` and ``SignerRoleV2``; empty without any."""
        names = ("City", "StreetAddress", "StateOrProvince", "PostalCode", "CountryName")
        place = "".join(_element(name, value) for name, value in zip(names, self._place, strict=True) if value)
        roles = _wrapped("ClaimedRoles", "".join(_element("ClaimedRole", role) for role in self.roles if role))
        return _wrapped("SignatureProductionPlaceV2", place) + _wrapped("SignerRoleV2", roles)

    @property
    def about_data(self) -> str:
        """The text of ``CommitmentTypeIndication`` for all data, one per commitment."""
        return "".join(
            "<xades:CommitmentTypeIndication>"
            + _wrapped("CommitmentTypeId", _element("Identifier", COMMITMENTS.get(one, one)))
            + "<xades:AllSignedDataObjects></xades:AllSignedDataObjects></xades:CommitmentTypeIndication>"
            for one in self.commitments
        )


def _element(name: str, value: str) -> str:
    return f"<xades:{name}>{escape(unicodedata.normalize('NFC', value), quote=False)}</xades:{name}>"


def _wrapped(name: str, text: str) -> str:
    return f"<xades:{name}>{text}</xades:{name}>" if text else ""
