"""The strict reader of an agreement: bytes in, a checked `Agreement` out, or every fault of the document at once.

Judges the document alone (agreement.md §1, §2); anchors and signatures count when it is activated.
"""

from __future__ import annotations

import hashlib
from zoneinfo import ZoneInfo

from crypto.errors import JcsError
from crypto.jcs import canonical
from policy.agreement.faults import AgreementRefused, Fault, FaultCode
from policy.agreement.json_tree import parse_canonical
from policy.agreement.reader import Report, ZoneSource, root_section
from policy.agreement.refusals import check_rules
from policy.agreement.schema import Agreement
from policy.agreement.sections import read_agreement
from policy.agreement.tree import WHOLE, MapNode

__all__ = ["Agreement", "AgreementRefused", "Fault", "FaultCode", "canonical_document", "load"]


def load(data: bytes, zones: ZoneSource = ZoneInfo) -> Agreement:
    """Read an agreement; raises `AgreementRefused`, and nothing else, for whatever `data` holds.

    YAML 1.2, or the canonical JSON of one. `zones` turns the name of a time zone into the zone.
    """
    tree = parse_canonical(data) or _from_yaml(data)
    report = Report()
    agreement = read_agreement(root_section(tree, report), zones, _digest(tree))
    check_rules(agreement, report)
    if report.faults:
        raise AgreementRefused(report.faults)
    return agreement


def canonical_document(data: bytes) -> bytes:
    """The canonical JSON of a document: the bytes that its digest is of. Raises `AgreementRefused`, also as `load`."""
    tree = parse_canonical(data) or _from_yaml(data)
    return _canonical(tree)


def _from_yaml(data: bytes) -> MapNode:
    try:
        # The council's tool has no YAML library and needs none: it is handed documents as canonical JSON.
        from policy.agreement.yaml_tree import parse_tree
    except ImportError:
        raise AgreementRefused([Fault(FaultCode.NOT_YAML, WHOLE, 1, "not canonical json")]) from None
    return parse_tree(data)


def _digest(tree: MapNode) -> str:
    """SHA-256 (hex) of the document's canonical JSON: layout, comments and quoting don't matter, content does."""
    return hashlib.sha256(_canonical(tree)).hexdigest()


def _canonical(tree: MapNode) -> bytes:
    try:
        return canonical(tree.plain())
    except JcsError as error:
        raise AgreementRefused([Fault(FaultCode.WRONG_VALUE, WHOLE, 1, str(error))]) from None
