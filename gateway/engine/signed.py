"""Statements that came with a command: whose key signed them is verified here, whatever session carried them."""

from crypto.ssh_key import VerifyKey
from crypto.sshsig import verify
from gateway.control.protocol import Signed
from gateway.engine.errors import Refused
from gateway.engine.site import Site

__all__ = ["own_statement", "signed_by_agent"]


def signed_by_agent(site: Site, agent: str, statement: Signed, namespace: str) -> bytes:
    """The bytes of a statement that this agent's own enrolled key signed. Raises Refused, CryptoError."""
    line = site.agents.get(agent)
    if line is None or line.disabled or line.signing_key is None:
        raise Refused("not_enrolled", "the agent has no key yet", 409)
    document = statement.document.encode()
    verify(VerifyKey.parse(line.signing_key), namespace, document, statement.signature)
    return document


def own_statement(said: str, whose: str) -> None:
    """Refuse a statement that speaks for somebody else."""
    if said != whose:
        raise Refused("statement_differs", "the signed statement is somebody else's", 422)
