"""What runs in Mitsuba's process: reads stages from a pipe, draws them, writes the passes back."""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

import numpy as np

from similitude.scenes.renderers.blender_worker import serve
from similitude.scenes.renderers.optics import UNIT, linear

_DEPTH = 7  # bounces and one
_CLIP = 1e-3
_STEP = 1e-4
_HOLES = 24  # cut-outs that a ray may go through
_COAT = 0.07  # what a coat of index 1.5 keeps from below: 0.04 straight on, 0.09 over all directions


class Studio:
    """Mitsuba's scenes: made anew for each stage; meshes and pictures are kept by their digests."""

    def __init__(self) -> None:
        self.mi: Any = import_module("mitsuba")  # by name: it need not be there where types are checked
        self.mi.set_variant("scalar_rgb")
        self.version = str(self.mi.__version__)
        self.meshes: dict[str, dict[str, np.ndarray]] = {}
        self.images: dict[str, np.ndarray] = {}

    def answer(
        self, header: dict[str, Any], arrays: dict[str, np.ndarray]
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the answer to a request."""
        for name, array in arrays.items():
            kind, _, digest = name.partition("/")
            if kind == "image":
                pixels = array.astype(np.float32) / 255
                pixels[..., :3] = linear(pixels[..., :3])
                self.images[digest] = pixels
            elif kind == "sky":
                self.images[digest] = array
            else:
                self.meshes.setdefault(digest, {})[kind] = array
        for digest in header["forget_meshes"]:
            self.meshes.pop(digest, None)
        for digest in header["forget_images"]:
            self.images.pop(digest, None)
        _threads(header["threads"])
        return {"done": True}, {**self.colors(header), **self.geometry(header)}

    def colors(self, told: dict[str, Any]) -> dict[str, np.ndarray]:
        """Return linear light over black with its coverage."""
        stage = told["stage"]
        scene = {
            "type": "scene",
            "integrator": {"type": "path", "max_depth": _DEPTH, "hide_emitters": True},
            "sensor": self.sensor(stage["camera"], told["resolution"], told["samples"], exact=False),
            "sky": self.sky(stage["environment"]),
        }
        for k, thing in enumerate(stage["things"]):
            scene[f"thing{k:04}"] = self.thing(thing, plain=False)
        for k, lamp in enumerate(stage["lights"]):
            scene[f"lamp{k:04}"] = self.lamp(lamp)
        return {"rgba": np.array(self.mi.render(self.mi.load_dict(scene), spp=told["samples"]))[..., :4]}

    def geometry(self, told: dict[str, Any]) -> dict[str, np.ndarray]:
        """Return depth, number and texture coordinates of what is seen through the middle of each pixel."""
        stage = told["stage"]
        scene = {
            "type": "scene",
            "integrator": {"type": "aov", "aovs": "far:depth,which:shape_index,where:uv"},
            "sensor": self.sensor(stage["camera"], told["resolution"], 1, exact=True),
        }
        for k, thing in enumerate(stage["things"]):
            scene[f"thing{k:04}"] = self.thing(thing, plain=True)
        made = self.mi.load_dict(scene)
        order = [int(shape.id().removeprefix("thing")) + 1 for shape in made.shapes()]
        n, camera = told["resolution"], stage["camera"]
        far, which, *uv = np.moveaxis(np.array(self.mi.render(made, spp=1))[..., -4:].astype(float), -1, 0)
        index = np.array([0, *order])[np.rint(which).astype(int)]  # numbers of shapes begin at 1
        steps = 2 * (np.arange(n) + 0.5) / n - 1
        half = camera["sensor"] / 2 / camera["focal_length"]
        x = (steps - 2 * camera["shift"][0]) * half + np.zeros((n, 1))
        y = (steps[::-1, None] - 2 * camera["shift"][1]) * half + np.zeros(n)
        slant = np.sqrt(1 + x**2 + y**2)
        far = far + _CLIP * slant  # rays begin at the near plane
        uv = np.stack(uv, -1)
        right, up, forward = np.asarray(camera["axes"])
        rays = (forward + x[..., None] * right + y[..., None] * up) / slant[..., None]
        self.look_through(made, stage["things"], np.asarray(camera["position"]), rays, (far, index, uv))
        return {"depth": far / slant, "index": index.astype(np.float32), "uv": uv}

    def look_through(
        self,
        made: Any,
        things: list[dict[str, Any]],
        origin: np.ndarray,
        rays: np.ndarray,
        found: tuple[np.ndarray, np.ndarray, np.ndarray],
    ) -> None:
        """Where the first thing has a hole, put what is behind it into `found`: distance, number, coordinates."""
        far, index, uv = found
        for k, thing in enumerate(things):
            if not thing["material"]["cut"]:
                continue
            for place in zip(*np.nonzero(index == k + 1), strict=True):
                for _ in range(_HOLES):
                    held = things[index[place] - 1]["material"] if index[place] else None
                    if held is None or not held["cut"] or self.solid(held, uv[place]):
                        break
                    start = far[place] + _STEP
                    ray = self.mi.Ray3f(origin + start * rays[place], rays[place])
                    hit = made.ray_intersect(ray)
                    index[place] = 0
                    if hit.is_valid():
                        far[place] = start + float(hit.t)
                        index[place] = int(hit.shape.id().removeprefix("thing")) + 1
                        uv[place] = hit.uv

    def solid(self, finish: dict[str, Any], uv: np.ndarray) -> bool:
        """Return whether a cut-out is solid at texture coordinates."""
        alpha = self.images[finish["image"]][..., 3]
        h, w = alpha.shape
        u, v = (uv * finish["scale"] + finish["shift"]) % 1.0
        return bool(alpha[min(int((1 - v) * h), h - 1), min(int(u * w), w - 1)] >= 0.5)

    def thing(self, told: dict[str, Any], *, plain: bool) -> Any:
        """Return a mesh in the scene's frame; a plain one has its own texture coordinates and is matt."""
        held, matrix = self.meshes[told["mesh"]], np.asarray(told["matrix"])
        finish = told["material"]
        corners = held["vertices"] @ matrix[:3, :3].T + matrix[:3, 3]
        turned = held["normals"] @ np.linalg.pinv(matrix[:3, :3])
        turned /= np.maximum(np.linalg.norm(turned, axis=1, keepdims=True), 1e-12)
        faces, uv = held["faces"], held["uv"]
        if np.linalg.det(matrix[:3, :3]) < 0:
            faces = faces[:, ::-1]
        if not plain and finish["image"] is not None and finish["projection"] == "box":
            box = held["box"] if faces is held["faces"] else held["box"][:, ::-1]
            uv, corners, turned = box.reshape(-1, 2), corners[faces.reshape(-1)], turned[faces.reshape(-1)]
            faces = np.arange(len(uv), dtype=np.int32).reshape(-1, 3)
        properties = self.mi.Properties()
        properties["bsdf"] = self.mi.load_dict({"type": "diffuse"} if plain else self.finish(finish))
        mesh = self.mi.Mesh(
            f"thing{told['index'] - 1:04}",
            vertex_count=len(corners),
            face_count=len(faces),
            has_vertex_normals=True,
            has_vertex_texcoords=True,
            props=properties,
        )
        mesh.set_id(f"thing{told['index'] - 1:04}")
        parameters = self.mi.traverse(mesh)
        parameters["vertex_positions"] = np.ascontiguousarray(corners, np.float32).ravel()
        parameters["vertex_normals"] = np.ascontiguousarray(turned, np.float32).ravel()
        parameters["vertex_texcoords"] = np.ascontiguousarray(uv, np.float32).ravel()
        parameters["faces"] = np.ascontiguousarray(faces, np.uint32).ravel()
        parameters.update()
        return mesh

    def finish(self, told: dict[str, Any]) -> dict[str, Any]:
        """Return the principled model of a material."""
        # The principled model adds its gloss to a matt part that stays whole.
        left = 1 - _COAT * told["gloss"] * (1 - told["metallic"]) * (1 - told["transmission"])
        tint = (np.asarray(told["color"]) * left).astype(np.float32)
        color: dict[str, Any] = {"type": "rgb", "value": tint.tolist()}
        pixels = None
        if told["image"] is not None:
            pixels = self.images[told["image"]]
            color = self.texture(pixels[..., :3] * tint, told)
        out = self.glossy(told, color)
        if told["transmission"] > 0:
            return out
        out = {"type": "twosided", "bsdf": out}
        if told["cut"] and pixels is not None:
            solid = (pixels[..., 3:] >= 0.5).astype(np.float32)
            out = {
                "type": "mask",
                "bsdf": out,
                "opacity": {**self.texture(solid, told), "filter_type": "nearest"},
            }
        return out

    def glossy(self, told: dict[str, Any], color: dict[str, Any]) -> dict[str, Any]:
        """Return a model of reflection: the principled one, which gives way to Lambert's where surfaces are matt."""
        body = {
            "type": "principled",
            "base_color": color,
            "roughness": max(told["roughness"], 0.02),
            "metallic": told["metallic"],
            "specular": 0.5,
            "spec_trans": told["transmission"],
        }
        if told["gloss"] >= 1 or told["transmission"] > 0:
            return body
        # Its matt part is not Lambert's: it is brighter at a slant.
        matt = {"type": "diffuse", "reflectance": color}
        return (
            {"type": "blendbsdf", "weight": told["gloss"], "matt": matt, "shiny": body}
            if told["gloss"]
            else matt
        )

    def texture(self, pixels: np.ndarray, told: dict[str, Any]) -> dict[str, Any]:
        """Return a texture of linear pixels, repeated without end."""
        place = self.mi.ScalarTransform3f()
        place = place.translate([told["shift"]] * 2).scale([told["scale"]] * 2)
        return {
            "type": "bitmap",
            "bitmap": self.mi.Bitmap(
                np.array(pixels[::-1], np.float32, order="C")
            ),  # v grows downwards there
            "raw": True,
            "wrap_mode": "repeat",
            "to_uv": place,
        }

    def lamp(self, told: dict[str, Any]) -> dict[str, Any]:
        """Return a ball that shines, or a point."""
        light = np.asarray(told["color"]) * told["power"]
        if told["radius"] <= 0:
            intensity = {"type": "rgb", "value": (light / (4 * math.pi)).tolist()}
            return {"type": "point", "position": told["position"], "intensity": intensity}
        radiance = {"type": "rgb", "value": (light / (2 * math.pi * told["radius"]) ** 2).tolist()}
        return {
            "type": "sphere",
            "center": told["position"],
            "radius": told["radius"],
            "emitter": {"type": "area", "radiance": radiance},
        }

    def sky(self, told: dict[str, Any]) -> dict[str, Any]:
        """Return the light from all around; Mitsuba's own has y up and looks along z in the middle of its picture."""
        c, s = math.cos(told["rotation"]), math.sin(told["rotation"])
        turn = np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        upright = np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
        return {
            "type": "envmap",
            "bitmap": self.mi.Bitmap(np.array(self.images[told["image"]], np.float32, order="C")),
            "scale": told["strength"],
            "to_world": self.mi.ScalarTransform4f((turn @ upright).tolist()),
        }

    def sensor(self, told: dict[str, Any], resolution: int, samples: int, *, exact: bool) -> dict[str, Any]:
        """Return the camera; an exact one has one ray through the middle of each pixel and no lens."""
        right, up, forward = np.asarray(told["axes"])
        place = np.eye(4)
        place[:3, :3] = np.stack([-right, up, forward], 1)  # Mitsuba's cameras have their x to the left
        place[:3, 3] = told["position"]
        out: dict[str, Any] = {
            "type": "perspective",
            "fov": math.degrees(2 * math.atan(told["sensor"] / 2 / told["focal_length"])),
            "fov_axis": "x",
            "near_clip": _CLIP,
            "far_clip": 1e4,
            "principal_point_offset_x": -told["shift"][0],
            "principal_point_offset_y": told["shift"][1],
            "to_world": self.mi.ScalarTransform4f(place.tolist()),
            "film": {
                "type": "hdrfilm",
                "width": resolution,
                "height": resolution,
                "pixel_format": "rgba",
                "component_format": "float32",
                "rfilter": {"type": "box"} if exact else {"type": "gaussian"},
            },
            "sampler": {"type": "stratified", "sample_count": 1, "jitter": False}
            if exact
            else {"type": "multijitter", "sample_count": samples},
        }
        if told["fstop"] is not None and not exact:
            aperture = told["fstop"] * 1000 / UNIT
            out |= {
                "type": "thinlens",
                "aperture_radius": told["focal_length"] / aperture / 2 / UNIT,
                "focus_distance": told["focus"],
            }
            # Its lenses cannot be shifted: a part of a larger film is taken, to whole pixels.
            moved = [round(-told["shift"][0] * resolution), round(told["shift"][1] * resolution)]
            more = 2 * max(map(abs, moved))
            half = told["sensor"] / 2 / told["focal_length"] * (resolution + more) / resolution
            out["fov"] = math.degrees(2 * math.atan(half))
            out["film"] |= {
                "width": resolution + more,
                "height": resolution + more,
                "crop_width": resolution,
                "crop_height": resolution,
                "crop_offset_x": more // 2 + moved[0],
                "crop_offset_y": more // 2 + moved[1],
            }
            del out["principal_point_offset_x"], out["principal_point_offset_y"]
        return out


def _threads(count: int) -> None:
    import_module("drjit").set_thread_count(count)


if __name__ == "__main__":
    serve(Studio)
