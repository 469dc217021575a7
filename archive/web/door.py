"""Who may come in: a token that is new at every start, exchanged for a cookie, and a password for other machines."""

from __future__ import annotations

import hmac
import secrets
from http.cookies import CookieError, SimpleCookie
from threading import Lock
from time import monotonic

TRIES = 5
"""Wrong answers in a row; then nothing is listened to for a while, right or wrong."""

PAUSE = 30.0


class Door:
    """Knows the token, the password if there is one, and the cookie that stands for either.

    Cookies do not tell one port of a machine from another, so the cookie's name carries the port.
    """

    def __init__(self, port: int, password: str | None = None) -> None:
        self.token = secrets.token_urlsafe(24)
        self.cookie = f"archive_{port}"
        self._password = password
        self._session = secrets.token_urlsafe(24)
        self._lock = Lock()
        self._wrong = 0
        self._closed_until = 0.0

    @property
    def wants_password(self) -> bool:
        """Whether a password opens it too."""
        return self._password is not None

    def set_cookie(self) -> str:
        """The header that lets a browser in from now on: no script reads it, and no other site's page sends it."""
        return f"{self.cookie}={self._session}; Path=/; HttpOnly; SameSite=Strict"

    def admits(self, cookies: str, authorization: str) -> bool:
        """Whether a request with these two headers may come in."""
        return self.admits_bearer(authorization) or _same(self._cookie_in(cookies), self._session)

    def admits_bearer(self, authorization: str) -> bool:
        """Whether it is a program that carries the token itself, which no browser adds to a request by itself."""
        kind, _, token = authorization.partition(" ")
        return kind.lower() == "bearer" and _same(token, self.token)

    def opens(self, answer: str) -> bool | None:
        """Whether the answer is the token or the password; None while too many wrong ones make it wait."""
        with self._lock:
            if monotonic() < self._closed_until:
                return None
            right = _same(answer, self.token) | (self._password is not None and _same(answer, self._password))
            self._wrong = 0 if right else self._wrong + 1
            if self._wrong >= TRIES:
                self._wrong, self._closed_until = 0, monotonic() + PAUSE
            return right

    def _cookie_in(self, header: str) -> str:
        try:
            found = SimpleCookie(header).get(self.cookie)
        except CookieError:
            return ""
        return found.value if found else ""


def _same(given: str, wanted: str) -> bool:
    """Compared in a time that does not tell how much of it was right."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode("utf-8", "replace"))
