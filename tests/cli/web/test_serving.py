"""Where the local page is served, and what is refused before it is."""

from __future__ import annotations

import socket
from importlib.util import find_spec as found

import pytest

from advisor.errors import UsageError
from cli.web.site import server
from cli.web.site.server import Serving


@pytest.mark.parametrize("port", ["-1", "65536", "99999999999"])
def test_a_port_out_of_range_is_one_line(advisor, port):
    answer = advisor("web", "--no-browser", "--port", port)
    assert answer.code == 2
    assert "--port must be from 0 to 65535" in answer.error_line


def test_a_port_that_another_server_has_is_one_line(advisor):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        answer = advisor("web", "--no-browser", "--port", str(number))
    assert answer.code == 2
    assert f"cannot listen at 127.0.0.1 port {number}" in answer.error_line
    assert "--port" in answer.error_line
    assert answer.out == ""


@pytest.mark.parametrize("host", ["no-such-name.invalid", "203.0.113.7", "::zz", "a b", "x" * 300, ""])
def test_a_host_that_is_not_of_this_machine_is_one_line(advisor, host):
    answer = advisor("web", "--no-browser", "--host", host)
    assert answer.code == 2
    assert "--host" in answer.error_line
    assert answer.out == ""


def test_without_its_packages_a_line_says_how_to_install_them(advisor, monkeypatch):
    monkeypatch.setattr(server, "find_spec", lambda name: None if name == "uvicorn" else found(name))
    answer = advisor("web", "--no-browser")
    assert answer.code == 2
    assert "uvicorn" in answer.error_line
    assert "pip install 'ensemble-advisor[web]'" in answer.error_line


def test_the_page_answers_under_the_names_of_its_machine_only():
    assert Serving().only_here
    assert Serving().hosts == {"127.0.0.1", "localhost", "::1"}
    assert Serving(proxy="hub.example").hosts == {"127.0.0.1", "localhost", "::1", "hub.example"}
    assert Serving(host="10.1.2.3").hosts == {"127.0.0.1", "localhost", "::1", "10.1.2.3"}
    assert not Serving(host="10.1.2.3").only_here


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_server_at_all_addresses_answers_under_any_name_unless_a_proxy_is_named(host):
    assert Serving(host=host).hosts is None
    assert not Serving(host=host).only_here
    assert "hub.example" in Serving(host=host, proxy="hub.example").hosts


def test_a_port_is_checked_where_it_is_given():
    with pytest.raises(UsageError, match="got 70000"):
        Serving(port=70_000)
