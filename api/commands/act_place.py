"""Where acts are drafted and handed in: on the gateway's own machine, or at its API, by a party from another one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from api.commands.at_site import Certificate, finish_at_site, site_http
from api.commands.saying import ask, finish
from api.errors import CommandError
from api.home import DEFAULT_NAME, Home, find_home
from api.key_files import read_signing_key
from api.site_client import ClientProblem, SiteClient
from crypto.errors import CryptoError
from crypto.jcs import canonical
from gateway.control.protocol import PostAct
from policy.act_effects import party_of
from policy.act_file import parse_act_file
from policy.act_text import in_words
from policy.agreement.load import AgreementRefused
from policy.chain import Posted, fold
from policy.errors import ActError, PolicyError
from policy.messages import say
from policy.state import Anchor, State
from storage.acts import Acts
from storage.database import Database
from storage.errors import StorageError

__all__ = ["Api", "Certificate", "Place", "SignInKey", "SignRole"]

T = TypeVar("T")
Api = Annotated[
    str | None,
    typer.Option("--api", help="The site's API, from another machine; --key signs you in.", show_default=False),
]

SignInKey = Annotated[Path | None, typer.Option("-k", "--key", help="The party's OUT.sign: signs you in at --api.")]
SignRole = Annotated[str, typer.Option(help="Whose key it is: employer, council, council2, council3 or dpo.")]


@dataclass(frozen=True, slots=True)
class Place:
    """A site: the one of this configuration, or where `api` is."""

    config: Path | None
    lang: str
    api: str | None = None
    ca: Path | None = None
    role: str = ""
    key: Path | None = None
    """At an API: of the role that signs in."""

    def state(self) -> State:
        """What the chain of acts has made of it; raises `CommandError`."""
        return self.chain()[0]

    def chain(self) -> tuple[State, list[Posted]]:
        """The same, and the acts with the documents that they carried."""
        if self.api is None:
            return finish(_chain_of(self._home(), self.lang))

        async def told(site: SiteClient) -> tuple[State, list[Posted]]:
            found = await site.ask("GET", "/acts")
            anchors = [Anchor(one["role"], one["key"], one["recipient"]) for one in found["anchors"]]
            posts = [parse_act_file(canonical(one)) for one in found["acts"]]
            return _folded(anchors, posts, self.lang), posts

        return self._signed_in(told)

    def hand_in(self, act: str, signatures: dict[str, str], document: str | None) -> dict[str, Any]:
        """Have the gateway judge and take an act; what holds then. Raises `CommandError` with its refusal."""
        if self.api is None:
            return ask(self._home(), PostAct(act, signatures, document, self.lang))
        body = {"act": act, "signatures": signatures, "document": document}
        return self._signed_in(lambda site: site.ask("POST", "/acts", body))

    def _home(self) -> Home:
        if self.config is None and not Path(DEFAULT_NAME).exists():
            raise CommandError(in_words("no_site", self.lang, file=DEFAULT_NAME), 2)
        return find_home(self.config)

    def _signed_in(self, work: Callable[[SiteClient], Awaitable[T]]) -> T:
        if self.key is None:
            raise CommandError("--api needs --key and --role: whose key signs you in there", 2)
        key = read_signing_key(self.key)
        http = site_http(self.api or "", self.ca)
        http.headers["Accept-Language"] = self.lang

        async def asked() -> T:
            async with SiteClient(http) as site:
                await site.sign_in_by_key(party_of(self.role), key)
                return await work(site)

        async def told() -> T:
            try:
                return await asked()
            except ClientProblem as problem:
                raise CommandError(problem.detail) from None

        return finish_at_site(told())


async def _chain_of(home: Home, language: str) -> tuple[State, list[Posted]]:
    try:
        database = await Database.open(home.config.database_url, read_only=True)
    except StorageError as error:
        raise CommandError(f"the site's database can't be read: {error}; run `fairtap init` first") from None
    try:
        acts = Acts(database)
        anchors = [Anchor(one.role, one.key, one.recipient) for one in await acts.anchors()]
        posts = await acts.chain()
        return _folded(anchors, posts, language), posts
    finally:
        await database.close()


def _folded(anchors: list[Anchor], posts: list[Posted], language: str) -> State:
    try:
        return fold(anchors, posts)
    except (CryptoError, PolicyError, AgreementRefused) as error:
        why = say(error, language) if isinstance(error, ActError) else str(error)
        raise CommandError(f"the chain of acts doesn't hold: {why}") from None
