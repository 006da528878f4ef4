"""Jobs by the clock: what ends soon is said once, before it ends."""

from datetime import timedelta

from gateway.engine.jobs import Jobs
from gateway.events import Alarm
from tests.peers.engine_bench import EngineBench


async def test_an_end_is_warned_of_once_on_its_day(tmp_path):
    bench = await EngineBench.make(tmp_path)
    jobs = Jobs(bench.engine, bench.engine.site.consents, tmp_path / "run")
    heard = bench.bus.subscribe()
    agreement = bench.site.agreement
    assert agreement is not None
    bench.clock.step((agreement.validity.end - bench.clock.wallclock() - timedelta(days=7, hours=-1)).total_seconds())
    await jobs._warn()
    bench.clock.advance(3600)
    await jobs._warn()
    heard.end()
    said = [event.text for event in [one async for one in heard] if isinstance(event, Alarm)]
    assert [text for text in said if "7" in text and agreement.id in text] == said
    assert len(said) == 1
    await bench.close()
