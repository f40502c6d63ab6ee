"""Who calls and what may they do, without a socket."""

from __future__ import annotations

from pathlib import Path

import pytest

from liqscape.api.auth import Authenticator, Metadata, address_of, bearer, caller_of, check_exposure, scope_of
from liqscape.api.limits import ADDRESS_LIMITS
from liqscape.api.token_file import TokenFile, changing_tokens, read_tokens
from liqscape.api.tokens import TokenList
from liqscape.errors import ConfigError, PermissionDenied, Unauthenticated

STREAM = "/liqscape.v1.StreamService/Subscribe"
SESSION = "/liqscape.v1.StreamService/Session"
QUERY = "/liqscape.v1.QueryService/GetGrid"
STATUS = "/liqscape.v1.QueryService/GetStatus"
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
HEALTH = "/grpc.health.v1.Health/Check"


class Desk:
    """A file of two tokens and a clock."""

    def __init__(self, path: Path) -> None:
        self.now = 1000.0
        self.path = path
        known, self.stream = TokenList.empty().added("desk", ["stream"], now_unix_s=self.now, expires_in_s=60)
        known, self.admin = known.added("boss", ["stream", "query", "admin"], now_unix_s=self.now)
        with changing_tokens(path) as write:
            write(known)
        self.authenticator = Authenticator(TokenFile(path), lambda: self.now)

    def name(self, method: str, text: str) -> str:
        token = self.authenticator.token_for(method, with_token(text))
        assert token is not None
        return token.name


def with_token(text: str) -> Metadata:
    return [("user-agent", "x"), ("authorization", f"Bearer {text}")]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "tokens.json")


@pytest.mark.parametrize(
    ("method", "scope"),
    [
        (STREAM, "stream"),
        (SESSION, "stream"),
        (QUERY, "query"),
        (STATUS, "query"),
        (REFLECTION, "admin"),
        ("/grpc.channelz.v1.Channelz/GetServers", "admin"),
        ("/liqscape.v1.StreamServiceX/Subscribe", "admin"),
        ("", "admin"),
        (HEALTH, None),
        ("/grpc.health.v1.HealthX/Check", "admin"),
    ],
)
def test_method_needs_a_scope_and_an_unknown_one_the_highest(method: str, scope: str | None) -> None:
    assert scope_of(method) == scope


def test_tokens_open_what_their_scopes_say(desk: Desk) -> None:
    assert desk.name(STREAM, desk.stream) == "desk"
    assert [desk.name(method, desk.admin) for method in (STREAM, QUERY, STATUS, REFLECTION)] == ["boss"] * 4
    assert desk.authenticator.token_for(HEALTH, []) is None


def test_missing_scope_is_named(desk: Desk) -> None:
    with pytest.raises(PermissionDenied, match="scope 'query' is needed; this token has stream"):
        desk.name(QUERY, desk.stream)


def test_all_that_is_wrong_with_a_token_sounds_alike(desk: Desk) -> None:
    unknown = "liqs_" + "a" * 43
    texts = set()
    cases: list[Metadata] = [
        [],
        with_token(unknown),
        with_token(""),
        with_token(desk.stream + "\nx"),
        [("authorization", desk.stream)],
        [("authorization", f"Basic {desk.stream}")],
        [("authorization-bin", f"Bearer {desk.stream}".encode())],
        [*with_token(desk.stream), *with_token(desk.stream)],
    ]
    for metadata in cases:
        with pytest.raises(Unauthenticated) as caught:
            desk.authenticator.token_for(STREAM, metadata)
        texts.add(str(caught.value))
    desk.now += 60
    with pytest.raises(Unauthenticated) as expired:
        desk.name(STREAM, desk.stream)
    with changing_tokens(desk.path) as write:
        write(read_tokens(desk.path).revoked("boss"))
    with pytest.raises(Unauthenticated) as revoked:
        desk.name(STREAM, desk.admin)

    assert texts | {str(expired.value), str(revoked.value)} == {str(expired.value)}


def test_token_that_runs_out_or_is_revoked_is_valid_no_more(desk: Desk) -> None:
    token = desk.authenticator.token_for(STREAM, with_token(desk.stream))
    boss = desk.authenticator.token_for(STREAM, with_token(desk.admin))
    assert token is not None
    assert boss is not None

    assert desk.authenticator.is_valid(token, STREAM)
    assert not desk.authenticator.is_valid(token, QUERY)
    desk.now += 60
    assert not desk.authenticator.is_valid(token, STREAM)
    with changing_tokens(desk.path) as write:
        again, _ = read_tokens(desk.path).revoked("boss").added("boss", ["stream"], now_unix_s=desk.now)
        write(again)
    assert not desk.authenticator.is_valid(boss, STREAM)  # the same name, but another token


def test_without_a_file_nobody_is_asked() -> None:
    authenticator = Authenticator()

    assert not authenticator.needs_tokens
    assert authenticator.token_for(REFLECTION, with_token("anything")) is None


def test_bearer_takes_no_bytes() -> None:
    assert bearer([("authorization", b"Bearer liqs_" + b"a" * 43)]) is None


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:192.0.2.7:50000", "192.0.2.7"),
        ("ipv6:%5B2001:db8:1:2:3::4%5D:50000", "2001:db8:1:2::/64"),
        ("ipv6:[2001:db8:1:2:ffff::9]:1", "2001:db8:1:2::/64"),
        ("ipv6:%5Bfe80::1%25eth0%5D:9", "fe80::/64"),
        ("ipv6:%5B::ffff:192.0.2.7%5D:1", "192.0.2.7"),
        ("unix:/run/socket", "unix"),
        ("unix:", "unix"),
        ("ipv4:nonsense", "ipv4"),
        ("", ""),
    ],
)
def test_caller_without_a_token_is_its_address(peer: str, address: str) -> None:
    caller = caller_of(None, peer)

    assert address_of(peer) == address
    assert caller.key == f"address {address}"
    assert caller.limits == ADDRESS_LIMITS


def test_caller_with_a_token_is_the_token_wherever_it_calls_from(desk: Desk) -> None:
    token = desk.authenticator.token_for(STREAM, with_token(desk.stream))
    assert token is not None

    first, second = caller_of(token, "ipv4:192.0.2.7:1"), caller_of(token, "ipv4:192.0.2.8:1")

    assert first == second
    assert first.name == "token 'desk'"
    assert desk.stream not in repr(first)


@pytest.mark.parametrize("loopback", [True, False])
@pytest.mark.parametrize("tls", [True, False])
@pytest.mark.parametrize("tokens", [True, False])
@pytest.mark.parametrize("insecure", [True, False])
def test_address_rule(loopback: bool, tls: bool, tokens: bool, insecure: bool) -> None:
    allowed = loopback or insecure or (tls and tokens)

    if allowed:
        check_exposure("192.0.2.1:1", loopback=loopback, tls=tls, tokens=tokens, insecure=insecure)
        return
    with pytest.raises(ConfigError) as caught:
        check_exposure("192.0.2.1:1", loopback=loopback, tls=tls, tokens=tokens, insecure=insecure)

    text = str(caught.value)
    assert ("without encryption" in text) is not tls
    assert ("--tls-cert" in text) is not tls
    assert ("without tokens" in text) is not tokens
    assert ("--tokens" in text) is not tokens
    assert "--insecure" in text
