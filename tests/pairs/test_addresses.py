from __future__ import annotations

import pytest

from archive.pairs.addresses import is_safe

FAR = "https://example.org/x"
NEAR = "http://127.0.0.1:80/x"


@pytest.mark.parametrize("url", [FAR, "https://other.example.org:8443/x", "https://127.0.0.1/x"])
@pytest.mark.parametrize("origin", [FAR, NEAR])
def test_https_is_safe_from_anywhere(url: str, origin: str) -> None:
    assert is_safe(url, origin)


@pytest.mark.parametrize("url", [NEAR, "http://localhost/x", "http://[::1]:80/x", "http://127.9.9.9/x"])
def test_this_machine_is_safe_only_for_a_pull_that_began_there(url: str) -> None:
    assert is_safe(url, NEAR)
    assert not is_safe(url, FAR)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/x",
        "http://127.0.0.1.example.org/x",
        "http://localhost.example.org/x",
        "http://127.0.0.1@example.org/x",
        "http://192.168.0.1/x",
        "http:///x",
        "https:///x",
        "ftp://127.0.0.1/x",
        "file:///x",
        "x",
        "",
    ],
)
def test_nothing_else_is_safe(url: str) -> None:
    assert not is_safe(url, NEAR)
