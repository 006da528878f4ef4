"""The application: routes, problems, shield; made from `Services` and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from api import problems
from api.problems import ProblemBody
from api.repeats import Repeats
from api.routes import (
    agents,
    agreements,
    announcements,
    calls,
    coaches,
    council,
    epochs,
    ivrs,
    log,
    me,
    operations,
    pages,
    recordings,
    records,
    session,
)
from api.services import Services
from api.shield import RequestCounters, Shield, allowed_hosts

__all__ = ["create_app"]

STATIC = Path(__file__).parent / "web" / "static"
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ProblemBody, "description": "refused", "content": {problems.MEDIA_TYPE: {}}},
    "5XX": {"model": ProblemBody, "description": "not possible now", "content": {problems.MEDIA_TYPE: {}}},
}


def create_app(services: Services) -> ASGIApp:
    """The whole API behind its shield; opens and closes what they hold with the server."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for resource in services.resources:
                await stack.enter_async_context(resource)
            yield

    app = FastAPI(
        title="Fairtap",
        version="1",
        lifespan=lifespan,
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    problems.install(app)
    # `me` first: `/agents/me` would else be read as `/agents/{agent}`
    persons = (session, log, me, agents, calls, coaches, ivrs)
    for area in (*persons, agreements, announcements, council, epochs, recordings, records):
        app.include_router(area.router, prefix="/v1", responses=_PROBLEMS)
    app.include_router(operations.router)
    app.include_router(pages.router)
    app.mount("/static", StaticFiles(directory=STATIC, check_dir=False), name="static")
    repeats = Repeats(app, database=services.database, clock=services.clock)
    api = services.config.api
    return Shield(
        repeats,
        clock=services.clock,
        counters=RequestCounters(services.registry),
        hosts=allowed_hosts(api.listen, api.public_url, api.behind_proxy),
        secure=services.secure,
    )
