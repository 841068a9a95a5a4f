"""The rules for a path of certificates, dates and revocation apart (RFC 5280, 6.1).

``check`` takes a path, leaf first and anchor last. What an anchor is signed with, its dates and its algorithms are not
judged (R70); that it may issue certificates, and what it allows below itself, is (RFC 5937). The answer depends on the
certificates and ``Inputs`` alone, so it is remembered: an office's letters share their authorities.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from signer import pubkeys, x509ext
from signer.nameconstraints import Constraints
from signer.policies import Graph
from signer.report import Code
from signer.x509ext import ANY_POLICY
from signer.x509read import Certificate, read

_UNDERSTOOD = frozenset(
    {
        x509ext.BASIC,
        x509ext.KEY_USAGE,
        x509ext.EXTENDED_USAGE,
        x509ext.SUBJECT_NAMES,
        x509ext.ISSUER_NAMES,
        x509ext.NAME_CONSTRAINTS,
        x509ext.POLICIES,
        x509ext.MAPPINGS,
        x509ext.POLICY_CONSTRAINTS,
        x509ext.INHIBIT_ANY,
        x509ext.CRL_POINTS,
        x509ext.FRESHEST,
        x509ext.SUBJECT_KEY,
        x509ext.AUTHORITY_KEY,
        x509ext.AUTHORITY_ACCESS,
        x509ext.SUBJECT_ACCESS,
        x509ext.QUALIFIED,
        x509ext.OCSP_NOCHECK,
        x509ext.KEY_PERIOD,
    }
)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the caller asks of policies (RFC 5280, 6.1.1 c to g): by default any policy will do, none is required."""

    policies: frozenset[str] = frozenset({ANY_POLICY})
    explicit_policy: bool = False
    inhibit_mapping: bool = False
    inhibit_any: bool = False


BY_DEFAULT = Inputs()


@dataclass(frozen=True, slots=True)
class Checked:
    """What holds against a path (nothing if it is good), and the policies it is valid for."""

    faults: tuple[tuple[Code, str], ...]
    policies: frozenset[str] = frozenset()


class _Refused(Exception):
    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


def _constraint(detail: str) -> _Refused:
    return _Refused(Code.CHAIN_CONSTRAINTS_FAILURE, detail)


@lru_cache(maxsize=512)
def check(path: tuple[bytes, ...], inputs: Inputs = BY_DEFAULT) -> Checked:
    """Check a path of two or more certificates (DER), leaf first and anchor last.

    Raises:
        ValueError: a certificate cannot be read at all.
    """
    leaf, *above = (read(encoded) for encoded in path)
    try:
        walk = _Walk(above[-1], len(above), inputs)
        for certificate in reversed(above[:-1]):
            walk.verify(certificate)
            walk.prepare(certificate)
        walk.verify(leaf, final=True)
        return Checked((), walk.finish(leaf))
    except _Refused as refused:
        return Checked(((refused.code, refused.detail),))
    except (ValueError, IndexError):
        return Checked(((Code.CERTIFICATE_CHAIN_GENERAL_FAILURE, "extension"),))


def may_issue(anchor: Certificate) -> bool:
    """Say whether an anchor vouches for others too: a certificate given to know one signer by is no authority.

    Old roots without any extension are.
    """
    basic, usage = anchor.extensions.get(x509ext.BASIC), x509ext.usage_of(anchor)
    if basic is not None and not x509ext.is_authority(anchor):
        return False
    if usage is not None:
        return x509ext.CERT_SIGN in usage
    return basic is not None or not anchor.extensions


def unknown_critical(certificate: Certificate) -> str | None:
    """Return the first extension (dotted) that must be understood and is not, if there is one."""
    found = certificate.extensions.items()
    return next((oid for oid, one in found if one.critical and oid not in _UNDERSTOOD), None)


class _Walk:
    """The state of 6.1.2, from the anchor downwards."""

    def __init__(self, anchor: Certificate, length: int, inputs: Inputs) -> None:
        if not may_issue(anchor):
            raise _constraint("basicConstraints")
        self.inputs = inputs
        self.key, self.parameters = anchor.key, _parameters(anchor.key)
        self.left = length
        self.graph = Graph()
        self.explicit = 0 if inputs.explicit_policy else length + 1
        self.mapping = 0 if inputs.inhibit_mapping else length + 1
        self.any_policy = 0 if inputs.inhibit_any else length + 1
        self.names = Constraints().below(anchor)
        basic = anchor.extensions.get(x509ext.BASIC)
        most = x509ext.basic_constraints(basic.value)[1] if basic is not None else None
        self.length = length if most is None else most

    def verify(self, certificate: Certificate, *, final: bool = False) -> None:
        """Check a certificate with what is known from above (6.1.3)."""
        if certificate.faults:
            raise _Refused(Code.CERTIFICATE_CHAIN_GENERAL_FAILURE, certificate.faults[0])
        held = pubkeys.verify(self.key, certificate.algorithm, signed=certificate.signed, value=certificate.value)
        if not held:
            raise _Refused(Code.CERTIFICATE_CHAIN_GENERAL_FAILURE, "signature" if held is False else "algorithm")
        if (final or not certificate.is_self_issued) and not self.names.allow(certificate):
            raise _constraint("nameConstraints")
        found = certificate.extensions.get(x509ext.POLICIES)
        any_allowed = self.any_policy > 0 or (not final and certificate.is_self_issued)
        self.graph.descend(x509ext.policies(found.value) if found is not None else (), any_allowed=any_allowed)
        if self.explicit == 0 and self.graph.is_empty:
            raise _constraint("certificatePolicies")
        unknown = unknown_critical(certificate)
        if unknown is not None:
            raise _constraint(f"critical {unknown}")

    def prepare(self, certificate: Certificate) -> None:
        """Take over what an authority says about those below it (6.1.4)."""
        self._map(certificate)
        self.names = self.names.below(certificate)
        self._count(certificate)
        self._allow_issuing(certificate)
        algorithm, given = pubkeys.algorithm_identifier(certificate.key)
        inherits = given is None and algorithm == pubkeys.DSA and self.parameters is not None
        if inherits and pubkeys.algorithm_identifier(self.key)[0] == pubkeys.DSA and self.parameters is not None:
            given = self.parameters
        self.parameters = given
        self.key = pubkeys.with_parameters(certificate.key, given) if inherits and given else certificate.key

    def _map(self, certificate: Certificate) -> None:
        found = certificate.extensions.get(x509ext.MAPPINGS)
        if found is None:
            return
        pairs = x509ext.mappings(found.value)
        if any(ANY_POLICY in pair for pair in pairs):
            raise _constraint("policyMappings")
        self.graph.map(pairs, allowed=self.mapping > 0)

    def _count(self, certificate: Certificate) -> None:
        if not certificate.is_self_issued:
            self.explicit, self.mapping = max(self.explicit - 1, 0), max(self.mapping - 1, 0)
            self.any_policy = max(self.any_policy - 1, 0)
        constraints = certificate.extensions.get(x509ext.POLICY_CONSTRAINTS)
        require, inhibit = x509ext.policy_constraints(constraints.value) if constraints is not None else (None, None)
        any_found = certificate.extensions.get(x509ext.INHIBIT_ANY)
        self.explicit = min(self.explicit, self.explicit if require is None else require)
        self.mapping = min(self.mapping, self.mapping if inhibit is None else inhibit)
        if any_found is not None:
            self.any_policy = min(self.any_policy, max(x509ext.number(any_found.value), 0))

    def _allow_issuing(self, certificate: Certificate) -> None:
        basic, usage = certificate.extensions.get(x509ext.BASIC), x509ext.usage_of(certificate)
        is_ca, most = x509ext.basic_constraints(basic.value) if basic is not None else (False, None)
        if not is_ca or certificate.version != 3:
            raise _constraint("basicConstraints")
        if not certificate.is_self_issued:
            if self.length <= 0:
                raise _constraint("pathLenConstraint")
            self.length -= 1
        self.length = min(self.length, self.length if most is None else most)
        if usage is not None and x509ext.CERT_SIGN not in usage:
            raise _constraint("keyUsage")

    def finish(self, leaf: Certificate) -> frozenset[str]:
        """Conclude with the leaf (6.1.5) and return the policies the path is valid for."""
        explicit = max(self.explicit - 1, 0)
        found = leaf.extensions.get(x509ext.POLICY_CONSTRAINTS)
        if found is not None and x509ext.policy_constraints(found.value)[0] == 0:
            explicit = 0
        valid = self.graph.within(self.inputs.policies)
        if explicit == 0 and not valid:
            raise _constraint("certificatePolicies")
        return valid


def _parameters(key: bytes) -> bytes | None:
    return pubkeys.algorithm_identifier(key)[1]


def key_below(certificate: Certificate, above: tuple[Certificate, ...]) -> bytes:
    """Return the key of a certificate with the parameters it inherits from those above it, nearest first.

    Raises:
        ValueError: a key cannot be read.
    """
    algorithm, given = pubkeys.algorithm_identifier(certificate.key)
    if algorithm != pubkeys.DSA or given is not None:
        return certificate.key
    for one in above:
        algorithm, given = pubkeys.algorithm_identifier(one.key)
        if algorithm != pubkeys.DSA:
            break
        if given is not None:
            return pubkeys.with_parameters(certificate.key, given)
    return certificate.key
