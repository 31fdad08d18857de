"""What bench/repository.py makes of its figures: ratios, whether targets are met, and Markdown."""

TIMES = {"first": 2.5, "again": 4.0, "changed": 3.0, "restore": 2.0, "verify": 2.0}
STORED = {"first": 0.92, "changed": 1.0}
NAMES = {"first": "first backup", "again": "again, unchanged", "changed": "again, 1 % changed",
         "restore": "restore", "verify": "verify"}
MEMORY = 64 << 20
CHUNK = 65536
TOOLS = ("bakengine", "restic", "borg")


def figure(measure, tool, what):
    """A median, or None where that was not measured."""
    found = measure.get(tool)
    return found["median"][what] if found else None


def best(measure, what, peers):
    """The least of what the others took."""
    found = [figure(measure, peer, what) for peer in peers]
    return min((f for f in found if f is not None), default=None)


def times_as_fast(measure, peers):
    ours, theirs = figure(measure, "bakengine", "wall"), best(measure, "wall", peers)
    return theirs / ours if ours and theirs is not None else None


def share_stored(measure, peers):
    ours, theirs = figure(measure, "bakengine", "stored"), best(measure, "stored", peers)
    return ours / theirs if ours is not None and theirs else None


def most_memory(result):
    return max(figure(m, "bakengine", "memory") for m in result["measures"].values() if m)


def memory_limit(result):
    """64 MiB, the budget that the program states, and a byte for each chunk of the store."""
    return MEMORY + result["memory_budget"] + max(result["files"], result["bytes"] // CHUNK)


def judge_set(result):
    for name, limit in TIMES.items():
        # What verification is measured by is 'restic check --read-data'.
        peers = TOOLS[1:2] if name == "verify" else TOOLS[1:]
        ratio = times_as_fast(result["measures"][name], peers)
        if ratio is not None:
            yield {"measure": name, "what": "times as fast", "value": ratio, "limit": limit,
                   "met": ratio >= limit}
    for name, limit in STORED.items():
        ratio = share_stored(result["measures"][name], TOOLS[1:])
        if ratio is not None:
            yield {"measure": name, "what": "of what the smaller stored", "value": ratio,
                   "limit": limit, "met": ratio <= limit}
    most, limit = most_memory(result) / (1 << 20), memory_limit(result) / (1 << 20)
    yield {"measure": "all", "what": "MiB of memory", "value": most, "limit": limit,
           "met": most <= limit}


def judge(document):
    return [{"set": result["set"], **target}
            for result in document["sets"] for target in judge_set(result)]


# ---- Markdown ----------------------------------------------------------------------------------


def cell(measure, what, unit, digits):
    found = [figure(measure, tool, what) for tool in TOOLS]
    return " / ".join("-" if f is None else f"{f / unit:.{digits}f}" for f in found)


def number(value, limit=None):
    if value is None:
        return ""
    return f"{value:.2f}" + (f" ({limit:g})" if limit else "")


def row(result, name):
    measure = result["measures"][name]
    peers = TOOLS[1:]
    stored = name in ("first", "again", "changed")
    return (f"| ({result['set']}) {NAMES[name]} | {cell(measure, 'wall', 1, 2)} | "
            f"{number(times_as_fast(measure, peers), TIMES[name])} | "
            f"{cell(measure, 'cpu', 1, 2)} | {cell(measure, 'memory', 1 << 20, 0)} | "
            f"{cell(measure, 'stored', 1e6, 1) if stored else ''} | "
            f"{number(share_stored(measure, peers), STORED[name]) if name in STORED else ''} |")


def count(number_of, thing):
    return f"{number_of:,} {thing}{'' if number_of == 1 else 's'}"


def about_set(result):
    notes = "".join(f"; {n}" for n in result["notes"])
    return (f"- ({result['set']}) {result['title']}: {count(result['files'], 'file')}, "
            f"{result['bytes'] / 1e6:,.1f} MB, {count(result['rounds'], 'round')}; memory: at most "
            f"{most_memory(result) / (1 << 20):.0f} MiB, the limit is "
            f"{memory_limit(result) / (1 << 20):.0f} MiB{notes}")


def disturbed(document):
    """In how many runs others took more than a tenth of the processors' time, and of how many."""
    cores = document["machine"]["cores"]
    runs = [run for result in document["sets"] for measure in result["measures"].values()
            for found in measure.values() for run in found["runs"]]
    return sum(r["others"] > 0.2 + 0.1 * cores * r["wall"] for r in runs), len(runs)


def about_machine(document):
    m = document["machine"]
    said = (f"{m['date'][:10]}; {m['processor']}, {m['cores']} cores, "
            f"{m['memory'] / (1 << 30):.0f} GiB of memory; Linux {m['kernel']}; "
            f"{m['file_system']}; "
            + "; ".join(m["versions"].values()) + ".")
    bad, total = disturbed(document)
    if bad:
        said += (f" The machine was not idle: in {bad} of {total} runs others took more than a "
                 "tenth of its time.")
    if document["format"] != "repository":
        said += f" bakengine wrote format {document['format']}."
    return said


def verdict(document):
    if document["small"]:
        return ["Too little data for figures: none were judged."]
    missed = [t for t in document["targets"] if not t["met"]]
    total = len(document["targets"])
    lines = [f"Targets: {total - len(missed)} of {total} are met."]
    for t in missed:
        lines.append(f"- missed: ({t['set']}) {NAMES.get(t['measure'], t['measure'])}: "
                     f"{t['value']:.2f} {t['what']}, the target is {t['limit']:.2f}")
    return lines


def markdown(document):
    lines = [about_machine(document), ""]
    lines += [about_set(result) for result in document["sets"]]
    lines += [f"- left out: {what}" for what in document["left_out"]]
    lines += ["", "Cells: bakengine / restic / borg, medians. In brackets: the target.", "",
              "| | wall, s | times as fast as the faster | CPU, s | peak memory, MiB | "
              "stored, MB | of the smaller |", "| --- | --- | --- | --- | --- | --- | --- |"]
    lines += [row(result, name) for result in document["sets"] for name in NAMES
              if result["measures"][name]]
    return "\n".join(lines + ["", *verdict(document), ""])
