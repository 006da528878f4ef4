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
    """Of one way to ask callers, in a quarter."""

    site: str
    channel: str
    yes_percent: Figure = Field(description="of a hundred callers who answered, to the nearest ten; null: withheld")


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


class AccessesOut(BaseModel):
    """How often somebody but the agents opened recordings: each counts once a day and person."""

    role: str
    purpose: str
    at_least: Figure = Field(description="in whole `limits.min_calls`; null: withheld")


class LimitsOut(BaseModel):
    """Nothing is told about fewer."""

    min_agents: int
    min_calls: int


class KeptOut(BaseModel):
    """What the log told of a whole block of 13 weeks."""

    log: str
    fifths: int = Field(
        ge=0, le=4, description="at least so many fifths of an agent's hits were kept, on the mean over agents"
    )


class StatisticsOut(BaseModel):
    """One calendar month."""

    month: str
    timezones: list[str]
    epochs: list[str] = Field(description="lengths, such as P1W")
    limits: LimitsOut
    figures: FiguresOut
    quarter: str = Field(description="the newest one that was over with the month: the channels' rates are about it")
    accesses: list[AccessesOut] = Field(description="of the same quarter, by all whom the agreements let open any")
    kept: KeptOut | None = Field(description="of the newest block that was over with the month; null: withheld")


Anything = dict[str, Any]
