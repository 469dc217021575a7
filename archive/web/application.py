"""The server as one ASGI application: pages and API behind the guard."""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

from anyio import to_thread
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse
from starlette.exceptions import HTTPException

from archive.errors import ArchiveError, PhotoError, UsageError
from archive.web import api, pages
from archive.web.guard import Guard
from archive.web.library import Library

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import Request, Response
    from starlette.types import ASGIApp

    from archive.settings import Settings
    from archive.web.door import Door
    from archive.web.guard import Hosts

THREADS = 8
"""Requests that are answered side by side: each may decode a photo of many megapixels."""


def application(settings: Settings, door: Door, hosts: Hosts) -> ASGIApp:
    """Everything that the server answers, for the archive of these settings."""
    library = Library(settings)
    app = FastAPI(
        title="archive",
        summary="Ask where you last saw a thing.",
        version=version("archive"),
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # they would load scripts from another host
        redoc_url=None,
        lifespan=lambda _app: _life(library),
        redirect_slashes=False,
    )
    app.include_router(api.routes(library))
    app.include_router(pages.routes(library, door))
    app.add_exception_handler(ArchiveError, _archive_error)
    app.add_exception_handler(PhotoError, _archive_error)
    app.add_exception_handler(RequestValidationError, _senseless)
    app.add_exception_handler(HTTPException, _refused)
    return Guard(app, door, hosts)


@asynccontextmanager
async def _life(library: Library) -> AsyncIterator[None]:
    to_thread.current_default_thread_limiter().total_tokens = THREADS
    library.warm()
    yield


def _problem(request: Request, status: int, message: str) -> Response:
    if request.url.path.startswith("/api/"):
        return api.JsonResponse({"error": message}, status_code=status)
    return PlainTextResponse(f"{message}\n", status_code=status)


def _archive_error(request: Request, error: Exception) -> Response:
    return _problem(request, 422 if isinstance(error, UsageError) else 503, str(error))


def _senseless(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  (it is registered for nothing else)
    reasons = [f"{'.'.join(str(part) for part in one['loc'][1:])}: {one['msg']}" for one in error.errors()]
    return _problem(request, 422, "; ".join(reasons).encode("ascii", "replace").decode())


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    return _problem(request, error.status_code, str(error.detail))
