"""What the checks of this folder share: finding files, and C text without comments and strings."""
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
C_FOLDERS = ("include", "engine", "common", "plugins", "examples", "tests", "bench")


def files(suffixes, folders=None, top=TOP):
    """Paths relative to the top, of files that git knows or would add; without git, all of them."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", top, "ls-files", "-z", "-co", "--exclude-standard"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    if listed.returncode == 0:
        names = [os.fsdecode(n) for n in listed.stdout.split(b"\0") if n]
    else:
        names = [os.path.relpath(os.path.join(where, name), top)
                 for where, dirs, found in os.walk(top) for name in found
                 if not os.path.relpath(where, top).startswith((".git", "build", "backups"))]
    names = sorted({n for n in names if n.endswith(tuple(suffixes)) and
                    os.path.isfile(os.path.join(top, n))})
    if folders:
        names = [n for n in names if n.split("/")[0] in folders]
    return names


def c_files(suffixes=(".c", ".h"), folders=C_FOLDERS):
    return files(suffixes, folders)


def read(name):
    with open(os.path.join(TOP, name), encoding="utf-8", errors="surrogateescape") as f:
        return f.read()


TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def bare(text):
    """C text in which comments and the insides of literals are blanks; lines stay where they are."""
    def blank(match):
        token = match.group(0)
        inside = re.sub(r"[^\n]", " ", token)
        return inside if token[0] == "/" else token[0] + inside[1:-1] + token[-1]
    return TOKEN.sub(blank, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def finish(what, problems):
    """Prints and ends the program."""
    for problem in problems:
        print(problem)
    print(f"{what}: {len(problems)} problem(s)")
    sys.exit(1 if problems else 0)
