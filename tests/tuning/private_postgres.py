"""A PostgreSQL of one's own for a test: made, started and ended by it, reached by a socket in a folder of its own."""

import getpass
import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest


def _binary(name):
    folders = [
        "/usr/local/bin",
        *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True),
        "/usr/lib/postgresql",
    ]
    found = shutil.which(name, path=os.pathsep.join([*folders, os.environ.get("PATH", "")]))
    if found is None:
        pytest.skip(f"PostgreSQL's {name} is not installed")
    return found


def _user():
    """Return a user who may run PostgreSQL, which refuses root."""
    if os.geteuid():
        return getpass.getuser()
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@contextmanager
def private_postgres():
    """Run a cluster while the body of the `with` runs; gives the Optuna URL of an empty database."""
    pytest.importorskip("psycopg2")
    initdb, pg_ctl = _binary("initdb"), _binary("pg_ctl")
    user = _user()
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # a socket's path must be short
    as_user = {"user": user, "group": pwd.getpwnam(user).pw_gid, "cwd": folder} if not os.geteuid() else {}
    if as_user:
        os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    run = {"check": True, "stdout": subprocess.DEVNULL, **as_user}
    data = str(folder / "data")
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    try:
        subprocess.run([initdb, "-D", data, "-U", "tuner", "-A", "trust", "--no-sync"], **run)
        subprocess.run([pg_ctl, "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start"], **run)
        try:
            yield f"postgresql+psycopg2://tuner@/postgres?host={folder}"
        finally:
            subprocess.run([pg_ctl, "-D", data, "-m", "immediate", "-w", "stop"], **run)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
