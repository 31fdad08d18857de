#!/usr/bin/python3
"""No source file over 700 lines, the median under 200, no function over 60 lines. (How wide a line
may be is clang-format's matter.)"""
import re
import statistics

import house

MAX_FILE, MAX_MEDIAN, MAX_FUNCTION = 700, 200, 60
NAME = re.compile(r"(\w+)\s*\([^;{}]*\)[^;{}()=]*$", re.S)


def functions(text):
    """(name, first line, number of lines from the opening to the closing brace) of each function."""
    code = re.sub(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", lambda m: re.sub(r"[^\n]", " ", m.group(0)),
                  house.bare(text), flags=re.M)
    code = re.sub(r'extern\s*"[^"]*"\s*\{', lambda m: " " * len(m.group(0)), code)
    found, depth, start, head = [], 0, 0, 0
    for i, c in enumerate(code):
        if c == "{":
            if depth == 0:
                start = i
            depth += 1
        elif c == "}" and depth > 0:
            depth -= 1
            if depth == 0:
                name = NAME.search(code[head:start])
                if name:
                    first, last = house.line_of(code, start), house.line_of(code, i)
                    found.append((name.group(1), first, last - first + 1))
                head = i + 1
        elif c == ";" and depth == 0:
            head = i + 1
    return found


def check():
    problems, lengths = [], []
    for name in house.c_files((".c", ".h", ".cc")):
        text = house.read(name)
        lengths.append(text.count("\n"))
        if lengths[-1] > MAX_FILE:
            problems.append(f"{name}: {lengths[-1]} lines, at most {MAX_FILE} are allowed")
        for function, first, size in functions(text):
            if size > MAX_FUNCTION:
                problems.append(f"{name}:{first}: {function}() has {size} lines, at most "
                                f"{MAX_FUNCTION} are allowed")
    if lengths and statistics.median(lengths) >= MAX_MEDIAN:
        problems.append(f"the median file has {statistics.median(lengths)} lines, it is to be "
                        f"under {MAX_MEDIAN}")
    return problems


if __name__ == "__main__":
    house.finish("sizes", check())
