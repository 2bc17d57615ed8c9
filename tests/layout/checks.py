"""Every rule of the layout test. A check takes a Tree and yields (file, line, what is wrong)."""
import os
import re

import readmes
import rules
import source_text
import unnamed

TOP_FOLDERS = ("proto", "common", "coordinator", "worker", "client", "tests", "deploy", "cmake")
PROGRAMS = ("common", "coordinator", "worker", "client")
SKIPPED_FOLDERS = {"node_modules", "dist", "build", "__pycache__", "data"}
CODE = (".h", ".cpp", ".cu", ".cuh")
TEXT = CODE + (".py", ".sh", ".cmake", ".txt", ".proto", ".S", ".md", ".ts", ".tsx", ".css",
               ".html", ".yaml", ".yml")


class Tree:
    """The files under a root, read once."""

    def __init__(self, root):
        self.root = root
        self.files = sorted(self._walk())
        self.text = {}
        for path in self.files:
            if path.endswith(TEXT):
                with open(os.path.join(root, path), encoding="utf-8") as file:
                    self.text[path] = file.read()
        self.code = [path for path in self.files if path.endswith(CODE)]
        self.includes = {path: list(source_text.includes(self.text[path])) for path in self.code}
        self.rooms = sorted({room_of(p) for p in self.code if p.split("/")[0] in PROGRAMS})

    def _walk(self):
        for top in TOP_FOLDERS:
            for folder, subfolders, names in os.walk(os.path.join(self.root, top)):
                subfolders[:] = [s for s in subfolders if s not in SKIPPED_FOLDERS]
                for name in names:
                    yield os.path.relpath(os.path.join(folder, name), self.root)
        for name in ("CMakeLists.txt", "CMakePresets.json", "README.md"):
            if os.path.exists(os.path.join(self.root, name)):
                yield name


def room_of(path):
    return "/".join(path.split("/")[:2])


def library_of(header):
    for library, prefixes in rules.LIBRARIES.items():
        if any(header.startswith(p) if p.endswith("/") or "." not in p else header == p
               for p in prefixes):
            return library
    return None


def tested_room(path):
    """tests/unit/coordinator/core/x_test.cpp -> coordinator/core; None outside tests/unit."""
    parts = path.split("/")
    return "/".join(parts[2:4]) if parts[:2] == ["tests", "unit"] and len(parts) > 4 else None


def rooms_allowed(path):
    """The rooms that a file may include from beside its own; None: any."""
    room = tested_room(path)
    if room:
        return rules.MAY_USE.get(room, set()) | {room, "tests/support"}
    if path.startswith("tests/"):
        suite = rules.SUITES.get(room_of(path), set())
        return None if suite is None else suite | {"tests/support"}
    return rules.MAY_USE.get(room_of(path), set())


def library_allowed(path, library):
    room = tested_room(path) or room_of(path)
    is_test = path.startswith("tests/")
    if is_test and (room in rules.SUITES or library in rules.TEST_LIBRARIES):
        return True
    if library == "protobuf":
        return "proto" in rules.MAY_USE.get(room, ())
    if library == "posix" and room in rules.PURE_ROOMS:
        return False
    allowed = rules.MAY_INCLUDE[library]
    return allowed == rules.ANY or room in allowed


def check_room_includes(tree):
    """Every include of ours points down, along the table."""
    for path in tree.code:
        own, allowed = room_of(path), rooms_allowed(path)
        for line, style, target in tree.includes[path]:
            if style == "angled":
                continue
            if target.endswith(".pb.h"):
                used = "proto"
            elif target in tree.text:
                used = room_of(target)
            else:
                yield path, line, f'"{target}" is no file of this tree; include from the root'
                continue
            if used == own or allowed is None or used in allowed:
                continue
            if used.startswith("tests/") and _in_test_build_only(tree, path, line):
                continue
            yield path, line, f"{own} may not use {used} (includes {target})"


def _in_test_build_only(tree, path, line):
    """Whether an include of a wiring room stands under the switch of the test build."""
    if room_of(path) not in rules.WIRING_ROOMS:
        return False
    open_switches = []
    for text in tree.text[path].splitlines()[:line - 1]:
        if re.match(r"\s*#\s*if", text):
            open_switches.append(rules.TEST_SWITCH in text and "ifdef" in text)
        elif re.match(r"\s*#\s*(else|elif)", text) and open_switches:
            open_switches[-1] = False
        elif re.match(r"\s*#\s*endif", text) and open_switches:
            open_switches.pop()
    return any(open_switches)


def check_rooms_known(tree):
    """Every folder with code has its row in the table."""
    for room in tree.rooms:
        if room not in rules.MAY_USE:
            yield room, 1, "is no room of the table in tests/layout/rules.py"


def check_libraries(tree):
    """Every third-party header is included only where its row says."""
    for path in tree.code:
        for line, style, target in tree.includes[path]:
            if target.endswith(".grpc.pb.h"):
                library = "grpc"
            elif style == "quoted" or target.endswith(".pb.h"):
                continue
            else:
                library = library_of(target)
            if library is None:
                if "/" in target or (target.endswith(".h") and target not in _C_HEADERS):
                    yield path, line, f"<{target}> belongs to no library of the table"
            elif not library_allowed(path, library):
                yield path, line, f"{room_of(path)} may not include {library} (<{target}>)"


_C_HEADERS = {"time.h", "stdio.h", "stdlib.h", "string.h", "errno.h", "math.h", "limits.h", "elf.h"}


def _reached(tree, header, seen):
    """Heavy libraries behind a header of ours, with the header that includes each."""
    if header in seen:
        return {}
    seen.add(header)
    found = {}
    for _, style, target in tree.includes.get(header, ()):
        library = "grpc" if target.endswith(".grpc.pb.h") else (
            library_of(target) if style == "angled" else None)
        if library in rules.HEAVY:
            found.setdefault(library, header)
        elif style == "quoted":
            for key, where in _reached(tree, target, seen).items():
                found.setdefault(key, where)
    return found


def check_heavy_headers(tree):
    """No file outside the owning rooms meets a heavy header through a header of ours."""
    for path in tree.code:
        if path.startswith("tests/") and not tested_room(path):
            continue
        for line, style, target in tree.includes[path]:
            if style != "quoted":
                continue
            for library, where in sorted(_reached(tree, target, set()).items()):
                if not library_allowed(path, library):
                    yield path, line, f"reaches {library} through {where}"


def check_pure_rooms(tree):
    """Rooms that are pure take time and chance as arguments."""
    for path in tree.code:
        if room_of(path) not in rules.PURE_ROOMS:
            continue
        for line, style, target in tree.includes[path]:
            if style == "angled" and target in rules.IMPURE_HEADERS:
                yield path, line, f"a pure room may not include <{target}>"
        code = source_text.code_only(tree.text[path])
        for pattern in rules.IMPURE_NAMES:
            for match in re.finditer(pattern, code):
                yield path, _line(code, match), f"a pure room may not use {match.group().strip()}"


def check_cycles(tree):
    """No two rooms include each other, over any number of steps."""
    graph = {}
    for path in tree.code:
        if path.split("/")[0] in PROGRAMS:
            used = {room_of(t) for _, s, t in tree.includes[path] if s == "quoted" and t in tree.text}
            graph.setdefault(room_of(path), set()).update(used - {room_of(path)})
    done, trail = set(), []

    def visit(room):
        if room in trail:
            return trail[trail.index(room):] + [room]
        if room in done:
            return None
        trail.append(room)
        for used in sorted(graph.get(room, ())):
            cycle = visit(used)
            if cycle:
                return cycle
        trail.pop()
        done.add(room)
        return None

    for room in sorted(graph):
        trail.clear()
        cycle = visit(room)
        if cycle:
            yield room, 1, "rooms include each other: " + " -> ".join(cycle)
            return


def check_room_list(tree):
    """The build links along the same tables."""
    path = "cmake/room_list.cmake"
    text = re.sub(r"#[^\n]*", "", tree.text.get(path, ""))
    linked = {}  # room -> what it links, by way of others too: those stand above it
    for match in re.finditer(r"\broom\(([^)]*)\)", text):
        room, *words = match.group(1).split()
        line = _line(text, match)
        linked[room] = set()
        if room not in rules.MAY_USE:
            yield path, line, f"{room} is no room of the table"
            continue
        kind = None
        for word in words:
            if word in ("USES", "LIBRARIES", "PCH"):
                kind = word
            elif kind == "USES":
                used = "proto" if word == "overwinter/proto" else word
                linked[room] |= {used} | linked.get(used, set())
                if used not in rules.MAY_USE[room]:
                    yield path, line, f"{room} may not use {used}"
            elif kind == "LIBRARIES":
                library = rules.LINKED.get(word)
                if library is None or not library_allowed(room + "/x.cpp", library):
                    yield path, line, f"{room} may not link {word}"
        for used in sorted(source_text.rooms_used(tree, room) & rules.MAY_USE[room] - linked[room]):
            yield path, line, f"{room} includes from {used} and does not link it"


def check_file_sizes(tree):
    for path, text in tree.text.items():
        lines = text.count("\n")
        if lines > rules.FILE_LINES_MAX and not path.endswith(".md"):
            yield path, lines, f"{lines} lines, at most {rules.FILE_LINES_MAX}"


def check_function_sizes(tree):
    for path in tree.code:
        for line, lines, what in source_text.functions(tree.text[path]):
            if lines > rules.FUNCTION_LINES_MAX:
                yield path, line, f"{lines} lines, at most {rules.FUNCTION_LINES_MAX}: {what}"


def check_names(tree):
    """snake_case; a script that people type may have dashes."""
    for path in tree.files:
        folder, name = os.path.split(path)
        stem, extension = os.path.splitext(name)
        if extension not in (".h", ".cpp", ".cu", ".cuh", ".py", ".cmake", ".proto", ".S", ".sh"):
            continue
        separator = "[_-]" if extension == ".sh" else "_"
        if not re.fullmatch(rf"[a-z][a-z0-9]*({separator}[a-z0-9]+)*", stem):
            yield path, 1, "is not named in snake_case"
        if re.search(r"[^a-z0-9_/]", folder):
            yield path, 1, "lies in a folder that is not named in snake_case"


def check_pragma_once(tree):
    for path in tree.code:
        if path.endswith((".h", ".cuh")) and not re.search(r"^#pragma once$", tree.text[path], re.M):
            yield path, 1, "has no #pragma once"


def check_readmes(tree):
    for room in tree.rooms:
        text = tree.text.get(room + "/README.md")
        if text is None:
            yield room, 1, "has no README.md"
        elif not text.startswith(f"# {room}"):
            yield room + "/README.md", 1, f'does not begin with "# {room}"'


def check_tests_mirror(tree):
    """tests/unit/a/b/x_test.cpp tests x or a part of x of room a/b; a test over several files of the room
    (it includes two headers of it or more, helpers under tests/ looked through) may be named after what holds."""
    for path in tree.code:
        if not path.startswith("tests/unit/") or not path.endswith("_test.cpp"):
            continue
        room = tested_room(path)
        name = os.path.basename(path)[:-len("_test.cpp")]
        stems = {os.path.splitext(os.path.basename(p))[0] for p in tree.code
                 if room and os.path.dirname(p) == room}
        if any(name == stem or name.startswith(stem + "_") for stem in stems):
            continue
        used = {target for _, _, target in tree.includes[path]}
        helpers = [t for t in used if t.startswith("tests/")]
        while helpers:
            more = {target for _, _, target in tree.includes.get(helpers.pop(), ())} - used
            used |= more
            helpers += [t for t in more if t.startswith("tests/")]
        if sum(room is not None and os.path.dirname(t) == room for t in used) < 2:
            yield path, 1, f"mirrors no file of {room or 'any room'}"


# Written so that this file does not hold what it looks for.
_BANNED = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b|(?i:not\s+implemented)")


def check_banned_words(tree):
    for path, text in tree.text.items():
        for match in _BANNED.finditer(text):
            yield path, _line(text, match), f'"{match.group()}": finish it or leave it out'


_SLEEPS = {
    CODE: re.compile(r"\b(sleep_for|sleep_until|usleep|nanosleep|sleep)\s*\("),
    (".py",): re.compile(r"\b(time\.)?sleep\s*\(|import\s+sleep"),
    (".sh",): re.compile(r"(?m)(^|[;&|(]|\bdo|\bthen)\s*sleep\b"),
}


def check_no_sleeping(tree):
    """Tests move time or wait for an event with a deadline."""
    for path, text in tree.text.items():
        if not path.startswith("tests/") or path.startswith(("tests/bench/", "tests/layout/")):
            continue
        for extensions, pattern in _SLEEPS.items():
            if path.endswith(extensions):
                code = source_text.code_only(text) if extensions == CODE else text
                for match in pattern.finditer(code):
                    yield path, _line(code, match), "a test sleeps: move time or wait for an event"


_NATIVE = re.compile("-march=" "native|-mtune=" "native")


def check_portable(tree):
    for path, text in tree.text.items():
        if path.startswith("tests/bench/") or path.endswith(".md"):
            continue
        for match in _NATIVE.finditer(text):
            yield path, _line(text, match), f"{match.group()}: choose kernels at run time"


def _line(text, match):
    return text.count("\n", 0, match.start()) + 1


CHECKS = {
    "rooms": check_rooms_known,
    "includes": check_room_includes,
    "libraries": check_libraries,
    "heavy": check_heavy_headers,
    "pure": check_pure_rooms,
    "cycles": check_cycles,
    "room_list": check_room_list,
    "file_size": check_file_sizes,
    "function_size": check_function_sizes,
    "names": check_names,
    "pragma_once": check_pragma_once,
    "readme": check_readmes,
    "readme_names": readmes.check_names,
    "may_use": readmes.check_may_use,
    "mirror": check_tests_mirror,
    "banned_words": check_banned_words,
    "no_sleep": check_no_sleeping,
    "portable": check_portable,
    "unnamed": unnamed.check_unnamed,
}
