"""Accounts, sessions, tokens and enrolment codes: made, looked up, ended. Secrets are stored as SHA-256 only.

What a sign-in proves is here; what it permits is in `roles`, and what a *yes* needs isn't in the API at all.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from api.database import Database, accounts, challenges, coaches, codes, sessions, tokens
from api.errors import Problem
from api.roles import COACHES, ROLE_SCOPES, TOKEN_ROLES, Principal, Role
from gateway.clock import Clock

__all__ = ["Accounts", "NewSession", "digest", "first_token"]

SESSION_S: Final = 12 * 3600
ENROLLING_S: Final = 3600
CODE_S: Final = 7 * 86400
CHALLENGE_S: Final = 300
FREE_FAILURES: Final = 5
MAX_BLOCK_S: Final = 3600
TOKEN_PREFIX: Final = "ftp_"
# no 0/o, 1/l/i: codes are read from paper
_CODE_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_BAD_SIGN_IN: Final = "name or password isn't right"


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session as its owner gets it, once."""

    secret: str
    principal: Principal
    expires_in: int


def digest(secret: str) -> str:
    """What is stored of a secret: it has ≥ 128 random bits, so that a plain hash can't be searched."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Accounts:
    """The API's own people and machines."""

    def __init__(self, database: Database, clock: Clock, hasher: PasswordHasher | None = None) -> None:
        self._database = database
        self._clock = clock
        self._hasher = hasher or PasswordHasher()
        # verified against where the name is unknown, so that both cases take as long
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    # --- sessions ---------------------------------------------------------------------------------------------------

    async def sign_in(self, login: str, password: str) -> NewSession:
        """A session for an agent's or coach's name and password; raises `Problem`, slower after each failure."""
        now = self._seconds()
        async with self._database.begin() as connection:
            row = (await connection.execute(select(accounts).where(accounts.c.login == login))).first()
        if row is not None and row.blocked_until > now:
            wait = str(row.blocked_until - now)
            raise Problem("sign-in-blocked", 429, "too many wrong passwords; wait", {"Retry-After": wait})
        right = await asyncio.to_thread(self._verify, row.password if row is not None else self._nobody, password)
        if row is None:
            raise Problem("sign-in-failed", 401, _BAD_SIGN_IN)
        if not right:
            await self._note_failure(row.agent, row.failures + 1, now)
            raise Problem("sign-in-failed", 401, _BAD_SIGN_IN)
        if row.disabled:
            raise Problem("sign-in-failed", 401, _BAD_SIGN_IN)
        async with self._database.begin() as connection:
            await connection.execute(update(accounts).where(accounts.c.agent == row.agent).values(failures=0))
        role = Role.COACH if await self._is_coach(row.agent) else Role.AGENT
        return await self.open_session(role, row.agent)

    async def open_session(self, role: Role, agent: str | None = None) -> NewSession:
        """A new session; who may have it was decided by the caller."""
        now, secret, ref = self._seconds(), secrets.token_urlsafe(32), secrets.token_hex(16)
        lasts = ENROLLING_S if role in (Role.ENROLLING, Role.COACH_ENROLLING) else SESSION_S
        async with self._database.begin() as connection:
            await connection.execute(delete(sessions).where(sessions.c.expires <= now))
            await connection.execute(
                insert(sessions).values(
                    secret=digest(secret), ref=ref, role=role, agent=agent, created=now, expires=now + lasts
                )
            )
        return NewSession(secret, _principal(role, ref, agent, now + lasts), lasts)

    async def by_session(self, secret: str) -> Principal | None:
        """Whose session this is, while it lasts."""
        query = select(sessions).where(sessions.c.secret == digest(secret), sessions.c.expires > self._seconds())
        async with self._database.begin() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            return None
        return _principal(Role(row.role), row.ref, row.agent, row.expires)

    async def close_session(self, ref: str) -> None:
        """Sign out."""
        async with self._database.begin() as connection:
            await connection.execute(delete(sessions).where(sessions.c.ref == ref))

    # --- anchored keys ----------------------------------------------------------------------------------------------

    async def new_challenge(self) -> str:
        """A nonce to be signed within five minutes, good once."""
        now, nonce = self._seconds(), secrets.token_hex(32)
        async with self._database.begin() as connection:
            await connection.execute(delete(challenges).where(challenges.c.expires <= now))
            await connection.execute(insert(challenges).values(nonce=nonce, expires=now + CHALLENGE_S))
        return nonce

    async def spend_challenge(self, nonce: str) -> bool:
        """Whether that nonce was ours, fresh and unused; it is used now."""
        query = delete(challenges).where(challenges.c.nonce == nonce, challenges.c.expires > self._seconds())
        async with self._database.begin() as connection:
            return (await connection.execute(query)).rowcount == 1

    # --- tokens -----------------------------------------------------------------------------------------------------

    async def create_token(
        self, role: Role, label: str, scopes: frozenset[str] | None = None, expires_in: int | None = None
    ) -> str:
        """A bearer token of an admin or a PBX, shown once; `scopes` can only be fewer than the role's."""
        if role not in TOKEN_ROLES:
            raise Problem("token-role", 403, "only admin and pbx tokens are made here; council or DPO let others in")
        return await self._new_token(role, label, scopes, expires_in)

    async def register_ivr(self, name: str) -> str:
        """The credential of the IVR that the agreement names `ivr:NAME`, shown once; an older one of it ends."""
        async with self._database.begin() as connection:
            older = (tokens.c.role == Role.IVR) & (tokens.c.label == name)
            await connection.execute(update(tokens).where(older).values(revoked=True))
        return await self._new_token(Role.IVR, name, None, None)

    async def _new_token(self, role: Role, label: str, scopes: frozenset[str] | None, expires_in: int | None) -> str:
        granted = ROLE_SCOPES[role] if scopes is None else scopes & ROLE_SCOPES[role]
        now, secret = self._seconds(), TOKEN_PREFIX + secrets.token_urlsafe(32)
        values = {
            "secret": digest(secret), "ref": secrets.token_hex(16), "role": role, "label": label,
            "scopes": " ".join(sorted(granted)), "created": now,
            "expires": None if expires_in is None else now + expires_in,
        }  # fmt: skip
        async with self._database.begin() as connection:
            await connection.execute(insert(tokens).values(values))
        return secret

    async def by_token(self, secret: str) -> Principal | None:
        """Whose token this is, while it holds."""
        query = select(tokens).where(tokens.c.secret == digest(secret), tokens.c.revoked.is_(False))
        async with self._database.begin() as connection:
            row = (await connection.execute(query)).first()
        if row is None or (row.expires is not None and row.expires <= self._seconds()):
            return None
        role = Role(row.role)
        scopes, name = frozenset(row.scopes.split()) & ROLE_SCOPES[role], row.label if role is Role.IVR else None
        return Principal(role, row.ref, scopes, expires=row.expires, name=name)

    async def list_tokens(self) -> list[dict[str, object]]:
        """All tokens without their secrets."""
        async with self._database.begin() as connection:
            rows = (await connection.execute(select(tokens).order_by(tokens.c.created))).all()
        return [
            {"ref": row.ref, "role": row.role, "label": row.label, "expires": row.expires, "revoked": row.revoked}
            for row in rows
        ]

    async def revoke_token(self, ref: str) -> bool:
        """End a token; False where there is none with this reference."""
        async with self._database.begin() as connection:
            done = await connection.execute(update(tokens).where(tokens.c.ref == ref).values(revoked=True))
        return done.rowcount == 1

    # --- enrolment --------------------------------------------------------------------------------------------------

    async def admit_coach(self, coach: str, made_by: Role) -> tuple[str, int]:
        """An enrolment code, as `create_code`, for somebody who is a coach and will never be an agent."""
        async with self._database.begin() as connection:
            if (await connection.execute(select(coaches).where(coaches.c.person == coach))).first() is None:
                await connection.execute(insert(coaches).values(person=coach))
        return await self.create_code(coach, made_by)

    async def _is_coach(self, person: str) -> bool:
        async with self._database.begin() as connection:
            return (await connection.execute(select(coaches).where(coaches.c.person == person))).first() is not None

    async def create_code(self, agent: str, made_by: Role) -> tuple[str, int]:
        """A one-time enrolment code and its lifetime in seconds; an older code of that agent ends."""
        letters = [secrets.choice(_CODE_LETTERS) for _ in range(24)]
        code = "-".join("".join(letters[i : i + 4]) for i in range(0, 24, 4))
        async with self._database.begin() as connection:
            await connection.execute(delete(codes).where(codes.c.agent == agent))
            expires = self._seconds() + CODE_S
            await connection.execute(
                insert(codes).values(secret=digest(code), agent=agent, made_by=made_by, expires=expires)
            )
        return code, CODE_S

    async def redeem_code(self, code: str) -> NewSession:
        """Spend a code for a session that may enrol its agent and nothing else; raises `Problem`."""
        now, secret = self._seconds(), digest(code.strip().lower())
        async with self._database.begin() as connection:
            row = (
                await connection.execute(select(codes).where(codes.c.secret == secret, codes.c.expires > now))
            ).first()
            spent = await connection.execute(delete(codes).where(codes.c.secret == secret))
        if row is None or spent.rowcount != 1:
            raise Problem("code-invalid", 401, "this code isn't valid (any more); ask council or DPO for a new one")
        role = Role.COACH_ENROLLING if await self._is_coach(row.agent) else Role.ENROLLING
        return await self.open_session(role, row.agent)

    async def login_is_free(self, login: str, agent: str) -> bool:
        """Whether nobody but that agent has this sign-in name."""
        async with self._database.begin() as connection:
            row = (await connection.execute(select(accounts.c.agent).where(accounts.c.login == login))).first()
        return row is None or row.agent == agent

    async def enrol(self, agent: str, login: str, password: str, bundle: bytes | None) -> None:
        """Set sign-in name, password and (sealed) bundle of an agent; all older sessions of theirs end."""
        hashed = await asyncio.to_thread(self._hasher.hash, password)
        values = {"login": login, "password": hashed, "bundle": bundle, "failures": 0, "blocked_until": 0}
        try:
            async with self._database.begin() as connection:
                await connection.execute(delete(sessions).where(sessions.c.agent == agent))
                await connection.execute(delete(accounts).where(accounts.c.agent == agent))
                await connection.execute(insert(accounts).values(agent=agent, disabled=False, **values))
        except IntegrityError:
            raise Problem("login-taken", 409, "this sign-in name is taken; choose another") from None

    async def bundle(self, agent: str) -> bytes | None:
        """The agent's key bundle, sealed under a passphrase that never came here."""
        async with self._database.begin() as connection:
            row = (await connection.execute(select(accounts.c.bundle).where(accounts.c.agent == agent))).first()
        return row.bundle if row is not None else None

    async def disable(self, agent: str) -> None:
        """No sign-in any more; open sessions end."""
        async with self._database.begin() as connection:
            await connection.execute(update(accounts).where(accounts.c.agent == agent).values(disabled=True))
            await connection.execute(delete(sessions).where(sessions.c.agent == agent))
            await connection.execute(delete(codes).where(codes.c.agent == agent))

    # ----------------------------------------------------------------------------------------------------------------

    async def _note_failure(self, agent: str, failures: int, now: int) -> None:
        over = failures - FREE_FAILURES
        blocked = now + min(MAX_BLOCK_S, 2 ** min(over, 12)) if over > 0 else 0
        async with self._database.begin() as connection:
            await connection.execute(
                update(accounts).where(accounts.c.agent == agent).values(failures=failures, blocked_until=blocked)
            )

    def _verify(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False

    def _seconds(self) -> int:
        return int(self._clock.wallclock().timestamp())


def _principal(role: Role, ref: str, person: str | None, expires: int) -> Principal:
    """The one behind a session: `person` is an agent or, by the role, a coach."""
    coach = role in COACHES
    return Principal(
        role, ref, ROLE_SCOPES[role], None if coach else person, person if coach else None, expires, by_cookie=True
    )


async def first_token(path: Path, clock: Clock) -> str | None:
    """An admin's token in the API's database at `path` where there is none of any kind; else None."""
    async with Database(path) as database:
        made = Accounts(database, clock)
        return None if await made.list_tokens() else await made.create_token(Role.ADMIN, "first")
