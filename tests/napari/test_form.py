"""Forms made from descriptions of settings."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import pytest
from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox, LineEdit, SpinBox
from qtpy.QtWidgets import QApplication, QLabel

from napari_selfdeblur._napari.fields import Field
from napari_selfdeblur._napari.form import SettingsForm
from napari_selfdeblur.config import RestoreConfig, SelfDeblurConfig
from napari_selfdeblur.described import Settings
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.presets import PRESETS
from napari_selfdeblur.settings import (
    GROUPS,
    Choice,
    Choices,
    Device,
    Flag,
    Fractions,
    Integer,
    KernelSize,
    Number,
    Region,
    Setting,
)

RED = "#ff0000"
TEXT = {"label": "Something", "help": "What it does."}
# A kind, two of its values, and the magicgui widget that edits it.
KINDS = [
    (Integer(high=9, **TEXT), 3, 7, SpinBox),
    (Integer(words={"auto": None}, **TEXT), None, 7, LineEdit),
    (Number(high=1, step=0.05, **TEXT), 0.05, 0.125, FloatSpinBox),
    (Number(high=1, step=0.05, **TEXT), 1 / 3, 1e-7, FloatSpinBox),
    (Number(**TEXT), 1e-5, 3.0, LineEdit),
    (Choice(choices=("a", "b"), words={"none": None}, **TEXT), None, "b", ComboBox),
    (Choices(choices=("a", "b"), **TEXT), ("a",), ("b", "a", "b"), LineEdit),
    (Flag(**TEXT), True, False, CheckBox),
    (KernelSize(**TEXT), (21, 21), (5, 7), LineEdit),
    (Region(words={"auto": "auto"}, **TEXT), "auto", ((3, 90), (0, 70)), LineEdit),
    (Fractions(**TEXT), (), (0.25, 0.5), LineEdit),
    (Device(**TEXT), "auto", "cuda:1", ComboBox),
]


@pytest.fixture(autouse=True)
def application(qapp: QApplication) -> None:
    """magicgui needs one."""


def values(config: Settings) -> dict[str, object]:
    return {name: getattr(config, name) for name in config.kinds()}


@pytest.mark.parametrize(("kind", "one", "other", "widget"), KINDS)
def test_a_field_shows_and_reads_every_value(kind: Setting, one, other, widget) -> None:
    """What is shown is read again, by the magicgui widget that suits the kind."""
    field = Field("something", kind)
    assert type(field.widget) is widget
    for value in (one, other, one):
        field.show(value)
        assert field.value() == value
    assert kind.help in field.widget.tooltip


@pytest.mark.parametrize("config", [SelfDeblurConfig, RestoreConfig])
def test_every_setting_is_in_the_form(config: type[Settings]) -> None:
    """Each setting has a widget with its label, below the title of its group."""
    form = SettingsForm(config)
    assert list(form.fields) == list(config.kinds())
    for name, kind in config.kinds().items():
        native = form.fields[name].widget.native
        above = [form.main.native] if kind.group == "main" else [form.groups[kind.group]]
        assert above[0].isAncestorOf(native)
        texts = [each.text() for each in native.parentWidget().findChildren(QLabel)]
        assert any(text.startswith(kind.label) for text in [*texts, getattr(native, "text", str)()])
    assert all(group.text().endswith(GROUPS[key]) for key, group in form.groups.items())


def test_a_new_setting_is_in_the_form() -> None:
    """A field added to a settings class is shown, checked and read: nothing else is needed."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Longer(SelfDeblurConfig):
        patience: int = Integer(label="Patience", help="How long.", group="result").default(4)

    form = SettingsForm(Longer)
    form.show({"patience": 9})
    assert form.read() == Longer(patience=9)
    assert form.groups["result"].isAncestorOf(form.fields["patience"].widget.native)


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_is_read_as_it_is_shown(name: str) -> None:
    """What the form shows of a preset describes that preset, no value rounded."""
    form = SettingsForm(SelfDeblurConfig)
    preset = SelfDeblurConfig.preset(name)
    form.show(values(preset))
    assert form.read() == preset


def test_every_field_reaches_the_settings() -> None:
    """Every value that differs from the default is read back."""
    other = SelfDeblurConfig(
        kernel_size=(5, 7),
        region=((3, 90), (0, 70)),
        iterations=3,
        device="cpu",
        seed=2**62,
        solvers=("edges", "alternating"),
        adaptive=False,
        restoration="saturated",
        restoration_share=0.123456,
        colour="channels",
        diagnostics=True,
        loss="ssim",
        loss_switch=0.5,
        tv_weight="auto",
        lr_image=3e-7,
        lr_kernel=0.5,
        lr_milestones=(0.25,),
        lr_decay=0.001,
        code_noise=0.0,
        kernel_generator="fcn_deep",
        channels=7,
        skip_channels=3,
        code_channels=2,
        scales=1,
        non_local=False,
        precision="float32",
        runtime="reference",
    )
    same = [f.name for f in dataclasses.fields(other) if getattr(other, f.name) == f.default]
    assert same == ["kernel_grid", "image_generator"]  # there is one generator only
    form = SettingsForm(SelfDeblurConfig)
    for config in (other, other.replace(diagnostics=False, kernel_grid=(2, 3))):
        form.show(values(config))
        assert form.read() == config


def test_a_wrong_field_is_unfolded_marked_and_named() -> None:
    """A folded group opens, its field and no other is marked, and the message has its label."""
    form = SettingsForm(SelfDeblurConfig)
    form.show(values(SelfDeblurConfig()))
    group = form.groups["schedule"]
    form.fields["lr_image"].widget.value = "much"
    with pytest.raises(ConfigError) as caught:
        form.read()
    assert caught.value.field == "lr_image"
    message = form.by_label(str(caught.value), caught.value.field)
    assert message.startswith("Image step size must be a number")
    assert not group.isExpanded()
    form.mark("lr_image", RED)
    assert group.isExpanded()
    assert form.marked == "lr_image"
    assert RED in form.fields["lr_image"].widget.native.styleSheet()
    form.mark("seed", RED)
    assert not form.fields["lr_image"].widget.native.styleSheet()
    form.mark(None, RED)
    assert not form.fields["seed"].widget.native.styleSheet()


def test_a_disabled_field_has_its_default() -> None:
    """What is typed into a field that is then disabled is not read."""
    form = SettingsForm(RestoreConfig)
    form.show(values(RestoreConfig(weight=0.5)))
    form.fields["weight"].widget.enabled = False
    assert form.read() == RestoreConfig()
    form.fields["weight"].widget.enabled = True
    assert form.read() == RestoreConfig(weight=0.5)


@pytest.mark.parametrize(
    ("before", "after"), [("auto", "auto"), ("cuda", "cuda:0"), ("cpu", "cpu"), ("mps", "auto")]
)
def test_devices_are_offered(before: str, after: str) -> None:
    """A device that was chosen before the machine's were known stays, or gives way to auto."""
    form = SettingsForm(RestoreConfig)
    form.show({"device": before})
    form.offer_devices((("cuda:0", "Big card (cuda:0)"), ("cpu", "CPU")))
    combo = form.fields["device"].widget.native
    texts = [combo.itemText(index) for index in range(combo.count())]
    assert texts == ["auto: Big card (cuda:0)", "Big card (cuda:0)", "CPU"]
    assert form.read().device == after


def test_showing_many_values_is_one_change() -> None:
    """A preset that fills twenty fields is one change to whoever listens."""
    form = SettingsForm(SelfDeblurConfig)
    changes = []
    form.changed.connect(lambda: changes.append(1))
    form.show(values(SelfDeblurConfig.preset("fast")))
    assert changes == [1]
    form.fields["seed"].widget.value = 3
    assert changes == [1, 1]
