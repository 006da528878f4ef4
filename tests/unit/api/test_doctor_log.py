"""The doctor walks the site's own logs: a file that was changed or lost is named before the council finds it."""

import pytest

from api.doctor_log import log_fault
from crypto.ssh_key import allowed_signers_line
from tests.peers.log_house import LogHouse
from tests.peers.stored import ORIGIN, open_folder


@pytest.fixture
async def house(tmp_path):
    folder = await open_folder(tmp_path)
    line = allowed_signers_line("gateway", folder.key.verify_key, ("a", "b"))
    (tmp_path / "keys/allowed_signers").write_text(line)
    house = LogHouse(folder)
    await house.grow(600)
    await house.publisher.publish(ORIGIN)
    yield house
    await folder.database.close()


def test_a_log_as_it_was_written_fits(house):
    assert log_fault(house.root) == (600, None)
    assert log_fault(house.root / "elsewhere") == (0, None)


def test_a_flipped_bit_and_a_lost_file_are_named(house):
    path = house.folder / "tile/entries/001"
    data = bytearray(path.read_bytes())
    data[10] ^= 1
    path.write_bytes(data)
    assert log_fault(house.root)[1] == f"{ORIGIN}: tile at entry 256"
    path.unlink()
    assert log_fault(house.root)[1] == f"{ORIGIN}: bundle at tile/entries/001"


def test_another_gateways_checkpoint_is_named(house):
    path = house.root / "keys/allowed_signers"
    path.unlink()
    fault = log_fault(house.root)[1]
    assert fault is not None and "isn't signed by this gateway's key" in fault
