"""Figures for council, employer and data-protection officer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

Figure = Annotated[int | None, Field(description="a count; null: withheld")]


class FunnelOut(BaseModel):
    """How many agent legs came how far."""

    legs: Figure = Field(description="under this rule")
    drawn: Figure = Field(description="chosen by the draw")
    capped: Figure = Field(description="drawn, but above ceiling or cap")
    selected: Figure = Field(description="to be recorded if both sides agree")
    yes: Figure = Field(
        description="the caller said yes; the rest said no, stayed silent or wasn't asked: never told apart, since "
        "that would tell how many agents refuse"
    )
    kept: Figure = Field(description="a recording was there when the leg ended")


class RuleFiguresOut(BaseModel):
    """Of one sample rate."""

    phase: Literal["onboarding", "regular"]
    funnel: FunnelOut


class GroupFiguresOut(BaseModel):
    """Of one group: over all its sample rates, and of each."""

    group: str
    funnel: FunnelOut
    rules: list[RuleFiguresOut]


class CampaignFiguresOut(BaseModel):
    """Of one campaign."""

    campaign: str
    funnel: FunnelOut


class ChannelFiguresOut(BaseModel):
    """Of one way to ask callers."""

    site: str
    channel: str
    yes_percent: Figure = Field(description="of a hundred callers who answered; null: withheld")


class BinOut(BaseModel):
    """How often an agent had so many hits in an epoch, over what is told above; no names, no order."""

    least: int
    most: int
    agents: int


class FiguresOut(BaseModel):
    """All figures of a month."""

    groups: list[GroupFiguresOut]
    campaigns: list[CampaignFiguresOut]
    channels: list[ChannelFiguresOut]
    hits_per_agent: list[BinOut] = Field(description="empty: withheld")


class LimitsOut(BaseModel):
    """Nothing is told about fewer."""

    min_agents: int
    min_calls: int


class StatisticsOut(BaseModel):
    """One calendar month."""

    month: str
    timezones: list[str]
    epochs: list[str] = Field(description="lengths, such as P1W")
    limits: LimitsOut
    figures: FiguresOut


Anything = dict[str, Any]
