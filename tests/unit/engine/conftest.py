"""One engine over a database of its own for each test."""

import pytest

from tests.peers.engine_bench import EngineBench


@pytest.fixture
async def bench(tmp_path):
    made = await EngineBench.make(tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def trunk(tmp_path):
    """The same where the PBX is on the agent side: it alone knows who is on a call."""
    made = await EngineBench.make(tmp_path, placement="trunk")
    yield made
    await made.close()
