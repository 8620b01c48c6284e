"""What has to hold between tables, whatever else is wrong with them."""

from __future__ import annotations

import pytest

from tests.config.test_load import problems

POOL = '[[pool]]\nname = "app"\n'


def listener(lines: str = 'pool = "app"', name: str = "web", bind: str = '"127.0.0.1:80"') -> str:
    return f'[[listener]]\nname = "{name}"\nbind = {bind}\n{lines}\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            listener() + POOL + POOL,
            ['f.toml:8: pool[1].name: the name "app" is taken already by pool[0]; choose another'],
        ),
        (
            listener() + POOL + 'server = [{name="s", address="a:1"},\n{name="s", address="b:1"}]',
            [
                'f.toml:8: pool[0].server[1].name: the name "s" is taken already by pool[0].server[0]; choose another',
            ],
        ),
        (
            listener() + listener(name="other", bind='["127.0.0.1:81",\n"127.0.0.1:80"]') + POOL,
            ["f.toml:8: listener[1].bind[1]: 127.0.0.1:80 is taken by listener web already; choose another"],
        ),
        (
            listener(bind='["[::1]:80", "[0::1]:80"]') + POOL,
            ["f.toml:3: listener[0].bind[1]: [::1]:80 is taken by listener web already; choose another"],
        ),
        (
            listener("") + POOL,
            ["f.toml:1: listener[0]: the listener has no pool; name one, or give it routes"],
        ),
        (
            listener('protocol = "tcp"\npool = "app"\nroute = [{ pool = "app" }]') + POOL,
            [
                "f.toml:6: listener[0].route[0]: a route of a tcp listener says what clients ask for in their TLS hello; "
                "give it sni"
            ],
        ),
        (
            listener('[[listener.route]]\npool = "nowhere"') + POOL,
            ['f.toml:5: listener[0].route[0].pool: there is no pool "nowhere"; defined: app'],
        ),
        (listener(), ['f.toml:4: listener[0].pool: there is no pool "app"; defined: none']),
        (POOL, ["f.toml: listener: there is no listener; allowed: one or more, each under [[listener]]"]),
    ],
)
def test_problem_between_tables_is_named(text: str, expected: list[str]) -> None:
    assert problems(text) == expected


def test_port_that_the_system_chooses_is_never_taken() -> None:
    text = listener(bind='["127.0.0.1:0", "127.0.0.1:0"]') + "x = 1\n" + POOL
    assert [problem.split(":")[2] for problem in problems(text)] == [" listener[0].x"]


@pytest.mark.parametrize(
    "shape", ["1", "[1, {}]", "{}", "[{ name = 1, bind = [[]], route = 2, pool = 3, server = 4 }]"]
)
def test_tables_of_any_shape_are_left_to_the_schema(shape: str) -> None:
    for found in (problems(f"listener = {shape}\n" + POOL), problems(f"pool = {shape}\n" + listener())):
        assert found
        assert all("allowed" in line or "missing" in line or "defined" in line or ";" in line for line in found)


def test_sentence_names_few_of_many_pools_and_nothing_that_a_terminal_obeys() -> None:
    pools = "".join(f'[[pool]]\nname = "{number:04}"\n' for number in range(25))
    assert problems(listener() + pools)[0].endswith(", 0022, 0023 and 1 more")
    text = listener('pool = "a\\u009bb"', name="x\\u001b[2J") * 2 + '[[pool]]\nname = "c\\nd\\u0085"\n'
    found = problems(text)
    assert found
    assert all(line.isprintable() for line in found)
