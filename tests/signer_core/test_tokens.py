"""Keys on tokens, with SoftHSM (signing.md 2 and 10, A6): one session, one login, one PIN, and nothing guessed."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from signer.algorithms import Scheme, scheme_for
from signer.checks import check_credential
from signer.credential import Credential, Role, Secret, verify_value
from signer.devpki import DevIdentity, DevPki, Subject
from signer.errors import CredentialError, KeyLost, SigningRefused
from signer.tokenobjects import PinState, Stored, choose
from signer.tokens import TokenKey, find_token, tokens
from signer.tokenuri import TokenUri, parse
from signer.trust import Context
from tests import softhsm
from tests.softhsm import PIN, House

pytestmark = [
    pytest.mark.tool("softhsm2-util"),
    pytest.mark.skipif(softhsm.missing() is not None, reason=softhsm.missing() or ""),
]
ROOT = Path(__file__).parents[2]
SPY = next((path for path in ("/usr/lib/x86_64-linux-gnu/pkcs11-spy.so",) if Path(path).is_file()), None)
MARKER = "bi-mat-danh-dau-7391"
PERSON = Role.PERSON


class Clerk:
    """Whoever enters the PIN; counts how often that was asked."""

    def __init__(self, pin: str = PIN) -> None:
        self.pin = pin
        self.asked: list[str] = []

    def __call__(self, what: str) -> Secret:
        self.asked.append(what)
        return Secret(self.pin.encode())


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """An empty house of tokens."""
    monkeypatch.setenv("SOFTHSM2_CONF", "-")
    return House.build(tmp_path / "hsm")


@pytest.fixture(scope="module", params=["rsa2048", "p256", "p384"])
def identity(request: pytest.FixtureRequest, pki: DevPki) -> DevIdentity:
    """A clerk's certificate for each kind of key."""
    return pki.issue(PERSON, Subject("Trần Thị Mẫu", organization="Sở Mẫu A"), key_type=request.param)


@pytest.fixture(scope="module")
def rsa(pki: DevPki) -> DevIdentity:
    """A clerk's certificate as state tokens hold it."""
    return pki.issue(PERSON, Subject("Trần Thị Mẫu", organization="Sở Mẫu A"), key_type="rsa2048")


def _digests(count: int, scheme: Scheme) -> list[bytes]:
    return [hashlib.new(scheme.digest, str(number).encode()).digest() for number in range(count)]


def _find(house: House, address: str, *given: bytes) -> TokenKey:
    return TokenKey.find(parse(address), house.module, given=given)


def _refusal(act: Callable[[], object]) -> CredentialError:
    with pytest.raises(CredentialError) as caught:
        act()
    return caught.value


class TestSigning:
    """Digests are made here; the token gets DigestInfo, PSS parameters or the bare digest for ECDSA."""

    @pytest.mark.parametrize("profile", ["interop", "strict"])
    def test_values_verify_with_the_certificate_s_key(self, house: House, identity: DevIdentity, profile: str) -> None:
        house.store(house.token("van-thu"), identity, chain=True)
        credential = _find(house, "pkcs11:token=van-thu").unlock(PERSON, Clerk())
        assert (credential.certificate, credential.chain) == (identity.certificate, identity.chain)
        scheme = scheme_for(credential.key_type, bits=credential.bits, profile=profile)
        digests = _digests(5, scheme)
        values = credential.sign_many(digests, scheme, jobs=4)
        assert all(
            verify_value(identity.credential.public_key, *pair, scheme) for pair in zip(values, digests, strict=True)
        )
        assert not credential.threads

    def test_a_hundred_files_on_one_pin(self, house: House, identity: DevIdentity) -> None:
        """A6: the clerk is asked once, whatever the batch."""
        house.store(house.token("van-thu"), identity)
        key, clerk = _find(house, "pkcs11:token=van-thu"), Clerk()
        credential = key.unlock(PERSON, clerk)
        scheme = scheme_for(credential.key_type, bits=credential.bits, profile="interop")
        assert len({key.unlock(PERSON, clerk).sign(digest, scheme) for digest in _digests(100, scheme)}) == 100
        assert len(clerk.asked) == 1

    def test_keys_that_want_a_login_for_every_signature_reuse_the_pin(
        self, house: House, identity: DevIdentity
    ) -> None:
        """CKA_ALWAYS_AUTHENTICATE: the PIN just proved is used again, and wiped at the end."""
        house.store(house.token("van-thu"), identity, always=True)
        key, clerk = _find(house, "pkcs11:token=van-thu"), Clerk()
        credential = key.unlock(PERSON, clerk)
        scheme = scheme_for(credential.key_type, bits=credential.bits, profile="interop")
        assert len(credential.sign_many(_digests(10, scheme), scheme)) == 10
        assert len(clerk.asked) == 1
        key.close()
        assert _refusal(lambda: credential.sign(_digests(1, scheme)[0], scheme)).code == "EDOC-KEY-028"

    def test_a_scheme_of_another_kind_of_key_is_refused(self, house: House, identity: DevIdentity) -> None:
        house.store(house.token("van-thu"), identity)
        credential = _find(house, "pkcs11:token=van-thu").unlock(PERSON, Clerk())
        wrong = Scheme.ECDSA_SHA256 if credential.key_type == "RSA" else Scheme.RSA_PSS_SHA256
        assert _refusal(lambda: credential.sign(_digests(1, wrong)[0], wrong)).code == "EDOC-KEY-006"
        assert _refusal(lambda: credential.sign(b"\0" * 32, Scheme.ED25519)).code == "EDOC-KEY-006"

    def test_no_pss_on_the_token_and_strict_asked_is_refused_before_the_pin(
        self, house: House, rsa: DevIdentity, context: Context
    ) -> None:
        serial = house.token("van-thu")
        house.store(serial, rsa)
        with house.conf.open("a") as file:
            file.write("slots.mechanisms = CKM_RSA_PKCS,CKM_RSA_PKCS_KEY_PAIR_GEN\n")
        house.enter()
        visible = _find(house, "pkcs11:token=van-thu").visible(PERSON)
        assert visible is not None
        assert check_credential(visible, context=context, profile="interop") == ()
        with pytest.raises(SigningRefused) as caught:
            check_credential(visible, context=context, profile="strict")
        assert caught.value.code == "EDOC-KEY-027"


class TestPins:
    """How the PIN stands is known before it is asked; a wrong one is never tried again."""

    def test_a_wrong_pin_is_tried_once(self, house: House, rsa: DevIdentity) -> None:
        house.store(house.token("van-thu"), rsa)
        key, clerk = _find(house, "pkcs11:token=van-thu"), Clerk("khong-dung")
        first = _refusal(lambda: key.unlock(PERSON, clerk))
        assert (first.code, first.facts["pin"]) == ("EDOC-KEY-025", "low")
        assert _refusal(lambda: key.unlock(PERSON, Clerk())) is first, "the right one is not tried either"
        assert len(clerk.asked) == 1
        assert _find(house, "pkcs11:token=van-thu").facts.pin is PinState.LOW

    @pytest.mark.parametrize("pin", ["", "\udcff\udcfe"], ids=["empty", "no text"])
    def test_what_cannot_be_a_pin_costs_no_try(self, house: House, rsa: DevIdentity, pin: str) -> None:
        house.store(house.token("van-thu"), rsa)

        def ask(_: str) -> Secret:
            return Secret(pin.encode("utf-8", "surrogateescape"))

        refusal = _refusal(lambda: _find(house, "pkcs11:token=van-thu").unlock(PERSON, ask))
        assert refusal.code in ("EDOC-KEY-003", "EDOC-KEY-025")
        assert _find(house, "pkcs11:token=van-thu").facts.pin is PinState.GOOD

    def test_a_locked_token_is_told_before_anything_is_asked(self, house: House, rsa: DevIdentity) -> None:
        serial = house.token("van-thu")
        house.store(serial, rsa)
        house.mark(serial, "locked")
        key, clerk = _find(house, "pkcs11:token=van-thu"), Clerk()
        assert key.visible(PERSON) is not None
        assert _refusal(lambda: key.unlock(PERSON, clerk)).code == "EDOC-KEY-026"
        assert clerk.asked == []

    @pytest.mark.parametrize(("state", "found"), [("low", PinState.LOW), ("final", PinState.FINAL)])
    def test_how_many_tries_are_left_is_seen_before_the_login(self, house: House, state: str, found: PinState) -> None:
        serial = house.token("van-thu")
        house.mark(serial, state)
        assert find_token(TokenUri(serial=serial), house.module).pin is found

    @pytest.mark.skipif(SPY is None, reason="pkcs11-spy is not installed")
    @pytest.mark.parametrize(("pin", "signed"), [(PIN, 100), ("khong-dung", 0)])
    def test_the_token_sees_one_login(self, house: House, rsa: DevIdentity, pin: str, signed: int) -> None:
        """What really goes over to the token, written down by a library between: one login, right or wrong."""
        house.store(house.token("van-thu"), rsa)
        log = house.folder / "spy.log"
        code = (
            "import hashlib, sys\n"
            "from signer.credential import Role, Secret\n"
            "from signer.tokens import TokenKey\n"
            "from signer.tokenuri import parse\n"
            "from signer.algorithms import Scheme\n"
            "from signer.errors import CredentialError\n"
            f"key = TokenKey.find(parse('pkcs11:token=van-thu'), {SPY!r})\n"
            "for number in range(100):\n"
            "    try:\n"
            f"        credential = key.unlock(Role.PERSON, lambda _: Secret({pin.encode()!r}))\n"
            "    except CredentialError:\n"
            "        continue\n"
            "    credential.sign(hashlib.sha256(bytes([number])).digest(), Scheme.RSA_PKCS1_SHA256)\n"
            "key.close()\n"
        )
        environ = {**os.environ, "PKCS11SPY": house.module, "PKCS11SPY_OUTPUT": str(log)}
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, check=True)
        calls = log.read_text("utf-8", "replace")
        opened, closed = calls.count(": C_OpenSession\n"), calls.count(": C_CloseSession\n")
        assert calls.count(": C_Login\n") == 1
        assert calls.count(": C_SignInit\n") == signed
        assert opened == 2, "one look without PIN, one session for the batch"
        assert closed == (2 if signed else 1)


class TestChoice:
    """Token, certificate and key are those that were named; what could be several is refused and listed."""

    def test_two_tokens_of_the_same_label_are_told_apart_by_serial_number(
        self, house: House, pki: DevPki, rsa: DevIdentity
    ) -> None:
        other = pki.issue(PERSON, Subject("Lê Văn Mẫu"))
        first, second = house.token("van-thu"), house.token("van-thu")
        house.store(first, rsa)
        house.store(second, other)
        refusal = _refusal(lambda: _find(house, "pkcs11:token=van-thu"))
        assert refusal.code == "EDOC-KEY-022"
        assert refusal.facts["tokens"] == [one.name for one in tokens(house.module)]
        chosen = _find(house, f"pkcs11:token=van-thu;serial={second}").unlock(PERSON, Clerk())
        assert chosen.certificate == other.certificate

    def test_the_only_token_is_not_taken_because_it_is_the_only_one(self, house: House, rsa: DevIdentity) -> None:
        serial = house.token("van-thu")
        house.store(serial, rsa)
        for address in (
            "pkcs11:",
            "pkcs11:object=ky",
            f"pkcs11:slot-id={find_token(TokenUri(serial=serial), house.module).slot}",
        ):
            assert _refusal(partial(_find, house, address)).code == "EDOC-KEY-022"
        refusal = _refusal(lambda: _find(house, "pkcs11:token=khac"))
        assert (refusal.code, refusal.facts["tokens"]) == ("EDOC-KEY-021", [f"van-thu ({serial})"])

    def test_several_certificates_are_listed_and_one_is_named_by_object_or_id(
        self, house: House, pki: DevPki, rsa: DevIdentity
    ) -> None:
        serial, other = house.token("van-thu"), pki.issue(PERSON, Subject("Lê Văn Mẫu"))
        house.store(serial, rsa, id=b"\x01", label="mot")
        house.store(serial, other, id=b"\x02", label="hai")
        refusal = _refusal(lambda: _find(house, "pkcs11:token=van-thu"))
        assert (refusal.code, refusal.facts["found"]) == ("EDOC-KEY-023", ["object=mot;id=%01", "object=hai;id=%02"])
        for address, wanted in (("object=hai", other), ("id=%01", rsa), ("object=hai;id=%02", other)):
            key = _find(house, f"pkcs11:token=van-thu;{address}")
            assert key.unlock(PERSON, Clerk()).certificate == wanted.certificate
            key.close()
        assert _find(house, "pkcs11:token=van-thu;object=ba").visible(PERSON) is None
        missing = _find(house, "pkcs11:token=van-thu;object=ba")
        assert _refusal(lambda: missing.unlock(PERSON, Clerk())).code == "EDOC-KEY-024"

    def test_a_certificate_the_token_hides_is_found_after_the_login(self, house: House, identity: DevIdentity) -> None:
        house.store(house.token("van-thu"), identity, hidden=True, public=False)
        key = _find(house, "pkcs11:token=van-thu")
        assert key.visible(PERSON) is None
        assert key.unlock(PERSON, Clerk()).certificate == identity.certificate

    def test_a_certificate_beside_the_token_is_found_by_its_key(self, house: House, identity: DevIdentity) -> None:
        house.store(house.token("van-thu"), identity, certificate=False)
        key = _find(house, "pkcs11:token=van-thu", *identity.chain, identity.certificate)
        visible = key.visible(PERSON)
        assert visible is not None
        assert (visible.certificate, visible.chain) == (identity.certificate, identity.chain)
        assert key.unlock(PERSON, Clerk()).certificate == identity.certificate

    def test_a_certificate_beside_a_token_that_shows_no_public_key(self, house: House, identity: DevIdentity) -> None:
        house.store(house.token("van-thu"), identity, certificate=False, public=False)
        key = _find(house, "pkcs11:token=van-thu", *identity.chain, identity.certificate)
        assert key.visible(PERSON) is None
        assert key.unlock(PERSON, Clerk()).certificate == identity.certificate

    @pytest.mark.parametrize("public", [True, False])
    def test_a_certificate_of_another_key_is_refused(
        self, house: House, pki: DevPki, identity: DevIdentity, public: bool
    ) -> None:
        """K2: the id says that they belong together, the key says that they do not."""
        serial = house.token("van-thu")
        house.store(serial, identity, certificate=False, public=public)
        kind = {"RSA": "rsa2048", "EC": f"p{identity.credential.bits}"}[identity.credential.key_type]
        house.put_certificate(serial, pki.issue(PERSON, Subject("Lê Văn Mẫu"), key_type=kind).certificate)
        key = _find(house, "pkcs11:token=van-thu")
        assert _refusal(lambda: key.unlock(PERSON, Clerk())).code == "EDOC-KEY-005"

    def test_a_token_without_key_or_without_certificate_says_so(self, house: House, rsa: DevIdentity) -> None:
        house.put_certificate(house.token("chi-chung-thu"), rsa.certificate)
        house.store(house.token("chi-khoa"), rsa, certificate=False)
        for label in ("chi-chung-thu", "chi-khoa"):
            assert (
                _refusal(partial(_find(house, f"pkcs11:token={label}").unlock, PERSON, Clerk())).code == "EDOC-KEY-024"
            )

    def test_a_renewed_certificate_for_the_same_key_is_named_by_file(self, pki: DevPki, rsa: DevIdentity) -> None:
        """Two certificates under one id: the address cannot tell them apart, ``--cert`` can."""
        again = pki.issue(PERSON, Subject("Trần Thị Mẫu")).certificate
        stored = [Stored(rsa.certificate, b"\x01", "ky"), Stored(again, b"\x01", "ky")]
        assert _refusal(lambda: choose(stored, TokenUri(), given=(), keys={})).code == "EDOC-KEY-023"
        assert choose(stored, TokenUri(), given=(again,), keys={}) == stored[1]


class TestLoss:
    """A token pulled out stops the batch: what is finished stays, and nobody is asked for a PIN again."""

    @pytest.mark.parametrize("how", ["pull_out", "remove"])
    @pytest.mark.parametrize("always", [False, True])
    def test_the_session_is_lost_at_file_37(self, house: House, rsa: DevIdentity, how: str, always: bool) -> None:
        serial = house.token("van-thu")
        house.store(serial, rsa, always=always)
        key, clerk = _find(house, "pkcs11:token=van-thu"), Clerk()
        credential = key.unlock(PERSON, clerk)
        digests, done = _digests(100, Scheme.RSA_PKCS1_SHA256), []
        lost: list[CredentialError] = []
        for number, digest in enumerate(digests, start=1):
            if number == 37:
                getattr(house, how)(serial)
            try:
                done.append(credential.sign(digest, Scheme.RSA_PKCS1_SHA256))
            except KeyLost as error:
                lost.append(error)
        assert len(done) == 36
        assert {error.code for error in lost} == {"EDOC-KEY-028"}
        assert len(lost) == 64
        assert len(clerk.asked) == 1
        house.enter()


class TestLibrary:
    """What cannot be loaded is said in one error with its remedy."""

    @pytest.mark.parametrize("path", ["/nowhere/lib.so", "libsofthsm2.so", "/etc/hostname"])
    def test_a_library_that_is_none_is_refused(self, path: str) -> None:
        assert _refusal(lambda: tokens(path)).code == "EDOC-KEY-020"

    def test_without_the_extra_one_error_names_how_to_install_it(self) -> None:
        code = (
            "import sys\n"
            "sys.modules['pkcs11'] = None\n"
            "from signer.errors import CredentialError\n"
            "from signer.tokens import tokens\n"
            "try:\n"
            "    tokens('/usr/lib/x.so')\n"
            "except CredentialError as error:\n"
            "    print(error.code, error.facts['extra'])\n"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["EDOC-KEY-017", "hsm"]

    def test_keys_in_files_do_not_load_the_library_of_tokens(self) -> None:
        code = "import sys, signer.tokens, signer.credential; print('pkcs11' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "False"


class TestSecrets:
    """A marker planted as the PIN is found nowhere it could be read."""

    @pytest.mark.parametrize("case", ["right", "always", "wrong", "lost"])
    def test_no_traceback_log_or_repr_shows_the_pin(
        self, house: House, rsa: DevIdentity, caplog: pytest.LogCaptureFixture, case: str
    ) -> None:
        caplog.set_level(logging.DEBUG)
        serial = house.token("van-thu", pin=MARKER if case != "wrong" else PIN)
        house.store(serial, rsa, always=case != "right", pin=MARKER if case != "wrong" else PIN)
        key = _find(house, "pkcs11:token=van-thu")
        given = Secret(MARKER.encode())
        shown = [repr(key), repr(given)]
        try:
            credential = key.unlock(PERSON, lambda _: given)
            shown += [repr(credential), repr(credential.port)]
            if case == "lost":
                house.pull_out(serial)
            credential.sign(_digests(1, Scheme.RSA_PKCS1_SHA256)[0], Scheme.RSA_PKCS1_SHA256)
            assert (given.reveal() == MARKER.encode()) is (case == "always"), "kept only where it is needed again"
        except CredentialError as error:
            assert case in ("wrong", "lost")
            shown.append(_shown(error))
        key.close()
        assert set(given.reveal()) == {0}, "wiped"
        assert MARKER not in "\n".join(shown) + caplog.text + repr(os.environ) + repr(sys.argv)

    def test_ports_and_sessions_cannot_be_pickled(self, house: House, rsa: DevIdentity) -> None:
        import copy
        import pickle

        house.store(house.token("van-thu"), rsa)
        credential = _find(house, "pkcs11:token=van-thu").unlock(PERSON, Clerk())
        for thing in (credential, credential.port):
            with pytest.raises(TypeError):
                pickle.dumps(thing)
            with pytest.raises(TypeError):
                copy.deepcopy(thing)
        assert repr(credential.port).startswith("TokenPort(van-thu (")


def _shown(error: BaseException) -> str:
    parts = [repr(error), repr(getattr(error, "facts", None))]
    seen: BaseException | None = error
    while seen is not None:
        told = traceback.TracebackException.from_exception(seen, capture_locals=True)
        parts += [f"{frame.name} {frame.locals}" for frame in told.stack if "/tests/" not in frame.filename] + [
            repr(seen)
        ]
        seen = seen.__cause__ or seen.__context__
    return "\n".join(parts)


@pytest.fixture(autouse=True)
def _leave() -> Iterator[None]:
    """Leave no session of a test to the next one."""
    yield
    import pkcs11

    module = softhsm.library()
    assert module is not None
    pkcs11.lib(module).reinitialize()


def test_a_credential_seen_before_the_pin_cannot_sign(house: House, rsa: DevIdentity) -> None:
    """Everything is checked with it, nothing is signed with it."""
    house.store(house.token("van-thu"), rsa)
    visible = _find(house, "pkcs11:token=van-thu").visible(PERSON)
    assert isinstance(visible, Credential)
    assert _refusal(lambda: visible.sign(b"\0" * 32, Scheme.RSA_PKCS1_SHA256)).code == "EDOC-KEY-003"
