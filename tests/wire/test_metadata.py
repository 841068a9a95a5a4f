"""What a partner's node says of itself: served signed, confirmed once, then changed by known keys alone (8; E7, E8)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from signer.credential import Role
from signer.devpki import DevPki, Subject
from tests import world as worlds
from tests.console.conftest import Edoc, Ran
from tests.wire.conftest import A, B, Place, utc_now
from transport import metadata
from transport.demo.offices import free_ports
from transport.errors import Problem, Refused
from transport.http.wire import (
    BASE,
    JSON_TYPE,
    METADATA,
    RequestKey,
    RequestView,
    ResponseView,
    format_digest,
    parse_heads,
    sign_response,
)
from transport.node import partners
from transport.node.node import Node
from transport.node.partners import Partners
from transport.settings import load
from transport.store import directory as directories
from transport.store import metadata_rows


@dataclass
class Site:
    """A partner's metadata as its web server would give it, altered as a test likes and signed by any key."""

    members: dict[str, object]
    url: str

    def answer(self, key: RequestKey, **changed: object) -> tuple[bytes, tuple[tuple[str, str], ...]]:
        """Return body and fields."""
        body = json.dumps({**self.members, **changed}).encode()
        fields = (("Content-Type", JSON_TYPE), ("Content-Digest", format_digest(sha256(body).hexdigest())))
        view = ResponseView(200, fields, RequestView("GET", self.url))
        return body, (*fields, *sign_response(view, key=key, created=utc_now()).items())


def site(place: Place) -> Site:
    """What B says of itself."""
    members = dict(place.nodes[B].metadata(utc_now()))
    members["endpoint"] = place.url(B)
    return Site(members, place.url(B).removesuffix(BASE) + METADATA)


def take(place: Place, made: Site, key: RequestKey, **changed: object) -> str:
    """Let A take it."""
    body, headers = made.answer(key, **changed)
    return partners.take(place.nodes[A].office, B, made.url, body, headers, now=utc_now())


def active(place: Place) -> Mapping[str, object] | None:
    """The version in force at A."""
    found = place.nodes[A].office.store.read(lambda connection: metadata_rows.held(connection, B))
    return None if found is None else json.loads(found.data)


async def test_an_hourly_turn_pings_names_heads_and_takes_the_metadata(place: Place) -> None:
    office = place.nodes[A].office
    async with place.serving(B), place.carrier(A) as carrier:
        keeping = Partners(office, carrier, clock=utc_now)
        assert [one.code for one in keeping._due()] == [B]
        (partner,) = keeping._due()
        assert await keeping.turn(partner) == "applied"
        assert keeping._due() == [], "once an hour"
        told = await carrier.ping(place.url(B), office.gossip.heads(B, now=utc_now()))
    (seen,) = office.store.read(metadata_rows.seen)
    assert seen.answered_at is not None
    assert seen.offset is not None
    assert abs(seen.offset) < 5
    assert told.members["agencies"]
    named = parse_heads(dict(told.headers)["Edoc-Heads"])
    origins = {one.origin for one in named}
    assert {"h99-01.example", "h99-02.example"} == {origin.partition("/")[0] for origin in origins}, "own head and echo"
    heads = {one.origin for one in office.store.read(metadata_rows.heads)}
    assert any(origin.startswith("h99-02") for origin in heads)


async def test_a_message_and_its_answer_carry_heads_and_the_link_to_the_proof(place: Place) -> None:
    from transport.node.outgoing import Outgoing

    place.queue()
    office = place.nodes[A].office
    async with place.serving(B), place.carrier(A) as carrier:
        outgoing = Outgoing(office)
        (claim,) = outgoing.claim(utc_now(), "courier", 1)
        parcel = outgoing.parcel(claim, utc_now())
        assert parcel is not None
        assert parcel.heads[0].origin.startswith("h99-01")
        reply = await carrier.carry(parcel)
        assert reply.kind == "receipt"
        assert reply.heads[0].origin.startswith("h99-02")
        link = (await carrier.get(place.url(B), parcel_path(parcel), within=30, most=10**6)).get("link")
    assert link == f'</edoc-ledger/proof/receipt/{sha256(reply.body).hexdigest()}>; rel="urn:edoc:rel:ledger-proof"'
    named = place.nodes[B].office.store.read(metadata_rows.heads)
    assert [one.agency for one in named] == [A]


def parcel_path(parcel: object) -> str:
    """E3 of a parcel."""
    from transport.http.wire import path_of

    return path_of(parcel.key, "/receipt")  # type: ignore[attr-defined]  # a parcel


def test_what_is_served_is_what_is_read(place: Place) -> None:
    made = site(place)
    found = metadata.parse(json.dumps(made.members).encode(), now=utc_now())
    assert found.endpoint == place.url(B)
    assert [(one.code, one.delivery) for one in found.agencies] == [(B, "push")]
    assert {one.use for one in found.keys} == {"exchange", "request"}
    entry = place.nodes[A].office.directory().get(B)
    assert entry is not None
    known = {(one.use, one.sha256) for one in entry.certificates}
    assert {(one.use, one.sha256) for one in found.keys} <= known


def test_a_change_signed_by_a_known_key_takes_effect_alone_and_the_old_version_stays(place: Place) -> None:
    made = site(place)
    assert take(place, made, place.key(B)) == "applied"
    agencies = [{**made.members["agencies"][0], "delivery": "pull"}]  # type: ignore[index]
    assert take(place, made, place.key(B), agencies=agencies, endpoint="https://b.example/exchange/v1") == "applied"
    partner = place.nodes[A].office.store.read(lambda c: directories.partner(c, B))
    assert partner is not None
    assert (partner.delivery, partner.url) == ("pull", "https://b.example/exchange/v1")
    kept = place.nodes[A].office.store.read(lambda c: metadata_rows.versions(c, B))
    assert [one.state for one in kept] == ["active", "past"]


def test_a_new_request_key_named_by_the_known_one_is_known_from_then_on(place: Place) -> None:
    made = site(place)
    new = RequestKey.of(ec.generate_private_key(ec.SECP256R1()))
    assert take(place, made, new, keys=[*keys_of(made), bare(new)]) == "waiting", "not by its own word"
    assert take(place, made, place.key(B), keys=[*keys_of(made), bare(new)]) == "applied"
    assert take(place, made, new, issued_at=later(made, 1), keys=[*keys_of(made), bare(new)]) == "applied"
    retired = [{**one, "status": "retired"} if one.get("spki") else one for one in keys_of(made)]
    assert take(place, made, new, issued_at=later(made, 2), keys=[*retired, bare(new)]) == "applied"
    entry = place.nodes[A].office.directory().get(B)
    assert entry is not None
    ended = [one for one in entry.certificates if one.use == "request" and one.valid_to is not None]
    assert len(ended) == 1, "ended, never removed (R66)"


def keys_of(made: Site) -> list[dict[str, object]]:
    """The keys of a site."""
    keys = made.members["keys"]
    assert isinstance(keys, list)
    return keys


def bare(key: RequestKey) -> dict[str, object]:
    """A request key as metadata names it."""
    import base64

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    spki = key.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {"use": "request", "spki": base64.b64encode(spki).decode(), "status": "active"}


def later(made: Site, seconds: int) -> str:
    """A time of issue some milliseconds after that of a site."""
    from transport.receiptform import format_time, read_time

    return format_time(read_time(str(made.members["issued_at"])) + timedelta(milliseconds=seconds))


def test_a_new_exchange_key_needs_a_path_to_configured_anchors(place: Place) -> None:
    import base64

    made = site(place)
    for pki, expected in ((place.pki, "applied"), (DevPki.create(at=utc_now() - timedelta(days=2)), "waiting")):
        new = pki.issue(Role.EXCHANGE, Subject("Sở Mẫu B", organization="Sở Mẫu B", tax_number="0100000002"))
        named = {
            "use": "exchange",
            "agency": B,
            "status": "next",
            "certificate": base64.b64encode(new.certificate).decode(),
        }
        made.members["issued_at"] = later(made, 1)
        assert take(place, made, place.key(B), keys=[*keys_of(made), named]) == expected
        known = {one.sha256 for one in place.nodes[A].office.directory().certificates(B, "exchange", utc_now().date())}
        assert (new.credential.sha256 in known) is (expected == "applied")


@pytest.mark.parametrize(
    "change",
    [{"name": "Cơ quan khác"}, {"former": ["H99.77"]}, {"successor": "H99.03"}],
    ids=lambda one: next(iter(one)),
)
def test_what_a_person_must_decide_waits_and_what_was_in_force_stays(place: Place, change: dict[str, object]) -> None:
    made = site(place)
    take(place, made, place.key(B))
    agencies = [{**made.members["agencies"][0], **change}]  # type: ignore[index]
    assert take(place, made, place.key(B), agencies=agencies, issued_at=later(made, 1)) == "waiting"
    held = active(place)
    assert held is not None
    assert held["agencies"] == made.members["agencies"]


def test_older_expired_foreign_unsigned_and_altered_versions_are_refused(place: Place) -> None:
    from transport.receiptform import format_time

    made, key = site(place), place.key(B)
    take(place, made, key)
    old = format_time(utc_now() - timedelta(hours=1))
    cases: list[tuple[str, dict[str, object]]] = [
        ("EDOC-EXC-073", {"issued_at": old}),
        ("EDOC-EXC-071", {"expires_at": old}),
        ("EDOC-EXC-071", {"issued_at": format_time(utc_now() + timedelta(minutes=5))}),
        ("EDOC-EXC-072", {"agencies": [{"code": "H99.03", "name": "Sở Mẫu C"}]}),
        ("EDOC-EXC-070", {"version": 2}),
        ("EDOC-EXC-070", {"endpoint": "ftp://b.example/"}),
        ("EDOC-EXC-070", {"agencies": []}),
        ("EDOC-EXC-070", {"keys": "x"}),
    ]
    for code, changed in cases:
        with pytest.raises(Refused) as caught:
            take(place, made, key, **changed)
        assert caught.value.code == code, changed
    stranger = RequestKey.of(ec.generate_private_key(ec.SECP256R1()))
    body, headers = made.answer(key, issued_at=later(made, 1))
    unsigned = tuple(one for one in headers if not one[0].startswith("Signature"))
    office, now = place.nodes[A].office, utc_now()
    for sent, fields in (
        (body, unsigned),
        (body.replace(b"nut-1", b"nut-2"), headers),
        (body, made.answer(stranger)[1]),
    ):
        with pytest.raises(Refused) as caught:
            partners.take(office, B, made.url, sent, fields, now=now)
        assert caught.value.code == "EDOC-EXC-074"
    with pytest.raises(Refused):
        partners.take(office, B, made.url.replace("127.0.0.1", "localhost"), body, headers, now=now)


@given(
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda s: (
                st.lists(s) | st.dictionaries(st.sampled_from(["version", "node", "keys", "agencies", "endpoint"]), s)
            ),
            max_leaves=20,
        ).map(lambda v: json.dumps(v).encode()),
    )
)
def test_no_bytes_bring_the_reader_down(data: bytes) -> None:
    with pytest.raises(Refused):
        metadata.parse(data, now=utc_now())


def test_more_than_the_limit_is_not_read(place: Place) -> None:
    made = site(place)
    body = json.dumps(made.members).encode()
    exact = body + b" " * (metadata.MAX_BYTES - len(body))
    assert metadata.parse(exact, now=utc_now()).node
    with pytest.raises(Refused):
        metadata.parse(exact + b" ", now=utc_now())


async def test_the_first_entry_is_confirmed_by_fingerprint(place: Place, tmp_path: Path) -> None:
    """``edoc agency add`` without certificates fetches, shows the fingerprint, and takes only the one that was told."""
    import asyncio

    home = tmp_path / "C"
    from transport.node.opening import create

    create(worlds.settings_of(home), code="H99.03", name="Sở Mẫu C", host="c.example", now=utc_now())
    edoc = Edoc(tmp_path)

    async def run(*words: str | Path) -> Ran:
        return await asyncio.to_thread(edoc, *words, env={"EDOC_DEMO": "true"})

    line = ("--home", home, "agency", "add", B, "--url", place.url(B), "--json")
    spki = place.nodes[A].office.directory().certificates(B, "request", utc_now().date())[0].sha256
    async with place.serving(B):
        asked = await run(*line)
        assert asked.code == 2, "nobody is there to compare the fingerprint"
        wrong = await run(*line, "--sha256", "0" * 64)
        assert (wrong.code, wrong.json["error"]["code"]) == (1, "EDOC-USE-080")
        good = await run(*line, "--sha256", spki)
        assert good.code == 0, good.out
    listed = edoc("--home", home, "agency", "list", "--json").json["agencies"]
    assert [(one["code"], one["name"], one["url"]) for one in listed] == [(B, "Sở Mẫu B", place.url(B))]


class Left:
    """A node that has moved: at its old place it serves nobody, and says where it is now."""

    def __init__(self, node: Node, *, tells: bool = True) -> None:
        self._node, self._tells, self.asked = node, tells, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._node, name)

    def check_parties(self, partner: object, key: object, now: datetime) -> None:
        self.asked += 1
        raise Problem("unknown-recipient", 404, "the recipient is not served here")

    def metadata(self, now: datetime) -> dict[str, object]:
        if not self._tells:
            raise Problem("unavailable", 503, "not now")
        return self._node.metadata(now)


async def carried(place: Place, message_id: str, *ends: str) -> str:
    """Let A's courier work until the dispatch has ended; return its state."""
    stop = asyncio.Event()
    async with asyncio.timeout(40):
        await place.nodes[A].run_courier(stop, until=lambda: place.state(message_id) in ends)
    return place.state(message_id)


async def test_before_the_one_more_try_the_sender_asks_the_partner_where_it_is(place: Place) -> None:
    """exchange.md 3.2, ``unknown-recipient``: refresh the directory, try once more."""
    node, old = place.nodes[B], place.url(B)
    left = Left(node)
    place.nodes[B] = left  # type: ignore[assignment]  # a node that answers otherwise
    async with place.serving(B, spool=place.folder / "old-spool"):
        place.ports[B] = free_ports(1)[0]
        place.nodes[B] = node
        home = node.office.settings.home
        node.office.settings = load(home=home, config=None, environ={}, overrides={"exchange.endpoint": place.url(B)})
        async with place.serving(B):
            message_id = place.queue()
            assert await carried(place, message_id, "delivered", "refused") == "delivered"
    found = place.nodes[A].office.store.read(lambda connection: directories.partner(connection, B))
    assert found is not None
    assert (found.url, left.asked) == (place.url(B), 1)
    assert found.url != old


async def test_a_partner_that_says_nothing_new_is_tried_once_more_and_then_it_is_final(place: Place) -> None:
    left = Left(place.nodes[B], tells=False)
    place.nodes[B] = left  # type: ignore[assignment]  # a node that answers otherwise
    async with place.serving(B):
        message_id = place.queue()
        assert await carried(place, message_id, "delivered", "refused") == "refused"
    assert left.asked == 2
    assert place.nodes[A].dispatches(message_id)[0].problem == "unknown-recipient"
    place.nodes[B] = left._node
