"""What council, DPO and employer are told about a whole month; never about an agent, a caller or a call."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query

from api.deps import Parts, need
from api.schemas.statistics import StatisticsOut
from policy.month import Month

router = APIRouter(tags=["council"])
MONTH: Final = r"^20\d\d-(0[1-9]|1[0-2])$"


@router.get("/statistics", dependencies=[Depends(need("statistics:read"))])
async def statistics(
    parts: Parts,
    month: Annotated[str | None, Query(pattern=MONTH, description="such as 2026-03; else the newest there is")] = None,
) -> StatisticsOut:
    """Figures of one calendar month, from noon (UTC) of the next one's second day on; `null`: the figure is withheld.

    Withheld is whatever is about fewer than `limits.min_calls` calls or `limits.min_agents` agents, and what would let
    such a figure be worked out. What is told of a month never changes.
    """
    told = await parts.site.statistics(parse_month(month))
    return StatisticsOut.model_validate(asdict(told))


def parse_month(text: str | None) -> Month | None:
    """The month behind a text that matches `MONTH`."""
    return Month(date.fromisoformat(f"{text}-01")) if text is not None else None
