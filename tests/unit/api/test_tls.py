"""Files of TLS: each fault is found at the start, and named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from liqscape.api.tls import ServerTls, load
from liqscape.config import TlsFiles, parse_tls
from liqscape.errors import ConfigError
from tests.certificates import Authority, write_encrypted_key


@pytest.fixture
def authority() -> Authority:
    return Authority.make()


def test_files_that_fit_are_loaded(authority: Authority, tmp_path: Path) -> None:
    files = authority.issue(tmp_path)

    load(files)
    load(replace(files, client_ca=authority.write(tmp_path / "ca.crt")))


def test_every_fault_is_named_with_its_file(authority: Authority, tmp_path: Path) -> None:
    good, other = authority.issue(tmp_path), authority.issue(tmp_path, "other")
    expired = authority.issue(tmp_path, "expired", valid_days=(-9, -1))
    early = authority.issue(tmp_path, "early", valid_days=(1, 9))
    text, encrypted = tmp_path / "text.pem", tmp_path / "encrypted.key"
    text.write_text("hello")
    write_encrypted_key(encrypted)
    absent = tmp_path / "absent.pem"
    old_authority = Authority.make(valid_days=(-9, -1)).write(tmp_path / "old-ca.crt")
    faults: list[tuple[TlsFiles, str]] = [
        (replace(good, certificate=absent), r"certificate .*absent\.pem cannot be read: No such file"),
        (replace(good, key=absent), r"key .*absent\.pem cannot be read: No such file"),
        (replace(good, client_ca=absent), r"client CA .*absent\.pem cannot be read: No such file"),
        (replace(good, certificate=tmp_path), r"cannot be read: Is a directory"),
        (replace(good, key=other.key), r"key .*other\.key is not the key of certificate .*server\.crt"),
        (replace(good, certificate=text), r"certificate .*text\.pem holds no certificate in PEM"),
        (replace(good, key=text), r"key .*text\.pem holds no private key in PEM"),
        (replace(good, certificate=good.key), r"certificate .*server\.key holds no certificate in PEM"),
        (replace(good, key=encrypted), r"key .*encrypted\.key has a passphrase"),
        (expired, r"certificate .*expired\.crt has expired"),
        (early, r"certificate .*early\.crt is not valid yet"),
        (replace(good, client_ca=text), r"client CA .*text\.pem holds no certificate in PEM"),
        (replace(good, client_ca=good.certificate), r"client CA .*server\.crt holds no certificate of an authority"),
        (replace(good, client_ca=old_authority), r"client CA .*old-ca\.crt has expired"),
    ]

    for files, text_of_fault in faults:
        with pytest.raises(ConfigError, match=text_of_fault):
            load(files)


def test_half_of_a_renewal_leaves_the_old_pair_and_the_whole_is_taken(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = authority.issue(tmp_path)
    (tmp_path / "new").mkdir()
    renewed = authority.issue(tmp_path / "new")
    tls = ServerTls(files)

    assert tls._renewed() is None
    files.certificate.write_bytes(renewed.certificate.read_bytes())
    assert tls._renewed() is None
    assert tls._renewed() is None
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    files.key.write_bytes(renewed.key.read_bytes())

    assert tls._renewed() is not None
    assert tls._renewed() is None


def test_certificate_and_key_go_together() -> None:
    assert parse_tls(None, None, None) is None
    assert parse_tls(Path("c"), Path("k"), None) == TlsFiles(Path("c"), Path("k"))
    for cert, key, ca in [("c", None, None), (None, "k", None), (None, None, "a")]:
        with pytest.raises(ConfigError, match="needs both --tls-cert FILE and --tls-key FILE"):
            parse_tls(*(None if name is None else Path(name) for name in (cert, key, ca)))
