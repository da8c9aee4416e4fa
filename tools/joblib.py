"""Running jobs in the simulator, for check-jobs, check-seeds and check-determinism."""
import glob
import hashlib
import os
import re
import shlex
import subprocess

TIMEOUT_S = 120
STATE = re.compile(r"^state [0-9a-f]{16}$")


def job_files(*folders):
    return [f for folder in folders for f in sorted(glob.glob(f"{folder}/*.job"))]


def options(job):
    """A job may ask for options of `neap sim` in a comment line: `# options: -m 64M`."""
    with open(job, encoding="utf-8") as file:
        return [o for line in file if line.startswith("# options:")
                for o in shlex.split(line.split(":", 1)[1])]


def command(neap, job, seed, *more):
    return [neap, "sim", "--quiet", "--seed", str(seed), *options(job), *more, job]


def run(neap, job, seed, *more):
    """Returns (state line, "") or ("", what went wrong)."""
    line = command(neap, job, seed, *more)
    told = shlex.join(line)
    try:
        done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return "", f"{told}: not finished after {TIMEOUT_S} s"
    except OSError as error:
        return "", f"{told}: {error.strerror}"
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-5:]
        return "", f"{told}: status {done.returncode}: " + " | ".join(said)
    last = (done.stdout.strip().splitlines() or [""])[-1]
    if not STATE.match(last):
        return "", f"{told}: the last line is '{last}', not 'state HASH'"
    return last, ""


def explore(neap, job, seed, *more, timeout=960):
    """Explores one seed, injected errors or not, without making the job small.

    Returns (what failed or "", whether memory was refused). A machine can refuse memory although
    its programs' pages fit: pages that `advise willneed` has read in keep their slots, and when no
    slot is left anonymous memory is not reclaimed at all, as under Linux 6.1. And devices and CPUs
    may be held up for long. That is told, and no failure.
    """
    line = command(neap, job, seed, "--explore", "1", "--found", "-", *more)
    try:
        done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return f"not finished after {timeout} s", False
    lines = done.stderr.strip().splitlines()
    said = [s for s in lines if " fails; --explore 1" not in s]
    refused = [s for s in said if s.endswith(": Cannot allocate memory")]
    if done.returncode == 0 or "--errors" in line and done.returncode == 1 and said == lines:
        return "", bool(refused)
    if done.returncode == 1 and refused and len(refused) == len(said):
        return "", True
    return (said or [f"status {done.returncode}"])[0], False


def digest(folder):
    """One SHA-256 over the names and bytes of all files below a directory."""
    total = hashlib.sha256()
    for path, dirs, files in os.walk(folder):
        dirs.sort()
        for name in sorted(files):
            full = os.path.join(path, name)
            total.update(os.path.relpath(full, folder).encode() + b"\0")
            with open(full, "rb") as file:
                total.update(hashlib.sha256(file.read()).digest())
    return total.hexdigest()
