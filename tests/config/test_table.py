from __future__ import annotations

import pytest
from pydantic import ValidationError

from lbapp.config.table import Table


def test_unknown_keys_and_other_types_are_errors_and_nothing_changes() -> None:
    class Sample(Table):
        flag: bool = False

    assert Sample.model_validate({"flag": True}).flag
    for wrong in ({"flga": True}, {"flag": 1}):
        with pytest.raises(ValidationError):
            Sample.model_validate(wrong)
    with pytest.raises(ValidationError):
        Sample().flag = True
