"""The conditions of a run: nested holds on the numerical libraries, and what is left after them."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from experiments.conditions import one_thread


def _threads() -> list[int]:
    assert np.ones(2) @ np.ones(2) == 2.0
    return [int(pool["num_threads"]) for pool in threadpool_info()]


def test_the_last_who_holds_the_libraries_to_one_thread_gives_them_back() -> None:
    with threadpool_limits(2):
        before = _threads()
        with one_thread():
            with one_thread():
                assert set(_threads()) == {1}
            assert set(_threads()) == {1}
        assert _threads() == before
        assert max(before) == 2


def test_a_failure_gives_them_back_too() -> None:
    with threadpool_limits(2):
        before = _threads()
        with pytest.raises(ZeroDivisionError), one_thread():
            assert set(_threads()) == {1}
            _ = 1 // 0
        assert _threads() == before
