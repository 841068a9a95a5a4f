"""May this key be used now? The checks before a signature, K3 to K7 (signing.md 2; R27, R34, R108).

They run before a PIN is asked, in a fixed order, and each refusal has its own code: dates, key usage, path, status,
size and scheme. K1 (is the file signable) belongs to the format, K2 (certificate and key belong together) to whoever
opens the key, K8 (agency after person) to those who sign.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from signer.algorithms import PolicyName, Scheme, scheme_for
from signer.chain import PathResult, judge_path
from signer.credential import Credential
from signer.errors import SigningRefused
from signer.question import purpose_fault
from signer.report import Code, Reason
from signer.trust import Context, Purpose
from signer.x509read import read

WARN_BEFORE_END = timedelta(days=60)
"""How long before its end a certificate is warned of (R108)."""

_REFUSALS = {
    Code.NO_CERTIFICATE_CHAIN_FOUND: "EDOC-KEY-012",
    Code.CERTIFICATE_CHAIN_GENERAL_FAILURE: "EDOC-KEY-012",
    Code.CHAIN_CONSTRAINTS_FAILURE: "EDOC-KEY-011",
    Code.CRYPTO_CONSTRAINTS_FAILURE: "EDOC-KEY-015",
    Code.CRYPTO_CONSTRAINTS_FAILURE_NO_POE: "EDOC-KEY-015",
    Code.REVOKED_NO_POE: "EDOC-KEY-013",
    Code.REVOKED_CA_NO_POE: "EDOC-KEY-013",
    Code.REVOKED: "EDOC-KEY-013",
    Code.TRY_LATER: "EDOC-KEY-014",
}


def check_credential(
    credential: Credential,
    *,
    context: Context,
    profile: str,
    unknown_status_allowed: bool = False,
    extended_usages: Collection[str] = (),
) -> tuple[Reason, ...]:
    """Check a credential before its key is used, at ``context.at``; the key need not be unlocked.

    ``extended_usages`` are object identifiers that count beside those of signing.md 2, K4.

    Returns:
        Warnings: the certificate ends within 60 days (``CERTIFICATE_EXPIRING``), names no status source, or its status
        is unknown and that was allowed (``TRY_LATER``).

    Raises:
        SigningRefused: the first of K3 to K7 that does not hold. With ``needs`` among the facts the status answers that
            were missing may be fetched and the check repeated.
    """
    facts = _facts(credential)
    _check_dates(credential, context.at, facts)
    _check_usage(credential, frozenset(extended_usages), facts)
    path = _judged(credential, context, frozenset(extended_usages))
    _refuse(path, facts, unknown_status_allowed=unknown_status_allowed)
    _check_scheme(credential, profile, facts)
    unknown = tuple(reason for reason in path.reasons if reason.code is Code.TRY_LATER)
    ends = credential.x509.not_valid_after_utc
    if ends - context.at <= WARN_BEFORE_END:
        return (*path.warnings, *unknown, Reason(Code.CERTIFICATE_EXPIRING, {"date": ends.isoformat()}))
    return (*path.warnings, *unknown)


def _check_dates(credential: Credential, at: datetime, facts: dict[str, object]) -> None:
    """K3: now lies within the validity."""
    if at > credential.x509.not_valid_after_utc:
        raise SigningRefused("EDOC-KEY-004", "the certificate has expired", **facts)
    if at < credential.x509.not_valid_before_utc:
        raise SigningRefused("EDOC-KEY-010", "the certificate is not valid yet", **facts)


def _check_usage(credential: Credential, also: frozenset[str], facts: dict[str, object]) -> None:
    """K4: the certificate is for signing documents."""
    fault = purpose_fault(read(credential.certificate), Purpose.SIGNERS, also=also)
    if fault is not None:
        raise SigningRefused("EDOC-KEY-011", "the certificate is for something else", detail=fault, **facts)


def _judged(credential: Credential, context: Context, also: frozenset[str]) -> PathResult:
    """K5, K6: judge the path as a signature made now would be judged."""
    if context.policy is PolicyName.INTEGRITY_ONLY:  # how files are judged is no reason to sign with a revoked key
        context = replace(context, policy=PolicyName.INTEROP)
    return judge_path(
        credential.certificate,
        purpose=Purpose.SIGNERS,
        time=context.at,
        proved=False,
        context=replace(context, extended_usages=also),
        candidates=credential.chain,
    )


def _check_scheme(credential: Credential, profile: str, facts: dict[str, object]) -> None:
    """K7: a scheme of the profile fits the key, and its holder serves it. Keys that hash by themselves do not."""
    algorithm = f"{credential.key_type} {credential.bits}"
    try:
        scheme = scheme_for(credential.key_type, bits=credential.bits, profile=profile)
    except ValueError:
        raise SigningRefused("EDOC-KEY-015", "too weak for the profile", algorithm=algorithm, **facts) from None
    if scheme is Scheme.ED25519:
        raise SigningRefused("EDOC-KEY-015", "no scheme for documents", algorithm=algorithm, **facts)
    if not credential.serves(scheme):
        raise SigningRefused("EDOC-KEY-027", "the key's device does not do this", scheme=scheme.value, **facts)


def _facts(credential: Credential) -> dict[str, object]:
    certificate = credential.x509
    return {
        "subject": certificate.subject.rfc4514_string(),
        "not_before": certificate.not_valid_before_utc,
        "not_after": certificate.not_valid_after_utc,
    }


def _refuse(path: PathResult, facts: dict[str, object], *, unknown_status_allowed: bool) -> None:
    for reason in path.reasons:
        if reason.code is Code.TRY_LATER and unknown_status_allowed:
            continue
        code = _REFUSALS.get(reason.code, "EDOC-KEY-012")
        details = {**facts, **reason.facts}  # the reason may be about a certificate above the leaf
        if "time" in reason.facts:
            details["time"] = datetime.fromisoformat(reason.facts["time"])
        raise SigningRefused(code, f"the key may not be used: {reason.code}", needs=path.needs, **details)
