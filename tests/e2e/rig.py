"""What the end-to-end tests share: the binaries, a scratch folder, bounded runs."""
import atexit
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BIN = pathlib.Path(sys.argv[1]).resolve()
SRC = pathlib.Path(sys.argv[2]).resolve()
QUICRIG = str(BIN / "quicrig")
work = pathlib.Path(tempfile.mkdtemp(prefix="quicrig-e2e-"))
failures = []
# who loses its parent becomes our child, so that nothing is left behind unseen
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
# the rig's private folders, too
(work / "tmp").mkdir()
os.environ["TMPDIR"] = str(work / "tmp")


def run(*args, timeout=90, cwd=None, **more):
    """Runs quicrig; returns (exit code, stdout and stderr as one text)."""
    p = subprocess.run([QUICRIG, *map(str, args)], cwd=cwd or work, text=True, timeout=timeout,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    return p.returncode, p.stdout


def check(what, ok, detail=""):
    print(("ok   " if ok else "FAIL ") + what)
    if not ok:
        failures.append(what)
        print("     " + str(detail).strip().replace("\n", "\n     ")[-3000:])


def expect(what, got, code, *texts):
    """The exit code and every one of the texts."""
    missing = [t for t in texts if t not in got[1]]
    check(what, got[0] == code and not missing, f"exit {got[0]}, not {code}; missing {missing}\n{got[1]}")


def scenario(name, text):
    path = work / name
    path.write_text(text)
    return path


def children():
    """Processes of ours that still run, orphans among them: pid and command line."""
    found, parents = {}, {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, parent = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:2]
            if state != "Z":
                parents[int(entry.name)] = int(parent)
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue

    def ours(pid):
        while pid in parents:
            pid = parents[pid]
            if pid == os.getpid():
                return True
        return False
    return {pid: args for pid, args in found.items() if ours(pid)}


def gone(seconds=5.0):
    """Waits until no process of ours runs; what is left of them."""
    end = time.monotonic() + seconds
    while children() and time.monotonic() < end:
        time.sleep(0.1)
    return children()


@atexit.register
def tidy():
    """Also after an exception: nothing of ours stays on the machine."""
    for pid in children():
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
    shutil.rmtree(work, ignore_errors=True)


def done():
    print(f"{len(failures)} failed" if failures else "all passed")
    sys.exit(1 if failures else 0)
