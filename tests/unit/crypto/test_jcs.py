"""RFC 8785 with integers only: canonical printing, strict reading."""

import pytest

from crypto.errors import JcsError
from crypto.jcs import MAX_DEPTH, MAX_INTEGER, canonical, parse, parse_json


def test_members_are_ordered_by_utf16_code_unit():
    # U+10000 is D800 DC00 in UTF-16, hence before U+E000, which has the lower code point (RFC 8785 §3.2.3).
    names = ["\ue000", "\U00010000", "é", "a", "€", "1", "\r", "\ufb33", "\x80"]
    order = ["\r", "1", "a", "\x80", "é", "€", "\U00010000", "\ue000", "\ufb33"]
    assert list(parse(canonical(dict.fromkeys(names, 0)))) == order  # type: ignore[arg-type]  # it is a mapping


def test_nested_members_are_ordered_too():
    assert canonical({"b": [{"d": 1, "c": 2}], "a": None}) == b'{"a":null,"b":[{"c":2,"d":1}]}'


def test_strings_are_escaped_only_where_needed():
    text = '\b\t\n\f\r"\\/\x00\x1f\x7fé€😀'
    assert canonical(text) == b'"\\b\\t\\n\\f\\r\\"\\\\/\\u0000\\u001f\x7f' + "é€😀".encode() + b'"'


def test_scalars_and_tuples():
    assert canonical((True, False, None, 0, -1, MAX_INTEGER, "")) == b'[true,false,null,0,-1,9007199254740991,""]'


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        MAX_INTEGER + 1,
        -MAX_INTEGER - 1,
        {1: 2},
        {None: 1},
        b"x",
        {1},
        object(),
        "\ud800",
        {"\udfff": 1},
    ],
)
def test_what_cannot_be_printed_is_refused(value):
    with pytest.raises(JcsError):
        canonical(value)
    with pytest.raises(JcsError):
        canonical([{"a": value}])


@pytest.mark.parametrize(
    "data",
    [b'{"a":1}', b"[]", b'""', b"0", b"-9007199254740991", b"null", '{"ä":"\\u0001"}'.encode()],
)
def test_canonical_json_is_read_and_printed_alike(data):
    assert canonical(parse(data)) == data


@pytest.mark.parametrize(
    "data",
    [
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b'{"a":1}\n',
        b' "a"',
        b'"\\u0041"',
        b'"\\/"',
        b'"\\u001F"',
        b"-0",
        b'{"\\u0061":1}',
    ],
)
def test_another_form_is_refused_by_parse_and_taken_by_parse_json(data):
    parse_json(data)
    with pytest.raises(JcsError, match="canonical"):
        parse(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a":1,"a":1}',
        b'{"x":{"a":1,"\\u0061":1}}',
        b"1.0",
        b"1e3",
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"9007199254740992",
        b"1" * 5000,
        b"01",
        b"+1",
        b"[1,]",
        b"'a'",
        b'"\x01"',
        b'"\xff"',
        b'"\\ud800"',
        b"\xef\xbb\xbf{}",
        b"{}{}",
        b"/**/{}",
        '{"a":1}'.encode("utf-16"),
    ],
)
def test_what_is_not_strict_json_is_refused_by_both(data):
    for read in (parse, parse_json):
        with pytest.raises(JcsError):
            read(data)


def test_depth_is_limited():
    deepest = b"[" * MAX_DEPTH + b"0" + b"]" * MAX_DEPTH
    assert canonical(parse(deepest)) == deepest
    for depth in (MAX_DEPTH + 1, 100_000):
        with pytest.raises(JcsError, match="deep"):
            parse(b"[" * depth + b"0" + b"]" * depth)


def test_a_structure_that_holds_itself_is_refused():
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(JcsError, match="deep"):
        canonical(loop)


def test_size_is_limited():
    assert parse(b'"abc"', limit=5) == "abc"
    with pytest.raises(JcsError, match="longer than 4 bytes"):
        parse(b'"abc"', limit=4)
