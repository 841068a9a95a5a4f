"""The rule an agency's key is used by: asked of exactly the bytes about to be signed (R28; signing.md 3.2).

``signer`` does not know the rule; ``edoc`` supplies it. Every writer of signatures on documents asks it here.
"""

from __future__ import annotations

from collections.abc import Callable

from signer.credential import Credential, Role
from signer.errors import SigningRefused
from signer.report import Reason, Report
from signer.trust import Context

Precondition = Callable[[Report], Reason | None]
"""Asked with the report of exactly the bytes about to be signed; anything but ``None`` stops the job."""


def require(credential: Credential, precondition: Precondition | None, context: Context | None) -> None:
    """Refuse an agency's key that comes without its rule and the context to judge it with.

    Raises:
        TypeError: one of them is missing.
    """
    if credential.role is Role.AGENCY and (precondition is None or context is None):
        raise TypeError("an agency's key is used only with a precondition and the context to judge it (R28)")


def ask(
    credential: Credential,
    precondition: Precondition | None,
    context: Context | None,
    report_of: Callable[[Context], Report],
) -> None:
    """Ask the rule before an agency's key is used (K8); ``report_of`` judges the bytes. Other keys need none.

    Raises:
        TypeError: see ``require``.
        SigningRefused: the rule objects (EDOC-PDF-018).
    """
    require(credential, precondition, context)
    if credential.role is not Role.AGENCY or precondition is None or context is None:
        return
    objection = precondition(report_of(context))
    if objection is not None:
        facts = {key: value for key, value in objection.facts.items() if key not in ("code", "reason", "message")}
        raise SigningRefused("EDOC-PDF-018", "precondition not met", reason=objection.code.value, **facts)
