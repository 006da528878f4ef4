"""What the council fetches of an epoch that is over: sealed openings in pages, and the inventory behind its root."""

import base64

from api.roles import Role
from api.site import SiteFolder
from crypto.x25519 import Identity
from gateway.clock import SystemClock
from gateway.config import Config
from policy.opening import CallOpening
from storage.council_lists import ForCouncil
from tests.peers.api_server import running_api
from tests.peers.opened_epoch import LIMITS, open_epoch
from tests.peers.stored import DAY, EPOCH, TOLD, open_folder, pseudonym


async def test_openings_come_in_pages_and_an_inventory_whole(tmp_path):
    async with running_api(tmp_path) as api:
        api.site.openings["2026-W15"] = [(index, b"age" + bytes([index])) for index in (4, 6, 9)]
        api.site.inventories["2026-W15"] = ["ab" * 32, "cd" * 32]
        session = {"fairtap_session": (await api.services.accounts.open_session(Role.COUNCIL, None)).secret}
        async with api.http(session) as council:
            first = (await council.get("/v1/epochs/2026-W15/openings?limit=2")).json()
            rest = (await council.get("/v1/epochs/2026-W15/openings?limit=2&cursor=6")).json()
            told = (await council.get("/v1/epochs/2026-W15/inventory")).json()
            other = [
                (await council.get(f"/v1/epochs/2026-W16/{what}")).status_code for what in ("openings", "inventory")
            ]
    assert [one["entry"] for one in first["items"]] == [4, 6] and first["next"] == 6
    assert base64.b64decode(first["items"][1]["sealed"]) == b"age\x06"
    assert [one["entry"] for one in rest["items"]] == [9] and rest["next"] is None
    assert told == {"e": "2026-W15", "leaves": ["ab" * 32, "cd" * 32]}
    assert other == [404, 404]


async def test_a_data_folder_tells_them_only_once_the_epoch_is_closed(tmp_path):
    folder = await open_folder(tmp_path)
    await open_epoch(folder.epochs, EPOCH)
    opening = CallOpening(0, "ab" * 8, "1@pbx", "2026-04-06T09:30:00Z", bytes(32))
    shown = ForCouncil(opening, [str(Identity.generate().recipient)])
    leg = await folder.legs.enter(
        epoch=EPOCH, pseudonym=pseudonym(1), rule=None, queue="other", commitment=opening.commitment(), day=DAY,
        shown=shown,
    )  # fmt: skip
    await folder.legs.admit(leg, drawn=False, ruled=None)
    await folder.legs.out(leg, TOLD)
    config = Config.model_validate({"site": {"name": "hamburg", "data_dir": tmp_path}})
    async with SiteFolder(config, SystemClock()) as site:
        assert await site.council_openings(EPOCH, 0, 9) is None and await site.inventory(EPOCH) is None
        await folder.epochs.close(EPOCH, LIMITS, (await folder.epochs.get(EPOCH)).end)
        found = await site.council_openings(EPOCH, 0, 9)
        assert found is not None and [index for index, _ in found] == [leg.index]
        assert await site.inventory(EPOCH) == []
    await folder.database.close()
