"""BUNDLE (RFC 9143): m-lines that would share one port. What is relayed m-line by m-line is offered apart instead."""

from gateway.sdp.session import Session, parse_session


def unbundled(session: Session) -> Session:
    """The offer without its bundles; as it is where an m-line can't do without one (`bundle-only`)."""
    bundles = {
        index for index, value in session.attribute_lines(None, "group") if value.upper().split()[:1] == ["BUNDLE"]
    }
    if not bundles or any(session.attributes(media, "bundle-only") for media in session.media):
        return session
    kept = [line.raw for index, line in enumerate(session.lines) if index not in bundles]
    return parse_session(b"".join(kept) + session.tail)
