"""A cluster of three nodes on this machine, one of which is killed while it computes."""

import functools
import os
import sys
import time
from pathlib import Path

from ray.cluster_utils import Cluster

from similitude.runs.ray import RayEngine

STORE = 80 * 2**20


def note_and_wait(folder, x):
    Path(folder, f"{x}.{os.getpid()}").touch()
    time.sleep(2.0)
    return x


def main(folder):
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": STORE})
    doomed = cluster.add_node(num_cpus=2, object_store_memory=STORE)
    cluster.add_node(num_cpus=1, object_store_memory=STORE)
    cluster.wait_for_nodes()
    done, alive = [], [doomed]

    def keep(job, result):
        done.append(result)
        if alive and len(done) >= 3:
            cluster.remove_node(alive.pop(), allow_graceful=False)

    function = functools.partial(note_and_wait, folder)
    RayEngine(address=cluster.address).map(function, list(range(12)), on_done=keep)
    cluster.shutdown()
    print()
    print(len(set(done)), len(list(Path(folder).iterdir())))


if __name__ == "__main__":
    main(sys.argv[1])
