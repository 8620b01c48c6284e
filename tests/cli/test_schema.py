"""`lbapp schema`."""

from __future__ import annotations

import json

from click.testing import CliRunner

from lbapp.cli.context import Settings
from lbapp.cli.schema import schema
from lbapp.config.json_schema import json_schema


def test_schema_is_printed_as_json() -> None:
    done = CliRunner().invoke(schema, [], obj=Settings())
    assert done.exit_code == 0
    assert json.loads(done.stdout) == json_schema()
