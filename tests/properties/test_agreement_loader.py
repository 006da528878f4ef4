"""The agreement's loader: whatever comes in, an agreement or `AgreementRefused` comes out; the same for statements."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.agreement.faults import FaultCode
from policy.agreement.load import AgreementRefused, load
from policy.agreement.tree import MapNode
from policy.agreement.yaml_tree import parse_tree
from policy.consent import parse_receipt
from policy.errors import PeriodError, StatementError
from policy.period import parse_period
from policy.profiles import PROFILES, Profile, tightened
from policy.release import parse_release
from policy.statements import parse_consent, parse_enrolment, parse_seat
from tests.unit.policy.green import EXAMPLE, edited, example, plain_example

fewer = settings(max_examples=max(10, settings().max_examples // 4))
"""A whole agreement takes 30 ms to read."""

TEXT = EXAMPLE.read_bytes()
yamlish = st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>%@`'\"#,?~\n\t 01.é\x00\u2028"), max_size=200)


def loads(data: bytes) -> bool:
    """It is an agreement; refused with faults that each name field and line otherwise."""
    try:
        load(data)
    except AgreementRefused as refused:
        assert refused.faults
        for fault in refused.faults:
            assert fault.field
            assert fault.line >= 1
            assert str(fault).isprintable()
        return False
    return True


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    assert not loads(data)


@given(yamlish)
def test_any_text_that_looks_like_yaml(text: str) -> None:
    assert not loads(text.encode())


@fewer
@given(st.data())
def test_the_example_with_a_few_bytes_changed(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(TEXT)))
    length = data.draw(st.integers(0, 30))
    loads(TEXT[:start] + data.draw(st.binary(max_size=8)) + TEXT[start + length :])


@fewer
@given(st.data())
def test_the_example_with_text_spliced_in(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(TEXT)))
    loads(TEXT[:start] + data.draw(yamlish).encode() + TEXT[start:])


def paths(node: object, path: str = "") -> list[str]:
    """Every field and item of the example."""
    if isinstance(node, dict):
        inner = [found for key, value in node.items() for found in paths(value, f"{path}/{key}")]
    elif isinstance(node, list):
        inner = [found for place, value in enumerate(node) for found in paths(value, f"{path}/{place}")]
    else:
        inner = []
    return [path.lstrip("/"), *inner] if path else inner


values: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@fewer
@given(st.sampled_from(paths(plain_example())), values)
def test_any_value_in_any_place(path: str, value: object) -> None:
    loads(edited({path: value}))


@fewer
@given(st.sampled_from([path for path in paths(plain_example()) if "." not in path]), st.text(min_size=1, max_size=8))
def test_an_unknown_field_anywhere_is_refused(path: str, name: str) -> None:
    node = plain_example()
    for part in path.split("/"):
        node = node[int(part) if part.isdigit() else part]
    if not isinstance(node, dict) or name in node or "/" in name or path in ("title", "scope/groups"):
        return
    if (path, name) in (("legal", "per_leg_opinion"),):
        return
    with pytest.raises(AgreementRefused) as refused:
        load(edited({f"{path}/{name}": "x"}))
    assert refused.value.faults[0].code in FaultCode


@fewer
@given(st.integers(0, 2_000_000), st.integers(0, 4))
def test_percent_is_exact(ppm: int, cut: int) -> None:
    whole, rest = divmod(ppm, 10_000)
    text = f"{whole}.{rest:04}"[: len(f"{whole}.{rest:04}") - cut].rstrip(".")
    kept = int(text.split(".")[0]) * 10_000 + int(([*text.split("."), ""])[1].ljust(4, "0"))
    document = edited({"lanes/sample/rates/1/percent": text, "lanes/campaigns": []})
    if kept <= 200_000:
        sample = load(document).lanes.sample
        assert sample is not None
        assert sample.rates[1].ppm == kept
    else:
        assert not loads(document)


@fewer
@given(st.randoms(use_true_random=False))
def test_the_order_of_fields_changes_nothing(dice) -> None:
    def shuffled(node):
        if isinstance(node, dict):
            items = [(key, shuffled(value)) for key, value in node.items()]
            dice.shuffle(items)
            return dict(items)
        return [shuffled(value) for value in node] if isinstance(node, list) else node

    document = shuffled({key: value for key, value in plain_example().items() if key != "scope"})
    document["scope"] = plain_example()["scope"]
    assert load(json.dumps(document).encode()).digest == example().digest


def test_the_tree_holds_the_document() -> None:
    tree = parse_tree(TEXT)
    assert isinstance(tree, MapNode)
    assert tree.plain() == plain_example()


@pytest.mark.parametrize("parse", [parse_consent, parse_seat, parse_enrolment, parse_receipt, parse_release])
@given(data=st.binary(max_size=200) | values.map(lambda value: json.dumps(value).encode()))
def test_statements_raise_one_error(parse: Callable[[bytes], object], data: bytes) -> None:
    with pytest.raises(StatementError):
        parse(data)


@given(st.text(max_size=12) | st.from_regex(r"P(T?)[0-9]{1,6}[YMWDHS]", fullmatch=True))
def test_periods_raise_one_error(text: str) -> None:
    try:
        period = parse_period(text)
    except PeriodError:
        return
    assert str(period) == text
    assert period.longest_seconds > 0


profiles = st.builds(Profile, st.just("XX"), st.booleans(), st.booleans(), st.booleans())


@given(profiles, st.sampled_from(sorted(PROFILES)))
def test_a_profile_only_tightens(base: Profile, name: str) -> None:
    both = tightened(base, PROFILES[name])
    for flag in ("forbids_opt_out", "per_leg_needs_opinion", "needs_dpia"):
        assert getattr(both, flag) >= getattr(base, flag)
        assert getattr(both, flag) >= getattr(PROFILES[name], flag)
