"""Who may ask the local page, and what every answer tells a browser."""

from __future__ import annotations

import pytest
from asked import HOST, asked
from starlette.responses import PlainTextResponse

from cli.web.site.guard import HEADERS, Guard, cookie_name

SECRET = "a-secret"
MINE = f"{cookie_name(SECRET)}={SECRET}"
GUARDED = Guard(PlainTextResponse("inside"), SECRET, {"127.0.0.1", "localhost", "::1"})


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "LOCALHOST:1", "[::1]:8000"])
def test_this_machine_with_the_cookie_is_let_in(host):
    assert asked(GUARDED, "/", {"Host": host}, cookie=MINE).text == "inside"


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "127.0.0.2", "[", "[::1", "a:b:c"],
)
def test_a_foreign_host_is_refused_whatever_it_knows(host):
    for address in ("/", f"/?token={SECRET}"):
        reply = asked(GUARDED, address, {"Host": host}, cookie=MINE)
        assert reply.code == 421
        assert "set-cookie" not in reply.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    ],
    ids=str,
)
def test_scripts_and_pictures_of_another_site_are_refused(headers):
    assert asked(GUARDED, "/", headers, cookie=MINE).code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
    ids=str,
)
def test_the_page_itself_the_address_bar_and_a_link_are_let_in(headers):
    assert asked(GUARDED, "/", headers, cookie=MINE).code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_the_page_is_only_read(method):
    reply = asked(GUARDED, f"/?token={SECRET}", method=method, cookie=MINE)
    assert reply.code == 405
    assert reply.headers["allow"] == "GET, HEAD"
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize(
    ("address", "cookie"),
    [
        ("/", None),
        ("/?token=", None),
        ("/?token=wrong", None),
        ("/?token=w%C3%B6rng", None),
        ("/runs", f"{cookie_name(SECRET)}=wrong"),
        ("/static/page.js", f"other={SECRET}"),
    ],
)
def test_without_the_token_nothing_is_shown(address, cookie):
    reply = asked(GUARDED, address, cookie=cookie)
    assert reply.code == 403
    assert SECRET not in reply.text


def test_the_token_becomes_a_cookie_that_scripts_and_other_sites_do_not_have():
    reply = asked(GUARDED, f"/x/runs?sort=-id&token={SECRET}&design=%22%3E%3Cb%3E")
    assert reply.code == 200
    cookie = reply.headers["set-cookie"]
    assert cookie.startswith(f"{MINE};")
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    # The way on is relative, without the token, and what it has is escaped.
    assert 'url=./runs?sort=-id&amp;design=%22%3E%3Cb%3E"' in reply.text
    assert SECRET not in reply.text


@pytest.mark.parametrize(
    "reply",
    [
        asked(GUARDED, "/", cookie=MINE),
        asked(GUARDED, f"/?token={SECRET}"),
        asked(GUARDED, "/"),
        asked(GUARDED, "/", {"Host": "evil.example"}),
        asked(GUARDED, "/", method="POST"),
    ],
    ids=["page", "token", "no token", "host", "post"],
)
def test_every_answer_has_the_policy_and_no_permission_for_others(reply):
    for name, value in HEADERS.items():
        assert reply.headers[name.lower()] == value
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "script-src 'self';" in policy
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_a_machine_that_listens_at_all_addresses_answers_under_any_name_but_with_the_token_only():
    anywhere = Guard(PlainTextResponse("inside"), SECRET, None)
    assert asked(anywhere, "/", {"Host": "my-machine:8000"}, cookie=MINE).code == 200
    assert asked(anywhere, "/", {"Host": "my-machine:8000"}).code == 403


def test_two_servers_of_one_machine_have_a_cookie_each():
    other = Guard(PlainTextResponse("other"), "another-secret", {"127.0.0.1"})
    both = f"{MINE}; {cookie_name('another-secret')}=another-secret"
    assert cookie_name("another-secret") != cookie_name(SECRET)
    assert asked(GUARDED, "/", cookie=both).text == "inside"
    assert asked(other, "/", cookie=both).text == "other"
    assert asked(other, "/", cookie=MINE).code == 403
