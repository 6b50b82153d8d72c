"""The domain, on both databases."""

import pytest

pytest.register_assert_rewrite("tests.domain.world")
