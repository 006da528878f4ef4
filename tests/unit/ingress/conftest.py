"""One proxy over an engine with a database of its own for each test."""

import pytest

from tests.peers.engine_bench import EngineBench
from tests.peers.proxy_bench import ProxyBench


@pytest.fixture
async def bench(tmp_path):
    made = await EngineBench.make(tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def sip(bench, tmp_path):
    made = ProxyBench(bench, tmp_path)
    yield made
    await made.proxy.close()
