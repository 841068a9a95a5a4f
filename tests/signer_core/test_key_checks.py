"""Before a key is used: K3 to K7 of signing.md 2, each refusal with its code, also under the mildest judging policy."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from signer.algorithms import PolicyName, Scheme
from signer.checks import check_credential
from signer.credential import Credential, Role
from signer.devpki import DevIdentity, DevPki, Subject
from signer.errors import SigningRefused
from signer.report import Code, Need
from signer.trust import Context, TrustStore

DAY = timedelta(days=1)
MAU = Subject("Lê Văn Mẫu", organization="Sở Mẫu A")


def _refusal(identity: DevIdentity, context: Context, *, profile: str = "interop") -> SigningRefused:
    with pytest.raises(SigningRefused) as caught:
        check_credential(identity.credential, context=context, profile=profile)
    return caught.value


def test_a_good_key_may_be_used(pki: DevPki, person: DevIdentity, context: Context) -> None:
    """Nothing to warn of, in both profiles."""
    for profile in ("interop", "strict"):
        assert check_credential(person.credential, context=context, profile=profile) == ()
    rsa = pki.issue(Role.PERSON, MAU, key_type="rsa2048")
    assert check_credential(rsa.credential, context=context, profile="strict") == ()


@pytest.mark.parametrize(
    ("variant", "code"),
    [
        ("expired", "EDOC-KEY-004"),
        ("not-yet-valid", "EDOC-KEY-010"),
        ("wrong-usage", "EDOC-KEY-011"),
        ("unknown-root", "EDOC-KEY-012"),
        ("weak", "EDOC-KEY-015"),
        ("sha1", "EDOC-KEY-015"),
    ],
)
@pytest.mark.parametrize("policy", list(PolicyName))
def test_each_fault_has_its_refusal(pki: DevPki, context: Context, variant: str, code: str, policy: PolicyName) -> None:
    """How files are judged makes no bad key usable."""
    identity = pki.issue(Role.PERSON, MAU, variant=variant)
    refusal = _refusal(identity, replace(context, policy=policy))
    assert refusal.code == code
    assert "Lê Văn Mẫu" in str(refusal.facts["subject"])
    assert isinstance(refusal.facts["not_after"], datetime)


@pytest.mark.parametrize("policy", list(PolicyName))
def test_a_revoked_key_is_refused(own: DevPki, clerk: DevIdentity, now: datetime, policy: PolicyName) -> None:
    """Hold counts as revoked."""
    own.revoke(clerk.certificate, at=now - DAY, reason="certificateHold")
    refusal = _refusal(clerk, Context(trust=own.trust(at=now), at=now, policy=policy))
    assert (refusal.code, refusal.facts["time"]) == ("EDOC-KEY-013", now - DAY)


def test_an_unknown_status_is_refused_and_says_where_to_ask(listed: DevPki, clerk: DevIdentity, now: datetime) -> None:
    """The transport may fetch what was missing and ask again; only an explicit allowance goes on without."""
    context = Context(trust=listed.anchors, at=now, policy=PolicyName.INTEROP)
    refusal = _refusal(clerk, context)
    needs = refusal.facts["needs"]
    assert refusal.code == "EDOC-KEY-014"
    assert isinstance(needs, tuple)
    assert [type(need) for need in needs] == [Need, Need]
    allowed = check_credential(clerk.credential, context=context, profile="interop", unknown_status_allowed=True)
    assert {reason.code for reason in allowed} == {Code.TRY_LATER}, "what was overridden is said"
    fetched = context.with_trust(TrustStore(crls=(listed.crl(at=now), listed.root_crl(at=now))))
    assert check_credential(clerk.credential, context=fetched, profile="interop") == ()


def test_the_allowance_does_not_reach_further(own: DevPki, clerk: DevIdentity, now: datetime) -> None:
    """A revoked key stays refused although a status is missing and that is allowed."""
    own.revoke(clerk.certificate, at=now - DAY)
    trust = replace(own.trust(at=now), crls=(own.crl(at=now),))
    context = Context(trust=trust, at=now, policy=PolicyName.INTEROP)
    with pytest.raises(SigningRefused) as caught:
        check_credential(clerk.credential, context=context, profile="interop", unknown_status_allowed=True)
    assert caught.value.code == "EDOC-KEY-013"


@pytest.mark.parametrize(("left", "warned"), [(61, False), (60, True), (1, True)])
def test_sixty_days_before_the_end_is_a_warning(
    listed: DevPki,
    clerk: DevIdentity,
    left: int,
    warned: bool,  # a case of the table
) -> None:
    """R108: early enough to ask for a new certificate."""
    at = clerk.credential.x509.not_valid_after_utc - left * DAY
    context = Context(trust=listed.trust(at=at), at=at, policy=PolicyName.INTEROP)
    found = check_credential(clerk.credential, context=context, profile="interop")
    assert ([reason.code for reason in found] == [Code.CERTIFICATE_EXPIRING]) is warned


def test_a_certificate_without_status_source_is_a_warning(pki: DevPki, person: DevIdentity, now: datetime) -> None:
    """Nothing could be asked; it is said."""
    context = Context(trust=pki.anchors, at=now, policy=PolicyName.INTEROP)
    found = check_credential(person.credential, context=context, profile="interop")
    assert {reason.code for reason in found} == {Code.REVOCATION_NOT_AVAILABLE}


def test_the_checks_come_in_their_order(own: DevPki, now: datetime) -> None:
    """A key with every fault is refused for the first of them: dates, usage, path, status, size."""
    expired = own.issue(Role.PERSON, MAU, variant="expired")
    nowhere = Context(trust=TrustStore(), at=now, policy=PolicyName.INTEROP)
    assert _refusal(expired, nowhere).code == "EDOC-KEY-004"
    misused = own.issue(Role.PERSON, MAU, variant="wrong-usage")
    assert _refusal(misused, nowhere).code == "EDOC-KEY-011"
    weak = own.issue(Role.PERSON, MAU, variant="weak")
    assert _refusal(weak, nowhere).code == "EDOC-KEY-012"


def test_further_extended_usages_are_a_setting(pki: DevPki, context: Context) -> None:
    """K4: what is issued for something else signs only where the office says that it may (``sign.extended_usages``)."""
    logon = "1.3.6.1.4.1.311.20.2.2"
    one = _reissued(pki, pki.issue(Role.PERSON, MAU), logon)
    with pytest.raises(SigningRefused) as caught:
        check_credential(one, context=context, profile="interop")
    assert (caught.value.code, caught.value.facts["detail"]) == ("EDOC-KEY-011", "extendedKeyUsage")
    assert check_credential(one, context=context, profile="interop", extended_usages=[logon]) == ()
    with pytest.raises(SigningRefused):
        check_credential(one, context=context, profile="interop", extended_usages=["1.2.3"])


def _reissued(pki: DevPki, identity: DevIdentity, usage: str) -> Credential:
    """The same certificate with one extended usage alone."""
    known = identity.credential.x509
    builder = x509.CertificateBuilder(
        known.issuer,
        known.subject,
        known.public_key(),
        known.serial_number,
        known.not_valid_before_utc,
        known.not_valid_after_utc,
    )
    for extension in known.extensions:
        value = extension.value
        if isinstance(value, x509.ExtendedKeyUsage):
            value = x509.ExtendedKeyUsage([x509.ObjectIdentifier(usage)])
        builder = builder.add_extension(value, extension.critical)
    made = builder.sign(pki.issuing.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    return replace(identity.credential, certificate=made)


def test_a_scheme_the_holder_of_the_key_does_not_serve_is_refused(pki: DevPki, context: Context) -> None:
    """K7: no PSS on the token and ``strict`` asked."""
    identity = pki.issue(Role.PERSON, MAU, key_type="rsa2048")
    bound = replace(identity.credential, schemes=frozenset({Scheme.RSA_PKCS1_SHA256}))
    assert check_credential(bound, context=context, profile="interop") == ()
    with pytest.raises(SigningRefused) as caught:
        check_credential(bound, context=context, profile="strict")
    assert (caught.value.code, caught.value.facts["scheme"]) == ("EDOC-KEY-027", "rsa-pss-sha256")
