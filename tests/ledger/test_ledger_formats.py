"""Notes, checkpoints, proof files, tiles, leaves: writer and reader are exact inverses, everything else is refused."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import example, given
from hypothesis import strategies as st

from tests.ledger.conftest import ORIGIN, hexed, operation
from transport.errors import LedgerError
from transport.ledger import canonical, checkpoint, event, merkle, note, proof, tiles
from transport.ledger.keys import COSIGNATURE, COSIGNATURE_PQ, ED25519, LogKey, VerifierKey
from transport.ledger.note import Note, NoteInvalid, Signature, read_note, read_vkey, verify

KEY = LogKey.from_seed(ORIGIN, bytes(range(32)))
ROOT = merkle.leaf_hash(b"x")
SIGNED = KEY.sign_note(checkpoint.format(checkpoint.Checkpoint(ORIGIN, 7, ROOT)))

texts = st.text(st.characters(min_codepoint=32, exclude_categories=("Cs", "Zl", "Zp", "Zs", "Cc")), min_size=1)
lines = st.text(st.characters(min_codepoint=32, exclude_categories=("Cs", "Cc"))).map(lambda text: text + "\n")


# --- notes -----------------------------------------------------------------------------------------------------------


@given(st.lists(lines, min_size=1).map("".join), st.lists(texts.filter(lambda t: "+" not in t), min_size=1, max_size=5))
def test_a_note_is_read_as_it_was_written(text: str, names: list[str]) -> None:
    written = Note(text, tuple(Signature(name, b"abcd", b"value") for name in names))
    assert read_note(str(written)) == written
    assert str(read_note(str(written).encode())) == str(written)


@given(st.integers(0, len(SIGNED.encode()) - 1), st.integers(1, 255))
def test_a_checkpoint_with_any_byte_changed_is_never_taken_for_the_log_s(at: int, mask: int) -> None:
    data = bytearray(SIGNED.encode())
    data[at] ^= mask
    with pytest.raises(NoteInvalid):
        checkpoint.open_checkpoint(bytes(data), log=KEY.verifier)


BAD_NOTES = {
    "no empty line": "text\n— a AAAAAAA=\n",
    "no signature": "text\n\n",
    "no final line feed": "text\n\n— a AAAAAAA=",
    "carriage return": "text\r\n\n— a AAAAAAA=\n",
    "tab": "te\txt\n\n— a AAAAAAA=\n",
    "hyphen instead of dash": "text\n\n- a AAAAAAA=\n",
    "no name": "text\n\n—  AAAAAAA=\n",
    "plus in the name": "text\n\n— a+b AAAAAAA=\n",
    "short signature": "text\n\n— a AAAAAA==\n",
    "loose base64": "text\n\n— a AAAAAAB=\n",
    "base64 with a space": "text\n\n— a AAAA AAA=\n",
    "too many signatures": "text\n\n" + "— a AAAAAAA=\n" * 65,
    "too long": "x" * note.MAX_BYTES + "\n\n— a AAAAAAA=\n",
}


@pytest.mark.parametrize("name", BAD_NOTES)
def test_what_no_writer_could_have_made_is_no_note(name: str) -> None:
    with pytest.raises(NoteInvalid):
        read_note(BAD_NOTES[name])


def test_a_note_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(NoteInvalid):
        read_note(b"text\xff\n\n\xe2\x80\x94 a AAAAAAA=\n")


def test_sixteen_signatures_of_five_kilobytes_are_readable() -> None:
    wide = Note("text\n", tuple(Signature(f"witness-{n}", b"abcd", bytes(5_000)) for n in range(16)))
    assert read_note(str(wide)) == wide


def test_lines_of_unknown_keys_are_skipped_and_a_bad_line_of_a_known_key_rejects_the_note() -> None:
    found = read_note(SIGNED)
    stranger = LogKey.generate("stranger.example/log").verifier
    assert [one.key for one in verify(found, [KEY.verifier, stranger])] == [KEY.verifier]
    assert verify(found, [stranger]) == ()
    forged = Note(found.text, (*found.signatures, Signature(stranger.name, stranger.id, bytes(64))))
    assert len(verify(forged, [KEY.verifier])) == 1
    with pytest.raises(NoteInvalid, match="does not verify"):
        verify(forged, [KEY.verifier, stranger])


def test_a_key_id_is_computed_and_never_believed() -> None:
    name, _, rest = KEY.vkey.partition("+")
    _, _, encoded = rest.partition("+")
    with pytest.raises(NoteInvalid, match="key id"):
        read_vkey(f"{name}+00000000+{encoded}")


@pytest.mark.parametrize("text", ["", "a", "a+b", "a+00000000+", "a+00000000+AQ==", "a b+00000000+AAAA", "+x+AAAA"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(NoteInvalid):
        read_vkey(text)


@given(st.binary(min_size=32, max_size=32), st.sampled_from([ED25519, COSIGNATURE]))
def test_a_key_is_read_as_it_was_written(data: bytes, kind: int) -> None:
    key = VerifierKey("name.example/x", kind, data)
    assert read_vkey(str(key)) == key


def test_a_post_quantum_cosignature_is_verified() -> None:
    """ML-DSA-44 over the structure of tlog-cosignature, written out here once more."""
    private = MLDSA44PrivateKey.generate()
    key = VerifierKey("w.example/witness", COSIGNATURE_PQ, private.public_key().public_bytes_raw())
    seconds, name = 1_800_000_000, b"w.example/witness"
    message = b"subtree/v1\n\x00" + bytes([len(name)]) + name + struct.pack(">Q", seconds)
    message += bytes([len(ORIGIN)]) + ORIGIN.encode() + struct.pack(">QQ", 0, 7) + ROOT
    line = Signature(key.name, key.id, struct.pack(">Q", seconds) + private.sign(message))
    found = read_note(SIGNED)
    signed = Note(found.text, (*found.signatures, line))
    assert verify(signed, [read_vkey(str(key))])[0].at == datetime.fromtimestamp(seconds, UTC)
    other = Note(found.text, (*found.signatures, Signature(key.name, key.id, struct.pack(">Q", 1) + line.value[8:])))
    with pytest.raises(NoteInvalid):
        verify(other, [key])


def test_an_ed25519_cosignature_is_no_log_signature_and_the_other_way_round() -> None:
    """The type is part of the key id, so one key in two roles cannot be confused."""
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    witness = VerifierKey(ORIGIN, COSIGNATURE, private.public_key().public_bytes_raw())
    assert verify(read_note(SIGNED), [witness]) == ()


def test_a_log_key_never_shows_itself() -> None:
    import pickle

    assert "***" in repr(KEY)
    with pytest.raises(TypeError):
        pickle.dumps(KEY)


@pytest.mark.parametrize("passphrase", [None, b"mat khau"])
def test_a_log_key_comes_back_from_its_file(passphrase: bytes | None) -> None:
    again = LogKey.from_pem(KEY.to_pem(passphrase), origin=ORIGIN, passphrase=passphrase)
    assert again.vkey == KEY.vkey


def test_a_wrong_pass_phrase_or_another_kind_of_key_is_refused() -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    with pytest.raises(LedgerError) as caught:
        LogKey.from_pem(KEY.to_pem(b"one"), origin=ORIGIN, passphrase=b"two")
    assert caught.value.code == "EDOC-LED-010"
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(LedgerError) as caught:
        LogKey.from_pem(other, origin=ORIGIN)
    assert caught.value.code == "EDOC-LED-011"


# --- checkpoints -----------------------------------------------------------------------------------------------------


@given(st.integers(1, 2**63 - 1), st.binary(min_size=32, max_size=32))
@example(2**63 - 1, bytes(32))
def test_a_checkpoint_is_read_as_it_was_written(size: int, root: bytes) -> None:
    written = checkpoint.Checkpoint(ORIGIN, size, root)
    assert checkpoint.parse(checkpoint.format(written)) == written


_R = base64.b64encode(ROOT).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n1\n",
        f"origin\n1\n{_R}",
        f"\n1\n{_R}\n",
        f"origin\n01\n{_R}\n",
        f"origin\n+1\n{_R}\n",
        f"origin\n-1\n{_R}\n",
        f"origin\n 1\n{_R}\n",
        f"origin\n{2**63}\n{_R}\n",
        f"origin\n0\n{_R}\n",
        f"origin\n1\n{_R[:-4]}\n",
        f"origin\n1\n{_R}\n\n",
        f"origin\n١\n{_R}\n",
    ],
)
def test_what_no_log_could_have_written_is_no_checkpoint(text: str) -> None:
    with pytest.raises(NoteInvalid):
        checkpoint.parse(text)


def test_extension_lines_are_read_and_never_written() -> None:
    found = checkpoint.parse(f"origin\n1\n{_R}\nextra\n")
    assert found.extensions == ("extra",)
    with pytest.raises(NoteInvalid, match="extension"):
        checkpoint.format(found)


def test_the_log_s_own_line_comes_first() -> None:
    found = read_note(SIGNED)
    swapped = Note(found.text, (Signature("other", b"abcd", b"x"), *found.signatures))
    with pytest.raises(NoteInvalid, match="own"):
        checkpoint.read(str(swapped))


@pytest.mark.parametrize("origin", ["a.example/edoc-ledger/2026", "127.0.0.1:8443/edoc-ledger/2026-2"])
def test_an_origin_names_host_and_shard(origin: str) -> None:
    assert checkpoint.shard_of(origin) == origin.rpartition("/")[2]


@pytest.mark.parametrize(
    "origin", ["", "a.example", "a.example/edoc-ledger/26", "a b/edoc-ledger/2026", "x/edoc-ledger/2026-0"]
)
def test_another_origin_is_refused(origin: str) -> None:
    with pytest.raises(NoteInvalid):
        checkpoint.check_origin(origin)


# --- proof files -----------------------------------------------------------------------------------------------------


@given(
    st.integers(0, 2**63 - 2),
    st.lists(st.binary(min_size=32, max_size=32), max_size=63),
    st.none() | st.binary(max_size=4096),
)
def test_a_proof_file_is_read_as_it_was_written(index: int, path: list[bytes], extra: bytes | None) -> None:
    written = proof.LogProof(index, tuple(path), SIGNED, extra)
    assert proof.parse(str(written)) == written
    assert str(proof.parse(str(written).encode())) == str(written)


def _whole_proof() -> str:
    leaves = [operation(number) for number in range(9)]
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    head = KEY.sign_note(checkpoint.format(checkpoint.Checkpoint(ORIGIN, 9, merkle.root_of(hashes))))
    return str(proof.LogProof(4, merkle.inclusion_path(4, hashes), head, leaves[4]))


PROOF = _whole_proof()


def _prove(data: bytes | str) -> None:
    found = proof.parse(data)
    found.verify(found.leaf(), log=KEY.verifier)


@given(st.integers(0, len(PROOF.encode()) - 1), st.integers(1, 255))
def test_a_proof_file_with_any_byte_changed_proves_nothing(at: int, mask: int) -> None:
    data = bytearray(PROOF.encode())
    data[at] ^= mask
    with pytest.raises(LedgerError):
        _prove(bytes(data))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("@v1", "@v2"),
        lambda text: text.replace("index 4", "index 04"),
        lambda text: text.replace("index 4\n", ""),
        lambda text: text.replace("index 4", "index 5"),
        lambda text: text.replace("\n\n", "\n\n\n", 1),
        lambda text: "\n" + text,
        lambda text: text + "\n",
        lambda text: text.replace("extra ", "extra  "),
    ],
)
def test_another_spelling_of_a_proof_is_refused(change: Callable[[str], str]) -> None:
    with pytest.raises(LedgerError):
        _prove(change(PROOF))


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=63))
def test_a_consistency_proof_is_read_as_it_was_written(path: list[bytes]) -> None:
    assert proof.parse_consistency(proof.format_consistency(path)) == tuple(path)


# --- tiles -----------------------------------------------------------------------------------------------------------


@given(st.none() | st.integers(0, 7), st.integers(0, 2**55 - 1), st.integers(1, 256))
def test_the_path_of_a_tile_is_read_as_it_was_written(level: int | None, n: int, width: int) -> None:
    tile = tiles.Tile(level, n, width)
    assert tiles.parse_path(str(tile)) == tile


def test_tile_paths_are_those_of_the_standard() -> None:
    assert str(tiles.Tile(0, 1_234_067)) == "tile/0/x001/x234/067"
    assert str(tiles.Tile(None, 0, 3)) == "tile/entries/000.p/3"


@pytest.mark.parametrize(
    "path",
    ["tile/0/0", "tile/8/000", "tile/00/000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/x000/000", "tile/0/001/000",
     "tile/0/000.p/03", "tile/-1/000", "tile/entries/", "/tile/0/000", "tile/0/../000", "tile/0/000/"],
)  # fmt: skip
def test_another_spelling_of_a_tile_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="tile"):
        tiles.parse_path(path)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_an_entry_bundle_is_read_as_it_was_written(entries: list[bytes]) -> None:
    data = tiles.pack_entries(entries)
    assert list(tiles.unpack_entries(data, width=len(entries))) == entries
    with pytest.raises(ValueError, match="bundle"):
        tiles.unpack_entries(data + b"x", width=len(entries))
    with pytest.raises(ValueError, match="bundle"):
        tiles.unpack_entries(data, width=len(entries) + 1)


@given(st.integers(0, 700), st.integers(0, 700))
def test_growing_a_log_makes_exactly_the_tiles_that_are_new_and_full(first: int, more: int) -> None:
    before = {tile for tile in tiles.tiles_of(first) if tile.width == 256}
    after = {tile for tile in tiles.tiles_of(first + more) if tile.width == 256}
    assert set(tiles.new_full_tiles(first, first + more)) == after - before


# --- canonical JSON and leaves ---------------------------------------------------------------------------------------

json_values = st.recursive(
    st.booleans()
    | st.integers(0, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])).filter(canonical.is_nfc),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(max_codepoint=127)), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(json_values)
def test_canonical_json_is_read_as_it_was_written(value: canonical.Json) -> None:
    data = canonical.dump(value)
    assert canonical.load(data) == value
    assert canonical.dump(canonical.load(data)) == data


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b'{"a": 1}',
        b'{"a":1}\n',
        b'{"a":null}',
        b'{"a":1.0}',
        b'{"a":1e3}',
        b'{"a":-1}',
        b'{"a":9007199254740992}',
        b'{"a":"\\u0041"}',
        b'{"a":"e\xcc\x81"}',
        '{"á":1}'.encode(),
        b'{"a":NaN}',
        b'{"a":"\xed\xa0\x80"}',
        b"\xef\xbb\xbf{}",
        b"[" * 2000 + b"]" * 2000,
        b"",
    ],
)
def test_any_other_spelling_of_json_is_refused(data: bytes) -> None:
    with pytest.raises(canonical.NotCanonical):
        canonical.load(data)


BASE: dict[str, event.Value] = {
    "at": datetime(2026, 1, 1, tzinfo=UTC),
    "auto": True,
    "receipt": hexed("r"),
    "rtype": "record",
}
SIDED: dict[str, event.Value] = {**BASE, "msg": "m", "from": "H99.01", "to": "H99.02", "side": "s"}


def _refused(kind: str, fields: dict[str, event.Value]) -> str:
    with pytest.raises(event.LeafInvalid) as caught:
        event.build(kind, fields)
    return str(caught.value.facts["field"])


def test_a_leaf_says_only_what_its_kind_has_a_place_for() -> None:
    good = {**BASE, "action": "trust.add", "result": "ok"}
    assert event.parse(event.build("operation", good)).kind == "operation"
    assert _refused("operation", {**good, "env": hexed("e")}) == "env"
    assert _refused("operation", {**good, "colour": "red"}) == "colour"
    assert _refused("operation", {**BASE, "action": "trust.add"}) == "result"
    assert _refused("invented", good) == "kind"
    assert _refused("operation", {**good, "rtype": "receipt"}) == "rtype"
    assert _refused("operation", {**good, "action": "Trust Add"}) == "action"
    assert _refused("operation", {**good, "side": "s"}) == "side"
    assert _refused("operation", {**good, "at": "2026-01-01T00:00:00Z"}) == "at"


def test_a_person_acts_by_a_commitment_and_the_system_has_none() -> None:
    good = {**BASE, "action": "trust.add", "result": "ok", "auto": False}
    assert _refused("operation", good) == "actor"
    commitment, _ = event.commit("Trần Thị Mẫu")
    event.build("operation", {**good, "actor": commitment})
    assert _refused("operation", {**good, "actor": "Trần Thị Mẫu"}) == "actor"
    refused = {**SIDED, "reason": "state-secret", "actor": commitment}
    assert _refused("send-refused", refused) == "actor"


def test_a_refused_sending_names_neither_document_nor_content() -> None:
    good = {**SIDED, "reason": "state-secret"}
    event.build("send-refused", good)
    assert _refused("send-refused", {**good, "doc": "H99.01,2026/11/20,1/MAT"}) == "doc"
    assert _refused("send-refused", {**good, "env": hexed("e")}) == "env"


def test_the_reason_other_needs_a_note() -> None:
    good = {**SIDED, "env": hexed("e"), "reason": "other"}
    assert _refused("requeued", good) == "note"
    event.build("requeued", {**good, "note": event.commit("gửi lại theo yêu cầu")[0]})
    assert _refused("requeued", {**good, "reason": "because"}) == "reason"


def test_a_status_kind_stands_for_its_own_code() -> None:
    good = {**SIDED, "rtype": "status", "env": hexed("e"), "status": "03"}
    event.build("accepted", good)
    assert _refused("arrived", good) == "status"
    assert _refused("status-other", good) == "status"
    event.build("status-other", {**good, "status": "99"})


def test_what_a_newer_partner_may_know_is_kept_and_named() -> None:
    old = canonical.load_object(event.build("operation", {**BASE, "action": "x", "result": "ok"}))
    newer = event.parse(canonical.dump({**old, "colour": "red"}))
    assert (newer.unknown, newer.text("colour")) == (("colour",), "red")
    kind = event.parse(canonical.dump({**old, "kind": "invented"}))
    assert kind.unknown == ("kind",)
    assert event.parse(canonical.dump({**old, "v": 2})).unknown == ("v",)


@given(st.integers(0, 64))
def test_files_stand_in_the_leaf_one_by_one_or_by_their_root(count: int) -> None:
    digests = [hexed(str(number)) for number in range(count)]
    fields = event.file_fields(digests)
    if 1 <= count <= 32:
        assert fields == {"files": tuple(digests)}
    else:
        root = merkle.root_of(merkle.leaf_hash(bytes.fromhex(one)) for one in digests)
        assert fields == {"files_root": root.hex()}


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
def test_equal_values_are_committed_unlinkably_and_open_only_with_their_salt(value: str) -> None:
    fields, openings = event.commit_all({"actor": value})
    again, _ = event.commit_all({"actor": value})
    assert fields != again
    base = {**BASE, "action": "x", "result": "ok", "auto": False}
    leaf = event.parse(event.build("operation", {**base, **fields}))
    assert event.opens(leaf, openings[0])
    assert not event.opens(leaf, event.Opening("actor", bytes(32), openings[0].value))
    assert not event.opens(leaf, event.Opening("actor", openings[0].salt, openings[0].value + "x"))


@given(
    st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))
)
def test_a_time_is_read_as_it_was_written_to_the_millisecond(at: datetime) -> None:
    text = event.format_time(at)
    assert len(text) == 24
    assert event.read_time(text) == at.replace(microsecond=at.microsecond // 1000 * 1000)
    with pytest.raises(ValueError, match="offset"):
        event.format_time(at.replace(tzinfo=None))
