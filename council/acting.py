"""What the council may do about the agreement from here: suspend, and sign lower percentages (agreement.md §3)."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, urlencode

from council.errors import Unreachable, WrongUse
from council.site import SiteClient
from crypto.ssh_key import SigningKey
from crypto.sshsig import sign
from policy.acts import ACT_NAMESPACE, Rates, parse_act
from policy.errors import ActError
from policy.percent import parse_percent


def suspend(site: SiteClient, agreement: str) -> None:
    """Stop every recording within a second; the session is enough. Raises Unreachable."""
    site.send("POST", f"/v1/agreements/{quote(agreement, safe='')}/suspend", {})


def put_rates(site: SiteClient, agreement: str, rates: Sequence[str], role: str, key: SigningKey) -> None:
    """Sign other percentages and hand them over. What is signed is read first: these rates and nothing else.

    Raises WrongUse for what isn't RULE=PERCENT, Unreachable where the site refuses or drafts something else.
    """
    wanted = {}
    for text in rates:
        rule, _, percent = text.rpartition("=")
        ppm = parse_percent(percent)
        if not rule or ppm is None:
            raise WrongUse(f"`{text}`: write RULE=PERCENT, such as sample/team-a/regular=2")
        wanted[rule] = ppm
    name = quote(agreement, safe="")
    draft = site.get_json(f"/v1/agreements/{name}/rates/draft?{urlencode([('rates', text) for text in rates])}")
    document = str(draft.get("act") or draft.get("document") or "")
    try:
        act = parse_act(document.encode())
    except ActError:
        raise Unreachable("the site's draft isn't an act") from None
    if act.agreement != agreement or not isinstance(act.body, Rates) or dict(act.body.rates) != wanted:
        raise Unreachable("the site drafted something else than was asked for: nothing was signed")
    body = {"document": document, "signatures": {role: sign(key, ACT_NAMESPACE, document.encode())}}
    site.send("PUT", f"/v1/agreements/{name}/rates", body)
