"""Names that one file of a room keeps for itself.

Rooms marked JOIN (cmake/rooms.cmake) are compiled several files at a time, so the unnamed namespaces of two files are one:
a second name of a kind is an error there, or worse, another overload that is taken without a word.
"""
import re

import source_text

_SCOPE = re.compile(r"[{};]")
_NAMESPACE = re.compile(r"\bnamespace\b\s*([\w:]*)\s*$")
_CLASS = re.compile(r"^(?:enum\s+(?:class\s+)?|class\s+|struct\s+|union\s+)(?:\[\[\w+\]\]\s*)?(\w+)")
_SKIPPED = re.compile(r"^(using|typedef|friend|namespace|static_assert|extern)\b|\boperator\b")
_ALONE = re.compile(r"/(main|\w+_main|mpi_\w+)\.cpp$")  # never joined
_INTERNAL = re.compile(r"^(?:template\s*<[^;{]*?>\s*)?(?:inline\s+)?(static|constexpr|const)\b")


def joined_rooms(room_list):
    """The rooms of cmake/room_list.cmake whose files are compiled together."""
    text = re.sub(r"#[^\n]*", "", room_list)
    return {m.group(1).split()[0] for m in re.finditer(r"\broom\(([^)]*)\)", text)
            if "JOIN" in m.group(1).split()}


def _without_template(statement):
    """Behind `template <...>`, which may nest."""
    while True:
        match = re.match(r"template\s*<", statement)
        if not match:
            return statement
        depth, at = 1, match.end()
        while at < len(statement) and depth:
            depth += {"<": 1, ">": -1}.get(statement[at], 0)
            at += 1
        statement = statement[at:].lstrip()


def _name_of(statement):
    """What a declaration at the scope of a namespace declares; None: nothing that could stand twice."""
    statement = _without_template(re.sub(r"\[\[[^\]]*\]\]", " ", statement).strip())
    if not re.match(r"\w", statement) or _SKIPPED.search(statement):
        return None
    match = _CLASS.match(statement)
    if match and not statement.rstrip().endswith(")"):
        return match.group(1)
    head = re.split(r"[({=\[]", statement, 1)
    found = re.search(r"(?<!::)\b([A-Za-z_]\w*)\s*$", re.sub(r"<[^<>]*>", " ", head[0]))
    # `A::f(` defines what a header declares.
    if not found or re.search(r"::\s*~?\w+\s*$", head[0]) or " " not in head[0].strip():
        return None
    return found.group(1)


def internal_names(text):
    """(line, enclosing namespace, name) of each function, constant and class that only this file sees."""
    code = source_text.code_only(text)
    scopes = []  # (namespace or None for what is no namespace, whether an unnamed one is around)
    start = 0
    for match in _SCOPE.finditer(code):
        at, sign = match.start(), match.group()
        inside = any(name is None for name, _ in scopes)
        statement = code[start:at].strip()
        line = code.count("\n", 0, start + len(code[start:at]) - len(code[start:at].lstrip())) + 1
        hidden = bool(scopes) and scopes[-1][1]
        if sign == "}":
            if scopes:
                scopes.pop()
            if not any(name is None for name, _ in scopes):
                start = at + 1
            continue
        if inside:
            if sign == "{":
                scopes.append((None, hidden))
            continue
        named = _NAMESPACE.search(statement) if sign == "{" else None
        if named:
            scopes.append((named.group(1), hidden or not named.group(1)))
            start = at + 1
            continue
        if hidden or _INTERNAL.match(statement):
            name = _name_of(statement)
            if name:
                yield line, "::".join(n for n, _ in scopes if n), name
        if sign == "{":
            scopes.append((None, hidden))
        start = at + 1


def check_unnamed(tree):
    """No two files of a joined room keep the same name for themselves."""
    joined = joined_rooms(tree.text.get("cmake/room_list.cmake", ""))
    seen = {}
    for path in tree.code:
        room = "/".join(path.split("/")[:2])
        if room not in joined or not path.endswith(".cpp") or _ALONE.search(path):
            continue
        own = set()
        for line, namespace, name in internal_names(tree.text[path]):
            key = (room, namespace, name)
            if key in seen and seen[key] != path:
                yield path, line, f"{name} stands in {seen[key]} too, and both are compiled together"
            elif key not in own:
                own.add(key)
                seen.setdefault(key, path)
