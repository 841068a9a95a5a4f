"""Settings: order of sources, names, secrets, the annotated example (console.md 6)."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.errors import SettingsError
from transport.settingkeys import KNOWN, SERVICE_SETTINGS, SETTINGS
from transport.settings import FILE_MAX, Settings, example, load, nearest


def read(
    home: Path,
    *,
    config: Path | None = None,
    environ: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
) -> Settings:
    return load(home=home, config=config, environ=environ or {}, overrides=options or {})


def test_the_first_source_that_names_a_setting_wins(tmp_path: Path) -> None:
    named = tmp_path / "named.toml"
    named.write_text('[sign]\nlevel = "b"\nprofile = "strict"\n[tsa]\ntimeout = 10\nurl = "https://named.example/"\n')
    (tmp_path / "edoc.toml").write_text('lang = "en"\n[tsa]\nurl = "https://home.example/"\n[keys]\nperson = "nhà"\n')
    found = read(
        tmp_path,
        config=named,
        environ={"EDOC_TSA__TIMEOUT": "20s", "EDOC_SIGN__LEVEL": "t"},
        options={"tsa.timeout": "30"},
    )
    assert (found.tsa_timeout, found.origin_of("tsa.timeout")) == (30.0, "option")
    assert (found.sign_level, found.origin_of("sign.level")) == ("t", "EDOC_SIGN__LEVEL")
    assert (found.sign_profile, found.origin_of("sign.profile")) == ("strict", str(named))
    assert found.tsa_urls == ("https://named.example/",)
    assert (found.key("person"), found.lang) == ("nhà", "en")
    assert (found.verify_policy, found.origin_of("verify.policy")) == ("interop", "built-in")


def test_several_time_stamping_services_keep_their_order(tmp_path: Path) -> None:
    (tmp_path / "edoc.toml").write_text('[tsa]\nurl = ["https://b.example/", "https://a.example/"]\n')
    found = read(tmp_path)
    assert found.tsa_urls == ("https://b.example/", "https://a.example/")
    assert read(tmp_path, environ={"EDOC_TSA__URL": "https://c.example/ https://d.example/"}).tsa_urls == (
        "https://c.example/",
        "https://d.example/",
    )
    assert read(tmp_path / "other").tsa_urls == ()


def test_pages_are_compared_as_pictures_only_where_that_is_asked_for(tmp_path: Path) -> None:
    assert not read(tmp_path).verify_pictures
    assert read(tmp_path, environ={"EDOC_VERIFY__PICTURES": "true"}).verify_pictures


def test_the_current_directory_is_never_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "edoc.toml").write_text("demo = true\n")
    monkeypatch.chdir(tmp_path)
    assert not read(tmp_path / "home").demo


def test_the_home_is_the_option_then_the_variable(tmp_path: Path) -> None:
    environ = {"EDOC_HOME": str(tmp_path / "variable")}
    assert load(home=None, config=None, environ=environ, overrides={}).home == tmp_path / "variable"
    assert load(home=tmp_path, config=None, environ=environ, overrides={}).home == tmp_path


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("tsa.ulr", "tsa.url"),
        ("agency.cod", "agency.code"),
        ("lnag", "lang"),
        ("limits.message_max", "limits.message_max_bytes"),
    ],
)
def test_an_unknown_name_is_an_error_that_names_the_nearest(tmp_path: Path, wrong: str, right: str) -> None:
    with pytest.raises(SettingsError) as error:
        read(tmp_path, options={wrong: "x"})
    assert (error.value.code, error.value.facts["nearest"]) == ("EDOC-CFG-001", right)


@pytest.mark.parametrize(
    "name", ["keys.pin", "tsa.password", "database.secret", "token", "agency.private_key", "keys.exchange_pin"]
)
def test_a_name_like_a_secret_is_refused_and_its_value_never_repeated(tmp_path: Path, name: str) -> None:
    section, _, key = name.rpartition(".")
    (tmp_path / "edoc.toml").write_text(f'{f"[{section}]" if section else ""}\n{key} = "planted-marker"\n')
    with pytest.raises(SettingsError) as error:
        read(tmp_path)
    assert error.value.code == "EDOC-CFG-002"
    assert "planted-marker" not in f"{error.value} {error.value.facts}"


def test_a_wrong_name_is_an_error_even_where_a_stronger_source_speaks(tmp_path: Path) -> None:
    (tmp_path / "edoc.toml").write_text("langue = 'en'\n")
    with pytest.raises(SettingsError):
        read(tmp_path, options={"lang": "vi"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("lang", "fr"),
        ("demo", "maybe"),
        ("tsa.timeout", "0"),
        ("tsa.timeout", "long"),
        ("tsa.url", "ftp://tsa.example/"),
        ("tsa.url", "https://user:planted-marker@tsa.example/"),
        ("tsa.url", "https://tsa.example/ ftp://tsa.example/"),
        ("network.private", "10.0.0.0/33"),
        ("limits.message_max_bytes", "3 GiB"),
        ("limits.message_max_bytes", "0"),
        ("deadline.send_noon", "24:00"),
        ("agency.name", "a\nb"),
    ],
)
def test_a_value_of_another_form_is_refused_with_what_is_accepted(tmp_path: Path, key: str, value: str) -> None:
    with pytest.raises(SettingsError) as error:
        read(tmp_path, options={key: value})
    assert (error.value.code, error.value.facts["key"]) == ("EDOC-CFG-003", key)
    assert error.value.facts["expected"]
    assert "planted-marker" not in str(error.value.facts)


@pytest.mark.parametrize(
    ("key", "value", "read_as"),
    [
        ("demo", "yes", True),
        ("demo", "0", False),
        ("tsa.timeout", "3 min", 180.0),
        ("limits.message_max_bytes", "2 GiB", 2**31),
        ("limits.message_max_bytes", "150 MB", 150 * 10**6),
        ("network.private", "10.0.0.0/8, fd00::/8", ("10.0.0.0/8", "fd00::/8")),
    ],
)
def test_options_and_variables_are_read_as_their_settings_say(
    tmp_path: Path, key: str, value: str, read_as: object
) -> None:
    assert read(tmp_path, options={key: value}).values[key] == read_as
    section, _, name = key.rpartition(".")
    variable = f"EDOC_{section}__{name}" if section else f"EDOC_{name}"
    assert read(tmp_path, environ={variable.upper(): value}).values[key] == read_as


@pytest.mark.parametrize("content", [b"[tsa\n", b"\xff\xfe", b"lang = 'en'\nlang = 'vi'\n", b"x" * (FILE_MAX + 1)])
def test_an_unreadable_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "edoc.toml").write_bytes(content)
    with pytest.raises(SettingsError) as error:
        read(tmp_path)
    assert (error.value.code, error.value.facts["path"]) == ("EDOC-CFG-004", str(tmp_path / "edoc.toml"))


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as error:
        read(tmp_path, environ={"EDOC_CONFIG": str(tmp_path / "none.toml")})
    assert error.value.code == "EDOC-CFG-004"


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_the_annotated_example_names_every_setting_and_uncommented_it_is_in_force(tmp_path: Path, lang: str) -> None:
    lines = example(lang).splitlines()
    bare = "\n".join(line[1:] if line.startswith("#") and not line.startswith("# ") else line for line in lines)
    document = tomllib.loads(bare)
    (service,) = document.pop("csc").values()
    assert set(service) == set(SERVICE_SETTINGS)
    flat = {
        f"{name}.{key}" if isinstance(part, dict) else name
        for name, part in document.items()
        for key in (part if isinstance(part, dict) else [name])
    }
    assert flat == set(KNOWN)
    (tmp_path / "edoc.toml").write_text(bare, encoding="utf-8")
    found = read(tmp_path)
    assert found.services == ("ten-dich-vu",)
    for setting in SETTINGS:
        assert setting.example or found.values[setting.key] == setting.default
    (tmp_path / "edoc.toml").write_text(example(lang), encoding="utf-8")
    assert all(origin == "built-in" for origin in read(tmp_path).origins.values())


def test_a_remote_signing_service_has_its_own_section(tmp_path: Path) -> None:
    """``[csc.NAME]`` (signing.md 2): its secrets lie in files that are named, never in the settings."""
    (tmp_path / "edoc.toml").write_text('[csc.dich-vu]\nurl = "https://csc.example/csc/v2"\ntimeout = "30 s"\n')
    found = read(tmp_path, environ={"EDOC_CSC__KHAC__URL": "https://khac.example/"})
    assert found.services == ("dich-vu", "khac")
    service = found.service("dich-vu")
    assert service is not None
    assert (service["url"], service["timeout"], service["bearer_file"]) == ("https://csc.example/csc/v2", 30.0, None)
    assert found.service("not-there") is None
    for line, code in (('token = "planted-marker"', "EDOC-CFG-002"), ('ulr = "x"', "EDOC-CFG-001")):
        (tmp_path / "edoc.toml").write_text(f"[csc.dich-vu]\n{line}\n")
        with pytest.raises(SettingsError) as error:
            read(tmp_path)
        assert error.value.code == code
        assert "planted-marker" not in f"{error.value} {error.value.facts}"


@given(st.text(max_size=40))
def test_any_name_is_either_known_or_an_error_of_ours(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    home = tmp_path_factory.getbasetemp()
    if name in KNOWN:
        return
    with pytest.raises(SettingsError):
        read(home, options={name: "1"})
    assert nearest(name) is None or nearest(name) in KNOWN
