"""A root with authorities below it, made with the forge, and the question whether a path is good."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from signer import x509ext
from signer.chain import PathResult, validate_path
from signer.devforge import (
    Extra,
    Issuer,
    Key,
    Listing,
    Plan,
    authority,
    called,
    certificate,
    listing,
    new_key,
    usage,
)
from signer.pathrules import BY_DEFAULT, Inputs
from signer.report import Code
from signer.trust import Purpose, TrustStore, anchored

DAY = timedelta(days=1)
SIGNS = usage(x509ext.CERT_SIGN, x509ext.CRL_SIGN)
P1, P2, P3, P4 = (f"1.3.6.1.4.1.99999.7.{n}" for n in (1, 2, 3, 4))
ANY = x509ext.ANY_POLICY


@dataclass
class House:
    """The root, everything issued so far, and the lists at hand."""

    now: datetime
    root: Issuer
    others: list[bytes] = field(default_factory=list)
    lists: list[bytes] = field(default_factory=list)
    serial: int = 1

    @classmethod
    def build(cls, now: datetime) -> House:
        """Make a root."""
        key, subject = new_key(), called("Root")
        plan = Plan(subject, now - 900 * DAY, now + 900 * DAY, (authority(), SIGNS))
        own = Issuer(subject, key)
        return cls(now, replace(own, certificate=certificate(plan, key, own)))

    def plan(self, subject: str | bytes, *extensions: Extra) -> Plan:
        """Plan a certificate with a fresh serial number."""
        self.serial += 1
        encoded = subject if isinstance(subject, bytes) else called(subject)
        start, end = self.now - 300 * DAY, self.now + 300 * DAY
        return Plan(encoded, start, end, extensions, serial=self.serial.to_bytes(2))

    def issue(self, plan: Plan, issuer: Issuer, key: Key | None = None) -> Issuer:
        """Issue a certificate that others may be found by."""
        key = key or new_key()
        der = certificate(plan, key, issuer)
        self.others.append(der)
        return Issuer(plan.subject, key, der)

    def ca(self, subject: str | bytes, above: Issuer | None = None, *extensions: Extra) -> Issuer:
        """Make an authority below another (the root), good but for the extensions."""
        given = {extension[0] for extension in extensions}
        usual = tuple(one for one in (authority(), SIGNS) if one[0] not in given)
        return self.issue(self.plan(subject, *usual, *extensions), above or self.root)

    def leaf(self, above: Issuer, *extensions: Extra, subject: str | bytes = "Người ký") -> bytes:
        """Issue a signer's certificate."""
        given = {extension[0] for extension in extensions}
        usual = () if x509ext.KEY_USAGE in given else (usage(x509ext.DIGITAL_SIGNATURE),)
        return self.issue(self.plan(subject, *usual, *extensions), above).certificate

    def listed(self, issuer: Issuer, plan: Listing | None = None) -> bytes:
        """Put a revocation list of an issuer at hand, complete and empty unless planned otherwise."""
        der = listing(plan or Listing(self.now - DAY), issuer)
        self.lists.append(der)
        return der

    def ask(self, leaf: bytes, *, at: datetime | None = None, inputs: Inputs = BY_DEFAULT) -> PathResult:
        """Ask whether the path of a certificate is good."""
        store = anchored([self.root.certificate], Purpose.SIGNERS)
        store = store.merged(TrustStore(intermediates=tuple(self.others), crls=tuple(self.lists)))
        return validate_path(leaf, trust=store, at=at or self.now, inputs=inputs)

    def codes(self, leaf: bytes, *, at: datetime | None = None, inputs: Inputs = BY_DEFAULT) -> tuple[Code, ...]:
        """Return what holds against the path."""
        return self.ask(leaf, at=at, inputs=inputs).sub_indications
