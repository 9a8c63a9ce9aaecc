"""Commands that a page shows: the program takes each as it stands, and means what the page means."""

from __future__ import annotations

import shlex
from datetime import date

import pytest
from typer.main import get_command

from cli.app import app
from cli.web.command_line import command_line
from cli.web.pages.compare import CompareForm
from cli.web.pages.frontier import frontier_content, frontier_form
from cli.web.pages.plan import plan_content, plan_form
from cli.web.pages.switchover import switchover_content, switchover_form
from cli.web.query import Query
from cli.workflows.home import Home

TODAY = date(2026, 11, 29)


def understood(line):
    """Return the options of a command line as the program reads them; an unknown one raises."""
    program, *words = shlex.split(line)
    assert program == "advisor"
    command = get_command(app)
    while hasattr(command, "commands"):
        name, *words = words
        command = command.commands[name]
    return command.make_context(name, words).params


def test_the_map_of_a_page_is_that_of_its_command(tmp_path):
    query = [("family", "vgg"), ("members", "3"), ("dataset", "digits"), ("g", "2"), ("budget", "100k-400k")]
    form = switchover_form(Query([*query, ("epochs", "5-20"), ("reading", "whole")]), None)
    given = understood(switchover_content(form, Home(tmp_path), TODAY).command)
    wanted = {
        "family": "vgg",
        "members": 3,
        "dataset": "digits",
        "g": 2,
        "budget": "100k-400k",
        "epochs": "5-20",
    }
    assert {name: given[name] for name in wanted} == wanted
    assert (given["reading"], given["axis"]) == ("whole", "epochs")


def test_the_plan_and_the_frontier_of_a_page_are_those_of_their_commands(tmp_path):
    plan = plan_form(Query([("target", "2xresnet-8-2@g1"), ("dataset", "digits"), ("epochs", "7")]))
    given = understood(plan_content(plan, Home(tmp_path), TODAY).command)
    assert (given["target"], given["dataset"], given["epochs"]) == ("2xresnet-8-2@g1", "digits", 7)
    ways = frontier_form(Query([("ensemble", "2xresnet-8-2"), ("dataset", "digits")]))
    given = understood(frontier_content(ways, Home(tmp_path), TODAY).command)
    assert (given["ensemble"], given["dataset"], given["epochs"]) == ("2xresnet-8-2", "digits", None)


@pytest.mark.parametrize("name", ["folder:/a b", "folder:/$(rm -r x)", "it's; ls"])
def test_a_name_is_one_word_of_a_shell(name):
    assert shlex.split(command_line("train", "V5", dataset=name)) == [
        "advisor",
        "train",
        "V5",
        "--dataset",
        name,
    ]


def test_switches_and_what_is_not_given():
    assert command_line("train", "V5", epochs=None, until_converged=True, skip_damaged=False) == (
        "advisor train V5 --until-converged"
    )
    assert understood(command_line("runs compare", *CompareForm(runs=("3", "4")).runs))["runs"] == ["3", "4"]
