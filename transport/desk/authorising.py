"""The node's authority table, asked before a key is used: who may state a capacity, who may use the agency's key.

R26: a capacity or position that is stated must be in the table, for that person, on that day. R29: the agency's key is
used by the clerks it was given to. R37: what is not stated is taken from the table. A home without a table, or without
entries for the agency, refuses nothing; that it was not asked is said with the result.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from transport.desk import trusting
from transport.present.errors import CommandError

if TYPE_CHECKING:
    from edoc.authorities import AuthorityTable, Finding, Question
    from edoc.capacities import Authority
    from signer.credential import Credential
    from signer.report import Signer
    from transport.desk.console import Console
    from transport.desk.signrequest import Request
    from transport.settings import Settings


@dataclass(frozen=True, slots=True)
class Authorising:
    """The table as one act asks it: for which agency, on which day in Vietnam."""

    console: Console
    request: Request
    table: AuthorityTable
    agency: str | None
    day: date

    @property
    def kept(self) -> bool:
        """Whether the agency keeps a table: without one nothing is confirmed and nothing denied."""
        return self.agency is not None and self.table.keeps(self.agency)

    def check(self, credential: Credential | None) -> None:
        """Refuse an act its maker has no right to; ``None`` for a certificate that is hidden until the PIN is given.

        Raises:
            CommandError: the capacity is not in the table (EDOC-DOC-080), the clerk was not given the key (-082).
        """
        if self.request.role == "agency":
            self._check_clerk(credential)
        elif credential is not None:
            self._check_capacity(_signer(credential))

    def _check_capacity(self, signer: Signer) -> None:
        act = self.request.act
        if not self.kept or not (act.capacity or act.position):
            return
        found = self._judged(signer)
        if found.standing == "missing":
            stated = " ".join(part for part in (act.capacity, act.position) if part)
            raise CommandError(
                "EDOC-DOC-080",
                name=signer.name or "-",
                stated=stated,
                agency=self.agency,
                why=self.why(found),
                day=self.day,
            )

    def _check_clerk(self, credential: Credential | None) -> None:
        if self.agency is None:
            return
        clerk, sha256 = account_at_desk(), credential.sha256 if credential else None
        found = self.table.key_right(clerk, agency=self.agency, certificate_sha256=sha256, day=self.day)
        if found.standing == "missing":
            why = _word(f"authority.key.{found.why}", self.console.lang)
            raise CommandError("EDOC-DOC-082", clerk=clerk, agency=self.agency, why=why)

    def _judged(self, signer: Signer) -> Finding:
        from edoc.capacities import capacity_of

        act = self.request.act
        capacity = capacity_of(act.capacity) if act.capacity else None
        return self.table.judge(signer, replace(self.question(), capacity=capacity, position=act.position))

    def question(self) -> Question:
        """Return what is asked of the table about the document: agency, day, type and field of work as given."""
        from edoc.authorities import Question

        act = self.request.act
        return Question(self.agency or "", self.day, document_type=act.document_type, area=act.area)

    def why(self, found: Finding) -> str:
        """Return in words why an authority is not confirmed."""
        return _word(f"authority.{found.why}", self.console.lang)

    def roles(self, credential: Credential) -> tuple[str, ...]:
        """Return what is stated of the signer: as given, else what the table says of them (R37)."""
        act = self.request.act
        entry = self._entry(credential) if self.request.role == "person" else None
        capacity = act.capacity or (entry.capacity.value if entry else None)
        position = act.position or (entry.position if entry else None)
        return tuple(part for part in (capacity, position) if part)

    def _entry(self, credential: Credential) -> Authority | None:
        """Return the one entry that fits; several leave it to the signer to say which."""
        if not self.kept:
            return None
        act, signer = self.request.act, _signer(credential)
        if act.capacity or act.position:
            return self._judged(signer).entry
        held = self.table.held(signer, agency=self.agency or "", day=self.day)
        return held[0] if len(held) == 1 else None

    def notes(self, credential: Credential | None) -> tuple[str, ...]:
        """Return in words what was not asked, or could not be answered."""
        stated = bool(self.request.act.capacity)
        if not self.kept:
            return (_word("sign.authority", self.console.lang),) if stated else ()
        if credential is None or self.request.role != "person":
            return ()
        signer = _signer(credential)
        if not stated and not self.table.agencies_of(signer):
            return ()  # somebody who signs as drafter
        found = self._judged(signer)
        return () if found.standing == "confirmed" or not (stated or self._lapsed(found)) else (self.why(found),)

    def _lapsed(self, found: Finding) -> bool:
        """Say whether somebody was given an authority that does not hold today: the seal will not follow."""
        return found.why in ("ended", "not-yet")


def account_at_desk() -> str:
    """Return the account of the system this process runs as; the environment, which anybody sets, is not asked."""
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        from transport.desk.nodes import login

        return login()


def authorising(console: Console, settings: Settings, request: Request, *, sha256: str | None) -> Authorising:
    """Return the table of the node for an act; ``sha256`` of an agency's certificate tells whose key it is."""
    from edoc.authorities import AuthorityTable
    from edoc.values import vietnam_day

    day = vietnam_day(request.at)
    directory = trusting.directory_of(console)
    known = directory.agency_of(sha256, "agency", day) if directory is not None and sha256 is not None else None
    agency = known.code if known is not None and request.role == "agency" else settings.agency_code
    return Authorising(console, request, trusting.authorities_of(console) or AuthorityTable(), agency, day)


def _signer(credential: Credential) -> Signer:
    from signer.judge import signer_of

    return signer_of(credential.certificate)


def _word(key: str, lang: str) -> str:
    from transport.present import catalogue

    return catalogue.word(key, lang)
