"""Reading source text: includes, comments and literals blanked out, extents of functions."""
import re

_INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
# Raw strings first: they may hold anything. Then comments, then strings and characters. A ' between digits
# separates them and begins no character.
_TOKEN = re.compile(
    r'R"([^()\\\s]{0,16})\((?:.|\n)*?\)\1"'
    r'|//(?:[^\n\\]|\\.|\\\n)*'
    r'|/\*(?:.|\n)*?\*/'
    r'|"(?:[^"\\\n]|\\(?:.|\n))*"'
    r"|(?<![0-9A-Fa-f])'(?:[^'\\\n]|\\.)+'")


def includes(text):
    """(line number, "quoted" or "angled", path) of each include line that is no comment."""
    code = without_comments(text)
    for match in _INCLUDE.finditer(code):
        line = code.count("\n", 0, match.start(2)) + 1
        yield line, "quoted" if match.group(1) == '"' else "angled", match.group(2)


def _blank(token):
    return re.sub(r"[^\n]", " ", token)


def without_comments(text):
    return _TOKEN.sub(lambda m: _blank(m[0]) if m[0].startswith(("//", "/*")) else m[0], text)


def code_only(text):
    """Same length and lines; comments, literals and preprocessor lines are blanks."""
    text = _TOKEN.sub(lambda m: _blank(m[0]), text)
    return re.sub(r"^[ \t]*#(?:[^\n\\]|\\\n|\\.)*", lambda m: _blank(m[0]), text, flags=re.M)


def _opens_scope(statement):
    """namespace, class, enum, extern "C": what is inside is looked at again."""
    if re.search(r"\b(namespace|extern)\b", statement):
        return True
    return bool(re.search(r"\b(class|struct|union|enum)\b", statement)) and not re.search(
        r"\)\s*(const|noexcept|override|final|->[^;]*)?\s*$", statement)


def _opens_function(statement):
    return "(" in statement and not statement.rstrip().endswith("=")


def functions(text):
    """(first line, number of lines, what it looks like) of each outermost function body."""
    code = code_only(text)
    start = 0  # of the statement that is being read
    scopes = []  # "scope" or the offset of a function or table that is open
    for match in re.finditer(r"[{};]", code):
        at, sign = match.start(), match.group()
        inside = scopes and scopes[-1] != "scope"
        statement = code[start:at]
        if sign == "{":
            if inside:
                scopes.append(("nested", 0, ""))
                continue
            if _opens_scope(statement):
                scopes.append("scope")
            else:
                lead = len(statement) - len(statement.lstrip())
                kind = "function" if _opens_function(statement) or not statement.strip() else "table"
                scopes.append((kind, start + lead, " ".join(statement.split())[:60]))
            start = at + 1
        elif sign == "}":
            closed = scopes.pop() if scopes else "scope"
            if closed != "scope" and closed[0] == "function":
                first = code.count("\n", 0, closed[1]) + 1
                yield first, code.count("\n", closed[1], at) + 1, closed[2]
            if not (scopes and scopes[-1] != "scope"):
                start = at + 1
        elif not inside:
            start = at + 1


def rooms_used(tree, room):
    """The rooms that the files of a room include from, "proto" for generated headers."""
    used = set()
    for path in tree.code:
        if path.rsplit("/", 1)[0] != room:
            continue
        for _, style, target in tree.includes[path]:
            if target.endswith(".pb.h"):
                used.add("proto")
            elif style == "quoted":
                used.add("/".join(target.split("/")[:2]))
    return used - {room}
