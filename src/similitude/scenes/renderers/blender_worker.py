"""What runs inside Blender's own Python: reads stages from a pipe, draws them with Cycles, writes the passes back.

It knows nothing of this library and imports bpy, numpy and Blender's OpenImageIO alone. Messages are a line of JSON
with the sizes of the arrays that follow it; nothing is pickled. It ends when the pipe does.
Its last two arguments are the numbers of the pipes to read from and to write to.
"""

import json
import os
import shutil
import struct
import sys
import tempfile
import threading
import time
import traceback

PROTOCOL = 1
OLDEST = (4, 2)  # inputs of the principled material have other names before
SCRATCH = "similitude-worker-"  # how the name of the folder begins that the owner makes for temporary files


def main() -> None:
    """Draw with Blender until the pipe ends."""
    here = os.path.dirname(os.path.abspath(__file__))
    # Blender's own module "cycles" must not be taken for the one beside this file.
    sys.path[:] = [place for place in sys.path if os.path.abspath(place or ".") != here]
    serve(lambda: Studio(tempfile.gettempdir()))


def serve(make) -> None:
    """Answer requests by what `make` makes, which has a version and a method `answer`, until the pipe ends."""
    # What is printed goes elsewhere: messages have pipes of their own.
    source, out = (
        os.fdopen(int(number), mode) for number, mode in zip(sys.argv[-2:], ("rb", "wb"), strict=True)
    )
    threading.Thread(target=leave_with, args=(os.getppid(),), daemon=True).start()
    try:
        answer_all(make, source, out)
    finally:
        forget_scratch()


def answer_all(make, source, out) -> None:
    """Answer requests until there are no more."""
    try:
        studio = make()
        send(out, {"ready": PROTOCOL, "version": studio.version}, {})
    except Exception as error:
        send(out, {"error": f"{type(error).__name__}: {error}"}, {})
        return
    while (message := receive(source)) is not None:
        header, arrays = message
        try:
            send(out, *studio.answer(header, arrays))
        except Exception as error:
            traceback.print_exc()
            send(out, {"error": f"{type(error).__name__}: {error}"}, {})


def leave_with(parent) -> None:
    """End when the process that started this one is gone, whoever else may hold the pipes."""
    while os.getppid() == parent:
        time.sleep(1.0)
    forget_scratch()
    os._exit(0)


def forget_scratch() -> None:
    """Remove the folder for temporary files, where the owner cannot any more."""
    if os.path.basename(tempfile.gettempdir()).startswith(SCRATCH):
        shutil.rmtree(tempfile.gettempdir(), ignore_errors=True)


def send(stream, header, arrays) -> None:
    """Write a message: its length, its header as JSON, and its arrays one after the other."""
    import numpy as np

    held = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    shapes = [[name, array.dtype.str, list(array.shape)] for name, array in held.items()]
    text = json.dumps({**header, "arrays": shapes}).encode()
    stream.write(struct.pack("<I", len(text)) + text)
    for array in held.values():
        stream.write(array.tobytes())
    stream.flush()


def receive(stream):
    """Read a message; None at the end of the input."""
    import numpy as np

    size = stream.read(4)
    if len(size) < 4:
        return None
    header = json.loads(stream.read(struct.unpack("<I", size)[0]))
    arrays = {}
    for name, kind, shape in header.pop("arrays"):
        count = int(np.prod(shape)) * np.dtype(kind).itemsize
        arrays[name] = np.frombuffer(stream.read(count), kind).reshape(shape)
    return header, arrays


class Studio:
    """Blender's scene: made anew for each stage, but for meshes and pictures, which are kept by their digests."""

    def __init__(self, folder) -> None:
        import bpy  # pyright: ignore[reportMissingImports]

        self.bpy = bpy
        version = bpy.app.version
        if version < OLDEST:
            raise RuntimeError(
                f"Blender {version[0]}.{version[1]} is too old, {OLDEST[0]}.{OLDEST[1]} or newer is needed"
            )
        for kind in ("LOCAL", "SYSTEM"):
            root = bpy.utils.resource_path(kind)
            place = f"python/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
            sys.path.append(os.path.join(root, place))
        import OpenImageIO  # pyright: ignore[reportMissingImports]

        self.reader = OpenImageIO
        self.version = ".".join(map(str, version))
        self.file = os.path.join(folder, "passes.exr")
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self.scene = bpy.context.scene
        self.meshes, self.images = {}, {}

    def answer(self, header, arrays):
        """Return the answer to a request."""
        for name, array in arrays.items():
            kind, _, digest = name.partition("/")
            if kind in ("image", "sky"):
                self.images[digest] = self.picture(digest, array, kind)
        for digest in header["meshes"]:
            parts = {k: arrays[f"{k}/{digest}"] for k in ("vertices", "faces", "normals", "uv", "box")}
            self.meshes[digest] = self.mesh(digest, **parts)
        for held, names in ((self.meshes, header["forget_meshes"]), (self.images, header["forget_images"])):
            for digest in names:
                data = held.pop(digest, None)
                if data is not None:
                    group = self.bpy.data.meshes if held is self.meshes else self.bpy.data.images
                    group.remove(data)
        self.build(header["stage"])
        return {"done": True}, self.draw(header)

    def mesh(self, digest, vertices, faces, normals, uv, box):
        """Make a mesh of triangles with smooth normals and two sets of coordinates."""
        import numpy as np

        mesh = self.bpy.data.meshes.new(digest)
        count = len(faces)
        mesh.vertices.add(len(vertices))
        mesh.vertices.foreach_set("co", vertices.astype(np.float32).ravel())
        mesh.loops.add(3 * count)
        mesh.loops.foreach_set("vertex_index", faces.astype(np.int32).ravel())
        mesh.polygons.add(count)
        mesh.polygons.foreach_set("loop_start", np.arange(0, 3 * count, 3, dtype=np.int32))
        mesh.polygons.foreach_set("loop_total", np.full(count, 3, np.int32))
        for name, values in (("uv", uv[faces.ravel()]), ("box", box.reshape(-1, 2))):
            mesh.uv_layers.new(name=name, do_init=False)
            mesh.uv_layers[name].data.foreach_set("uv", values.astype(np.float32).ravel())
        mesh.polygons.foreach_set("use_smooth", np.ones(count, bool))
        mesh.update()
        mesh.normals_split_custom_set_from_vertices(normals.astype(np.float32))
        mesh.materials.append(None)
        mesh.use_fake_user = True
        return mesh

    def picture(self, digest, pixels, kind):
        """Make an image: a texture in sRGB bytes, or a sky in linear light."""
        import numpy as np

        h, w = pixels.shape[:2]
        image = self.bpy.data.images.new(digest, w, h, alpha=True, float_buffer=kind == "sky")
        image.colorspace_settings.name = "Non-Color" if kind == "sky" else "sRGB"
        image.alpha_mode = "CHANNEL_PACKED"
        full = np.ones((h, w, 4), np.float32)
        full[..., : pixels.shape[-1]] = pixels if kind == "sky" else pixels.astype(np.float32) / 255
        image.pixels.foreach_set(np.ascontiguousarray(full[::-1]).ravel())
        image.update()
        image.pack()
        image.use_fake_user = True
        return image

    def build(self, stage) -> None:
        """Make the scene that a stage describes."""
        data = self.bpy.data
        for group in (data.objects, data.materials, data.lights, data.cameras, data.worlds):
            for item in list(group):
                group.remove(item)
        for k, thing in enumerate(stage["things"]):
            obj = data.objects.new(f"thing{k}", self.meshes[thing["mesh"]])
            obj.matrix_world = [tuple(thing["matrix"][i][j] for i in range(4)) for j in range(4)]
            obj.material_slots[0].link = "OBJECT"
            obj.material_slots[0].material = self.material(thing["material"], f"material{k}")
            obj.pass_index = thing["index"]
            self.scene.collection.objects.link(obj)
        for k, lamp in enumerate(stage["lights"]):
            light = data.lights.new(f"light{k}", "POINT")
            light.energy, light.color, light.shadow_soft_size = lamp["power"], lamp["color"], lamp["radius"]
            obj = data.objects.new(f"light{k}", light)
            obj.location = lamp["position"]
            obj.visible_camera = False
            self.scene.collection.objects.link(obj)
        self.camera(stage["camera"])
        self.sky(stage["environment"])

    def camera(self, told) -> None:
        """Set the camera."""
        data = self.bpy.data.cameras.new("camera")
        data.sensor_fit, data.sensor_width, data.lens = "HORIZONTAL", told["sensor"], told["focal_length"]
        data.shift_x, data.shift_y = -told["shift"][0], -told["shift"][1]
        data.clip_start, data.clip_end = 1e-3, 1e4
        if told["fstop"] is not None:
            data.dof.use_dof, data.dof.focus_distance = True, told["focus"]
            data.dof.aperture_fstop = told["fstop"]
        obj = self.bpy.data.objects.new("camera", data)
        right, up, forward = told["axes"]
        columns = (right, up, [-x for x in forward], told["position"])
        obj.matrix_world = [(*column, float(k == 3)) for k, column in enumerate(columns)]
        self.scene.collection.objects.link(obj)
        self.scene.camera = obj

    def sky(self, told) -> None:
        """Set the light from all around."""
        world = self.bpy.data.worlds.new("world")
        world.use_nodes = True
        tree = world.node_tree
        back = next(n for n in tree.nodes if n.type == "BACKGROUND")
        texture, turn, place = (
            tree.nodes.new(f"ShaderNode{k}") for k in ("TexEnvironment", "Mapping", "TexCoord")
        )
        texture.image = self.images[told["image"]]
        turn.inputs["Rotation"].default_value = (0, 0, -told["rotation"])
        tree.links.new(place.outputs["Generated"], turn.inputs["Vector"])
        tree.links.new(turn.outputs["Vector"], texture.inputs["Vector"])
        tree.links.new(texture.outputs["Color"], back.inputs["Color"])
        back.inputs["Strength"].default_value = told["strength"]
        # By itself Blender looks at a sky in such detail that this takes longer than the picture.
        world.cycles.sampling_method, world.cycles.sample_map_resolution = "MANUAL", 256
        self.scene.world = world

    def material(self, told, name):
        """Make a material of Blender's principled model."""
        material = self.bpy.data.materials.new(name)
        material.use_nodes = True
        tree = material.node_tree
        body = next(n for n in tree.nodes if n.type == "BSDF_PRINCIPLED")
        color = (*told["color"], 1.0)
        body.inputs["Base Color"].default_value = color
        body.inputs["Roughness"].default_value = told["roughness"]
        body.inputs["Metallic"].default_value = told["metallic"]
        body.inputs["IOR"].default_value = 1.5
        body.inputs["Specular IOR Level"].default_value = 0.5 * told["gloss"]
        body.inputs["Transmission Weight"].default_value = told["transmission"]
        if told["image"] is None:
            return material
        texture, place, turn, mix = (
            tree.nodes.new(f"ShaderNode{k}") for k in ("TexImage", "UVMap", "Mapping", "MixRGB")
        )
        texture.image = self.images[told["image"]]
        place.uv_map = told["projection"]
        turn.inputs["Scale"].default_value = (told["scale"], told["scale"], 1)
        turn.inputs["Location"].default_value = (told["shift"], told["shift"], 0)
        mix.blend_type = "MULTIPLY"
        mix.inputs[0].default_value = 1.0
        mix.inputs[2].default_value = color
        tree.links.new(place.outputs["UV"], turn.inputs["Vector"])
        tree.links.new(turn.outputs["Vector"], texture.inputs["Vector"])
        tree.links.new(texture.outputs["Color"], mix.inputs[1])
        tree.links.new(mix.outputs[0], body.inputs["Base Color"])
        if told["cut"]:
            least = tree.nodes.new("ShaderNodeMath")
            least.operation = "GREATER_THAN"
            least.inputs[1].default_value = 0.5
            tree.links.new(texture.outputs["Alpha"], least.inputs[0])
            tree.links.new(least.outputs[0], body.inputs["Alpha"])
        return material

    def draw(self, told):
        """Draw twice: for the colours, and with one ray through the middle of each pixel for the geometry."""
        import numpy as np

        scene = self.scene
        scene.render.engine = "CYCLES"
        render, cycles, layer = scene.render, scene.cycles, scene.view_layers[0]
        render.resolution_x = render.resolution_y = told["resolution"]
        render.resolution_percentage = 100
        render.threads_mode, render.threads = "FIXED", told["threads"]
        render.film_transparent, cycles.film_transparent_glass = True, True
        render.use_persistent_data = False  # or else changes of the filter and the samples are overlooked
        if hasattr(render.image_settings, "media_type"):  # Blender 5
            render.image_settings.media_type = "MULTI_LAYER_IMAGE"
        render.image_settings.file_format = "OPEN_EXR_MULTILAYER"
        render.image_settings.color_depth, render.image_settings.exr_codec = "32", "NONE"
        render.filepath = self.file
        cycles.device, cycles.seed = "CPU", 0
        cycles.use_adaptive_sampling, cycles.use_light_tree = False, False
        cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 6, 2, 3
        cycles.transmission_bounces, cycles.transparent_max_bounces = 6, 16
        cycles.sample_clamp_indirect = 10.0
        cycles.caustics_reflective = cycles.caustics_refractive = False
        cycles.samples = told["samples"]
        cycles.use_denoising = told["denoise"]
        cycles.denoiser, cycles.denoising_prefilter = "OPENIMAGEDENOISE", "FAST"
        cycles.pixel_filter_type, cycles.filter_width = "BLACKMAN_HARRIS", 1.5
        for name in ("z", "object_index", "uv"):
            setattr(layer, f"use_pass_{name}", False)
        color = self.passes()
        rgba = np.stack([color[f"Combined.{c}"] for c in "RGBA"], -1)
        cycles.samples, cycles.use_denoising = 1, False
        cycles.max_bounces = 0
        cycles.pixel_filter_type, cycles.filter_width = "GAUSSIAN", 0.01
        for name in ("z", "object_index", "uv"):
            setattr(layer, f"use_pass_{name}", True)
        camera = scene.camera.data
        camera.dof.use_dof = False
        exact = self.passes()
        uv = np.stack([exact["UV.U"], exact["UV.V"]], -1)
        index = (
            exact["IndexOB.X"] if "IndexOB.X" in exact else exact["Object Index.X"]
        )  # its name in Blender 5
        return {"rgba": rgba, "depth": exact["Depth.Z"], "index": index, "uv": uv}

    def passes(self):
        """Render, and return the pixels of each channel by "Pass.Channel", rows from the top."""
        self.bpy.ops.render.render(write_still=True)
        read = self.reader.ImageInput.open(self.file)
        if read is None:
            raise OSError(f"Blender left no picture: {self.reader.geterror()}")
        found, part = {}, 0
        while read.seek_subimage(part, 0):  # Blender 4 writes one part, Blender 5 one for each pass
            pixels = read.read_image(part, 0, 0, read.spec().nchannels, "float")
            names = read.spec().channelnames
            found |= {name.split(".", 1)[1]: pixels[..., k] for k, name in enumerate(names)}
            part += 1
        read.close()
        os.remove(self.file)
        return found


if __name__ == "__main__":
    main()
