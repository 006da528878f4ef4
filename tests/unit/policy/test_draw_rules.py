"""Rules, ceilings, caps, epochs and phases."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from policy.draw_rules import (
    campaign_full,
    caps_ok,
    ceiling,
    ceiling_ok,
    epoch_of,
    phase_in_epoch,
    rule_for,
    rules,
    wish_caps_ok,
)
from policy.errors import WallclockError
from policy.terms import Lane, Phase, Purpose
from tests.unit.policy.green import NOW, agreement, example

BERLIN = ZoneInfo("Europe/Berlin")
CAMPAIGN = example().lanes.campaigns[0]
DAILY = agreement(draw__epoch="P1D", lanes__sample__caps__per_agent={"P1D": 2})


def rule(agreements=None, **changes):
    leg = {"queue": "service-strom", "group": "team-a", "phase": Phase.REGULAR, "wallclock": NOW, **changes}
    return rule_for(agreements or [example()], **leg)


class TestRules:
    def test_campaigns_come_first_then_rates_in_document_order(self):
        assert [(r.name, r.lane, r.ppm, r.campaign) for r in rules(example())] == [
            ("campaign/tarifwechsel-april", Lane.CAMPAIGN, 100_000, "tarifwechsel-april"),
            ("sample/team-a/onboarding", Lane.SAMPLE, 200_000, None),
            ("sample/team-a/regular", Lane.SAMPLE, 30_000, None),
            ("sample/team-b/regular", Lane.SAMPLE, 50_000, None),
        ]

    def test_the_rate_of_group_and_phase(self):
        assert (rule().name, rule().ppm, rule().purpose) == ("sample/team-a/regular", 30_000, Purpose.COACHING)
        assert rule(phase=Phase.ONBOARDING).name == "sample/team-a/onboarding"
        assert rule(group="team-b").name == "sample/team-b/regular"
        assert rule(group="team-b", phase=Phase.ONBOARDING) is None

    @pytest.mark.parametrize(
        ("queue", "wallclock", "lane"),
        [
            ("service-strom", CAMPAIGN.start, Lane.CAMPAIGN),
            ("service-strom", CAMPAIGN.start - timedelta(microseconds=1), Lane.SAMPLE),
            ("service-strom", CAMPAIGN.end - timedelta(microseconds=1), Lane.CAMPAIGN),
            ("service-strom", CAMPAIGN.end, Lane.SAMPLE),
            ("service-gas", CAMPAIGN.start, Lane.SAMPLE),
        ],
    )
    def test_a_campaign_takes_its_queue_in_its_window(self, queue, wallclock, lane):
        assert rule(queue=queue, wallclock=wallclock).lane is lane

    def test_several_agreements_take_the_lowest_rate(self):
        local = agreement(lanes__sample__rates__1__percent="2")
        assert rule([example(), local]).ppm == 20_000
        assert rule([local, example()]).ppm == 20_000
        assert rule([example(), local]).name == "sample/team-a/regular"

    def test_several_agreements_that_differ_in_lane_or_purpose_have_no_rule(self):
        other = agreement(lanes__sample__purpose="process_quality")
        assert rule([example(), other]) is None
        assert rule([example(), agreement(lanes__campaigns=[])], wallclock=CAMPAIGN.start) is None
        silent = replace(example(), lanes=replace(example().lanes, sample=None))
        assert rule([example(), silent]) is None

    def test_no_agreement_no_rule(self):
        assert rule_for([], queue="q", group="g", phase=Phase.REGULAR, wallclock=NOW) is None


class TestCeiling:
    @pytest.mark.parametrize(
        ("ppm", "legs", "most"),
        [
            (0, 1000, 0),
            (50_000, 0, 0),
            (50_000, 1, 1),
            (50_000, 20, 1),
            (50_000, 21, 2),
            (1_000_000, 7, 7),
            (1, 1_000_000, 1),
            (1, 1_000_001, 2),
        ],
    )
    def test_ceil(self, ppm, legs, most):
        assert ceiling(ppm, legs) == most
        assert ceiling_ok(ppm, legs=legs, hits=most) is False
        assert ceiling_ok(ppm, legs=legs, hits=most - 1) is True

    @pytest.mark.parametrize("ppm", [30_000, 50_000, 200_000])
    def test_no_prefix_of_ten_thousand_legs_is_above_the_rate(self, ppm):
        hits = 0
        for legs in range(1, 10_001):
            if ceiling_ok(ppm, legs=legs, hits=hits):  # the worst case: every leg is drawn
                hits += 1
            assert hits * 1_000_000 < ppm * legs + 1_000_000
        assert hits == ceiling(ppm, 10_000)


class TestCaps:
    def test_per_day_and_week(self):
        assert caps_ok([example()], hits_today=1, hits_this_week=4)
        assert not caps_ok([example()], hits_today=2, hits_this_week=2)
        assert not caps_ok([example()], hits_today=0, hits_this_week=5)

    def test_the_lowest_of_several(self):
        assert not caps_ok(
            [example(), agreement(lanes__sample__caps__per_agent__P1D=1)], hits_today=1, hits_this_week=1
        )

    def test_a_campaign_counts_hits(self):
        assert not campaign_full([example()], CAMPAIGN.id, hits=59)
        assert campaign_full([example()], CAMPAIGN.id, hits=60)
        assert campaign_full([example()], "other", hits=0)

    def test_wishes_per_week(self):
        assert wish_caps_ok([example()], wishes_this_week=2)
        assert not wish_caps_ok([example()], wishes_this_week=3)


class TestEpochs:
    def test_a_week_is_the_local_iso_week(self):
        epoch = epoch_of(example(), NOW)
        assert epoch.name == "2026-W10"
        assert epoch.start == datetime(2026, 3, 1, 23, tzinfo=UTC)
        assert epoch.end == datetime(2026, 3, 8, 23, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("wallclock", "name"),
        [
            (datetime(2026, 3, 1, 22, 59, 59, tzinfo=UTC), "2026-W09"),
            (datetime(2026, 3, 1, 23, tzinfo=UTC), "2026-W10"),
            (datetime(2026, 12, 31, 12, tzinfo=UTC), "2026-W53"),
            (datetime(2027, 1, 3, 22, 59, tzinfo=UTC), "2026-W53"),
            (datetime(2027, 1, 3, 23, tzinfo=UTC), "2027-W01"),
            (datetime(2029, 12, 31, 12, tzinfo=UTC), "2030-W01"),
        ],
    )
    def test_weeks_at_their_edges(self, wallclock, name):
        assert epoch_of(example(), wallclock).name == name

    @pytest.mark.parametrize(("day", "hours"), [("2026-03-28", 24), ("2026-03-29", 23), ("2026-10-25", 25)])
    def test_days_have_23_24_or_25_hours(self, day, hours):
        noon = datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=BERLIN)
        epoch = epoch_of(DAILY, noon)
        assert epoch.name == day
        assert epoch.end - epoch.start == timedelta(hours=hours)

    def test_a_week_with_a_clock_change(self):
        epoch = epoch_of(example(), datetime(2026, 3, 29, 12, tzinfo=UTC))
        assert epoch.name == "2026-W13"
        assert epoch.end - epoch.start == timedelta(hours=7 * 24 - 1)

    def test_minutes_of_a_demo(self):
        demo = agreement(demo="yes", draw__epoch="PT5M", lanes__sample__caps__per_agent={})
        epoch = epoch_of(demo, datetime(2026, 3, 4, 9, 34, 59, tzinfo=UTC))
        assert epoch.name == "2026-03-04T0930Z-PT5M"
        assert (epoch.start, epoch.end) == (NOW, NOW + timedelta(minutes=5))

    def test_every_instant_lies_in_its_epoch_and_epochs_touch(self):
        cairo = agreement(
            validity__timezone="Africa/Cairo", draw__epoch="P1D", lanes__sample__caps__per_agent={"P1D": 1}
        )
        for document in (DAILY, example(), cairo):  # Cairo's clocks skip midnight
            instant = datetime(2026, 1, 1, tzinfo=UTC)
            while instant < datetime(2027, 1, 10, tzinfo=UTC):
                epoch = epoch_of(document, instant)
                assert epoch.start <= instant < epoch.end
                assert epoch_of(document, epoch.start) == epoch
                assert epoch_of(document, epoch.end - timedelta(microseconds=1)) == epoch
                assert epoch_of(document, epoch.end).start == epoch.end
                instant = epoch.end + timedelta(hours=5)

    def test_a_clock_without_zone_is_our_fault(self):
        with pytest.raises(WallclockError):
            epoch_of(example(), NOW.replace(tzinfo=None))


class TestPhases:
    """Onboarding of team-a lasts 42 days."""

    def phase(self, since, day, document=DAILY):
        epoch = epoch_of(document, datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=BERLIN))
        return phase_in_epoch(document, "team-a", Phase.ONBOARDING, since, epoch)

    def test_the_day_after_the_last_is_regular_without_anybody_s_doing(self):
        start = date(2026, 3, 2)
        assert self.phase(start, "2026-03-02") is Phase.ONBOARDING
        assert self.phase(start, "2026-04-12") is Phase.ONBOARDING  # day 42
        assert self.phase(start, "2026-04-13") is Phase.REGULAR  # day 43

    def test_a_week_in_which_onboarding_ends_is_regular_from_its_start(self):
        assert self.phase(date(2026, 3, 2), "2026-04-06", example()) is Phase.ONBOARDING  # whole week within
        assert self.phase(date(2026, 3, 1), "2026-04-06", example()) is Phase.REGULAR

    def test_a_group_without_onboarding_rate_is_regular(self):
        epoch = epoch_of(DAILY, NOW)
        assert phase_in_epoch(DAILY, "team-b", Phase.ONBOARDING, date(2026, 3, 4), epoch) is Phase.REGULAR

    def test_regular_stays_regular(self):
        assert phase_in_epoch(DAILY, "team-a", Phase.REGULAR, NOW.date(), epoch_of(DAILY, NOW)) is Phase.REGULAR
