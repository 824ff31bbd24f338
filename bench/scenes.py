"""Pictures per CPU-second of the three renderers of scenes, beside VTK's rasteriser in the same run.

One object on a ground of wood under a lamp and a sky, turned a little for every picture, so that nothing is found stored.
Every measurement is a process of its own on one thread, and what a renderer's own process takes is counted; all are taken
in turn, several times over, and the table has the median with the range. The first picture, which compiles, loads and
builds, is not counted. VTK draws the same triangles with textures and one light, without shadows and sky, in software
(Mesa's llvmpipe); it lives in an environment of its own: pip install vtk. What is not installed is said so.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SIDES = (128, 224)
BASE = "raster"
CASES = {
    "raster": "raster",
    "cycles, 8 samples, denoised": "cycles",
    "mitsuba, 16 samples": "mitsuba",
    "vtk": "vtk",
}


def processor_seconds(pid: int | None) -> float:
    """Return the CPU-seconds of this process and of another one."""
    own = time.process_time()
    if pid is None:
        return own
    told = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return own + (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


def rate(draw: Callable[[int], object], seconds: float, pid: Callable[[], int | None]) -> dict[str, float]:
    """Return pictures per CPU-second and per second of the clock, after a warm-up."""
    for k in range(2):
        draw(-1 - k)
    done, cpu, wall = 0, processor_seconds(pid()), time.perf_counter()
    while done < 2 or processor_seconds(pid()) - cpu < seconds:
        draw(done)
        done += 1
    return {"cpu": done / (processor_seconds(pid()) - cpu), "wall": done / (time.perf_counter() - wall)}


def ours(name: str, object_name: str, side: int, seconds: float) -> dict[str, float]:
    """Return the speed of one of the renderers."""
    from similitude.scenes.renderers.renderer import missing, renderer_named
    from similitude.scenes.stage import Camera, Material, Placed, Stage, ground_at

    if (reason := missing(name)) is not None:
        raise SystemExit(reason)
    renderer = renderer_named(name)
    floor = ground_at(-0.5, Material("wood", (1.0, 1.0, 1.0), "wood", "box", 1.0, 0.7))

    def draw(k: int) -> object:
        stage = Stage(Placed(object_name, rotation=(0.0, 0.0, 0.01 * k)), (floor,), Camera((0.5, -2.2, 1.2)))
        return renderer.draw(stage, resolution=side)

    try:
        return rate(draw, seconds, lambda: getattr(renderer, "pid", None))
    finally:
        renderer.close()


def export(object_name: str, path: Path) -> None:
    """Write the triangles, coordinates, colours and textures of an object for VTK."""
    import numpy as np

    from similitude.scenes.assets.textures import texture_pixels
    from similitude.scenes.objects.catalog import find_object

    model = find_object(object_name)
    out: dict[str, np.ndarray] = {"wood": texture_pixels("wood")}
    for k, mesh in enumerate(model.meshes):
        out |= {f"v{k}": mesh.vertices, f"f{k}": mesh.faces, f"n{k}": mesh.normals, f"u{k}": mesh.uv}
        out[f"c{k}"] = np.array(mesh.material.color)
        if (texture := mesh.material.texture) is not None:
            own = model.textures.get(texture)
            out[f"t{k}"] = texture_pixels(texture) if own is None else own
    np.savez(path, **out)


def vtk(path: str, side: int, seconds: float) -> dict[str, float]:
    """Return the speed of VTK; runs in its own environment."""
    import numpy as np
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy

    held = np.load(path)
    view, window = vtk.vtkRenderer(), vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetSize(side, side)
    window.SetMultiSamples(4)
    window.AddRenderer(view)

    def actor(v, f, n, u, color, texture):
        data, points, cells = vtk.vtkPolyData(), vtk.vtkPoints(), vtk.vtkCellArray()
        points.SetData(numpy_to_vtk(np.ascontiguousarray(v), deep=1))
        flat = np.concatenate([np.full((len(f), 1), 3), f], 1).astype(np.int64).ravel()
        cells.SetCells(len(f), numpy_to_vtkIdTypeArray(flat, deep=1))
        data.SetPoints(points)
        data.SetPolys(cells)
        data.GetPointData().SetNormals(numpy_to_vtk(np.ascontiguousarray(n), deep=1))
        data.GetPointData().SetTCoords(numpy_to_vtk(np.ascontiguousarray(u), deep=1))
        mapper, made = vtk.vtkPolyDataMapper(), vtk.vtkActor()
        mapper.SetInputData(data)
        made.SetMapper(mapper)
        made.GetProperty().SetColor(*color)
        if texture is not None:
            image, picture = vtk.vtkImageData(), vtk.vtkTexture()
            rows = (texture[::-1, :, :3] * 255).astype(np.uint8)
            image.SetDimensions(rows.shape[1], rows.shape[0], 1)
            image.GetPointData().SetScalars(numpy_to_vtk(rows.reshape(-1, 3), deep=1))
            picture.SetInputData(image)
            picture.InterpolateOn()
            picture.MipmapOn()
            picture.RepeatOn()
            made.SetTexture(picture)
        view.AddActor(made)
        return made

    parts = [
        actor(*(held[f"{x}{k}"] for x in "vfnuc"), held.get(f"t{k}"))
        for k in range(sum(name.startswith("v") for name in held.files))
    ]
    square = np.array([[-10, -10, -0.5], [10, -10, -0.5], [10, 10, -0.5], [-10, 10, -0.5]], np.float32)
    up = np.tile(np.array([0, 0, 1], np.float32), (4, 1))
    actor(square, np.array([[0, 1, 2], [0, 2, 3]]), up, square[:, :2], (1, 1, 1), held["wood"])
    camera = view.GetActiveCamera()
    camera.SetPosition(0.5, -2.2, 1.2)
    camera.SetFocalPoint(0, 0, 0)
    camera.SetViewUp(0, 0, 1)
    camera.SetViewAngle(39.6)
    light = vtk.vtkLight()
    light.SetPosition(1.5, -1.8, 3.0)
    view.AddLight(light)
    view.ResetCameraClippingRange()

    def draw(k: int) -> object:
        for part in parts:
            part.SetOrientation(0, 0, 0.6 * k)
        window.Render()
        grab = vtk.vtkUnsignedCharArray()
        window.GetRGBACharPixelData(0, 0, side - 1, side - 1, 0, grab)
        pixels = vtk_to_numpy(grab)
        if not pixels.any():
            raise SystemExit("VTK drew nothing")
        return pixels

    return rate(draw, seconds, lambda: None)


def measured(case: str, side: int, arguments: argparse.Namespace, exported: Path) -> dict[str, float] | str:
    """Return the speed of one case in a process of its own, or why there is none."""
    kind = CASES[case]
    python = arguments.peer_python if kind == "vtk" else sys.executable
    if python is None:
        return "not measured: --peer-python"
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    command = [python, __file__, "--one", kind, "--side", str(side), "--seconds", str(arguments.seconds)]
    done = subprocess.run(
        [*command, "--object", arguments.object, "--exported", str(exported)],
        capture_output=True, text=True, check=False, env={**os.environ, **one, "LP_NUM_THREADS": "0"},
    )  # fmt: skip
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return f"not measured: {(done.stderr.strip().splitlines() or ['no output'])[-1]}"
    return json.loads(lines[-1])


def main() -> None:
    """Measure all and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--object", default="teapot")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="CPU-seconds of each measurement")
    parser.add_argument("--peer-python", help="a Python that can import vtk")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--side", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--exported", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        if arguments.one == "vtk":
            speed = vtk(arguments.exported, arguments.side, arguments.seconds)
        else:
            speed = ours(arguments.one, arguments.object, arguments.side, arguments.seconds)
        print(json.dumps(speed))
        return
    found: dict[tuple[str, int], list[float]] = {}
    reasons: dict[tuple[str, int], str] = {}
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / "object.npz"
        export(arguments.object, exported)
        for _ in range(arguments.rounds):
            for side in SIDES:
                for case in CASES:
                    speed = measured(case, side, arguments, exported)
                    if isinstance(speed, str):
                        reasons[case, side] = speed
                    else:
                        found.setdefault((case, side), []).append(speed["cpu"])
    print(f"| {arguments.object} | side | pictures per CPU-s | range | of {BASE} |\n|---|---|---|---|---|")
    for side in SIDES:
        for case in CASES:
            if speeds := found.get((case, side)):
                middle, base = statistics.median(speeds), statistics.median(found.get((BASE, side), speeds))
                span = f"{min(speeds):.2f} to {max(speeds):.2f}"
                print(f"| {case} | {side} | {middle:.2f} | {span} | {middle / base:.3f} |")
            else:
                print(f"| {case} | {side} | {reasons.get((case, side), '')} | | |")


if __name__ == "__main__":
    main()
