"""Reads what a month's statistics are made of and lets the policy say what of it is told; nothing else leaves here."""

from __future__ import annotations

import asyncio

from api.errors import Problem
from api.reads import MonthStatistics
from gateway.clock import Clock
from policy.access_figures import tell_accesses
from policy.agreement.load import Agreement, AgreementRefused, load
from policy.chain import Posted
from policy.month import Month, newest_told, quarter_limits, quarter_name, terms_of
from policy.statistics import publish
from storage.accesses import Accesses
from storage.acts import Acts
from storage.database import Database
from storage.figures import Figures

__all__ = ["MonthFigures"]


class MonthFigures:
    """Statistics of one site."""

    def __init__(self, site: str, clock: Clock) -> None:
        self._site = site
        self._clock = clock
        self._loaded: dict[bytes, Agreement | None] = {}
        """By signed act."""

    async def of(self, database: Database, month: Month | None) -> MonthStatistics:
        """A month's, or the newest one's; raises `Problem` where nothing can be told."""
        wallclock = self._clock.wallclock()
        history = [posted for posted in await Acts(database).chain() if posted.document is not None]
        loaded = [(posted.at, await asyncio.to_thread(self._agreement, posted)) for posted in history]
        enacted = [(at, agreement) for at, agreement in loaded if agreement is not None]
        month = month or newest_told(wallclock)
        terms = terms_of(month, enacted)
        if terms is None:
            raise Problem("no-agreement", 404, "no agreement was in force in this month: nothing was recorded")
        figures = Figures(database)
        counts = await figures.of(month.first, month.after) if wallclock >= month.told_from else None
        if counts is None:
            detail = "figures of a month are told from noon of the next one's second day on, once its calls have ended"
            raise Problem("month-not-told", 404, detail)
        channels = [(self._site, channel) for channel in terms.channels]
        quarter = await figures.of_quarter(month.quarter)
        limits = quarter_limits(month, enacted)
        told = publish(counts, quarter, terms.limits, of_quarter=limits, rules=terms.rules, channels=channels)
        kept = await figures.kept_by(month.after)
        opened = await Accesses(database).within(month.quarter[0].first, month.quarter[-1].after)
        accesses = tell_accesses(opened, limits, terms.accesses)
        name = quarter_name(month)
        return MonthStatistics(str(month), terms.timezones, terms.epochs, terms.limits, told, name, kept, accesses)

    def _agreement(self, posted: Posted) -> Agreement | None:
        if posted.act not in self._loaded:
            try:
                self._loaded[posted.act] = load(posted.document or b"")
            except AgreementRefused:
                self._loaded[posted.act] = None
        return self._loaded[posted.act]
