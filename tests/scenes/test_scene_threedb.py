"""Configurations in the original's form: what they become, what is left out, and what is refused."""

import json
import re
from dataclasses import replace

import pytest

from similitude.core.errors import SceneError
from similitude.scenes.study.reading import read_study
from similitude.scenes.study.running import run_study
from similitude.scenes.study.threedb import read_threedb

BASE = """
inference:
  module: torchvision.models
  class: resnet18
  label_map: resources/imagenet_mapping.json
  normalization: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}
  resolution: [224, 224]
  output_shape: [1000]
  args: {pretrained: true}
evaluation:
  module: threedb.evaluators.classification
  args: {classmap_path: classes.json, topk: 1}
render_args:
  engine: threedb.rendering.render_blender
  resolution: 256
  samples: 16
  with_segmentation: true
policy: {module: threedb.policies.random_search, samples: 3, seed: 5}
controls: []
logging:
  logger_modules: [threedb.result_logging.image_logger, threedb.result_logging.json_logger]
"""

POSE = """
base_config: base.yaml
policy: {module: threedb.policies.grid_search, samples_per_dim: 2}
controls:
  - {module: threedb.controls.blender.orientation, rotation_x: 0, rotation_y: 0.2, rotation_z: "(-1.57, 1.57)"}
  - {module: threedb.controls.blender.position, offset_x: "(-0.2, 0.2)", offset_y: 0.0, offset_z: 0.1}
  - {module: threedb.controls.blender.pin_to_ground, z_ground: 0.25}
  - {module: threedb.controls.blender.camera, zoom_factor: [0.7, 1.3], view_point_x: 1, view_point_y: -1,
     view_point_z: 0.5, aperture: 8, focal_length: 50}
  - {module: threedb.controls.blender.denoiser}
"""

TEXTURE = """
base_config: base.yaml
policy: {module: threedb.policies.grid_search, samples_per_dim: 1}
controls:
  - module: threedb.controls.blender.material
    replacement_material: [zebra.blend, crocodile.blend, keep_original]
"""

BACKGROUND = """
base_config: base.yaml
controls:
  - {module: threedb.controls.blender.background, S: 0.8}
  - {module: threedb.controls.blender.imagenet_c, corruption_name: [fog, contrast], severity: 3}
"""

OCCLUSION = """
base_config: base.yaml
controls:
  - {module: threedb.controls.blender.occlusion, occlusion_ratio: "(0.1, 0.6)", direction: [1, 6], zoom: 0.1}
  - {module: threedb.controls.blender.camera, view_point_x: 0.5, view_point_y: -1, view_point_z: 0.4,
     zoom_factor: 0.8, focal_length: 50, aperture: 32}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "classes.json").write_text(json.dumps({"mug": [504, 968]}))
    return tmp_path


def written(folder, text, name="study.yaml"):
    (folder / name).write_text(text)
    return folder / name


def test_a_grid_of_orientation_and_position(folder):
    study, left = read_threedb(written(folder, POSE), strict=True)
    assert left == []
    assert study.objects == ("mug",)
    assert study.labels == {"mug": ("coffee mug", "cup")}
    assert study.models == ("torchvision:resnet18",)
    assert study.evaluator == {"kind": "classification", "top": 1}
    assert (study.resolution, study.samples, study.renderer) == (256, 16, "cycles")
    assert study.policy.to_dict() == {"kind": "grid", "seed": 0, "samples": 2}
    assert study.controls["orientation"] == {
        "rotation_x": 0,
        "rotation_y": 0.2,
        "rotation_z": {"low": -1.57, "high": 1.57},
    }
    assert study.controls["pin_to_ground"] == {"z_ground": 0.25}
    assert set(study.space) == {
        "orientation.rotation_z",
        "position.offset_x",
        "camera.zoom_factor",
    }


def test_what_is_not_said_is_searched_over_the_originals_ranges(folder):
    names = (
        "orientation",
        "scale",
        "camera",
        "obj_loc_in_frame",
        "mug_liquid",
        "pointlight",
        "imagenet_c",
        "material",
    )
    text = "controls:\n" + "".join(f"  - module: threedb.controls.blender.{name}\n" for name in names)
    study, left = read_threedb(written(folder, "base_config: base.yaml\n" + text))
    assert left == []
    dimensions = study.space
    ranges = {
        "orientation.rotation_x": (-3.141592653589793, 3.141592653589793),
        "scale.factor": (0.25, 1),
        "camera.view_point_z": (0, 1),
        "camera.zoom_factor": (0.5, 2),
        "camera.aperture": (1, 32),
        "camera.focal_length": (10, 400),
        "location_in_frame.x_shift": (-1, 1),
        "liquid.milk": (0, 1),
        "light.power": (1000, 10000),
        "light.distance": (5, 20),
        "light.direction_z": (0, 1),
    }
    for name, ends in ranges.items():
        assert (dimensions[name].low, dimensions[name].high) == ends, name
        assert dimensions[name].kind == "linear"
    assert len(dimensions["corruption.name"].values) == 19
    assert dimensions["corruption.severity"].values == (1, 2, 3, 4, 5)
    assert "zebra" in dimensions["material.replacement"].values
    assert "liquid.level" not in dimensions
    assert "material.keep_color" not in dimensions


@pytest.mark.parametrize(
    ("text", "scenes"),
    [(POSE, 8), (TEXTURE, 3), (BACKGROUND, 3), (OCCLUSION, 3)],
    ids=["pose", "texture", "back", "occ"],
)
def test_the_four_run_after_import(folder, text, scenes):
    pytest.importorskip("efficientnet_lite_pytorch")
    if text is BACKGROUND:
        pytest.importorskip("imagecorruptions", exc_type=ImportError)
    study, left = read_threedb(written(folder, text))
    assert not [line for line in left if "occluder" not in line]
    small = replace(study, renderer="raster", resolution=40, samples=1, models=("efficientnet-lite0",))
    run = run_study(small)
    assert run.failures == ()
    assert len(run.rows) == scenes
    assert len({json.dumps(row.params, sort_keys=True) for row in run.rows}) == scenes
    if text is TEXTURE:
        assert {row.params["material.replacement"] for row in run.rows} == {"zebra", "crocodile", "original"}


def test_an_imported_study_is_a_file_of_ours(folder):
    yaml = pytest.importorskip("yaml")
    study, _ = read_threedb(written(folder, POSE))
    ours = folder / "ours.yaml"
    ours.write_text(yaml.safe_dump(study.to_dict(), sort_keys=False))
    assert read_study(ours) == study


def test_a_section_takes_the_place_of_the_whole_section(folder):
    # As in the original, whose update is shallow: samples and engine of the base are gone, its own are taken.
    text = "base_config: base.yaml\nrender_args: {resolution: 128}\ncontrols: []\n"
    study, _ = read_threedb(written(folder, text))
    assert (study.resolution, study.samples) == (128, 256)
    grandchild = written(
        folder, "base_config: study.yaml\npolicy: {module: x.random_search, samples: 7}\n", "third.yaml"
    )
    study, left = read_threedb(grandchild)
    assert (study.resolution, study.policy.count, study.policy.seed) == (128, 7, 0)
    assert left == []


LEFT = [
    ("polcy: {}", "polcy: there is no such section. Did you mean policy?"),
    (
        "controls: [{module: threedb.controls.blender.orientaton}]",
        r"controls\[0\]: .*Did you mean orientation\?",
    ),
    ("controls: [{module: mine.special}]", r"controls\[0\]: there is no control like 'mine.special'"),
    (
        "controls: [{module: threedb.controls.blender.scale, facto: 1}]",
        r"controls\[0\] \(scale\)\.facto: .*Did you mean factor\?",
    ),
    (
        "controls: [{module: threedb.controls.blender.material, replacement_material: [lava.blend, cow.blend]}]",
        r"replacement_material: 'lava.blend': a file of Blender's is not read",
    ),
    (
        "controls: [{module: threedb.controls.blender.occlusion, scale: 0.4}]",
        r"\(occlusion\)\.scale: it is in sizes of the occluder's own file",
    ),
    (
        "controls: [{module: threedb.controls.blender.occlusion, occluder: tree.blend}]",
        r"\(occlusion\)\.occluder: 'tree.blend'.*a panel takes its place",
    ),
    (
        "policy: {module: threedb.policies.grid_search, samples_per_dim: 2, seed: 3}",
        r"policy\.seed: there is no such",
    ),
    ("policy: {module: mine.bayes}", r"policy\.module: there is no policy like 'mine.bayes'"),
    ("inference: {module: mine.models, class: net}", r"inference\.module: 'mine.models'"),
    (
        "inference: {module: torchvision.models, class: resnet18, args: {pretrained: false}}",
        r"inference\.args\.pretrained: False",
    ),
    (
        "inference: {module: torchvision.models, class: resnet18, normalization: {mean: [0, 0, 0], std: [1, 1, 1]}}",
        r"inference\.normalization",
    ),
    ("render_args: {max_depth: 3}", r"render_args\.max_depth"),
    ("render_args: {tile: 32}", r"render_args\.tile: there is no such setting"),
    (
        "logging: {logger_modules: [threedb.result_logging.tb_logger]}",
        "tb_logger: run the study with --tensorboard",
    ),
    ("evaluation: {module: threedb.evaluators.depth}", r"evaluation\.module"),
    (
        "evaluation: {module: threedb.evaluators.detection, args: {iou_threshold: 0.6, nms_threshold: 0.1}}",
        r"evaluation\.args\.nms_threshold: there is no such",
    ),
    (
        "evaluation: {module: threedb.evaluators.classification, args: {classmap_path: no.json}}",
        "no file 'no.json'",
    ),
]


@pytest.mark.parametrize(("text", "said"), LEFT)
def test_what_cannot_be_taken_over_is_named_and_strictly_refused(folder, text, said):
    path = written(folder, "base_config: base.yaml\n" + text)
    _, left = read_threedb(path)
    assert [line for line in left if re.search(said, line)], left
    with pytest.raises(SceneError, match="cannot be taken over"):
        read_threedb(path, strict=True)


def test_detection_keeps_its_threshold(folder):
    text = "base_config: base.yaml\nevaluation: {module: threedb.evaluators.detection, args: {iou_threshold: 0.6}}\n"
    study, _ = read_threedb(written(folder, text))
    assert study.evaluator == {"kind": "detection", "iou": 0.6}


def test_two_lamps_stay_two(folder):
    lamp = "  - {module: threedb.controls.blender.pointlight, H: 0.1}\n"
    study, _ = read_threedb(written(folder, "base_config: base.yaml\ncontrols:\n" + 2 * lamp))
    assert list(study.controls) == ["light", "light_2"]
    assert study.controls["light_2"]["kind"] == "light"


def test_objects_are_those_of_the_class_map_or_those_given(folder):
    (folder / "classes.json").write_text(json.dumps({"mug": 504, "banana": [954], "teddy": 850}))
    path = written(folder, "base_config: base.yaml\n")
    study, left = read_threedb(path)
    assert study.objects == ("mug", "banana")
    assert any("'teddy'" in line for line in left)
    given, left = read_threedb(path, objects=["banana"])
    assert (given.objects, given.labels, left) == (("banana",), {"banana": ("banana",)}, [])
    nothing, left = read_threedb(
        written(folder, "policy: {module: x.random_search, samples: 2}\n", "bare.yaml")
    )
    assert nothing.objects == ("mug",)
    assert any(line.startswith("objects: ") for line in left)


WRONG = [
    ("controls: {a: 1}", "controls: .* is no list"),
    ("controls: [3]", r"controls\[0\]: 3 has no 'module'"),
    (
        "controls: [{module: threedb.controls.blender.scale, factor: '(1, 2, 3)'}]",
        r"factor: '\(1, 2, 3\)' is no range",
    ),
    ("controls: [{module: threedb.controls.blender.scale, factor: big}]", "factor: 'big' is neither a range"),
    ("controls: [{module: threedb.controls.blender.scale, factor: -1}]", "factor: .*is not possible"),
    (
        "controls: [{module: threedb.controls.blender.scale, factor: '__import__(\"os\")'}]",
        "is neither a range",
    ),
    (f"controls: [{{module: threedb.controls.blender.scale, factor: '{'(' * 5000}'}}]", "is neither a range"),
    ("controls: [{module: threedb.controls.blender.imagenet_c, severity: 9}]", "severity: .*from 0 to 5"),
    ("policy: {module: threedb.policies.grid_search}", r"policy\.samples_per_dim is missing"),
    (
        "policy: {module: threedb.policies.grid_search, samples_per_dim: 0}",
        r"samples_per_dim: 0 is no whole number",
    ),
    (
        "policy: {module: threedb.policies.random_search, samples: many}",
        r"policy\.samples: 'many' is no whole",
    ),
    ("policy: 3", "policy: 3 is no mapping"),
    ("render_args: {resolution: huge}", "resolution='huge'"),
    ("evaluation: {module: x.classification, args: {topk: none}}", "top"),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_values_that_are_not_possible_are_refused(folder, text, said):
    with pytest.raises(SceneError, match=said):
        read_threedb(written(folder, "base_config: base.yaml\n" + text))


BROKEN = [
    ('{"mug": 1000}', "'mug': 1000 is no class"),
    ("[1]", "class map has numbers"),
    ("{", "no class map"),
    ('{"mug": []}', "no class"),
]


@pytest.mark.parametrize(("classes", "said"), BROKEN)
def test_broken_class_maps_are_refused(folder, classes, said):
    (folder / "classes.json").write_text(classes)
    with pytest.raises(SceneError, match=said):
        read_threedb(folder / "base.yaml")


def test_files_that_build_on_themselves_are_refused(folder):
    written(folder, "base_config: b.yaml", "a.yaml")
    path = written(folder, "base_config: a.yaml", "b.yaml")
    with pytest.raises(SceneError, match="back to itself"):
        read_threedb(path)
    for k in range(20):
        written(folder, f"base_config: c{k + 1}.yaml", f"c{k}.yaml")
    with pytest.raises(SceneError, match="more than 16 files"):
        read_threedb(folder / "c0.yaml")


@pytest.mark.parametrize("base", ["/etc/hostname", "../out.yaml", "sub/../../out.yaml", "link.yaml"])
def test_paths_that_lead_out_are_refused(folder, base):
    inner = folder / "inner"
    inner.mkdir()
    (folder / "out.yaml").write_text("controls: []")
    (inner / "link.yaml").symlink_to(folder / "out.yaml")
    path = written(inner, f"base_config: {base}")
    with pytest.raises(SceneError, match="leads out of"):
        read_threedb(path)
    if base == "../out.yaml":
        assert read_threedb(path, root=folder)[0].objects == ("mug",)


def test_a_class_map_outside_is_refused(folder):
    text = "evaluation: {module: x.classification, args: {classmap_path: ../../etc/passwd}}"
    with pytest.raises(SceneError, match=r"classmap_path: .*leads out of"):
        read_threedb(written(folder, text))


LAUGHS = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAUGHS, "aliases"),
        ("controls: !!python/object/apply:os.system ['true']", "no YAML"),
        ("controls: [", "no YAML"),
        ("- 1", "a configuration is a mapping"),
        ("[" * 400_000, "nested more than 100 deep"),
        ("- " * 10_000, "no YAML"),
        ("#" * 2_000_000, "larger than"),
        ("base_config: 3", "3 is no path"),
        ('base_config: "a\\0b"', "is no path"),
        ("base_config: missing.yaml", "cannot be read"),
    ],
)
def test_hostile_files_are_refused(folder, text, said):
    with pytest.raises(SceneError, match=said):
        read_threedb(written(folder, text))
