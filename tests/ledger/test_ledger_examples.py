"""The examples of ledger.md 4.6, byte for byte: leaves, root, proof file, signatures."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest

from tests.ledger.conftest import ORIGIN, hexed
from transport.ledger import checkpoint, event, merkle, note, proof
from transport.ledger.note import LogKey, read_vkey

MESSAGE = "6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4"
DISPATCH: dict[str, event.Value] = {
    "msg": MESSAGE,
    "doc": "H99.01,2026/11/20,120/SMA-VP",
    "from": "H99.01",
    "to": "H99.02",
    "side": "r",
    "env": hexed("envelope"),
}
LOG_VKEY = "sob.example/edoc-ledger/2026+132c5326+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
WITNESS_VKEY = "soa.example/witness+e193c7be+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X"
ROOT = "d90ba8ef2ad62e7d1d0d35a0cf545f0f90cc670b517c4bdeee9b4d705b11eede"
CHECKPOINT = """sob.example/edoc-ledger/2026
3
2Quo7yrWLn0dDTWgz1RfD5DMZwtRfEve7ptNcFsR7t4=

— sob.example/edoc-ledger/2026 EyxTJqM8YT5FKyROWfrQpWOntZDz55QajXsM8mtOd3/GaenxVQ9SQ5Xsq9rdVxLjswZLri2wXJuP34l+XpH9mzsxbgs=
— soa.example/witness 4ZPHvgAAAABq/7hkTdJMMlLbKHyHFpUiLG+6vo1Awb3l5aHo4UwvAQpMrjNoHfVLNHAErSldfdszpnJU+aiNt63ETRhShMAL/k5hAw==
"""  # noqa: E501 - the lines of the standard are that long
PATH = ("RUVe3Uh5wXYOizCsF7Xlx9vQQYLZyRUvdgPi75cc2nw=", "QTqbfIa/gaQVPto24rR2QS5bE7hhWLNJHHNOVMOxQK4=")


def _leaf(number: int) -> bytes:
    nonce = hexed(f"nonce {number}")[:32]
    if number == 0:
        fields: dict[str, event.Value] = {"reason": "first", "receipt": hexed("keys.xml"), "rtype": "statement"}
        at = datetime(2025, 12, 31, 17, tzinfo=UTC)
        return event.build("log-opened", {**fields, "at": at, "auto": True, "nonce": nonce})
    if number == 1:
        fields = {**DISPATCH, "class": "original", "dtype": "QĐ", "prio": 0, "due": "2026-11-23T16:59:59.999Z"}
        fields |= event.file_fields([hexed("file 1"), hexed("file 2")])
        fields |= {"receipt": hexed("receipt"), "rtype": "receipt", "at": "2026-11-20T02:30:01.231Z", "auto": True}
        peer: event.Value = {"origin": "soa.example/edoc-ledger/2026", "index": 41, "leaf": hexed("peer leaf")}
        return event.build("relayed", {**fields, "peer": peer, "nonce": nonce})
    actor, _ = event.commit("Nguyễn Văn A", salt=bytes(range(32)))
    fields = {**DISPATCH, "actor": actor, "auto": False, "at": "2026-11-20T03:02:11.004Z", "status": "03"}
    fields |= {"receipt": hexed("status 03"), "rtype": "status", "prev": merkle.leaf_hash(_leaf(1)).hex()}
    return event.build("accepted", {**fields, "nonce": nonce})


@pytest.mark.parametrize(
    ("number", "digest", "length"),
    [
        (0, "45455edd4879c1760e8b30ac17b5e5c7dbd04182d9c9152f7603e2ef971cda7c", 228),
        (1, "adfbfca870eb83db1a1ba1c441c35a67a1c3af59c220e93aabe01b3cbe65627d", 755),
        (2, "413a9b7c86bf81a4153eda36e2b476412e5b13b86158b3491c734e54c3b140ae", 566),
    ],
)
def test_the_leaves_of_the_specification_are_built_byte_for_byte(number: int, digest: str, length: int) -> None:
    data = _leaf(number)
    assert len(data) == length
    assert event.parse(data).sha256 == digest


def test_the_root_of_the_three_leaves_is_the_one_of_the_specification() -> None:
    hashes = [merkle.leaf_hash(_leaf(number)) for number in range(3)]
    assert merkle.root_of(hashes).hex() == ROOT
    assert merkle.inclusion_path(1, hashes) == tuple(map(base64.b64decode, PATH))


def test_the_log_key_of_the_specification_signs_the_same_checkpoint() -> None:
    key = LogKey.from_seed(ORIGIN, bytes(range(32)))
    assert key.vkey == LOG_VKEY
    text = checkpoint.format(checkpoint.Checkpoint(ORIGIN, 3, bytes.fromhex(ROOT)))
    own = key.sign_note(text)
    assert CHECKPOINT.startswith(own)


def test_the_witness_of_the_specification_cosigned_at_the_time_it_says() -> None:
    signed = checkpoint.open_checkpoint(CHECKPOINT, log=read_vkey(LOG_VKEY), others=[read_vkey(WITNESS_VKEY)])
    assert [str(one.key) for one in signed.verified] == [LOG_VKEY, WITNESS_VKEY]
    assert signed.verified[1].at == datetime(2026, 11, 20, 3, 3, tzinfo=UTC)


def test_the_proof_file_of_the_specification_is_written_and_read_byte_for_byte() -> None:
    extra = base64.b64encode(_leaf(1)).decode()
    text = f"c2sp.org/tlog-proof@v1\nextra {extra}\nindex 1\n{PATH[0]}\n{PATH[1]}\n\n{CHECKPOINT}"
    assert extra.startswith("eyJhdCI6IjIwMjYtMTEtMjBUMDI6MzA6MDEuMjMxWiIsImF1")
    found = proof.parse(text)
    assert str(found) == text
    assert found.extra == _leaf(1)
    signed = found.verify(found.leaf(), log=read_vkey(LOG_VKEY), others=[read_vkey(WITNESS_VKEY)])
    assert signed.checkpoint.root.hex() == ROOT


def test_the_published_note_of_the_standard_verifies() -> None:
    """The example of C2SP signed-note, with the key its text was signed by."""
    published = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
        "\n"
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    key = read_vkey("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    found = note.read_note(published)
    assert str(found) == published
    assert [one.key for one in note.verify(found, [key])] == [key]
