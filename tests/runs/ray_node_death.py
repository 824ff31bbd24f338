"""A cluster of three nodes on this machine, one of which is killed while it computes.

A job on the doomed node never ends by itself, and the jobs of the others wait for its death, so that
the node dies with work in hand however slowly it began.
"""

import functools
import sys
import threading
import time
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from similitude.runs.ray import RayEngine

STORE = 80 * 2**20


def wait_for(sign):
    while not sign():
        time.sleep(0.1)


def note_and_wait(folder, doomed, x):
    node = ray.get_runtime_context().get_node_id()
    Path(folder, f"{x}.{node}").touch()
    wait_for(lambda: node != doomed and Path(folder, "killed").exists())
    return x


def kill_at_work(cluster, doomed, folder):
    wait_for(lambda: list(folder.glob(f"*.{doomed.node_id}")))
    cluster.remove_node(doomed, allow_graceful=False)
    (folder / "killed").touch()


def main(folder):
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": STORE})
    doomed = cluster.add_node(num_cpus=2, object_store_memory=STORE)
    cluster.add_node(num_cpus=1, object_store_memory=STORE)
    cluster.wait_for_nodes()
    threading.Thread(target=kill_at_work, args=(cluster, doomed, folder), daemon=True).start()
    function = functools.partial(note_and_wait, folder, doomed.node_id)
    done = {}
    RayEngine(address=cluster.address).map(function, list(range(12)), on_done=done.__setitem__)
    notes = list(folder.glob("*.*"))
    lost = {note.stem for note in notes if note.suffix[1:] == doomed.node_id}
    elsewhere = {note.stem for note in notes if note.suffix[1:] != doomed.node_id}
    cluster.shutdown()
    print()
    print(len(done), len(lost), len(elsewhere))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
