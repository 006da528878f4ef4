"""The YAML 1.2 file as a tree; the only place that needs a YAML library.

Built from the parser's events, so that anchors, aliases, tags, duplicate keys and depth are refused before anything
is built from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
)

from policy.agreement.faults import AgreementRefused, FaultCode
from policy.agreement.tree import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    WHOLE,
    Kind,
    ListNode,
    MapNode,
    Node,
    ScalarNode,
    in_quotes,
    join,
    refused,
    scalar_kind,
)


def parse_tree(data: bytes) -> MapNode:
    """Read one YAML document whose root is a mapping; raises `AgreementRefused` with the first fault."""
    text = _decoded(data)
    builder = _Builder()
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            builder.take(event)
    except AgreementRefused:
        raise
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        raise refused(FaultCode.NOT_YAML, line, f"not YAML 1.2: {error.problem or 'malformed'}"[:120]) from None
    except Exception:  # whatever else the library trips over: the file is at fault, not the process
        raise refused(FaultCode.NOT_YAML, 1, "not YAML 1.2") from None
    return builder.root()


def _decoded(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise refused(FaultCode.TOO_LARGE, 1, f"longer than {MAX_BYTES // 1024} KiB")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise refused(FaultCode.NOT_UTF8, line, "not UTF-8 text") from None


@dataclass(slots=True)
class _Open:
    """A collection whose end hasn't been seen yet; `key` waits for its value."""

    node: ListNode | MapNode
    path: str
    key: str | None = None


class _Builder:
    """Turns events into nodes, refusing what a plain document doesn't need."""

    def __init__(self) -> None:
        self._root: Node | None = None
        self._stack: list[_Open] = []
        self._nodes = 0

    def root(self) -> MapNode:
        if not isinstance(self._root, MapNode):
            raise refused(FaultCode.NOT_YAML, 1, "not a mapping of fields")
        return self._root

    def take(self, event: Any) -> None:
        line = event.start_mark.line + 1
        if isinstance(event, DocumentStartEvent):
            self._document(event, line)
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            self._stack.pop()
        elif isinstance(event, NodeEvent):
            self._check(event, line)
            self._node(event, line)

    def _document(self, event: DocumentStartEvent, line: int) -> None:
        if self._root is not None:
            raise refused(FaultCode.NOT_YAML, line, "more than one document in the file")
        if event.tags:
            raise refused(FaultCode.TAG, line, "YAML tags are not accepted")
        if event.version not in (None, (1, 2)):
            raise refused(FaultCode.NOT_YAML, line, "only YAML 1.2 is read")

    def _check(self, event: Any, line: int) -> None:
        if isinstance(event, AliasEvent) or event.anchor is not None:
            raise refused(FaultCode.ANCHOR_OR_ALIAS, line, "anchors and aliases are not accepted", self._path())
        implied = event.implicit if isinstance(event, CollectionStartEvent) else any(event.implicit)
        if event.ctag is not None or not implied:
            raise refused(FaultCode.TAG, line, "YAML tags are not accepted", self._path())
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise refused(FaultCode.TOO_MANY_VALUES, line, f"more than {MAX_NODES} values", self._path())

    def _node(self, event: Any, line: int) -> None:
        if isinstance(event, ScalarEvent):
            kind = scalar_kind(event.value, quoted=event.style is not None)
            scalar = ScalarNode(event.value, kind, line)
            if self._awaits_key():
                self._key(scalar)
            else:
                self._add(scalar)
            return
        if self._awaits_key():
            raise refused(FaultCode.WRONG_TYPE, line, "a field's name must be a text", self._path())
        if len(self._stack) >= MAX_DEPTH:
            raise refused(FaultCode.TOO_DEEP, line, f"nested deeper than {MAX_DEPTH} levels", self._path())
        path = self._path()
        node: ListNode | MapNode = MapNode({}, {}, line) if isinstance(event, MappingStartEvent) else ListNode([], line)
        self._add(node)
        self._stack.append(_Open(node, path))

    def _awaits_key(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1].node, MapNode) and self._stack[-1].key is None

    def _key(self, scalar: ScalarNode) -> None:
        top = self._stack[-1]
        assert isinstance(top.node, MapNode)
        path = join(top.path, scalar.text)
        if scalar.kind is Kind.BOOLEAN:
            raise refused(FaultCode.BOOLEAN, scalar.line, in_quotes(scalar.text), path)
        if scalar.kind is not Kind.STRING or len(scalar.text) > 128:
            raise refused(FaultCode.WRONG_TYPE, scalar.line, "a field's name must be a short text", top.path or WHOLE)
        if scalar.text in top.node.entries:
            first = top.node.lines[scalar.text]
            raise refused(FaultCode.DUPLICATE_KEY, scalar.line, f"stated twice, first in line {first}", path)
        top.key = scalar.text
        top.node.lines[scalar.text] = scalar.line

    def _add(self, node: Node) -> None:
        if not self._stack:
            self._root = node
            return
        top = self._stack[-1]
        if isinstance(top.node, ListNode):
            top.node.items.append(node)
            return
        assert top.key is not None
        top.node.entries[top.key] = node
        top.key = None

    def _path(self) -> str:
        if not self._stack:
            return WHOLE
        top = self._stack[-1]
        if isinstance(top.node, ListNode):
            return f"{top.path}[{len(top.node.items)}]"
        return join(top.path, top.key) if top.key is not None else top.path or WHOLE
