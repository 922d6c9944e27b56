"""The feature store: what comes back, what does not, and who makes room for whom."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
import tracemalloc
import zlib

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from safetensors.numpy import save

from napari_pvpu.errors import StoreError
from napari_pvpu.features import store as store_module
from napari_pvpu.features.store import DEFAULT_LIMIT, FeatureStore, open_store, store_folder
from napari_pvpu.features.store_care import check_store, clear_store, look_into
from napari_pvpu.features.store_files import pack, path_of, stored_files, unpack

SPACE = "0123456789abcdef"
KEYS = [f"{number:032x}" for number in range(100)]
ONE = {"level00": np.arange(500, dtype=np.float16)}


@pytest.fixture
def store(tmp_path):
    return FeatureStore(tmp_path / "store")


def place(store, key=KEYS[0]):
    return path_of(store.folder, SPACE, key)


def age(store, key, seconds):
    then = time.time() - seconds
    os.utime(place(store, key), (then, then))


def fill(store, count=10, seconds=1000):
    """Put `count` views, each used ten seconds before the next."""
    for number in range(count):
        assert store.put(SPACE, KEYS[number], ONE, {"model": "small"})
        age(store, KEYS[number], seconds - 10 * number)


@given(
    arrays(
        st.sampled_from([np.float16, np.float32]),
        array_shapes(min_dims=0, max_dims=4, min_side=0),
        elements={"allow_nan": True},
    )
)
def test_any_array_comes_back_bit_for_bit(array):
    found, about = unpack(pack(KEYS[0], {"a": array}, {"model": "m"}), KEYS[0])
    assert found["a"].dtype == array.dtype
    assert found["a"].shape == array.shape
    assert found["a"].tobytes() == array.tobytes()
    assert about["model"] == "m"


def test_files_of_version_1_are_read_as_before(store):
    array = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float16)
    checksum = xxhash.xxh3_128(b"level00 float16 (3, 4)" + array.tobytes()).hexdigest()
    about = {"format": "napari-pvpu view features 1", "key": KEYS[0], "checksum": checksum}
    place(store).parent.mkdir(parents=True)
    place(store).write_bytes(save({"level00": array}, about | {"model": "small"}))
    found, about = store.get(SPACE, KEYS[0])
    assert np.array_equal(found["level00"], array)
    assert about["model"] == "small"
    assert check_store(store).views == 1


def test_numbers_like_features_take_less_room_than_float16():
    array = np.random.default_rng(0).normal(size=50_000).astype(np.float16)
    assert len(pack(KEYS[0], {"a": array}, {})) < 0.87 * array.nbytes


def test_a_code_that_stands_for_more_than_it_should_is_damaged_and_takes_no_memory():
    whole = pack(KEYS[0], {"a": np.arange(1000, dtype=np.float16)}, {})
    header = json.loads(whole[8 : 8 + int.from_bytes(whole[:8], "little")])["__metadata__"]
    bomb = np.frombuffer(zlib.compress(bytes(10**7), wbits=-15), np.uint8)
    data = save({"a.low": np.zeros(1000, np.uint8), "a.high": bomb}, header)
    tracemalloc.start()
    with pytest.raises(ValueError, match="damaged"):
        unpack(data, KEYS[0])
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()


def test_what_was_put_is_got_by_any_store_on_the_folder(store):
    assert store.get(SPACE, KEYS[0]) is None
    assert store.put(SPACE, KEYS[0], ONE, {"model": "small"})
    arrays, about = FeatureStore(store.folder).get(SPACE, KEYS[0])
    assert np.array_equal(arrays["level00"], ONE["level00"])
    assert about["model"] == "small"
    assert store.get(SPACE, KEYS[1]) is None
    assert store.get("f" * 16, KEYS[0]) is None


def test_keys_tell_apart_what_differs():
    store = FeatureStore("unused")
    view = np.random.default_rng(0).random((3, 8, 8), np.float32)
    other = view.copy()
    other[2, 7, 7] = np.nextafter(other[2, 7, 7], 2)
    keys = [
        store.key(SPACE, view),
        store.key(SPACE, other),
        store.key("f" * 16, view),
        store.key(SPACE, view.reshape(3, 4, 16)),
    ]
    assert len(set(keys)) == 4
    turned = np.asfortranarray(view)
    assert store.key(SPACE, turned) == keys[0]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:5],
        lambda data: data[:100],
        lambda data: data[:-1],
        lambda data: data[:-10] + b"\x00" * 10,
        lambda data: b"\xff" * len(data),
        lambda data: data.replace(b"napari-pvpu view features", b"somebody elses features  "),
        lambda data: data.replace(KEYS[0].encode(), KEYS[1].encode()),
        lambda data: data + b"more",
        lambda data: (100).to_bytes(8, "little") + b"[" * 100,
    ],
    ids=["empty", "stub", "short", "cut", "zeros", "noise", "foreign", "moved", "long", "deep"],
)
def test_damaged_and_foreign_files_are_nothing_and_are_replaced(store, damage):
    store.put(SPACE, KEYS[0], ONE)
    store.put(SPACE, KEYS[2], ONE)
    whole = place(store).read_bytes()
    place(store).write_bytes(damage(whole))
    assert store.get(SPACE, KEYS[0]) is None
    checked = check_store(store)
    assert [path for path, _ in checked.damaged] == [place(store)]
    assert (checked.views, checked.removed) == (1, 0)
    assert store.put(SPACE, KEYS[0], ONE)
    assert np.array_equal(store.get(SPACE, KEYS[0])[0]["level00"], ONE["level00"])


@given(position=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_no_flipped_bit_is_taken_for_features(position, bit):
    data = bytearray(pack(KEYS[0], ONE, {}))
    position %= len(data)
    data[position] ^= 1 << bit
    try:
        found, _ = unpack(bytes(data), KEYS[0])
    except ValueError:
        return
    # A blank of the header's padding may change without harm.
    assert np.array_equal(found["level00"], ONE["level00"])


def test_a_folder_in_the_place_of_a_file_is_nothing(store):
    place(store).mkdir(parents=True)
    assert store.get(SPACE, KEYS[0]) is None
    assert not store.put(SPACE, KEYS[0], ONE)
    assert "cannot be kept" in store.trouble


def test_verify_removes_damaged_files_when_told(store):
    fill(store, 3)
    place(store, KEYS[1]).write_bytes(b"damaged")
    checked = check_store(store, remove=True)
    assert (checked.views, checked.removed) == (2, 1)
    assert not place(store, KEYS[1]).exists()
    assert not check_store(store).damaged


def test_those_not_used_for_longest_make_room(store):
    fill(store)
    assert store.get(SPACE, KEYS[0])  # used just now
    size = place(store).stat().st_size
    store.limit = 10 * size
    assert FeatureStore(store.folder).put(SPACE, KEYS[10], ONE)
    left = {file.path.stem for file in stored_files(store.folder)}
    assert left == {KEYS[0], *KEYS[2:11]}


def test_room_is_made_while_it_goes_on(store):
    store.put(SPACE, KEYS[0], ONE)
    size = place(store).stat().st_size
    store.limit = int(20.5 * size)
    for number, key in enumerate(KEYS):
        assert store.put(SPACE, key, ONE)
        age(store, key, 1000 - number)
        assert sum(file.size for file in stored_files(store.folder)) <= store.limit
    left = {file.path.stem for file in stored_files(store.folder)}
    assert len(left) >= 17
    assert left == set(KEYS[-len(left) :])


def test_what_is_in_use_stays_when_that_was_asked_for(store):
    fill(store, 4, seconds=-100)  # used after the beginning
    size = place(store).stat().st_size
    store.limit = 4 * size
    careful = FeatureStore(store.folder, keep_since=time.time())
    assert not careful.put(SPACE, KEYS[4], ONE)
    assert "is full" in careful.trouble
    assert "cache limit" in careful.trouble
    assert len(list(stored_files(store.folder))) == 4
    age(store, KEYS[2], 1000)
    assert careful.put(SPACE, KEYS[4], ONE)
    assert careful.trouble is None
    assert store.get(SPACE, KEYS[2]) is None


def test_a_limit_below_one_file_keeps_nothing(store):
    store.limit = 0
    assert not store.put(SPACE, KEYS[0], ONE)
    assert not list(stored_files(store.folder))


def test_the_limit_is_the_folders(store):
    assert store.limit == DEFAULT_LIMIT
    store.limit = 12_345
    assert FeatureStore(store.folder).limit == 12_345
    (store.folder / "feature-store.json").write_text('{"limit": "much"}')
    assert store.limit == DEFAULT_LIMIT
    with pytest.raises(StoreError, match="cannot have -1 bytes"):
        store.limit = -1


def test_files_that_were_never_finished_are_cleared_away(store):
    fill(store, 2)
    given_up = place(store).with_name(f".{KEYS[5]}.0123456789ab.tmp")
    given_up.write_bytes(b"half")
    os.utime(given_up, (0, 0))
    in_work = place(store).with_name(f".{KEYS[6]}.0123456789ab.tmp")
    in_work.write_bytes(b"half")
    assert look_into(store).views == 2
    assert FeatureStore(store.folder).put(SPACE, KEYS[2], ONE)
    assert not given_up.exists()
    assert in_work.exists()


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.ENOSPC, "free some space there"), (errno.EROFS, "see that it may be written to")],
    ids=["full", "read-only"],
)
def test_a_disk_that_refuses_costs_features_and_nothing_else(
    store, monkeypatch, caplog, number, remedy
):
    def full(path, target):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(store_module.os, "replace", full)
        assert not store.put(SPACE, KEYS[0], ONE)
        assert not store.put(SPACE, KEYS[0], ONE)
    assert os.strerror(number) in store.trouble
    assert remedy in store.trouble
    assert len(caplog.records) == 1
    assert not list(stored_files(store.folder))
    monkeypatch.setattr(store_module, "_PAUSE", 0)
    again = FeatureStore(store.folder)
    assert again.put(SPACE, KEYS[0], ONE)


def test_a_store_in_the_place_of_a_file_keeps_nothing(tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("mine")
    store = FeatureStore(taken)
    assert not store.put(SPACE, KEYS[0], ONE)
    assert store.get(SPACE, KEYS[0]) is None
    assert look_into(store).views == 0
    assert clear_store(store) == (0, 0)
    assert taken.read_text() == "mine"
    with pytest.raises(StoreError, match="cannot be written into"):
        store.limit = 10


def test_clearing_takes_our_files_and_no_others(store):
    fill(store, 3)
    kept = [
        store.folder / "notes.txt",
        place(store).with_name("picture.safetensors"),
        store.folder / "views-1" / "0123" / "00" / f"{KEYS[0]}.safetensors",
    ]
    for path in kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    removed, size = clear_store(store)
    assert removed == 3
    assert size > 3 * 1000
    assert all(path.read_text() == "mine" for path in kept)
    assert look_into(store).views == 0


def test_only_old_files_are_cleared_when_that_was_asked_for(store):
    fill(store, 3, seconds=10 * 86_400)
    age(store, KEYS[2], 86_400)
    assert clear_store(store, older_than=5)[0] == 2
    assert store.get(SPACE, KEYS[2])
    with pytest.raises(StoreError, match="older than -1"):
        clear_store(store, older_than=-1)


def test_info_tells_models_apart(store):
    fill(store, 3)
    store.put("f" * 16, KEYS[0], {"a": np.zeros(9000, np.float16)}, {"model": "large"})
    info = look_into(store)
    assert info.views == 4
    assert [(each.model, each.views) for each in info.holdings] == [("large", 1), ("small", 3)]
    assert info.size == sum(each.size for each in info.holdings)
    assert info.used[0] < info.used[1]
    first = next(each.path for each in stored_files(store.folder) if SPACE in str(each.path))
    first.write_bytes(b"")
    assert {each.model for each in look_into(store).holdings} == {"large", "small"}


@pytest.mark.parametrize("word", ["off", "0", "Off"])
def test_the_environment_turns_it_off(monkeypatch, word, tmp_path):
    monkeypatch.setenv("NAPARI_PVPU_CACHE", word)
    assert open_store(True) is None
    assert open_store(tmp_path).folder == tmp_path
    assert store_folder().name == "napari-pvpu"


def test_the_environment_names_another_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("NAPARI_PVPU_CACHE", str(tmp_path))
    assert open_store(True).folder == tmp_path
    assert open_store(False) is None
    monkeypatch.delenv("NAPARI_PVPU_CACHE")
    assert open_store(True).folder.name == "napari-pvpu"


CROWD = """
import sys, time
import numpy as np
from napari_pvpu.features.store import FeatureStore

store, seed = FeatureStore(sys.argv[1]), int(sys.argv[2])
rng = np.random.default_rng(seed)
hits = 0
for turn in range(400):
    number = int(rng.integers(60))
    key = f"{number:032x}"
    found = store.get("0123456789abcdef", key)
    if found is None:
        assert store.put("0123456789abcdef", key, {"a": np.full(2000, number, np.float16)})
    else:
        assert (found[0]["a"] == number).all() and found[0]["a"].shape == (2000,)
        hits += 1
assert hits > 20
"""


def test_many_processes_share_one_folder_that_is_too_small_for_them(store):
    store.put(SPACE, KEYS[0], {"a": np.zeros(2000, np.float16)})
    store.limit = 40 * place(store).stat().st_size
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", CROWD, str(store.folder), str(seed)], stderr=subprocess.PIPE
        )
        for seed in range(4)
    ]
    assert [process.communicate()[1] for process in crowd] == [b""] * 4
    assert [process.returncode for process in crowd] == [0] * 4
    files = list(stored_files(store.folder))
    assert not any(file.temporary for file in files)
    assert sum(file.size for file in files) <= store.limit * 1.2
    assert not check_store(store).damaged
