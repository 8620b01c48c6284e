"""Realistic requests, no two alike.

Responsible for the bytes that drive a benchmark: eleven request headers as a browser sends them, with paths,
query ids, session cookies, request ids and referers that change, so that a cache of bytes seen before cannot
pass for a fast parser. Knows nothing of who sends them. Invariant: the same seed gives the same requests on
every machine.
"""

from __future__ import annotations

import random

_SECTIONS = (
    "products",
    "account/orders",
    "search",
    "articles",
    "api/v2/items",
    "media/thumbnails",
    "help/topics",
)
_BROWSERS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Version/17.5 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15"
    " Version/17.5 Mobile/15E148 Safari/604.1",
)
_LANGUAGES = ("en-GB,en;q=0.8", "de-DE,de;q=0.9,en;q=0.5", "fr,en-US;q=0.7,en;q=0.3", "pt-BR,pt;q=0.9")
_TYPES = ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json, */*;q=0.5")


def request_heads(count: int, host: str = "shop.example.com", seed: int = 7) -> list[bytes]:
    """Return `count` different GET heads of about 700 bytes, each ending in its empty line."""
    source = random.Random(seed)
    return [_request_head(source, host) for _ in range(count)]


def _request_head(source: random.Random, host: str) -> bytes:
    section = source.choice(_SECTIONS)
    path = f"/{section}/{source.randrange(10**6)}?page={source.randrange(90)}&ref={source.randrange(16**10):x}"
    session, visitor = source.randrange(16**32), source.randrange(16**20)
    fields = (
        f"Host: {host}",
        f"User-Agent: {source.choice(_BROWSERS)}",
        f"Accept: {source.choice(_TYPES)}",
        f"Accept-Language: {source.choice(_LANGUAGES)}",
        "Accept-Encoding: gzip, deflate, br",
        f"Referer: https://{host}/{source.choice(_SECTIONS)}?from={source.randrange(10**8)}",
        f"Cookie: session={session:032x}; visitor={visitor:020x}; theme=dark; consent={source.randrange(8)}",
        f"X-Request-Id: {source.randrange(16**32):032x}",
        "Cache-Control: max-age=0",
        "Sec-Fetch-Mode: navigate",
        "Upgrade-Insecure-Requests: 1",
    )
    return "\r\n".join((f"GET {path} HTTP/1.1", *fields, "", "")).encode()
