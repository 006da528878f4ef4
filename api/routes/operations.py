"""For probes and monitoring: alive, ready, metrics. No personal labels, nothing of any call."""

from __future__ import annotations

from itertools import accumulate
from typing import Any, Final

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse, Response
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from api.deps import Parts, need
from api.errors import Problem
from api.schemas.bodies import Done
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
    try:
        status: Any = await parts.control.request(Status())
    except Problem:
        status = {}
    text += _counters(status.get("counters")) + _legs(status.get("legs"))
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _counters(counters: object) -> bytes:
    family = GaugeMetricFamily("fairtap_gateway", "Counters of the gateway", labels=["counter"])
    for name, value in sorted(counters.items()) if isinstance(counters, dict) else ():
        if isinstance(value, int | float):
            family.add_metric([str(name)], float(value))
    return generate_latest(_Once(family))


def _legs(measures: object) -> bytes:
    """How well legs were heard: a histogram for each measure, by side."""
    text = b""
    known: dict[str, Any] = measures if isinstance(measures, dict) else {}
    for name, sides in known.items():
        family = HistogramMetricFamily(f"fairtap_leg_{name}", _MEASURES.get(name, name), labels=["side"])
        for side, told in sides.items():
            bounds = [*map(floatToGoString, told["bounds"]), "+Inf"]
            buckets = zip(bounds, accumulate(map(float, told["counts"])), strict=True)
            family.add_metric([side], list(buckets), float(told["sum"]))
        text += generate_latest(_Once(family))
    return text


_MEASURES: Final = {
    "loss_ratio": "Share of packets that a party missed, by its own RTCP, mean over the leg",
    "jitter_seconds": "Interarrival jitter that a party reports, mean over the leg",
    "round_trip_seconds": "Between gateway and party, by RTCP, mean over the leg",
    "mos": "Opinion score by the E-model (ITU-T G.107, simplified) from loss, jitter and round trip",
    "lost_before_us_ratio": "Share of a party's packets that never reached the gateway",
}


class _Once:
    """A registry of one family, made for one answer."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> list[Metric]:
        return [self._family]
