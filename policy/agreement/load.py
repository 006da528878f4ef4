"""The strict reader of an agreement: bytes in, a checked `Agreement` out, or every fault of the document at once.

Judges the document alone (agreement.md §1, §2); anchors and signatures count when it is activated.
"""

from __future__ import annotations

import hashlib
from zoneinfo import ZoneInfo

from crypto.errors import JcsError
from crypto.jcs import canonical
from policy.agreement.faults import AgreementRefused, Fault, FaultCode
from policy.agreement.reader import Report, ZoneSource, root_section
from policy.agreement.refusals import check_rules
from policy.agreement.schema import Agreement
from policy.agreement.sections import read_agreement
from policy.agreement.tree import WHOLE, MapNode, parse_tree

__all__ = ["Agreement", "AgreementRefused", "Fault", "FaultCode", "load"]


def load(data: bytes, zones: ZoneSource = ZoneInfo) -> Agreement:
    """Read an agreement; raises `AgreementRefused`, and nothing else, for whatever `data` holds.

    `zones` turns the name of a time zone into the zone.
    """
    tree = parse_tree(data)
    report = Report()
    agreement = read_agreement(root_section(tree, report), zones, _digest(tree))
    check_rules(agreement, report)
    if report.faults:
        raise AgreementRefused(report.faults)
    return agreement


def _digest(tree: MapNode) -> str:
    """SHA-256 (hex) of the document's canonical JSON: layout, comments and quoting don't matter, content does."""
    try:
        return hashlib.sha256(canonical(tree.plain())).hexdigest()
    except JcsError as error:
        raise AgreementRefused([Fault(FaultCode.WRONG_VALUE, WHOLE, 1, str(error))]) from None
