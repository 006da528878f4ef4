"""One engine over a database of its own for each test."""

import pytest

from tests.peers.engine_bench import EngineBench


@pytest.fixture
async def bench(tmp_path):
    made = await EngineBench.make(tmp_path)
    yield made
    await made.close()
