#!/usr/bin/python3
"""Links within the Markdown files lead somewhere: to a file, and to a heading where one is named."""
import os
import re
import urllib.parse

import house

FENCE = re.compile(r"^(```|~~~).*?^\1[ \t]*$", re.M | re.S)
LINK = re.compile(r"!?\[[^\]\[]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|"
                  r"^\[[^\]]+\]:\s*(\S+)", re.M)


def without_code(text):
    text = FENCE.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)
    return re.sub(r"`[^`\n]*`", lambda m: " " * len(m.group(0)), text)


def anchors(text):
    """The names that headings get: as GitHub makes them."""
    found, seen = set(), {}
    for heading in re.findall(r"^#{1,6}[ \t]+(.*?)[ \t#]*$", FENCE.sub("", text), re.M):
        name = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")
        count = seen.get(name, 0)
        seen[name] = count + 1
        found.add(f"{name}-{count}" if count else name)
    return found


def problem_of(name, target):
    parts = urllib.parse.urlsplit(target)
    if parts.scheme or parts.netloc:
        return None
    path = urllib.parse.unquote(parts.path)
    full = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
    if not os.path.exists(os.path.join(house.TOP, full)):
        return f"'{target}' leads nowhere"
    if parts.fragment and full.endswith(".md") and \
            parts.fragment.lower() not in anchors(house.read(full)):
        return f"'{target}': there is no such heading"
    return None


def check():
    problems = []
    for name in house.files((".md",)):
        text = without_code(house.read(name))
        for match in LINK.finditer(text):
            problem = problem_of(name, match.group(1) or match.group(2))
            if problem:
                problems.append(f"{name}:{house.line_of(text, match.start())}: {problem}")
    return problems


if __name__ == "__main__":
    house.finish("links", check())
