"""For probes and monitoring: alive, ready, metrics. No personal labels, nothing of any call."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse, Response
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import GaugeMetricFamily

from api.deps import Parts, need
from api.errors import Problem
from api.schemas import Done
from gateway.control.protocol import Status

router = APIRouter(tags=["operations"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """This process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "not ready"}})
async def readyz(parts: Parts) -> Response:
    """The gateway is connected and the site's data can be read."""
    state = {"gateway": parts.control.connected, "data": await parts.site.ready()}
    ready = all(state.values())
    body = {"status": "ready" if ready else "not ready", **state}
    return JSONResponse(body, 200 if ready else 503)


@router.get("/v1/status", dependencies=[Depends(need("site:read"))])
async def status(parts: Parts) -> Done:
    """State of the site, workers and storage, as the gateway tells it; no persons."""
    return Done(**await parts.control.request(Status()))


@router.get("/metrics", response_class=Response)
async def metrics(parts: Parts) -> Response:
    """Prometheus text: the API's own counters, then the gateway's."""
    text = generate_latest(parts.registry)
    return Response(text + await _gateway_counters(parts), media_type=CONTENT_TYPE_PLAIN_0_0_4)


async def _gateway_counters(parts: Parts) -> bytes:
    try:
        counters: Any = (await parts.control.request(Status())).get("counters", {})
    except Problem:
        counters = {}
    family = GaugeMetricFamily("fairtap_gateway", "Counters of the gateway", labels=["counter"])
    for name, value in sorted(counters.items()) if isinstance(counters, dict) else ():
        if isinstance(value, int | float):
            family.add_metric([str(name)], float(value))
    return generate_latest(_Once(family))


class _Once:
    """A registry of one family, made for one answer."""

    def __init__(self, family: GaugeMetricFamily) -> None:
        self._family = family

    def collect(self) -> list[GaugeMetricFamily]:
        return [self._family]
