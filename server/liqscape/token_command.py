"""The token command: makes, lists and revokes tokens. A running server reads its file again by itself."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

from liqscape.api.limits import TOKEN_LIMITS, CallerLimits
from liqscape.api.token_file import changing_tokens, default_token_path, read_tokens
from liqscape.api.tokens import SCOPES, Token, TokenList, check_limits, parse_duration

_LIMITS = {
    "streams": "streams open at one time",
    "channels": "channels of one stream",
    "playbacks": "of these, how many may play the past",
    "queries_per_minute": "queries a minute",
    "cells": "cells of one grid or map",
}


def add_token_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `token`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser("add", help="make a token and show it, once")
    add.add_argument("name", metavar="NAME", help="for lists and logs")
    add.add_argument("--scope", default="stream,query", help=f"some of {','.join(SCOPES)} (default stream,query)")
    add.add_argument("--expires", metavar="TIME", help="12h, 90d or 8w from now (default never)")
    for field in fields(CallerLimits):
        usual = getattr(TOKEN_LIMITS, field.name)
        add.add_argument(f"--{field.name.replace('_', '-')}", type=int, help=f"{_LIMITS[field.name]} (default {usual})")
    revoke = actions.add_parser("revoke", help="end a token and its streams")
    revoke.add_argument("name", metavar="NAME")
    for action in (add, revoke, actions.add_parser("list", help="show the names, never the tokens")):
        action.add_argument(
            "--tokens",
            type=Path,
            metavar="FILE",
            default=default_token_path(),
            help=f"(default {default_token_path()})",
        )


def run_token(namespace: argparse.Namespace) -> int:
    """Do what was asked; raises ConfigError where that cannot be."""
    if namespace.action == "list":
        for token in read_tokens(namespace.tokens).tokens:
            print(token_line(token, time.time()))
        return 0
    if namespace.action == "revoke":
        with changing_tokens(namespace.tokens) as write:
            write(read_tokens(namespace.tokens).revoked(namespace.name))
        print(f"revoked {namespace.name}; servers that use {namespace.tokens} refuse it from now on")
        return 0
    limits = {field.name: getattr(namespace, field.name) for field in fields(CallerLimits)}
    with changing_tokens(namespace.tokens) as write:
        known = read_tokens(namespace.tokens) if namespace.tokens.exists() else TokenList.empty()
        tokens, text = known.added(
            namespace.name,
            [scope.strip() for scope in namespace.scope.split(",")],
            now_unix_s=time.time(),
            expires_in_s=None if namespace.expires is None else parse_duration(namespace.expires),
            limits=check_limits({name: value for name, value in limits.items() if value is not None}),
        )
        write(tokens)
    print(text)
    print(f"shown this once; serve with --tokens {namespace.tokens}", file=sys.stderr)
    return 0


def token_line(token: Token, now_unix_s: float) -> str:
    """Return a line for people: name, scopes, expiry, and limits other than the usual."""
    scopes = ",".join(scope for scope in SCOPES if scope in token.scopes)
    if token.expires_unix_s is None:
        expiry = "never expires"
    else:
        day = datetime.fromtimestamp(token.expires_unix_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
        expiry = f"expired {day}" if token.is_expired(now_unix_s) else f"expires {day}"
    own = [
        f"{field.name}={getattr(token.limits, field.name)}"
        for field in fields(CallerLimits)
        if getattr(token.limits, field.name) != getattr(TOKEN_LIMITS, field.name)
    ]
    return "  ".join([token.name, scopes, expiry, *own])
