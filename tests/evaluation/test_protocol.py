"""The papers' protocol against plain references, with networks that can be worked out by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from napari_pvpu.errors import ModelNotFoundError, PvpuError
from napari_pvpu.evaluation.benchmark_layouts import open_dataset
from napari_pvpu.evaluation.methods import make_method
from napari_pvpu.evaluation.protocol import NetworkMethod, load_network_method, mirrored_too
from napari_pvpu.evaluation.runner import run_object
from napari_pvpu.evaluation.settings import EvaluationSettings
from napari_pvpu.features.prompt_tensors import prompt_batch
from napari_pvpu.networks.interface import Decoded, Features, PromptableNetwork
from napari_pvpu.networks.models import PVPUNet
from napari_pvpu.prompts import Box, Click, Scribble

if TYPE_CHECKING:
    from pathlib import Path

    from napari_pvpu.networks.prompt_batch import PromptBatch

SIZE = 32


class Disks(PromptableNetwork):
    """Bright pixels near positive clicks, minus those near negative ones; knows no left or right.

    `lean` is added to the logits from the left edge to the right one, which does.
    """

    def __init__(self, lean: float = 0.0, radius: float = 6.0, memory: float = 0.0) -> None:
        super().__init__()
        self.lean, self.radius, self.memory = lean, radius, memory
        self.views: list[torch.Tensor] = []
        self.previous: list[torch.Tensor | None] = []
        self.prompts: list[PromptBatch] = []

    def encoder_modules(self):
        return ()

    def encode(self, view: torch.Tensor) -> Features:
        self.views.append(view)
        return Features((view.nan_to_num(0.0),), view, (~view.isnan()).float()[:, :1])

    def decode(self, features, prompts, previous=None, *, second_reading=False) -> Decoded:
        assert not second_reading
        self.previous.append(previous)
        self.prompts.append(prompts)
        image = features.levels[0].mean(1, keepdim=True)
        size = image.shape[-1]
        axis = torch.arange(size, dtype=torch.float32)
        grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), dim=-1)
        logits = torch.full_like(image, -2.0)
        for slot in range(prompts.kind.shape[1]):
            at = prompts.points[:, slot, 0].view(-1, 1, 1, 2)
            near = (((grid - at) / self.radius) ** 2).sum(-1).neg().exp()[:, None]
            sign = torch.where(prompts.positive[:, slot], 8.0, -8.0).view(-1, 1, 1, 1)
            logits = logits + sign * near * image
        logits = logits + self.lean * axis / size
        if previous is not None:
            logits = logits + self.memory * previous
        return Decoded(logits, image, image.flatten(2), logits.new_ones(len(logits)))


def scene(seed: int = 0, shape=(37, 53)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.random((*shape, 3)) * 60 + 120).astype(np.uint8)


CLICKS = [Click((12, 20)), Click((30, 40), False), Click((18, 11)), Click((5, 5), False)]


def answers(method: NetworkMethod, prompts=CLICKS, image=None) -> list[np.ndarray]:
    image = scene() if image is None else image
    method.open(image)
    return [method.add(p)[0].crop((0, 0, *image.shape[:2])) for p in prompts]


@pytest.mark.parametrize("zoom", ["none", "ritm", "simpleclick"])
def test_a_symmetric_network_answers_the_same_with_and_without_flip(zoom) -> None:
    one = answers(NetworkMethod(Disks(memory=1), SIZE, flip=False, zoom_in=zoom))
    two = answers(NetworkMethod(Disks(memory=1), SIZE, flip=True, zoom_in=zoom))
    assert one[-1].any()
    for single, double in zip(one, two, strict=True):
        np.testing.assert_array_equal(single, double)


@pytest.mark.parametrize("zoom", ["none", "ritm", "simpleclick"])
def test_with_flip_a_mirrored_image_has_the_mirrored_answer(zoom) -> None:
    image = scene(shape=(36, 48))
    mirrored = [Click((p.position[0], 47 - p.position[1]), p.positive) for p in CLICKS]
    network = Disks(lean=5, memory=1)
    one = answers(NetworkMethod(network, SIZE, flip=True, zoom_in=zoom), CLICKS, image)
    two = answers(NetworkMethod(network, SIZE, flip=True, zoom_in=zoom), mirrored, image[:, ::-1])
    alone = answers(NetworkMethod(network, SIZE, flip=False, zoom_in=zoom), CLICKS, image)
    assert any((a != b).any() for a, b in zip(one, alone, strict=True))
    for left, right in zip(one, two, strict=True):
        # Image positions that fall between two model pixels may round either way.
        assert (left != right[:, ::-1]).mean() < 0.005


def test_logits_are_averaged_not_probabilities() -> None:
    """Two logits, 6 and -4: their mean is positive, the mean of their probabilities not."""

    class Opinions(Disks):
        def decode(self, features, prompts, previous=None, *, second_reading=False):
            decoded = super().decode(features, prompts, previous)
            logits = torch.full_like(decoded.logits, 1.0)
            logits[0], logits[1] = -6.0, 5.8  # mean -0.1; probabilities 0.0025 and 0.997
            return decoded._replace(logits=logits)

    method = NetworkMethod(Opinions(), SIZE, zoom_in="none")
    assert not answers(method, [Click((3, 3))])[0].any()  # 0.475 < 0.49; probabilities say 0.4998


@pytest.mark.parametrize(("threshold", "expected"), [(0.49, True), (0.5, False)])
def test_a_pixel_is_the_objects_above_the_threshold(threshold, expected) -> None:
    class Undecided(Disks):
        def decode(self, features, prompts, previous=None, *, second_reading=False):
            decoded = super().decode(features, prompts, previous)
            return decoded._replace(logits=torch.zeros_like(decoded.logits))

    method = NetworkMethod(Undecided(), SIZE, threshold=threshold)
    assert answers(method, [Click((3, 3))])[0].all() == expected


def test_mirrored_prompts() -> None:
    batch = prompt_batch([Click((3, 4)), Box((1, 2), (7, 9), False), Scribble(((0, 0), (0, 2)))])
    both = mirrored_too(batch, 16)
    assert both.points.shape == (2, *batch.points.shape[1:])
    assert both.points[1, 0, 0].tolist() == [3, 11]
    assert both.points[1, 1, :2].tolist() == [[1, 13], [7, 6]]
    assert both.points[1, 2, :3, 1].tolist() == [15, 14, 13]
    for name in ("valid", "kind", "positive"):
        first, second = getattr(both, name)
        assert torch.equal(first, second)


def test_previous_is_none_at_first_and_then_the_probability() -> None:
    network = Disks()
    method = NetworkMethod(network, SIZE, flip=False, zoom_in="none")
    answers(method, CLICKS[:2], scene(shape=(32, 32)))
    first, second = network.previous
    assert first is None
    assert second is not None
    batch = prompt_batch(CLICKS[:1])
    expected = network.decode(network.encode(network.views[0]), batch).logits.sigmoid()
    torch.testing.assert_close(second, expected, atol=1e-6, rtol=0)
    method.start()
    method.add(CLICKS[0])
    assert network.previous[-1] is None


def test_encodes_once_per_crop_and_anew_for_each_object() -> None:
    network = Disks()
    method = NetworkMethod(network, SIZE, zoom_in="none")
    method.open(scene())
    for _ in range(2):
        method.start()
        steps = [method.add(click)[1] for click in CLICKS]
        assert [step.encode_ms > 0 for step in steps] == [True, False, False, False]
        assert all(step.total_ms > step.encode_ms for step in steps)
    assert len(network.views) == 2


def test_the_whole_image_keeps_its_aspect_but_for_simpleclick() -> None:
    network = Disks()
    for zoom in ("none", "simpleclick"):
        answers(NetworkMethod(network, SIZE, zoom_in=zoom), CLICKS[:1], scene(shape=(20, 40)))
    whole, stretched = network.views
    inside = ~whole[0].isnan().any(0)
    assert inside.sum(0).unique().tolist() == [16]
    assert inside[8:24].all()
    assert not stretched.isnan().any()
    torch.testing.assert_close(whole[1], whole[0].flip(-1), equal_nan=True)


def test_crops_follow_the_object_and_nothing_beside_them_is_object() -> None:
    image = np.full((500, 600), 20, np.uint8)
    image[100:160, 100:180] = 220
    network = Disks(radius=3)
    method = NetworkMethod(network, 64, flip=False, zoom_in="ritm")
    method.open(image)
    first, _ = method.add(Click((130, 140)))
    assert first.rect == (0, 0, 500, 600)
    second, step = method.add(Click((120, 130)))
    height, width = second.mask.shape
    assert 200 <= height <= 202
    assert 200 <= width <= 202
    assert second.row <= 100 < 160 <= second.row + height
    assert step.encode_ms > 0
    third, step = method.add(Click((140, 150)))
    assert third.rect == second.rect
    assert step.encode_ms == 0
    # In the crop a model pixel is about three image pixels, not nine.
    assert float(network.prompts[-1].points[0, 0, 0, 0]) == pytest.approx(
        (130 - second.row + 0.5) * 64 / max(height, width) - 0.5
    )


def plain_evaluation(image, target, valid, clicks: int, radius: float = 6.0) -> list[float]:
    """papers.md 4.1 and 4.2, zoom none and no flip, in plain numpy: IoU after each click."""
    height, width = target.shape
    side = max(height, width)
    low, high = np.percentile(image, (0.5, 99.5))
    grey = ((image.astype(np.float64) - low) / (high - low)).clip(0, 1)
    rows, cols = np.mgrid[:height, :width]
    prediction, clicked = np.zeros_like(target), np.zeros_like(target)
    logits = np.full(target.shape, -2.0)
    curve = []
    for _ in range(clicks):
        depths = []
        for wrong in (target & ~prediction & valid, ~target & prediction & valid):
            padded = np.zeros((height + 2, width + 2), bool)
            padded[1:-1, 1:-1] = wrong
            depths.append(ndimage.distance_transform_edt(padded)[1:-1, 1:-1] * ~clicked)
        positive = depths[0].max() > depths[1].max()
        depth = depths[0] if positive else depths[1]
        row, col = np.argwhere(depth == depth.max())[0]
        clicked[row, col] = True
        distance = (rows - row) ** 2 + (cols - col) ** 2
        # The view shows each pixel once: the network's radius is in image pixels.
        assert side == SIZE
        logits += (8 if positive else -8) * np.exp(-distance / radius**2) * grey
        prediction = 1 / (1 + np.exp(-logits)) > 0.49
        both, either = prediction & target & valid, (prediction | target) & valid
        curve.append(both.sum() / either.sum())
    return curve


@pytest.mark.parametrize("seed", range(4))
def test_a_whole_evaluation_is_that_of_a_plain_reference(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=(32, 32)), 3)
    image = (120 + 60 * smooth / np.abs(smooth).max()).astype(np.uint8)
    labels = (smooth > 0.02).astype(np.uint8)
    ignore = (rng.random((32, 32)) < 0.05).astype(np.uint8)
    for name, values in (("images", image), ("masks", labels), ("ignore", ignore)):
        (tmp_path / name).mkdir()
        Image.fromarray(values).save(tmp_path / name / "a.png")
    method = NetworkMethod(Disks(), SIZE, flip=False, zoom_in="none")
    folder = open_dataset(tmp_path)
    method.open(folder[0].image)
    options = EvaluationSettings(max_interactions=12, targets=(1.0,))
    result = run_object(method, folder[0], folder.objects(0)[0], options)
    expected = plain_evaluation(image, labels == 1, ignore == 0, len(result.ious))
    assert len(result.ious) == 12
    assert result.ious == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("em", [False, True], ids=["plain", "em"])
@pytest.mark.parametrize("flip", [False, True], ids=["once", "flip"])
def test_our_networks_take_every_kind_of_prompt(small_weights: Path, flip: bool, em: bool) -> None:
    options = {"model": small_weights, "device": "cpu", "flip": flip, "em": em, "zoom_in": "ritm"}
    method = make_method("pvpu", protocol="ritm", **options)
    assert isinstance(method, NetworkMethod)
    method.open(scene(shape=(70, 91)))
    for prompt in (
        Box((-2, 10), (40, 95)),
        Scribble(((5, 15), (30, 60)), False),
        Click((20, 30)),
        Box((1, 1), (5, 5), False),
    ):
        region, step = method.add(prompt)
        assert region.rect == (0, 0, 70, 91)
        assert step.total_ms > 0


def published(name: str) -> PromptableNetwork:
    """The published networks at a size that a test can afford, for views of 64 pixels."""
    from napari_pvpu.networks.interformer import InterFormer
    from napari_pvpu.networks.interformer_config import InterFormerConfig
    from napari_pvpu.networks.pvpuformer import PVPUFormer
    from napari_pvpu.networks.pvpuformer_config import PVPUFormerConfig
    from napari_pvpu.networks.simpleclick import SimpleClick, SimpleClickConfig

    vit = {"view_size": 64, "vit_width": 16, "vit_depth": 2, "vit_heads": 2}
    torch.manual_seed(0)
    if name == "simpleclick":
        return SimpleClick(
            SimpleClickConfig(
                **vit, window_size=2, global_blocks=(1,), pyramid=(4, 8, 8, 16), pixel_dim=8
            )
        )
    if name == "interformer":
        return InterFormer(
            InterFormerConfig(
                **vit,
                channels=(4, 8, 8, 16),
                heads=(1, 2, 2, 4),
                mlp_ratios=(2, 2, 2, 2),
                refine=(1, 1, 1, 1),
                head_channels=8,
            )
        )
    return PVPUFormer(
        PVPUFormerConfig(
            **vit,
            patch_size=8,
            window_size=3,
            global_blocks=(1,),
            neck_width=16,
            neck_stride=8,
            pyramid=(4, 8, 8, 16),
            merging_heads=2,
            merging_mlp=16,
            pixel_dim=8,
            slots=4,
            slot_hidden=16,
        )
    )


@pytest.mark.parametrize("size", [64, 96])
@pytest.mark.parametrize("name", ["simpleclick", "interformer", "pvpuformer"])
def test_the_published_networks(name: str, size: int) -> None:
    network = published(name).eval()
    for zoom in ("ritm", "simpleclick"):
        method = NetworkMethod(network, size, flip=True, zoom_in=zoom)
        for answer in answers(method, CLICKS, scene(shape=(60, 77))):
            assert answer.shape == (60, 77)


def refuse_other_views(network: PVPUNet, view: torch.Tensor) -> None:
    raise RuntimeError(f"positions are laid out for {network.config.view_size}, not {view.shape}")


def test_a_view_of_another_size(small_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(PVPUNet, "encode", refuse_other_views)
        with pytest.raises(PvpuError, match="cannot see views of 96 pixels, other than its own 64"):
            load_network_method(small_weights, "cpu", view_size=96)
        assert load_network_method(small_weights, "cpu", view_size=64)
    network = published("simpleclick").eval()
    monkeypatch.setattr("napari_pvpu.model_files.load_network", lambda *_: network)
    method = load_network_method("any", "cpu", view_size=96)
    assert answers(method, CLICKS)[0].shape == (37, 53)


def test_unknown_models() -> None:
    with pytest.raises(ModelNotFoundError):
        load_network_method("pvpu-none", "cpu")
