"""`fairtap my-draws`: an agent's own legs in the log, from the site or a file, checked and opened."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from api.agent_client import fetch_draws
from api.commands.at_site import Certificate, PasswordFile, finish_at_site, password_of, site_http
from api.commands.saying import AsJson, read_bytes, tell
from api.errors import CommandError
from api.listen import read_identities
from api.own_draws import Checked, OwnLeg, check_draws
from api.schemas.draws import OwnDrawPage
from api.site_client import SiteClient
from crypto.errors import CryptoError
from crypto.ssh_key import VerifyKey
from policy.percent import percent_text

__all__ = ["my_draws"]

_KEY: Final = re.compile(rb"ssh-ed25519 [A-Za-z0-9+/=]{68}")
MAX_DRAWS: Final = 256 << 20
"""Bytes of a saved list: a year of an agent's calls, each with its proof, is well below."""


def my_draws(
    source: Annotated[str, typer.Argument(help="The site's https address, or a file that --save wrote.")],
    identity: Annotated[Path, typer.Option("-i", "--identity", help="Your OUT.key.")],
    gateway: Annotated[Path, typer.Option(help="The gateway's public key, e.g. the site's keys/allowed_signers.")],
    login: Annotated[str | None, typer.Option(help="Your sign-in name.")] = None,
    password_file: PasswordFile = None,
    save: Annotated[Path | None, typer.Option(help="Keep what the site told, to check it elsewhere.")] = None,
    ca: Certificate = None,
    as_json: AsJson = False,
) -> None:
    """Your legs in the log, drawn or not: proofs checked, openings opened, the draw recomputed."""
    identities, key = read_identities(identity), _gateway_key(gateway)
    if "://" not in source:
        data = read_bytes(Path(source), MAX_DRAWS)
    elif login is None:
        raise CommandError("--login is needed to ask the site", 2)
    else:
        site = SiteClient(site_http(source, ca))
        data = finish_at_site(_fetched(site, login, password_of(password_file)))
    try:
        told = OwnDrawPage.model_validate_json(data).told()
    except ValueError:
        raise CommandError("what was read isn't a list of draws") from None
    if save is not None:
        save.touch(mode=0o600)
        save.write_bytes(data)
    checked = check_draws(told, identities, key)
    tell(as_json, _plain(checked), *_lines(checked))
    if checked.faults:
        raise typer.Exit(1)


def _gateway_key(path: Path) -> VerifyKey:
    match = _KEY.search(read_bytes(path))
    try:
        return VerifyKey.parse(match[0].decode() if match else "")
    except CryptoError:
        raise CommandError(f"`{path}` has no ssh-ed25519 key") from None


async def _fetched(site: SiteClient, login: str, password: str) -> bytes:
    async with site:
        await site.sign_in(login, password)
        return json.dumps(await fetch_draws(site)).encode()


def _plain(checked: Checked) -> dict[str, Any]:
    legs = [
        {
            "epoch": leg.epoch, "kind": leg.kind, "n": leg.n, "rule": leg.rule, "drawn": leg.drawn, "out": leg.out,
            "call": leg.told.call if leg.told else None, "start": leg.told.start if leg.told else None,
            "outcome": leg.ended.outcome if leg.ended else None, "lane": leg.ended.lane if leg.ended else None,
            "reasons": list(leg.ended.reasons) if leg.ended else [],
            "manifests": list(leg.ended.manifests) if leg.ended else [],
        }
        for leg in checked.legs
    ]  # fmt: skip
    return {
        "legs": legs,
        "faults": checked.faults,
        "unpublished": checked.waiting,
        "rates_ppm": checked.rates,
        "roster": {epoch: leaf.fields() for epoch, leaf in checked.roster.items()},
    }


def _lines(checked: Checked) -> list[str]:
    lines = []
    for epoch in dict.fromkeys(leg.epoch for leg in checked.legs):
        own = [leg for leg in checked.legs if leg.epoch == epoch]
        said = Counter(leg.out for leg in own if leg.kind == "call")
        calls, wishes = said.total(), len(own) - said.total()
        capped = f"{said['cap']} of them over ceiling or cap"
        lines.append(f"{epoch}: {calls} legs, {said['hit'] + said['cap']} drawn, {capped}; {wishes} on request")
        if (place := checked.roster.get(epoch)) is not None:
            lines.append(f"  on the roster in group {place.group}, phase {place.phase}: proven, compare it with yours")
        bare = sum(leg.rule is None for leg in own if leg.kind == "call" and leg.told)
        if bare:
            why = "right where your site or the call's queue isn't in the agreement, else ask why"
            lines.append(f"  {bare} of them under no rule, so never drawn: {why}")
        for rule, rates in checked.rates.get(epoch, {}).items():
            percent = " or ".join(percent_text(ppm) for ppm in rates)
            lines.append(f"  rule {rule}: {percent} %, as the site says; compare it with your agreement")
        lines += [f"  {_line(leg)}" for leg in own]
    lines.append(f"{len(checked.legs)} legs, {checked.waiting} entries not published yet, {len(checked.faults)} faults")
    return lines + [f"fault: {fault}" for fault in checked.faults]


def _line(leg: OwnLeg) -> str:
    drawn = {None: "not revealed yet", True: "drawn", False: "not drawn"}[leg.drawn]
    told = f"{leg.told.start}  {leg.told.call}" if leg.told else "opening missing"
    ended = f"{leg.ended.outcome} {' '.join(leg.ended.reasons)}".rstrip() if leg.ended else "goes on"
    return f"{leg.kind} {leg.n}  {told}  {leg.out or '-'}  {drawn if leg.kind == 'call' else 'asked for'}  {ended}"
