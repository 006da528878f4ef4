"""A clock that is set while nobody calls is noticed all the same: the next call finds it untrusted."""

from gateway.engine.engine import Engine
from tests.peers.engine_bench import EngineBench


def idle(bench: EngineBench, engine: Engine, seconds: int) -> None:
    for _ in range(seconds):
        bench.clock.advance(1.0)
        engine.beat()


def trusted(bench: EngineBench) -> bool | None:
    given = bench.site.gather(bench.agent, bench.new_call(), 1, bench.clock.now(), bench.clock.wallclock())
    return given.facts.clock_trusted


async def test_a_step_between_two_calls_is_noticed(tmp_path):
    bench = await EngineBench.make(tmp_path)
    try:
        assert trusted(bench)
        idle(bench, bench.engine, 300)
        bench.clock.step(-3600)
        idle(bench, bench.engine, 30)
        assert trusted(bench) is False
        idle(bench, bench.engine, 31)
        assert trusted(bench) is True
    finally:
        await bench.close()
