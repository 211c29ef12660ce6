"""The Python environment of the end-to-end tests: .cache/venv, made from tests/e2e/requirements.txt
when it is missing or when that file has changed. Standard library only.

    import pyenv; pyenv.enter()      runs the calling script again inside the environment

Whichever Python comes first in PATH is taken, else Debian's (packages python3, python3-venv).
"""

import hashlib
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".cache", "venv")
REQUIREMENTS = os.path.join(ROOT, "tests", "e2e", "requirements.txt")
STAMP = os.path.join(VENV, "requirements.sha256")
PYTHON = os.path.join(VENV, "bin", "python")
INSTALL_S = 1500


def wanted_stamp():
    with open(REQUIREMENTS, "rb") as text:
        return hashlib.sha256(text.read()).hexdigest()


def is_ready():
    try:
        with open(STAMP, encoding="utf-8") as stamp:
            return stamp.read() == wanted_stamp() and os.path.exists(PYTHON)
    except OSError:
        return False


def make():
    """Builds the environment from nothing."""
    shutil.rmtree(VENV, ignore_errors=True)
    os.makedirs(os.path.dirname(VENV), exist_ok=True)
    for python in (shutil.which("python3"), "/usr/bin/python3"):
        made = subprocess.run([python, "-m", "venv", VENV], stdin=subprocess.DEVNULL, check=False)
        if made.returncode == 0:
            break
        shutil.rmtree(VENV, ignore_errors=True)
    else:
        sys.exit("no python3 here can make a virtual environment")
    subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", "--no-input", "-r", REQUIREMENTS],
                   stdin=subprocess.DEVNULL, check=True, timeout=INSTALL_S)
    with open(STAMP, "w", encoding="utf-8") as stamp:
        stamp.write(wanted_stamp())


def enter():
    """Returns inside the environment: makes it where needed and runs this program again in it."""
    if os.path.realpath(sys.prefix) == os.path.realpath(VENV):
        return
    if not is_ready():
        print("installing the Python packages of the tests below .cache/", flush=True)
        make()
    os.execv(PYTHON, [PYTHON, *sys.argv])


if __name__ == "__main__":
    if not is_ready():
        make()
