"""What the check scripts share: the list of files, C without its comments, the summary line."""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.chdir(ROOT)


def tracked_files(*suffixes):
    """Files of the repository, also those not committed yet; without git, every file found."""
    git = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"],
                         capture_output=True, text=True, check=False)
    if git.returncode == 0:
        names = git.stdout.splitlines()
    else:
        names = []
        for folder, dirs, files in os.walk("."):
            dirs[:] = [d for d in dirs if d != ".git" and not re.match(r"build(-|$)", d)]
            names += [os.path.relpath(os.path.join(folder, f)) for f in files]
    return sorted(n for n in set(names)
                  if os.path.isfile(n) and (not suffixes or n.endswith(suffixes)))


def read(path):
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


TOKEN = re.compile(r'''"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|/\*.*?\*/|//[^\n]*''', re.S)


def strip_comments(text, strings=True):
    """C text with comments (and the insides of strings) blanked; line numbers stay."""
    def blank(match):
        token = match.group(0)
        if token[0] in "\"'":
            return token[0] * 2 if strings else token
        return re.sub(r"[^\n]", " ", token)
    return TOKEN.sub(blank, text)


def report(name, checked, findings, skipped=0):
    """findings: list of (unit, message). Prints the findings and the summary line, then exits."""
    for _, message in findings:
        print(f"{name}: {message}", file=sys.stderr)
    failed = len({unit for unit, _ in findings})
    line = f"{name}: {checked - failed} passed, {failed} failed"
    print(line + (f", {skipped} skipped" if skipped else ""), flush=True)
    sys.exit(1 if failed else 0)
