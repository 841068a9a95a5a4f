"""What is the same for all files of one call of ``edoc sign``: key, trust, profile, pictures, rules (signing.md 2)."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from transport.desk import keys, trusting
from transport.desk.acting import Ready, ready_for
from transport.desk.authorising import authorising
from transport.desk.checkedkey import CheckedKey, KeyRules
from transport.desk.files import Identity, identities, read_input
from transport.desk.signplan import files_named
from transport.desk.signrequest import Request
from transport.present.errors import CommandError

if TYPE_CHECKING:
    from edoc.agencies import Directory
    from signer.credential import Credential
    from signer.pdf.measures import Geometry
    from signer.report import Need, Report, Signer
    from signer.timestamp import Timestamper
    from signer.trust import Context, TrustStore
    from transport.desk.console import Console
    from transport.desk.lifting import Answers, Fetch
    from transport.settings import Settings


@dataclass(slots=True)
class Fetched:
    """Status answers fetched in this run: for those who signed before asked for once, whoever's letter is next."""

    store: TrustStore | None = None
    asked: set[bytes] = field(default_factory=set)
    answers: Answers | None = None

    def for_file(self, settings: Settings) -> Fetch:
        """Return what fetches the answers that a long-term level of one file needs."""
        from transport.desk.lifting import Answers, fetcher

        if self.answers is None:
            self.answers = Answers(fetcher(settings))
        return self.answers.for_file()

    def more(self, needs: Sequence[Need], settings: Settings) -> bool:
        """Fetch what was not asked for yet; say whether anything was."""
        from signer.trust import TrustStore

        wanted = [need for need in needs if need.certificate not in self.asked]
        if not wanted:
            return False
        self.asked.update(need.certificate for need in wanted)
        self.store = (self.store or TrustStore()).merged(self.for_file(settings)(wanted))
        return True


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything that is the same for all files of one call: the key is found once and held."""

    console: Console
    request: Request
    key: CheckedKey
    context: Context
    settings: Settings
    timestamper: Timestamper | None
    directory: Directory | None
    ready: Ready
    picture: bytes | None
    geometry: Geometry
    untouched: Mapping[Identity, str]  # files of the call: none of them is ever written over
    fetched: Fetched = field(default_factory=Fetched)
    started: float = field(default_factory=time.monotonic)

    def moved_on(self) -> Desk:
        """Return the same desk now: a batch that waits for time stamps may take hours, a file is signed in its turn."""
        passed = int(time.monotonic() - self.started)
        if passed < 1:
            return self
        at, started = self.request.at + timedelta(seconds=passed), self.started + passed
        context = replace(self.context, at=at)
        return replace(self, request=replace(self.request, at=at), context=context, started=started)

    @property
    def credential(self) -> Credential:
        """The key that signs; checked and unlocked when it first signs."""
        return self.key.credential

    @property
    def level(self) -> str:
        """``b``, ``t``, ``lt`` or ``lta``."""
        return self.request.level or self.settings.sign_level

    @property
    def first_level(self) -> str:
        """The level a file is signed at before it is lifted."""
        return "b" if self.level == "b" else "t"

    @property
    def profile(self) -> str:
        """``interop`` or ``strict`` (R34)."""
        return self.request.profile or self.settings.sign_profile

    @property
    def signer(self) -> Signer:
        """Whom the certificate names, with the agency it is registered for; nobody before a hidden one is opened."""
        from signer.judge import signer_of
        from signer.report import Signer

        shown = self.key.shown
        if shown is None:
            return Signer()
        found = signer_of(shown.certificate)
        day = self.request.at.date()
        agency = self.directory.agency_of(shown.sha256, "agency", day) if self.directory else None
        return found if agency is None else replace(found, agency=agency.code, organization=agency.name)

    def informed(self, data: bytes) -> Context:
        """Return the context with the status of those who signed a file before: R28 is judged with it."""
        from signer.inspect import inspect_file

        context = self._with_fetched()
        for _ in range(2):
            if not self.fetched.more(inspect_file(data, context=context).needs, self.settings):
                break
            context = self._with_fetched()
        return context

    def _with_fetched(self) -> Context:
        store = self.fetched.store
        return self.context if store is None else self.context.with_trust(store)


def prepared(console: Console, request: Request) -> Desk:
    """Find the key, load trust, and settle what the act needs; no PIN is asked for.

    Raises:
        CommandError, SignerError, TransportError: the call as a whole cannot go on; no file was signed.
    """
    settings = settings_of(console)
    store = trusting.store_of(console, trust=request.trust, revocation=request.revocation, kept_status=False)
    context = trusting.context_of(store, at=request.at, policy=settings.verify_policy)
    context = replace(context, limits=replace(context.limits, pdf_max_bytes=settings.limits["pdf_max_bytes"]))
    directory = trusting.directory_of(console)
    profile = request.profile or settings.sign_profile
    rules = KeyRules(console, settings, context, profile, request.key.unknown_status_basis)
    key = CheckedKey(_found(console, request, settings), rules, partial(_may_act, console, settings, request))
    picture = request.look.image or settings.picture(request.role)
    desk = Desk(
        console=console,
        request=request,
        key=key,
        context=context,
        settings=settings,
        timestamper=timestamper_for(request, settings, context),
        directory=directory,
        ready=Ready(),
        picture=read_input(picture, console) if picture else None,
        geometry=geometry_of(settings),
        untouched=identities(files_named(request)),
    )
    return replace(desk, ready=ready_for(desk))


def _may_act(console: Console, settings: Settings, request: Request, credential: Credential) -> None:
    """Refuse a key for another role, or one whose holder has no right to the act (R26, R29).

    Raises:
        CommandError: which of them it is.
    """
    fits(console, credential, request.role)
    authorising(console, settings, request, sha256=credential.sha256).check(credential)


def settings_of(console: Console) -> Settings:
    """Return the settings in force, with or without a node."""
    return keys.settings_of(console)


def geometry_of(settings: Settings) -> Geometry:
    """Return the agency's measures of the visible forms.

    Raises:
        InputRefused: one of them is out of range.
    """
    from signer.pdf.measures import Geometry

    return Geometry.of(settings.geometry)


def _found(console: Console, request: Request, settings: Settings) -> keys.Held:
    home, asked = trusting.home_of(console), request.key
    if request.elsewhere and not asked.name and asked.certs:
        return keys.elsewhere(console, role=request.role, certs=asked.certs)
    name = asked.name or settings.key(request.role) or _only_key(home, request.role)
    if not name:
        raise CommandError("EDOC-USE-030", path=request.files[0] if request.files else "-", role=request.role)
    return keys.open_key(
        console,
        name,
        role=request.role,
        certs=asked.certs,
        pins=asked.pins,
        module=asked.module,
        expected=len(request.files),
    )


def _only_key(home: Path, role: str) -> str | None:
    """Return the newest imported key of a role, where the settings name none."""
    from transport.store import quick

    found = [key for key in quick.keys(home) if key.role == role]
    return max(found, key=lambda key: key.added_at).name if found else None


def fits(console: Console, credential: Credential, role: str) -> None:
    """Refuse a key for another role: R28 and R29 cannot be passed by with the wrong word.

    The node tells whose a key is. A certificate that says itself to be an agency's makes no person's signature,
    whatever the node was told of it.

    Raises:
        CommandError: the certificate is an agency's, for the exchange, or a person's, and another act is asked for.
    """
    from signer.chain import common_name
    from signer.judge import signer_of

    known = _roles_known(console, credential)
    subject = common_name(credential.x509.subject)
    if known and role not in known:
        raise CommandError("EDOC-KEY-016", known=sorted(known), role=role, subject=subject)
    if role == "person" and signer_of(credential.certificate).type == "agency":
        raise CommandError("EDOC-USE-053", subject=subject)


def _roles_known(console: Console, credential: Credential) -> set[str]:
    """Return what the node knows a key for: whose the directory says it is, else as what it was imported.

    The directory comes first: an agency's key imported as a person's is the agency's all the same.
    """
    from signer.chain import public_key_der
    from transport.store import quick

    home = trusting.node_home(console)
    if home is None:
        return set()
    ours = {credential.sha256, hashlib.sha256(public_key_der(credential.certificate)).hexdigest()}
    listed = (item for agency in quick.directory(home).agencies for item in agency.certificates)
    found = {item.use for item in listed if item.sha256 in ours}
    return found or {key.role for key in quick.keys(home) if key.sha256 in ours}


def timestamper_for(request: Request, settings: Settings, context: Context) -> Timestamper | None:
    """Return who gives time stamps, ``None`` at level ``b``.

    Raises:
        CommandError: there is no address of one (R32).
    """
    if (request.level or settings.sign_level) == "b":
        return None
    from transport.desk.lifting import timestamper_of

    found = timestamper_of(request.tsa, settings, context)
    if found is None:
        raise CommandError("EDOC-USE-032", path=request.files[0] if request.files else "-")
    return found


def authorised(desk: Desk, data: bytes) -> Report:
    """Return the report on a main document, with the status of its signers."""
    from transport.desk import checking

    return checking.judged(data, context=desk.informed(data), directory=desk.directory)
