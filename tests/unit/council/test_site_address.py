"""Which addresses of a site the council's tool takes: plain HTTP for this machine alone."""

import pytest

from council.errors import WrongUse
from council.site import SiteClient


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:8080", "https://fairtap.example"]
)
def test_taken(url):
    SiteClient(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://fairtap.example",
        "http://127.evil.example",
        "http://localhost.example",
        "http://[::1:2]",
        "ftp://127.0.0.1",
        "x",
    ],
)
def test_refused(url):
    with pytest.raises(WrongUse):
        SiteClient(url)
