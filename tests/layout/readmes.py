"""What READMEs say of rooms: the files and names in them exist, and what a room may use is what it may use."""
import os
import re

import rules
from source_text import rooms_used

_QUOTED = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_FENCED = re.compile(r"^```.*?^```", re.M | re.S)
_FILE = re.compile(r"[\w./-]*\w\.(?:cpp|h|cuh?|py|S|proto|cmake|ts|tsx|mjs)")
_NAME = re.compile(r"(?:\w+::)*([A-Za-z_]\w*)(?:\(\))?")
_MAY_USE = re.compile(r"\b(?:May use|Uses)\b:?(.*?)(?:\.(?=\s|$)|\n\s*\n|\Z)", re.S)
_ROOM = re.compile(r"\b(?:(?:common|coordinator|worker|client)/)?[a-z]+\b")


def _blank(match):
    return re.sub(r"[^\n]", " ", match.group())


def _line(text, at):
    return text.count("\n", 0, at) + 1


def _words_of_code(tree):
    words = set()
    for path, text in tree.text.items():
        if not path.endswith(".md"):
            words.update(re.findall(r"[A-Za-z_]\w*", text))
    for path in tree.files:
        words.update(re.findall(r"[A-Za-z_]\w*", os.path.splitext(path)[0]))
    words.update("unit_" + room.replace("/", "_") for room in tree.rooms)
    return words


def check_names(tree):
    """A file or a name in backquotes is one of this tree: what was renamed or went is not told on."""
    words = _words_of_code(tree)
    outside = {target for all_of in tree.includes.values() for _, style, target in all_of if style == "angled"}
    for path, text in tree.text.items():
        if os.path.basename(path) != "README.md":
            continue
        text = _FENCED.sub(_blank, text)
        for match in _QUOTED.finditer(text):
            said = match.group(1)
            if _FILE.fullmatch(said):
                if not any(f"/{file}".endswith(f"/{said}") for file in tree.files) and said not in outside:
                    yield path, _line(text, match.start()), f"`{said}` is no file of this tree"
                continue
            name = _NAME.fullmatch(said)
            if name and name.group(1) not in words:
                yield path, _line(text, match.start()), f"`{said}` stands nowhere in the code"


def _rooms_in(sentence, room):
    """The rooms that a sentence names; a short name is that of the same program, else of common."""
    program = room.split("/")[0]
    found = set()
    for name in _ROOM.findall(re.sub(r"\([^()]*\)", " ", sentence.replace("`", ""))):
        for path in (name, f"{program}/{name}", f"common/{name}", f"worker/{name}"):
            if path in rules.MAY_USE or path == "proto":
                found.add(path)
                break
    return found


def check_may_use(tree):
    """The sentence "May use: …" of a room's README names all that the room uses, and nothing that it may not."""
    for room in tree.rooms:
        path = room + "/README.md"
        text = tree.text.get(path)
        if text is None or room not in rules.MAY_USE:
            continue  # said by other checks
        match = _MAY_USE.search(text)
        if not match:
            yield path, 1, "does not say what the room may use"
            continue
        sentence = match.group(1)
        if re.search(r"\b(everything|all rooms)\b", sentence):
            continue
        said = _rooms_in(sentence, room)
        if "what it uses" in sentence:
            said |= set().union(*(rules.MAY_USE.get(used, set()) for used in said))
        line = _line(text, match.start())
        for missing in sorted(rooms_used(tree, room) - said):
            yield path, line, f"does not say that it uses {missing}"
        for wrong in sorted(said - rules.MAY_USE[room] - {room}):
            yield path, line, f"says that it may use {wrong}"
