"""Lift the signatures of a CMS to a higher level, or renew their archive stamp (signing.md 6; EN 319 122-1, 5.5).

Only what is not signed is added: the stamp over the value, certificates and status answers in SignedData, archive
stamps of version 3 with their index of hashes. The file is verified before and after. A level that is not reached is
refused, with what is missing. What is written is DER, whatever wrapping the input had.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from signer import asn1, der
from signer.cades.forms import unwrap
from signer.cades.rebuild import More, attribute, rebuilt
from signer.cades.values import held_by
from signer.cades.verify import find
from signer.cmsnames import DIGESTS
from signer.errors import InputRefused, SigningRefused
from signer.extending import LEVELS, Extended, Stamping, is_good, not_reached, refuse_broken, stamping
from signer.facts import Judged
from signer.judge import judge_signature
from signer.report import Code, Integrity, SignatureReport
from signer.signeddata import SignedData, SignerInfo
from signer.timestamp import Timestamper
from signer.trust import Context, TrustStore

_SHA256 = der.encode(der.SEQUENCE, der.encode_identifier(next(k for k, name in DIGESTS.items() if name == "sha256")))
_OLD_ARCHIVES = ("archive_time_stamp_v1", "archive_time_stamp_v2")
_LASTING = ("CAdES-B-LT", "CAdES-B-LTA")


def extend_cades(data: bytes, *, to: str, context: Context, timestamper: Timestamper | None = None) -> Extended:
    """Return the CMS (ContentInfo, DER) with every signature at level ``to`` (``t``, ``lt``, ``lta``), or higher.

    Detached content is looked for among the context's contents. ``context.at`` is now; status answers and
    certificates come from ``context.trust`` and from the file. Asking for ``lta`` again renews. Signatures that are no
    CAdES get the same data and stamps; their form has no levels.

    Raises:
        InputRefused: no CMS.
        SigningRefused: a signature is broken or cannot be checked, content is not at hand, there is none, or an archive
            stamp of version 2 covers whole fields, so that nothing can be added.
        LevelNotReached: validation data is missing (``needs`` among the facts), or a path is not good.
        TimestampError: no usable time stamp.
    """
    lifting = stamping(to, context, timestamper, "CAdES")
    data = _plain(data)
    before = _sound(_look(data, lifting.context))
    for step in LEVELS[1 : LEVELS.index(to) + 1]:
        data = _STEPS[step](data, lifting)
    after = _look(data, lifting.context)
    _check_after(before, after, lifting, to)
    return Extended(data, before.levels, after.levels)


def _plain(data: bytes) -> bytes:
    """Take the wrapping off."""
    try:
        forms = unwrap(data)
    except ValueError:
        raise InputRefused("EDOC-SIG-023", "the CMS cannot be read", where="CMS") from None
    if len(forms) != 1 or forms[0].kind != "signed_data" or forms[0].contents:
        raise SigningRefused("EDOC-SIG-022", "not a form that can be extended", signature="-")
    form = forms[0]
    return form.data[: len(form.data) - form.trailing]


@dataclass(frozen=True, slots=True)
class _Look:
    """A CMS read and judged; ``main`` are the signers themselves, without who countersigned them."""

    signed: SignedData
    content: bytes | None = field(repr=False)
    judged: tuple[Judged, ...]

    @property
    def main(self) -> list[tuple[int, SignerInfo, Judged]]:
        """Each signer with its number and what was judged."""
        own = [one for one in self.judged if "/" not in one.signature.id]
        return [(number, info, own[number]) for number, info in enumerate(self.signed.signers)]

    @property
    def levels(self) -> tuple[str, ...]:
        """The level of each signer."""
        return tuple(judged.signature.level for _, _, judged in self.main)


def _look(data: bytes, context: Context) -> _Look:
    try:
        (form,) = unwrap(data)
        signed = asn1.read_signed_data(data)
    except ValueError:
        raise InputRefused("EDOC-SIG-023", "the CMS cannot be read", where="CMS") from None
    found = find(form, context=context)
    return _Look(signed, found.content, tuple(judge_signature(facts, context=context) for facts in found.facts))


def _sound(look: _Look) -> _Look:
    """Refuse files with a signature that does not hold, and those without one that can be extended."""
    if not look.signed.signers or look.signed.content_type == "tst_info":
        raise SigningRefused("EDOC-SIG-022", "no signature", signature="-")
    for judged in look.judged:
        refuse_broken(judged.signature)
    for _, info, judged in look.main:
        if any(one.name in _OLD_ARCHIVES for one in info.unsigned_attributes):
            raise SigningRefused("EDOC-SIG-022", "an old archive stamp", signature=judged.signature.id)
    if look.content is None:
        reason = Code.SIGNED_DATA_NOT_FOUND.value
        raise SigningRefused("EDOC-SIG-021", "content is missing", signature="-", reason=reason)
    return look


def _check_after(before: _Look, after: _Look, lifting: Stamping, to: str) -> None:
    """Refuse to hand out a file in which a signature has come to harm, or has not reached the level."""
    for judged in after.judged:
        refuse_broken(judged.signature)
    if len(after.judged) != len(before.judged):
        raise InputRefused("EDOC-SIG-023", "a signature is gone", where="SignerInfo")
    for _, _, judged in after.main:
        reached = judged.signature.level.removeprefix("CAdES-B-").lower()
        if reached in LEVELS and LEVELS.index(reached) < LEVELS.index(to):
            raise not_reached(judged.signature, judged.needs, lifting.name(to))


# --- the steps -------------------------------------------------------------------------------------------------------


def _to_t(data: bytes, lifting: Stamping) -> bytes:
    """Add a stamp over the value where there is none that holds."""
    unsigned = {}
    for number, info, judged in _look(data, lifting.context).main:
        stamps = judged.signature.timestamps
        if not any(one.integrity is Integrity.INTACT and one.kind != "content" for one in stamps):
            token = lifting.stamp(hashlib.sha256(info.value).digest(), "t")
            unsigned[number] = (attribute("signature_time_stamp_token", token),)
    return rebuilt(data, More(unsigned=unsigned)) if unsigned else data


def _to_lt(data: bytes, lifting: Stamping) -> bytes:
    """Add certificates and status answers of the paths of signers and stamps, where they are not complete."""
    return data if _lasts(data, lifting) else _provided(data, lifting, "lt")


def _lasts(data: bytes, lifting: Stamping) -> bool:
    """Say whether the file itself holds what its signatures and all stamps but the newest need."""
    trust = replace(lifting.context.trust, crls=(), ocsps=())
    look = _look(data, replace(lifting.context, trust=trust))
    return all(_is_provided_for(judged.signature) for _, _, judged in look.main)


def _is_provided_for(one: SignatureReport) -> bool:
    newest = max((stamp.time for stamp in one.timestamps if stamp.kind == "archive" and stamp.time), default=None)
    inner = tuple(stamp for stamp in one.timestamps if stamp.kind != "archive" or stamp.time != newest)
    return one.level in _LASTING and is_good(replace(one, timestamps=inner))


def _to_lta(data: bytes, lifting: Stamping) -> bytes:
    """Add the data the last stamp needs, then an archive stamp over everything."""
    data = _provided(data, lifting, "lta")
    look = _look(data, lifting.context)
    unsigned = {}
    for number, info, _ in look.main:
        token = _archived(info, look, lifting)
        unsigned[number] = (attribute("archive_time_stamp_v3", token),)
    return rebuilt(data, More(unsigned=unsigned))


_STEPS: Mapping[str, Callable[[bytes, Stamping], bytes]] = {"t": _to_t, "lt": _to_lt, "lta": _to_lta}


def _provided(data: bytes, lifting: Stamping, level: str) -> bytes:
    """Return the CMS with everything that the judgement used.

    Raises:
        LevelNotReached: a path is not good, so it is not known what it needs.
    """
    look = _look(data, lifting.context)
    used: dict[str, dict[bytes, None]] = {"certificate": {}, "crl": {}, "ocsp": {}}
    for _, info, judged in look.main:
        if not is_good(judged.signature):
            raise not_reached(judged.signature, judged.needs, lifting.name(level))
        held = _held(info, look.signed)
        for one in judged.evidence:
            if one.kind in used and one.data not in held:
                used[one.kind][one.data] = None
    more = More(tuple(used["certificate"]), tuple(used["crl"]), tuple(used["ocsp"]))
    return rebuilt(data, more) if more else data


def _held(info: SignerInfo, signed: SignedData) -> set[bytes]:
    """Return the certificates and answers that travel with a signer, in its tokens too."""
    inside = held_by(info, signed)
    found = {*inside.certificates, *inside.crls, *inside.ocsps}
    for name in ("signature_time_stamp_token", "archive_time_stamp_v3"):
        for token in info.unsigned_values(name):
            store = _of_token(token)
            found.update((*store.intermediates, *store.crls, *store.ocsps))
    return found


def _of_token(token: bytes) -> TrustStore:
    try:
        found = asn1.read_signed_data(token)
    except ValueError:
        return TrustStore()
    return TrustStore(intermediates=found.certificates, crls=found.crls, ocsps=found.ocsps)


def _archived(info: SignerInfo, look: _Look, lifting: Stamping) -> bytes:
    """Return a token over the parts of the signature and the index, with the index in it (EN 319 122-1, 5.5.3)."""
    assert look.content is not None  # _sound has seen to it
    index = _index(info, look.signed)
    content = hashlib.sha256(look.content).digest()
    over = hashlib.sha256(b"".join((look.signed.type_encoded, content, *info.pieces, index)))
    token = lifting.stamp(over.digest(), "lta")
    return rebuilt(token, More(unsigned={0: (attribute("ats_hash_index_v3", index),)}))


def _index(info: SignerInfo, signed: SignedData) -> bytes:
    """Return the index of hashes over everything there is beside the signature (EN 319 122-1, 5.5.2)."""
    attributes = [one.type_encoded + value for one in info.unsigned_attributes for value in one.values]
    lists = (signed.certificate_choices, signed.revocation_choices, attributes)
    return der.encode(der.SEQUENCE, _SHA256, *(_hashes(one) for one in lists))


def _hashes(values: tuple[bytes, ...] | list[bytes]) -> bytes:
    return der.encode(der.SEQUENCE, *(der.encode(der.OCTETS, hashlib.sha256(value).digest()) for value in values))
