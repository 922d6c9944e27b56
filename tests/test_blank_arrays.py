"""Arrays of zeros that take memory where they are written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_pvpu.blank_arrays import blank

STATM = Path("/proc/self/statm")
PAGE = 4096


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "f4"])
@pytest.mark.parametrize("shape", [(3, 5), (3000, 3000), (20, 500, 600)], ids=str)
def test_is_what_numpy_would_return(shape, dtype):
    made = blank(shape, dtype)
    assert made.shape == shape
    assert made.dtype == np.dtype(dtype)
    assert not made.any()
    made[..., -1] = 7
    assert made.sum(dtype=np.int64) == 7 * np.prod(shape[:-1])
    assert made.flags.c_contiguous


def test_the_memory_outlives_all_but_its_last_view():
    row = blank((4000, 4000), np.uint16)[17]
    row[:] = 5
    assert row.tolist() == [5] * 4000


@pytest.mark.skipif(not STATM.exists(), reason="asks Linux how much memory is in use")
def test_little_memory_is_taken_where_little_is_written():
    made = blank((12_000, 12_000), np.uint16)
    before = int(STATM.read_text().split()[1])
    made[4000:4200, 6000:6200] = 1  # 200 rows, 24 kB apart, each in one page or two
    taken = (int(STATM.read_text().split()[1]) - before) * PAGE
    assert taken < 2**21, "less than a single large page"
    assert made[4100, 6100] == 1
