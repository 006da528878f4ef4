"""An agreement as canonical JSON, the bytes that its digest is of: the tree of its YAML, without a YAML library."""

from __future__ import annotations

from typing import Final

from crypto.errors import JcsError
from crypto.jcs import Json, parse
from policy.agreement.faults import FaultCode
from policy.agreement.tree import MAX_BYTES, MAX_DEPTH, MAX_NODES, Kind, ListNode, MapNode, Node, ScalarNode, refused

_LINE: Final = 1
_MAX_NAME: Final = 128


def parse_canonical(data: bytes) -> MapNode | None:
    """The tree, or `None` where `data` isn't canonical JSON of a mapping. Raises `AgreementRefused` past the limits."""
    try:
        found = parse(data, limit=MAX_BYTES)
    except JcsError:
        return None
    if not isinstance(found, dict):
        return None
    if _count(found) > MAX_NODES:
        raise refused(FaultCode.TOO_MANY_VALUES, _LINE, f"more than {MAX_NODES} values")
    return _map(found, MAX_DEPTH)


def _map(found: dict[str, Json], depth: int) -> MapNode:
    if depth <= 0:
        raise refused(FaultCode.TOO_DEEP, _LINE, f"nested deeper than {MAX_DEPTH} levels")
    if any(len(name) > _MAX_NAME for name in found):
        raise refused(FaultCode.WRONG_TYPE, _LINE, "a field's name must be a short text")
    return MapNode({name: _node(value, depth - 1) for name, value in found.items()}, dict.fromkeys(found, _LINE), _LINE)


def _node(value: Json, depth: int) -> Node:
    if isinstance(value, dict):
        return _map(value, depth)
    if isinstance(value, list):
        if depth <= 0:
            raise refused(FaultCode.TOO_DEEP, _LINE, f"nested deeper than {MAX_DEPTH} levels")
        return ListNode([_node(item, depth - 1) for item in value], _LINE)
    if value is None:
        return ScalarNode("null", Kind.NULL, _LINE)
    if isinstance(value, bool):
        return ScalarNode(str(value).lower(), Kind.BOOLEAN, _LINE)
    return ScalarNode(str(value), Kind.INTEGER if isinstance(value, int) else Kind.STRING, _LINE)


def _count(value: Json) -> int:
    if isinstance(value, dict):
        return 1 + sum(1 + _count(item) for item in value.values())
    return 1 + sum(_count(item) for item in value) if isinstance(value, list) else 1
