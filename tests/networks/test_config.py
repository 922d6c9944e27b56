"""Configs: what goes out comes back, and what does not fit is named with its place."""

from __future__ import annotations

import json

import pytest

from napari_pvpu.networks.config import EncoderConfig, ModelConfig, from_plain


def test_a_config_survives_json() -> None:
    config = ModelConfig(name="other", encoder=EncoderConfig(width=96, stage_depths=(1, 2)))
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_missing_settings_take_their_defaults() -> None:
    config = ModelConfig.from_dict({"name": "x", "encoder": {"width": 96}, "prompts": {"tau": 1}})
    assert config.encoder == EncoderConfig(width=96)
    assert config.prompts.tau == 1.0
    assert isinstance(config.prompts.tau, float)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"depth_of_thought": 3}, r"no setting 'depth_of_thought'; allowed here are name, view_s"),
        ({"encoder": {"layers": 3}}, r"no setting 'encoder.layers'; .*width, depth, heads"),
        ({"encoder": {"depth": "six"}}, r"encoder.depth is 'six', which is no int"),
        ({"encoder": {"depth": 2.5}}, r"encoder.depth is 2.5, which is no int"),
        ({"encoder": {"depth": True}}, r"encoder.depth is True, which is no int"),
        ({"encoder": {"frozen": 1}}, r"encoder.frozen is 1, which is no bool"),
        ({"encoder": {"kind": "magic"}}, r"encoder.kind is 'magic'; allowed are 'conv-stem-vit'"),
        ({"encoder": "vit"}, r"encoder has to hold settings by name, not 'vit'"),
        ({"pyramid": 64}, r"pyramid is 64; give a list"),
        ({"pyramid": [64, "x"]}, r"pyramid\[1\] is 'x', which is no int"),
        ({"view_size": 100}, r"multiple of 16 and at least 32, not 100"),
        ({"encoder": {"kind": "timm"}}, r"needs encoder.name"),
        ([1], r"the config has to hold settings by name, not \[1\]"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(values: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_plain(ModelConfig, values)
